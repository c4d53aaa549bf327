//! A pod gets the addresses that its owners' rules say, keeps them as long as it lives, and gives them back.

use std::thread;

use serde_json::{Value, json};
use spiderpool_cni_plugin::agent::Method;
use spiderpool_tests::manifests::{namespace, pod, pool};
use spiderpool_tests::{Host, HostOptions, Plugin, Pod};

const IPPOOL: &str = "ipam.spidernet.io/ippool";
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
fn annotations_namespaces_configuration_and_defaults_are_looked_at_in_this_order() {
    let named = |name: &str, ips: &str| pool(name, "10.7.0.0/24", ips, &[]);
    let manifests = defaults()
        + &named("of-pod", "10.7.0.10")
        + &named("of-namespace", "10.7.0.20-10.7.0.21")
        + &named("of-cni", "10.7.0.30-10.7.0.32")
        + &namespace("billing", &[("ipam.spidernet.io/default-ipv4-ippool", r#"["of-namespace"]"#)])
        + &pod("billing", "a", "uid-a", &[(IPPOOL, r#"{"ipv4": ["of-pod"]}"#)]);
    let host = Host::with(&manifests);
    let mut plugin = Plugin::of(&host);
    plugin.config["ipam"]["default_ipv4_ippool"] = json!(["of-cni"]);
    assert_eq!(plugin.add(&Pod::named("a").of("billing")).addresses(), ["10.7.0.10/24"]);
    assert_eq!(plugin.add(&Pod::named("b").of("billing")).addresses(), ["10.7.0.20/24"]);
    assert_eq!(plugin.add(&Pod::named("c")).addresses(), ["10.7.0.30/24"]);
    plugin.config["ipam"].as_object_mut().unwrap().remove("default_ipv4_ippool");
    assert_eq!(plugin.add(&Pod::named("d")).addresses(), ["10.6.0.10/24", "fd06::10/64"]);
}

#[test]
fn pools_are_tried_in_the_order_written_and_patterns_find_them_by_name() {
    let manifests = pool("spare", "10.7.0.0/24", "10.7.0.50", &[])
        + &pool("rack-a", "10.7.0.0/24", "10.7.0.10", &[])
        + &pool("rack-b", "10.7.0.0/24", "10.7.0.20", &[])
        + &["a", "b", "c", "d"]
            .map(|n| pod("default", n, &format!("uid-{n}"), &[(IPPOOL, r#"{"ipv4": ["spare", "rack-*"]}"#)]))
            .concat();
    let host = Host::with(&manifests);
    let plugin = Plugin::of(&host);
    let given: Vec<String> =
        ["a", "b", "c"].iter().flat_map(|name| plugin.add(&Pod::named(name)).addresses()).collect();
    assert_eq!(given, ["10.7.0.50/24", "10.7.0.10/24", "10.7.0.20/24"]);
    let (code, text) = plugin.add(&Pod::named("d")).error();
    assert_eq!(code, 104, "{text}");
    for name in ["spare", "rack-a", "rack-b"] {
        assert!(text.contains(name), "{text}");
    }
}

#[test]
fn a_repeated_add_finds_its_address_and_a_repeated_del_succeeds() {
    let host = Host::with(&defaults());
    let plugin = Plugin::of(&host);
    let web = Pod::named("web-0");
    let first = plugin.add(&web).addresses();
    assert_eq!(plugin.add(&web).addresses(), first);
    assert_eq!(host.allocations().len(), 2);
    plugin.del(&web);
    plugin.del(&web);
    plugin.del(&Pod::named("never-seen"));
    assert!(host.allocations().is_empty());
}

#[test]
fn the_del_of_an_old_sandbox_does_not_free_what_the_new_one_has() {
    let host = Host::with(&defaults());
    let plugin = Plugin::of(&host);
    let old = Pod::named("web-0");
    let new = old.in_sandbox("sandbox-2");
    let first = plugin.add(&old).addresses();
    assert_eq!(plugin.add(&new).addresses(), first, "the pod keeps its addresses");
    plugin.del(&old);
    assert_eq!(host.allocations().len(), 2);
    plugin.del(&new);
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
fn two_adds_of_one_pod_at_once_agree() {
    let host = Host::with(&defaults());
    let plugin = Plugin::of(&host);
    let web = Pod::named("web-0");
    let answers: Vec<Vec<String>> = thread::scope(|scope| {
        let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| plugin.add(&web).addresses())).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(host.allocations().len(), 2);
}

#[test]
fn a_restart_changes_nothing_however_the_agent_ended() {
    let mut host = Host::with(&defaults());
    let plugin = Plugin::of(&host);
    let web = Pod::named("web-0");
    let first = plugin.add(&web).addresses();
    let before = host.allocations();
    host.kill();
    host.run();
    assert_eq!(host.allocations(), before);
    assert!(host.stop(), "SIGTERM is a clean end");
    host.run();
    assert_eq!(host.allocations(), before);
    assert_eq!(plugin.add(&web).addresses(), first);
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
