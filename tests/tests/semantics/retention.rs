//! Who keeps addresses: pods of StatefulSets over their lives, and what becomes of what they do not get any more.

use std::fmt::Write as _;

use serde_json::{Value, json};
use spiderpool_tests::manifests::object;
use spiderpool_tests::{Engine, Host, HostOptions, Lab, Namespace, Plugin, Pod};

use super::ENGINE;
use super::case::{IP_ADDRESSES, IPPOOL, IPPOOLS, NETWORKS, gets, pod, pool, pool6};

const RETAIN: &str = "ipam.spidernet.io/retain";
/// For how long it is: two ADDs and a DEL must be done meanwhile.
const TIME: &str = "3s";

/// The StatefulSet `web`. `metadata` are further lines of its metadata.
pub(crate) fn set(replicas: u32, metadata: &[&str]) -> String {
    let mut text =
        String::from("---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata:\n  name: web\n  namespace: default\n");
    metadata.iter().for_each(|line| writeln!(text, "  {line}").unwrap());
    text + &format!(
        "spec:\n  replicas: {replicas}\n  serviceName: web\n  selector: {{matchLabels: {{app: web}}}}\n  \
         template: {{metadata: {{labels: {{app: web}}}}, spec: {{containers: [{{name: main, image: none}}]}}}}\n"
    )
}

/// Its pod of that ordinal, without a uid: it is of all that come under the name.
pub(crate) fn member_of(api_version: &str, ordinal: u32, annotations: &[(&str, &str)]) -> String {
    let owner = format!(
        "ownerReferences: [{{apiVersion: {api_version}, kind: StatefulSet, name: web, uid: uid-of-web, controller: true}}]"
    );
    let annotations: Vec<String> = annotations.iter().map(|(key, value)| format!("{key}: '{value}'")).collect();
    let annotations = format!("annotations: {{{}}}", annotations.join(", "));
    object("Pod", &format!("web-{ordinal}"), &["namespace: default", "labels: {app: web}", &owner, &annotations])
}

pub(crate) fn member(ordinal: u32, annotations: &[(&str, &str)]) -> String {
    member_of("apps/v1", ordinal, annotations)
}

/// The pod of that ordinal in one of its lives.
pub(crate) fn web(ordinal: u32, life: u32) -> Pod {
    let name = format!("web-{ordinal}");
    Pod { uid: format!("uid-{name}-{life}"), container: format!("sandbox-{name}-{life}"), ..Pod::named(&name) }
}

/// Waits until the agent has read a change: the interface's pools of a family are these.
fn reads(host: &Host, pod: &str, nic: &str, pools: &[&str]) {
    host.wait_for(&format!("{pod} {nic} is of {pools:?}"), || {
        // It fails where the pod would be refused, and explains all the same.
        let output = host.ctl(&["explain", &format!("default/{pod}"), "--interface", nic, "-o", "json"]);
        let explained: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let demands = explained["demands"].as_array().cloned().unwrap_or_default();
        demands.iter().any(|demand| {
            let found: Vec<&str> =
                demand["candidates"].as_array().unwrap().iter().map(|one| one["pool"].as_str().unwrap()).collect();
            demand["interface"] == nic && found == pools
        })
    });
}

/// Who holds what: names of interfaces and addresses.
fn held(host: &Host) -> Vec<(String, String)> {
    host.allocations().into_iter().map(|row| (row.pod_uid, row.address.to_string())).collect()
}

