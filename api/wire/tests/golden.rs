//! Every shape against the JSON that the other side writes and reads.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use spiderpool_wire::coordinator::{CoordinatorConfig, CoordinatorConfigArgs};
use spiderpool_wire::endpoint::{WorkloadEndpointArgs, WorkloadEndpointStatus};
use spiderpool_wire::explain::{ExplainArgs, Explanation};
use spiderpool_wire::ipam::{IpamAddArgs, IpamAddResponse, IpamBatchDelArgs, IpamDelArgs};
use spiderpool_wire::summary::{AllocationSummary, PolicySummary, PoolSummary, saturate};
use spiderpool_wire::upkeep::{IpamCheckArgs, IpamGcArgs, IpamGcResponse, IpamStatus};

/// The JSON is read, and written back without a difference.
#[track_caller]
fn same<T: Serialize + DeserializeOwned + Debug>(golden: Value) -> T {
    let read: T = serde_json::from_value(golden.clone()).expect("golden JSON is read");
    assert_eq!(serde_json::to_value(&read).expect("it is written"), golden);
    read
}

/// Each field of the JSON is required: without it, reading fails and names it.
#[track_caller]
fn all_required<T: DeserializeOwned + Debug>(golden: &Value) {
    for field in golden.as_object().expect("an object").keys() {
        let mut without = golden.clone();
        without.as_object_mut().expect("an object").remove(field);
        let error = serde_json::from_value::<T>(without).expect_err(field).to_string();
        assert_eq!(error, format!("missing field `{field}`"));
    }
}

/// Optional fields that are missing or null leave the least JSON behind.
#[track_caller]
fn read_as<T: Serialize + DeserializeOwned>(written: Value, least: Value) {
    let read: T = serde_json::from_value(written).expect("JSON is read");
    assert_eq!(serde_json::to_value(read).expect("it is written"), least);
}

#[test]
fn add_request() {
    let least = json!({
        "containerID": "abc", "ifName": "eth0", "netNamespace": "/run/netns/a", "podNamespace": "shop",
        "podName": "web-0", "podUID": "",
    });
    all_required::<IpamAddArgs>(&least);
    same::<IpamAddArgs>(least.clone());
    let mut full = least.clone();
    full.as_object_mut().unwrap().extend(
        json!({
            "defaultIPv4IPPool": ["p4"], "defaultIPv6IPPool": ["p6"], "cleanGateway": true, "matchMasterSubnet": true,
            "network": "underlay",
        })
        .as_object()
        .unwrap()
        .clone(),
    );
    let args = same::<IpamAddArgs>(full);
    assert_eq!((args.default_ipv4_pools, args.default_ipv6_pools), (vec!["p4".to_owned()], vec!["p6".to_owned()]));
    let mut nulls = least.clone();
    nulls["defaultIPv4IPPool"] = Value::Null;
    nulls["unknown"] = json!(1);
    read_as::<IpamAddArgs>(nulls, least);
}

#[test]
fn add_response() {
    let response = same::<IpamAddResponse>(json!({
        "ips": [{
            "version": 4, "address": "10.6.0.5/16", "nic": "eth0", "ipPool": "p4", "gateway": "10.6.0.1", "vlan": 7,
            "mac": "02:00:00:00:00:01", "enableGatewayDetection": true, "enableIPConflictDetection": true,
        }, {"version": 6, "address": "fd00::5/64", "nic": "eth0"}],
        "routes": [{"ifName": "eth0", "dst": "0.0.0.0/0", "gw": "10.6.0.1"}],
        "dns": {"domain": "a", "nameservers": ["10.0.0.2"], "search": ["b"], "options": ["ndots:5"]},
    }));
    assert_eq!(response.ips[0].address.address().to_string(), "10.6.0.5");
    all_required::<IpamAddResponse>(&json!({"ips": []}));
    read_as::<IpamAddResponse>(
        json!({"ips": null, "routes": null, "dns": {"nameservers": null}}),
        json!({"ips": [], "dns": {}}),
    );
}

