//! Where a pod's pools are named, and which place decides.

use serde_json::json;
use spiderpool_tests::manifests::{self, namespace, object};
use spiderpool_tests::{Host, HostOptions, Plugin, Pod};

use super::ENGINE;
use super::case::{IPPOOL, IPPOOLS, gets, pod, pool, pool6, refused};

const OF_NAMESPACE: &str = "ipam.spidernet.io/default-ipv4-ippool";

#[test]
fn a00003_what_cannot_be_followed_refuses_the_pod() {
    let cases = [
        ("no-json", IPPOOL, "{ipv4", 103, IPPOOL),
        ("unknown", IPPOOL, r#"{"ipv4": ["nowhere"]}"#, 103, "IPPool nowhere does not exist"),
        ("empty", IPPOOL, r#"{"ipv4": []}"#, 103, "names no pool for eth0"),
        ("family", IPPOOL, r#"{"ipv4": ["six"]}"#, 103, "IPv6 pool"),
        ("no-list", IPPOOLS, "[]", 103, "it has no element"),
    ];
    let pods = cases.map(|(name, key, value, ..)| pod(name, &[(key, value)])).concat();
    let host = Host::on(ENGINE, &(pool("p", 6, &["default: true"]) + &pool6("six", 6, &[]) + &pods));
    for (name, _, _, code, word) in cases {
        refused(&host, &Pod::named(name), code, &[word]);
    }
}

#[test]
fn a00005_pools_per_interface_beat_pools_of_the_interface_at_hand() {
    let both = [(IPPOOL, r#"{"ipv4": ["a"]}"#), (IPPOOLS, r#"[{"interface": "eth0", "ipv4": ["b"]}]"#)];
    let host = Host::on(ENGINE, &(pool("a", 6, &[]) + &pool("b", 7, &[]) + &pod("web", &both)));
    assert_eq!(gets(&host, &Pod::named("web")), ["10.7.0.10/24"]);
}

#[test]
fn a00006_the_namespace_beats_the_clusters_default() {
    let shop = namespace("shop", &[(OF_NAMESPACE, r#"["of-shop"]"#)]);
    let host = Host::on(ENGINE, &(pool("of-all", 6, &["default: true"]) + &pool("of-shop", 7, &[]) + &shop));
    assert_eq!(gets(&host, &Pod::named("web").of("shop")), ["10.7.0.10/24"]);
    assert_eq!(gets(&host, &Pod::named("other").of("bank")), ["10.6.0.10/24"]);
}

#[test]
fn a00007_the_namespace_may_name_a_pattern() {
    let shop = namespace("shop", &[(OF_NAMESPACE, r#"["shop-[0-9]"]"#)]);
    let host = Host::on(ENGINE, &(pool("shop-x", 6, &["default: true"]) + &pool("shop-1", 7, &[]) + &shop));
    assert_eq!(gets(&host, &Pod::named("web").of("shop")), ["10.7.0.10/24"]);
}

#[test]
fn a00008_all_containers_of_a_pod_have_one_address() {
    let containers = "spec:\n  containers: [{name: a, image: x}, {name: b, image: x}, {name: c, image: x}]\n";
    let manifest = pod("web", &[(IPPOOL, r#"{"ipv4": ["p"]}"#)]) + containers;
    let host = Host::on(ENGINE, &(pool("p", 6, &[]) + &manifest));
    assert_eq!(gets(&host, &Pod::named("web")), ["10.6.0.10/24"]);
    assert_eq!(host.allocations().len(), 1);
}

#[test]
fn a00009_pods_of_a_changed_template_use_the_new_pools() {
    let old = pod("web-old", &[(IPPOOL, r#"{"ipv4": ["a"]}"#)]);
    let new = pod("web-new", &[(IPPOOL, r#"{"ipv4": ["b"]}"#)]);
    let host = Host::on(ENGINE, &(pool("a", 6, &[]) + &pool("b", 7, &[]) + &old + &new));
    assert_eq!(gets(&host, &Pod::named("web-old")), ["10.6.0.10/24"]);
    assert_eq!(gets(&host, &Pod::named("web-new")), ["10.7.0.10/24"]);
    Plugin::of(&host).del(&Pod::named("web-old"));
    let pools: Vec<String> = host.allocations().into_iter().map(|row| row.pool).collect();
    assert_eq!(pools, ["b"], "the old record is gone");
}

#[test]
fn a00011_a_default_route_leads_through_the_pools_gateway_unless_it_is_cleaned() {
    let ippools = |clean: bool| format!(r#"[{{"interface": "eth0", "ipv4": ["p"], "cleangateway": {clean}}}]"#);
    let manifests = pool("p", 6, &["gateway: 10.6.0.1"])
        + &pod("kept", &[(IPPOOLS, &ippools(false))])
        + &pod("cleaned", &[(IPPOOLS, &ippools(true))])
        + &pod("of-configuration", &[(IPPOOL, r#"{"ipv4": ["p"]}"#)]);
    let host = Host::on(ENGINE, &manifests);
    let mut plugin = Plugin::of(&host);
    let routes = |plugin: &Plugin, name: &str| {
        let answer = plugin.add(&Pod::named(name));
        assert_eq!(answer.json["ips"][0]["gateway"], "10.6.0.1", "{}", answer.json);
        answer.json["routes"].clone()
    };
    plugin.config["ipam"]["clean_gateway"] = json!(true);
    let default = json!([{"dst": "0.0.0.0/0", "gw": "10.6.0.1"}]);
    assert_eq!(routes(&plugin, "kept"), default, "clean_gateway does not count where interfaces are listed");
    assert_eq!(routes(&plugin, "cleaned"), json!(null));
    assert_eq!(routes(&plugin, "of-configuration"), json!(null));
    plugin.config["ipam"]["clean_gateway"] = json!(false);
    plugin.del(&Pod::named("of-configuration"));
    assert_eq!(routes(&plugin, "of-configuration"), default);
}

#[test]
fn annotations_of_subnets_are_refused_with_their_feature_and_ignored_without() {
    let manifests = pool("p", 6, &["default: true"])
        + &pod("one", &[("ipam.spidernet.io/subnet", r#"{"ipv4": ["s"]}"#)])
        + &pod("many", &[("ipam.spidernet.io/subnets", r#"[{"ipv4": ["s"]}]"#)]);
    let off = Host::on(ENGINE, &manifests);
    assert_eq!(gets(&off, &Pod::named("one")), ["10.6.0.10/24"]);
    assert_eq!(gets(&off, &Pod::named("many")), ["10.6.0.11/24"]);
    drop(off);
    let on =
        Host::start(&manifests, HostOptions { conf: "enableSpiderSubnet: true".into(), ..HostOptions::on(ENGINE) });
    refused(&on, &Pod::named("one"), 103, &["ipam.spidernet.io/subnet ", "SpiderSubnet", IPPOOL]);
    refused(&on, &Pod::named("many"), 103, &["ipam.spidernet.io/subnets ", "enableSpiderSubnet"]);
    assert_eq!(gets(&on, &Pod::named("without")), ["10.6.0.10/24"]);
}

#[test]
fn families_that_are_switched_off_are_not_served() {
    let manifests = pool("v4", 6, &["default: true"])
        + &pool6("v6", 6, &["default: true"])
        + &pod("six", &[(IPPOOL, r#"{"ipv6": ["v6"]}"#)])
        + &object("Pod", "plain", &["namespace: default", "uid: uid-plain"]);
    let host = Host::start(&manifests, HostOptions { conf: "enableIPv6: false".into(), ..HostOptions::on(ENGINE) });
    assert_eq!(gets(&host, &Pod::named("plain")), ["10.6.0.10/24"]);
    refused(&host, &Pod::named("six"), 103, &[IPPOOL, "IPv6 is switched off", "enableIPv6"]);
}

#[test]
fn annotations_namespaces_configuration_and_defaults_are_looked_at_in_this_order() {
    let named = |name: &str, ips: &str| manifests::pool(name, "10.7.0.0/24", ips, &[]);
    let manifests = pool("v4", 6, &["default: true"])
        + &pool6("v6", 6, &["default: true"])
        + &named("of-pod", "10.7.0.10")
        + &named("of-namespace", "10.7.0.20-10.7.0.21")
        + &named("of-cni", "10.7.0.30-10.7.0.32")
        + &namespace("billing", &[(OF_NAMESPACE, r#"["of-namespace"]"#)])
        + &manifests::pod("billing", "a", "uid-a", &[(IPPOOL, r#"{"ipv4": ["of-pod"]}"#)]);
    let host = Host::on(ENGINE, &manifests);
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
    let of_one = |name: &str, ip: &str| manifests::pool(name, "10.7.0.0/24", ip, &[]);
    let pods = ["a", "b", "c", "d"].map(|name| pod(name, &[(IPPOOL, r#"{"ipv4": ["spare", "rack-*"]}"#)]));
    let manifests =
        of_one("spare", "10.7.0.50") + &of_one("rack-a", "10.7.0.10") + &of_one("rack-b", "10.7.0.20") + &pods.concat();
    let host = Host::on(ENGINE, &manifests);
    let plugin = Plugin::of(&host);
    let given: Vec<String> =
        ["a", "b", "c"].iter().flat_map(|name| plugin.add(&Pod::named(name)).addresses()).collect();
    assert_eq!(given, ["10.7.0.50/24", "10.7.0.10/24", "10.7.0.20/24"]);
    refused(&host, &Pod::named("d"), 104, &["spare", "rack-a", "rack-b"]);
}