#[test]
fn l00008_each_ordinal_of_a_stateful_set_keeps_its_address() {
    let pods: String = (0..3).map(|ordinal| member(ordinal, &[])).collect();
    let mut host = Host::on(
        ENGINE,
        &(pool("p", 6, &["podAffinity: {matchLabels: {app: web}}", "default: true"]) + &set(3, &[]) + &pods),
    );
    let before: Vec<_> = (0..3).map(|ordinal| gets(&host, &web(ordinal, 1))).collect();
    assert_eq!(before, [["10.6.0.10/24"], ["10.6.0.11/24"], ["10.6.0.12/24"]]);
    for life in 2..4 {
        (0..3).for_each(|ordinal| Plugin::of(&host).end(&web(ordinal, life - 1)));
        assert_eq!(host.allocations().len(), 3, "kept");
        let metrics = host.metrics();
        assert!(metrics.contains("spiderpool_ipam_release_kept_counts_total 3"), "{metrics}");
        host.kill();
        host.run();
        // Another order, so that the lowest free addresses would be others.
        for ordinal in [2, 0, 1] {
            let next = web(ordinal, life);
            assert_eq!(gets(&host, &next), before[ordinal as usize]);
            assert_eq!(gets(&host, &next), before[ordinal as usize], "again the same");
            assert_eq!(host.endpoint("default", &next.name).unwrap().pod_uid, host.uid(&next));
        }
        assert_eq!(host.allocations().len(), 3);
    }
    Plugin::of(&host).end(&web(0, 1));
    assert_eq!(host.allocations().len(), 3, "a DEL that comes late is of nobody");
    // In a cluster the pod may not be seen to have ended yet, which is a reason, too.
    let log = host.log();
    let told = log.contains("addresses are kept: StatefulSet `web` wants the ordinals 0 to 2, and the pod's is 0");
    assert!(told || ENGINE == Engine::Kube, "{log}");
}

#[test]
fn g00010_pods_that_a_stateful_set_wants_no_more_give_their_addresses_back() {
    let pods: String = (0..3).map(|ordinal| member(ordinal, &[])).collect();
    let host = Host::on(ENGINE, &(pool("p", 6, &["default: true"]) + &set(3, &[]) + &pods));
    (0..3).for_each(|ordinal| drop(gets(&host, &web(ordinal, 1))));
    (0..3).for_each(|ordinal| Plugin::of(&host).end(&web(ordinal, 1)));
    assert_eq!(host.allocations().len(), 3);
    host.write("manifests.yaml", &(pool("p", 6, &["default: true"]) + &set(1, &[]) + &pods));
    host.wait_for("the surplus goes", || {
        (0..3).for_each(|ordinal| Plugin::of(&host).end(&web(ordinal, 1)));
        host.allocations().len() == 1
    });
    assert_eq!(held(&host), [(host.uid(&web(0, 1)), "10.6.0.10".to_owned())]);
    // What went is anybody's, and is not handed back.
    assert_eq!(gets(&host, &Pod::named("other")), ["10.6.0.11/24"]);
    assert_eq!(gets(&host, &web(1, 2)), ["10.6.0.12/24"]);
}

#[test]
fn e00003_a_pod_of_a_stateful_set_keeps_its_address_until_the_set_goes() {
    let host = Host::on(ENGINE, &(pool("p", 6, &["default: true"]) + &set(1, &[]) + &member(0, &[])));
    assert_eq!(gets(&host, &web(0, 1)), ["10.6.0.10/24"]);
    Plugin::of(&host).end(&web(0, 1));
    assert_eq!(host.endpoint("default", "web-0").unwrap().pod_uid, host.uid(&web(0, 1)));
    host.write("manifests.yaml", &(pool("p", 6, &["default: true"]) + &member(0, &[])));
    host.wait_for("the address is given back", || {
        Plugin::of(&host).end(&web(0, 1));
        host.allocations().is_empty()
    });
    assert_eq!(host.endpoint("default", "web-0"), None);
}