#[test]
fn bad_addresses_are_named() {
    let bad = |ip: Value| serde_json::from_value::<IpamAddResponse>(json!({"ips": [ip]})).unwrap_err().to_string();
    let version = bad(json!({"version": 5, "address": "10.6.0.5/16", "nic": "eth0"}));
    assert_eq!(version, "5 is not an IP version; write 4 or 6");
    let address = bad(json!({"version": 4, "address": "10.6.0.5", "nic": "eth0"}));
    assert!(address.starts_with(r#""10.6.0.5" is not a CIDR"#), "{address}");
}

#[test]
fn delete_requests() {
    let one = json!({
        "containerID": "abc", "ifName": "eth0", "podNamespace": "shop", "podName": "web-0", "podUID": "6b1c",
    });
    all_required::<IpamDelArgs>(&one);
    same::<IpamDelArgs>(one);
    let all = json!({"containerID": "abc", "podNamespace": "shop", "podName": "web-0", "podUID": "6b1c"});
    all_required::<IpamBatchDelArgs>(&all);
    same::<IpamBatchDelArgs>(all);
    same::<IpamBatchDelArgs>(json!({
        "containerID": "abc", "podNamespace": "shop", "podName": "web-0", "podUID": "6b1c",
        "netNamespace": "/run/netns/a", "isReleaseConflictIPs": true,
        "conflicts": [{"address": "10.6.0.5", "mac": "02:00:00:00:00:01"}],
    }));
}

#[test]
fn workload_endpoint() {
    all_required::<WorkloadEndpointArgs>(&json!({"podNamespace": "shop", "podName": "web-0"}));
    let least = json!({"podNamespace": "shop", "podName": "web-0", "podUID": "6b1c", "node": "n1", "interfaces": []});
    all_required::<WorkloadEndpointStatus>(&least);
    same::<WorkloadEndpointStatus>(json!({
        "podNamespace": "shop", "podName": "web-0", "podUID": "6b1c", "node": "n1",
        "interfaces": [{
            "interface": "eth0", "ipv4": "10.6.0.5/16", "ipv6": "fd00::5/64", "mac": "02:00:00:00:00:01", "vlan": 7,
            "ipv4Pool": "p4", "ipv6Pool": "p6", "ipv4Gateway": "10.6.0.1", "ipv6Gateway": "fd00::1",
            "routes": [{"dst": "0.0.0.0/0", "gw": "10.6.0.1"}],
        }, {"interface": "net1"}],
    }));
}

#[test]
fn coordinator_config() {
    all_required::<CoordinatorConfigArgs>(&json!({"podName": "web-0", "podNamespace": "shop"}));
    let least = json!({"overlayPodCIDR": [], "serviceCIDR": [], "mode": "auto", "tunePodRoutes": true});
    all_required::<CoordinatorConfig>(&least);
    read_as::<CoordinatorConfig>(
        json!({"overlayPodCIDR": null, "serviceCIDR": null, "mode": "auto", "tunePodRoutes": true, "hijackCIDR": null}),
        least,
    );
    same::<CoordinatorConfig>(json!({
        "overlayPodCIDR": ["10.244.0.0/16"], "serviceCIDR": ["10.96.0.0/12"], "mode": "underlay",
        "tunePodRoutes": true, "hijackCIDR": ["169.254.25.10/32"],
        "policyRoutes": [{"dst": "10.0.0.0/8", "gw": "10.6.0.1"}], "podMACPrefix": "0a:1b",
        "podDefaultRouteNIC": "eth0", "hostRuleTable": 500, "podRPFilter": 1, "txQueueLen": 1000,
        "vethLinkAddress": "169.254.100.1", "vethMTU": 1500,
    }));
}

#[test]
fn gc_check_and_status() {
    let gc = json!({"network": "underlay", "validAttachments": [{"containerID": "abc", "ifName": "eth0"}]});
    all_required::<IpamGcArgs>(&gc);
    same::<IpamGcArgs>(gc);
    same::<IpamGcResponse>(json!({"released": 3}));
    let check = json!({"containerID": "abc", "ifName": "eth0", "podNamespace": "shop", "podName": "web-0"});
    all_required::<IpamCheckArgs>(&check);
    same::<IpamCheckArgs>(check);
    let status = json!({"ready": false, "reason": "no pool has room"});
    all_required::<IpamStatus>(&status);
    same::<IpamStatus>(status);
}

#[test]
fn explanation() {
    let args: ExplainArgs = serde_json::from_value(json!({"podNamespace": "shop", "podName": "web-0"})).unwrap();
    assert_eq!(args.if_name, "eth0");
    same::<Explanation>(json!({
        "pod": "shop/web-0",
        "demands": [{
            "interface": "eth0", "family": 4, "origin": "cluster default",
            "candidates": [
                {"pool": "a", "admitted": [{"policy": "rack", "rank": 1}, {"policy": "affinity", "rank": 0}]},
                {"pool": "b", "refused": {"policy": "affinity", "reason": "it is for node n2"}},
                {"pool": "c", "refused": {"reason": "it is being deleted"}},
            ],
            "plan": [
                {"pool": "a", "pick": "lowest"}, {"pool": "d", "pick": "spread"},
                {"pool": "e", "pick": {"sticky": "shop/web-0"}}, {"pool": "f", "pick": {"exactly": ["10.6.0.5"]}},
            ],
            "skipped": [{"pool": "g", "reason": "it is full"}],
        }],
    }));
    same::<Explanation>(json!({"pod": "shop/web-0", "demands": [], "refusal": "no pool is named"}));
}

#[test]
fn summaries() {
    let pool = json!({
        "name": "p4", "family": 4, "subnet": "10.6.0.0/16", "total": 10, "allocated": 3, "quarantined": 1,
        "free": 6, "default": true, "disabled": false,
    });
    all_required::<PoolSummary>(&pool);
    same::<PoolSummary>(pool);
    let allocation = json!({
        "address": "10.6.0.5", "pool": "p4", "podNamespace": "shop", "podName": "web-0", "podUID": "6b1c",
        "interface": "eth0", "node": "n1", "containerID": "abc",
    });
    all_required::<AllocationSummary>(&allocation);
    same::<AllocationSummary>(allocation);
    assert_eq!((saturate(7), saturate(u128::MAX)), (7, u64::MAX));
}

#[test]
fn policies() {
    let failed = json!({
        "name": "rack", "order": 10, "mode": "enforce", "onFailure": "deny", "extensionPoints": [], "phase": "Failed",
        "message": "rack.wasm is missing",
    });
    same::<PolicySummary>(failed);
    let ready = json!({
        "name": "rack", "order": 10, "mode": "shadow", "onFailure": "fallback", "extensionPoints": ["affinity"],
        "digest": "sha256:00", "contractVersion": "0.1.0", "phase": "Ready",
    });
    same::<PolicySummary>(ready);
    let least = json!({"name": "rack", "order": 10, "mode": "enforce", "onFailure": "deny", "phase": "Ready"});
    all_required::<PolicySummary>(&least);
}
