//! A pod gets the addresses that its owners' rules say, keeps them as long as it lives, and gives them back.

use serde_json::{Value, json};
use spiderpool_cni_plugin::agent::Method;
use spiderpool_tests::manifests::{pod, pool};
use spiderpool_tests::{Host, HostOptions, Plugin, Pod};

const IPPOOLS: &str = "ipam.spidernet.io/ippools";

fn defaults() -> String {
    pool("v4", "10.6.0.0/24", "10.6.0.10-10.6.0.20", &["default: true", "gateway: 10.6.0.1"])
        + &pool("v6", "fd06::/64", "fd06::10-fd06::20", &["default: true", "gateway: fd06::1"])
}

#[test]
fn default_pools_give_one_address_of_each_family_with_a_default_route() {
    let host = Host::with(&defaults());
    let answer = Plugin::of(&host).add(&Pod::named("web-0"));
    assert_eq!(answer.addresses(), ["10.6.0.10/24", "fd06::10/64"]);
    let routes: Vec<&str> =
        answer.json["routes"].as_array().unwrap().iter().map(|r| r["dst"].as_str().unwrap()).collect();
    assert_eq!(routes, ["0.0.0.0/0", "::/0"]);
    assert_eq!(answer.json["ips"][0]["gateway"], "10.6.0.1");
}

#[test]
fn every_version_of_the_protocol_is_spoken() {
    let host = Host::with(&defaults());
    let mut plugin = Plugin::of(&host);
    for version in ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] {
        plugin.config["cniVersion"] = version.into();
        let web = Pod::named(&format!("web-{}", version.replace('.', "-")));
        let answer = plugin.add(&web);
        assert_eq!(answer.json["cniVersion"], version);
        assert_eq!(answer.addresses().len(), 2);
        assert_eq!(answer.json["ips"][0].get("version").is_some(), version.starts_with('0'), "{}", answer.json);
        plugin.del(&web);
    }
    assert!(host.allocations().is_empty());
}

#[test]
fn two_interfaces_are_served_by_the_first_add_and_freed_one_by_one() {
    let annotation =
        r#"[{"interface": "eth0", "ipv4": ["a"]}, {"interface": "net1", "ipv4": ["a"], "cleangateway": true}]"#;
    let manifests = pool("a", "10.7.0.0/24", "10.7.0.10-10.7.0.19", &["gateway: 10.7.0.1"])
        + &pod("default", "web-0", "uid-web-0", &[(IPPOOLS, annotation)]);
    let host = Host::with(&manifests);
    let plugin = Plugin::of(&host);
    let web = Pod::named("web-0");
    assert_eq!(plugin.add(&web).addresses(), ["10.7.0.10/24"]);
    let interfaces: Vec<String> = host.allocations().into_iter().map(|row| row.interface).collect();
    assert_eq!(interfaces, ["eth0", "net1"]);
    let second = plugin.add(&web.nic("net1"));
    assert_eq!(second.addresses(), ["10.7.0.11/24"]);
    assert_eq!(second.json.get("routes").and_then(Value::as_array).map_or(0, Vec::len), 0, "cleangateway");
    plugin.del(&web);
    assert_eq!(host.allocations().len(), 1);
    plugin.del(&web.nic("net1"));
    assert!(host.allocations().is_empty());
}

#[test]
fn interfaces_that_never_came_are_freed_with_the_last_one() {
    let annotation = r#"[{"ipv4": ["a"]}, {"ipv4": ["a"]}]"#;
    let manifests = pool("a", "10.7.0.0/24", "10.7.0.10-10.7.0.19", &[])
        + &pod("default", "web-0", "uid-web-0", &[(IPPOOLS, annotation)]);
    let host = Host::with(&manifests);
    let plugin = Plugin::of(&host);
    let web = Pod::named("web-0");
    let _ = plugin.add(&web).addresses();
    assert_eq!(host.allocations().len(), 2);
    plugin.del(&web);
    assert!(host.allocations().is_empty());
}

#[test]
fn check_finds_what_is_not_as_promised() {
    let host = Host::with(&defaults());
    let mut plugin = Plugin::of(&host);
    let web = Pod::named("web-0");
    let result = plugin.add(&web).json;
    plugin.config["prevResult"] = result;
    // The IPAM plugin alone puts nothing on an interface, so there is something to find.
    let (code, text) = plugin.call("CHECK", &web).error();
    assert!(code >= 100 && text.contains("eth0"), "{code} {text}");
    plugin.del(&web);
    let (_, text) = plugin.call("CHECK", &web).error();
    assert!(text.contains("sandbox-web-0") || text.contains("10.6.0.10"), "{text}");
}

#[test]
fn status_tells_whether_an_add_may_succeed() {
    let mut host = Host::with(&pool("one", "10.6.0.0/24", "10.6.0.10", &["default: true"]));
    let plugin = Plugin::of(&host);
    let web = Pod::named("web-0");
    assert!(plugin.call("STATUS", &web).ok);
    let _ = plugin.add(&web).addresses();
    let (code, text) = plugin.call("STATUS", &web).error();
    assert_eq!(code, 50, "{text}");
    host.kill();
    let (code, text) = plugin.call("STATUS", &web).error();
    assert_eq!(code, 50, "{text}");
}

#[test]
fn gc_frees_what_this_network_no_longer_needs_and_nothing_else() {
    let host = Host::with(&defaults());
    let mut plugin = Plugin::of(&host);
    let (kept, stale, other) = (Pod::named("kept"), Pod::named("stale"), Pod::named("other"));
    let _ = (plugin.add(&kept).addresses(), plugin.add(&stale).addresses());
    plugin.config["name"] = "storage".into();
    let _ = plugin.add(&other).addresses();
    plugin.config["name"] = "underlay".into();
    plugin.config["cni.dev/valid-attachments"] = json!([{"containerID": kept.container, "ifname": "eth0"}]);
    let answer = plugin.call("GC", &kept);
    assert!(answer.ok, "{}", answer.json);
    let mut left: Vec<String> = host.allocations().into_iter().map(|row| row.pod_name).collect();
    left.dedup();
    left.sort();
    left.dedup();
    assert_eq!(left, ["kept", "other"]);
}

#[test]
fn version_needs_no_agent() {
    let host = Host::stopped("", HostOptions::default());
    let plugin = Plugin::of(&host);
    let answer = plugin.raw(&[("CNI_COMMAND", "VERSION")], br#"{"cniVersion": "1.1.0"}"#);
    let versions = answer.json["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&"0.3.0".into()) && versions.contains(&"1.1.0".into()), "{}", answer.json);
}

#[test]
fn health_and_metrics_are_told() {
    let host = Host::with(&defaults());
    let _ = Plugin::of(&host).add(&Pod::named("web-0")).addresses();
    let healthy =
        host.agent().tell(&Method::GET, spiderpool_wire::path::HEALTHY, &(), std::time::Duration::from_secs(5));
    assert!(healthy.is_ok());
    let text = host.metrics();
    for name in ["spiderpool_ipam_allocation_counts_total 1", "spiderpool_policy_calls_total"] {
        assert!(text.contains(name), "{name} is not in:\n{text}");
    }
}