#[test]
fn a00009_a_stateful_sets_pod_of_a_changed_template_uses_the_new_pools() {
    let of = |pools: &str| member(0, &[(IPPOOL, &format!(r#"{{"ipv4": {pools}}}"#))]);
    let host = Host::on(ENGINE, &(pool("a", 6, &[]) + &pool("b", 7, &[]) + &set(1, &[])));
    host.write("pod.yaml", &of(r#"["a"]"#));
    reads(&host, "web-0", "eth0", &["a"]);
    assert_eq!(gets(&host, &web(0, 1)), ["10.6.0.10/24"]);
    host.write("pod.yaml", &of(r#"["b", "a"]"#));
    reads(&host, "web-0", "eth0", &["b", "a"]);
    Plugin::of(&host).end(&web(0, 1));
    assert_eq!(gets(&host, &web(0, 2)), ["10.6.0.10/24"], "a pool that is meant still");
    host.write("pod.yaml", &of(r#"["b"]"#));
    reads(&host, "web-0", "eth0", &["b"]);
    Plugin::of(&host).end(&web(0, 2));
    assert_eq!(gets(&host, &web(0, 3)), ["10.7.0.10/24"]);
    assert_eq!(held(&host), [(host.uid(&web(0, 3)), "10.7.0.10".to_owned())], "the old address is free");
}

#[test]
fn a00010_a00017_interfaces_are_kept_over_restarts_and_changed_with_their_pools() {
    let of = |net1: &str| {
        let eth0 = r#"{"interface": "eth0", "ipv4": ["a"], "ipv6": ["six"]}"#;
        member(0, &[(IPPOOLS, &format!(r#"[{eth0}, {{"interface": "net1", "ipv4": ["{net1}"]}}]"#)), (NETWORKS, "san")])
    };
    let pools = pool("a", 6, &[]) + &pool("b", 7, &[]) + &pool("c", 8, &[]) + &pool6("six", 6, &[]);
    let host = Host::on(ENGINE, &(pools + &set(1, &[])));
    host.write("pod.yaml", &of("b"));
    reads(&host, "web-0", "net1", &["b"]);
    for (life, net1, expected) in [(1, "b", "10.7.0.10/24"), (2, "b", "10.7.0.10/24"), (3, "c", "10.8.0.10/24")] {
        host.write("pod.yaml", &of(net1));
        reads(&host, "web-0", "net1", &[net1]);
        let pod = web(0, life);
        assert_eq!(gets(&host, &pod), ["10.6.0.10/24", "fd06::10/64"]);
        assert_eq!(gets(&host, &pod.nic("net1")), [expected]);
        let uid = host.uid(&pod);
        assert!(host.allocations().iter().all(|row| row.pod_uid == uid), "{:?}", host.allocations());
        assert_eq!(host.allocations().len(), 3);
        ["net1", "eth0"].iter().for_each(|nic| Plugin::of(&host).end(&pod.nic(nic)));
        assert_eq!(host.allocations().len(), 3);
    }
}

#[test]
fn a00018_interfaces_without_names_are_kept_and_changed_by_their_places() {
    let of = |second: &str| {
        member(0, &[(IPPOOLS, &format!(r#"[{{"ipv4": ["a"]}}, {{"ipv4": ["{second}"]}}]"#)), (NETWORKS, "san")])
    };
    let host = Host::on(ENGINE, &(pool("a", 6, &[]) + &pool("b", 7, &[]) + &pool("c", 8, &[]) + &set(1, &[])));
    for (life, second, expected) in [(1, "b", "10.7.0.10/24"), (2, "b", "10.7.0.10/24"), (3, "c", "10.8.0.10/24")] {
        // By force, as when a node is gone: no DEL.
        host.delete_pod(&web(0, life - 1));
        host.write("pod.yaml", &of(second));
        reads(&host, "web-0", "net1", &[second]);
        assert_eq!(gets(&host, &web(0, life)), ["10.6.0.10/24"]);
        assert_eq!(gets(&host, &web(0, life).nic("net1")), [expected]);
        assert_eq!(host.allocations().len(), 2);
    }
}

#[test]
fn interfaces_of_networks_with_pools_of_their_own_are_kept_each() {
    let host = Host::on(
        ENGINE,
        &(pool("a", 6, &[]) + &pool("b", 7, &[]) + &pool("c", 8, &[]) + &set(1, &[]) + &member(0, &[])),
    );
    let of = |pool: &str| {
        let mut plugin = Plugin::of(&host);
        plugin.config["name"] = pool.into();
        plugin.config["ipam"]["default_ipv4_ippool"] = json!([pool]);
        plugin
    };
    drop(of("a").add(&Pod::named("first")));
    drop(of("b").add(&Pod::named("first").nic("net1")));
    for (life, net1, expected) in [(1, "b", "10.7.0.11/24"), (2, "b", "10.7.0.11/24"), (3, "c", "10.8.0.10/24")] {
        let pod = web(0, life);
        assert_eq!(of("a").add(&pod).addresses(), ["10.6.0.11/24"]);
        assert_eq!(of(net1).add(&pod.nic("net1")).addresses(), [expected]);
        let uid = host.uid(&pod);
        assert_eq!(host.allocations().iter().filter(|row| row.pod_uid == uid).count(), 2);
        assert_eq!(host.allocations().len(), 4, "{:?}", host.allocations());
        of(net1).end(&pod.nic("net1"));
        of("a").end(&pod);
    }
}

#[test]
fn a_pool_that_gives_nothing_new_leaves_pods_what_they_have() {
    let one = spiderpool_tests::manifests::pool("p", "10.6.0.0/24", "10.6.0.10", &["default: true"]);
    let pod = set(1, &[]) + &member(0, &[]);
    let host = Host::on(ENGINE, &pod);
    host.write("pool.yaml", &one);
    reads(&host, "web-0", "eth0", &["p"]);
    assert_eq!(gets(&host, &web(0, 1)), ["10.6.0.10/24"]);
    Plugin::of(&host).end(&web(0, 1));
    assert_eq!(gets(&host, &web(0, 2)), ["10.6.0.10/24"], "it is full with nothing but this address");
    Plugin::of(&host).end(&web(0, 2));
    host.write("pool.yaml", &(one + "  disable: true\n"));
    host.wait_for("the pool is disabled", || host.pools()[0].disabled);
    host.write("manifests.yaml", &pod);
    let mut explained = Value::Null;
    host.wait_for("it would not be refused", || {
        let output = host.ctl(&["explain", "default/web-0", "-o", "json"]);
        explained = serde_json::from_slice(&output.stdout).unwrap_or_default();
        output.status.success()
    });
    // Without Kubernetes nobody knows the uid of whoever left it.
    explained["kept"][0].as_object_mut().unwrap().remove("from");
    assert_eq!(explained["kept"], json!([{"interface": "eth0", "address": "10.6.0.10", "pool": "p"}]));
    assert_eq!(gets(&host, &web(0, 3)), ["10.6.0.10/24"]);
    let (code, text) = Plugin::of(&host).add(&Pod::named("other")).error();
    assert_eq!(code, 103, "{text}");
}

#[test]
fn a_pod_that_asks_for_another_address_than_it_had_gets_that_one() {
    let of = |address: &str| member(0, &[(IP_ADDRESSES, &format!(r#"{{"eth0": {{"ipv4": "{address}"}}}}"#))]);
    let host = Host::on(ENGINE, &(pool("p", 6, &["default: true"]) + &set(1, &[])));
    for (life, address) in [(1, "10.6.0.14"), (2, "10.6.0.14"), (3, "10.6.0.15")] {
        host.write("pod.yaml", &of(address));
        host.wait_for("the pod is read", || {
            String::from_utf8(host.ctl(&["explain", "default/web-0", "-o", "json"]).stdout)
                .unwrap()
                .contains(&format!("\"{address}\""))
        });
        assert_eq!(gets(&host, &web(0, life)), [format!("{address}/24")]);
        assert_eq!(host.allocations().len(), 1);
        Plugin::of(&host).end(&web(0, life));
    }
}

#[test]
fn stateful_sets_are_like_others_where_conf_yml_says_so() {
    let conf = "enableStatefulSet: false".to_owned();
    let manifests = pool("p", 6, &["default: true"]) + &set(1, &[]) + &member(0, &[]);
    let host = Host::start(&manifests, HostOptions { conf, ..HostOptions::on(ENGINE) });
    drop(gets(&host, &web(0, 1)));
    Plugin::of(&host).del(&web(0, 1));
    assert!(host.allocations().is_empty());
}

#[test]
fn addresses_are_kept_for_as_long_as_the_annotation_says() {
    let annotation = format!("annotations: {{{RETAIN}: {TIME}}}");
    let alone = object("Pod", "alone", &["namespace: default", &annotation]) + &pod("bad", &[(RETAIN, "soon")]);
    let annotated = set(0, &[&annotation]);
    let host = Host::on(ENGINE, &(pool("p", 6, &["default: true"]) + &alone + &annotated + &member(0, &[])));
    let lives = |name: &str, life: u32| Pod {
        uid: format!("uid-{name}-{life}"),
        container: format!("sandbox-{name}-{life}"),
        ..Pod::named(name)
    };
    for name in ["alone", "web-0"] {
        assert_eq!(gets(&host, &lives(name, 1)), ["10.6.0.10/24"], "{name}");
        Plugin::of(&host).end(&lives(name, 1));
        assert_eq!(gets(&host, &Pod::named("other")), ["10.6.0.11/24"], "it is not free");
        assert_eq!(gets(&host, &lives(name, 2)), ["10.6.0.10/24"], "{name} came back in time");
        Plugin::of(&host).end(&lives(name, 2));
        Plugin::of(&host).del(&Pod::named("other"));
        assert_eq!(host.allocations().len(), 1);
        host.wait_for("the time is over", || host.allocations().is_empty());
    }
    drop(gets(&host, &Pod::named("bad")));
    Plugin::of(&host).del(&Pod::named("bad"));
    assert!(host.allocations().is_empty());
}

#[test]
fn addresses_of_a_deployments_pods_are_kept_for_as_long_as_its_annotation_says() {
    let spec = "spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, \
                spec: {containers: [{name: main, image: none}]}}}\n";
    let controller = |kind: &str, name: &str, line: &str| {
        format!(
            "---\napiVersion: apps/v1\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: default\n  {line}\n{spec}"
        )
    };
    let owned = |kind: &str, name: &str| {
        format!("ownerReferences: [{{apiVersion: apps/v1, kind: {kind}, name: {name}, uid: u, controller: true}}]")
    };
    let metadata = ["namespace: default", "labels: {app: web}", &owned("ReplicaSet", "web-of-before")];
    let manifests = pool("p", 6, &["default: true"])
        + &controller("Deployment", "web", &format!("annotations: {{{RETAIN}: {TIME}}}"))
        + &controller("ReplicaSet", "web-of-before", &owned("Deployment", "web"))
        + &object("Pod", "web-x7k2p", &metadata);
    let host = Host::on(ENGINE, &manifests);
    assert_eq!(gets(&host, &Pod::named("web-x7k2p")), ["10.6.0.10/24"]);
    Plugin::of(&host).end(&Pod::named("web-x7k2p"));
    let why = format!("addresses are kept: `{RETAIN}` of Deployment `web` is `{TIME}`");
    host.wait_for("it has an end", || host.log().contains(&why));
    assert_eq!(gets(&host, &Pod::named("other")), ["10.6.0.11/24"], "it is not free");
    Plugin::of(&host).del(&Pod::named("other"));
    host.wait_for("the time is over", || host.allocations().is_empty());
}

#[test]
fn c00019_a_stateful_pod_keeps_an_address_that_another_host_uses() {
    let manifests =
        spiderpool_tests::manifests::pool("v4", "10.60.0.0/24", "10.60.0.10-10.60.0.12", &["default: true"])
            + &set(1, &[])
            + &member(0, &[]);
    let conf = "enableIPConflictDetection: true".into();
    let host = Host::start(&manifests, HostOptions { conf, ..HostOptions::on(ENGINE) });
    let lab = Lab::new();
    lab.hold("10.60.0.10/24");
    let plugin = Plugin::macvlan(&host, &lab.node);
    for sandbox in ["first", "second"] {
        let (code, text) = plugin.call_in("ADD", &web(0, 1).in_sandbox(sandbox), &Namespace::new()).error();
        assert_eq!(code, 106, "{text}");
        for word in
            ["10.60.0.10", "the pod keeps the address", "forbid releasing IPs for stateful workload", "wants the"]
        {
            assert!(text.contains(word), "no {word:?} in: {text}");
        }
        assert_eq!((host.allocations().len(), host.pools()[0].quarantined), (1, 0));
    }
    let _ = lab.gateway.ip(&["addr", "del", "10.60.0.10/24", "dev", "gw"]);
    let third = plugin.call_in("ADD", &web(0, 1).in_sandbox("third"), &Namespace::new());
    assert_eq!(third.addresses(), ["10.60.0.10/24"]);
}
