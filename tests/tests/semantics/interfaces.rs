//! Pods with several interfaces: all or nothing, one address each, routes where they belong.

use serde_json::json;
use spiderpool_tests::{Host, Lab, Namespace, Plugin, Pod};

use super::ENGINE;
use super::case::{IPPOOL, IPPOOLS, NETWORKS, ROUTES, gets, pod, pool, pool6, refused};

#[test]
fn a00002_routes_of_the_pod_are_in_it_on_the_interface_that_reaches_their_gateway() {
    let routes = r#"[{"dst": "10.99.0.0/16", "gw": "10.7.0.1"}, {"dst": "fd99::/64", "gw": "fd60::1"}, {"dst": "10.98.0.0/16", "gw": "10.60.0.7"}]"#;
    let ippools = r#"[{"ipv4": ["lan"], "ipv6": ["lan6"]}, {"ipv4": ["storage"], "cleangateway": true}]"#;
    let manifests = pool("lan", 60, &["gateway: 10.60.0.1", "routes: [{dst: 10.98.0.0/16, gw: 10.60.0.1}]"])
        + &pool6("lan6", 60, &["gateway: fd60::1"])
        + &pool("storage", 7, &["gateway: 10.7.0.1", "routes: [{dst: 10.97.0.0/16, gw: 10.7.0.1}]"])
        + &pod("web", &[(IPPOOLS, ippools), (ROUTES, routes)]);
    let (host, lab, inside) = (Host::on(ENGINE, &manifests), Lab::new(), Namespace::new());
    let plugin = Plugin::macvlan(&host, &lab.node);
    for nic in ["eth0", "net1"] {
        let answer = plugin.call_in("ADD", &Pod::named("web").nic(nic), &inside);
        assert!(answer.ok, "{}", answer.json);
    }
    let table = inside.ip(&["route", "show"]);
    for route in [
        "default via 10.60.0.1 dev eth0",
        "10.98.0.0/16 via 10.60.0.7 dev eth0",
        "10.97.0.0/16 via 10.7.0.1 dev net1",
        "10.99.0.0/16 via 10.7.0.1 dev net1",
    ] {
        assert!(table.contains(route), "no {route:?} in:\n{table}");
    }
    assert_eq!(table.matches("10.98.0.0/16").count(), 1, "the pod's route takes the place of the pool's:\n{table}");
    let six = inside.ip(&["-6", "route", "show"]);
    assert!(six.contains("fd99::/64 via fd60::1 dev eth0") && six.contains("default via fd60::1"), "{six}");
}

#[test]
fn routes_that_are_none_refuse_the_pod_before_anything_is_taken() {
    let manifests = pool("p", 6, &["default: true"])
        + &pod("json", &[(ROUTES, "10.0.0.0/8")])
        + &pod("mixed", &[(ROUTES, r#"[{"dst": "10.0.0.0/8", "gw": "fd00::1"}]"#)])
        + &pod("far", &[(ROUTES, r#"[{"dst": "10.0.0.0/8", "gw": "192.168.0.1"}]"#)]);
    let host = Host::on(ENGINE, &manifests);
    refused(&host, &Pod::named("json"), 103, &["wrong input", ROUTES, "write for example"]);
    refused(&host, &Pod::named("mixed"), 103, &[ROUTES, "different families"]);
    assert_eq!(gets(&host, &Pod::named("far")), ["10.6.0.10/24"], "a gateway that no interface reaches is left out");
    assert!(host.log().contains("192.168.0.1"), "and told in the log");
}

#[test]
fn a00010_interfaces_of_a_changed_template_use_the_new_pools() {
    let of = |eth0: &str, net1: &str| {
        format!(r#"[{{"interface": "eth0", "ipv4": ["{eth0}"]}}, {{"interface": "net1", "ipv4": ["{net1}"]}}]"#)
    };
    let manifests = pool("a", 6, &[])
        + &pool("b", 7, &[])
        + &pool("c", 8, &[])
        + &pod("old", &[(IPPOOLS, &of("a", "b"))])
        + &pod("new", &[(IPPOOLS, &of("a", "c"))]);
    let host = Host::on(ENGINE, &manifests);
    let (old, new) = (Pod::named("old"), Pod::named("new"));
    assert_eq!(
        (gets(&host, &old), gets(&host, &old.nic("net1"))),
        (vec!["10.6.0.10/24".into()], vec!["10.7.0.10/24".into()])
    );
    assert_eq!(
        (gets(&host, &new), gets(&host, &new.nic("net1"))),
        (vec!["10.6.0.11/24".into()], vec!["10.8.0.10/24".into()])
    );
    Plugin::of(&host).del(&old.nic("net1"));
    Plugin::of(&host).del(&old);
    assert!(host.allocations().iter().all(|row| row.pod_name == "new"));
}

#[test]
fn a00013_an_interface_that_the_list_leaves_out_is_refused() {
    let host =
        Host::on(ENGINE, &(pool("a", 6, &[]) + &pod("web", &[(IPPOOLS, r#"[{"interface": "eth0", "ipv4": ["a"]}]"#)])));
    assert_eq!(gets(&host, &Pod::named("web")), ["10.6.0.10/24"]);
    refused(
        &host,
        &Pod::named("web").nic("net1"),
        103,
        &[IPPOOLS, "the interface net1 is added now and has no element"],
    );
}

#[test]
fn a00014_an_interface_twice_in_the_list_is_refused() {
    let twice = r#"[{"interface": "eth0", "ipv4": ["a"]}, {"interface": "eth0", "ipv4": ["b"]}]"#;
    let host = Host::on(ENGINE, &(pool("a", 6, &[]) + &pool("b", 7, &[]) + &pod("web", &[(IPPOOLS, twice)])));
    refused(&host, &Pod::named("web"), 103, &["the interface eth0 has two elements"]);
}

#[test]
fn a00015_patterns_per_interface() {
    let patterns = r#"[{"interface": "eth0", "ipv4": ["lan-*"]}, {"interface": "net1", "ipv4": ["storage-?"]}]"#;
    let manifests = pool("lan-a", 6, &[]) + &pool("storage-1", 7, &[]) + &pool("storage-10", 8, &[]);
    let host = Host::on(ENGINE, &(manifests + &pod("web", &[(IPPOOLS, patterns)])));
    assert_eq!(gets(&host, &Pod::named("web")), ["10.6.0.10/24"]);
    assert_eq!(gets(&host, &Pod::named("web").nic("net1")), ["10.7.0.10/24"]);
}

#[test]
fn a00016_an_interface_without_room_drains_no_other_interfaces_pool() {
    let one = spiderpool_tests::manifests::pool("one", "10.7.0.0/24", "10.7.0.10", &[]);
    let both = r#"[{"interface": "eth0", "ipv4": ["roomy"]}, {"interface": "net1", "ipv4": ["one"]}]"#;
    let manifests =
        pool("roomy", 6, &[]) + &one + &pod("first", &[(IPPOOLS, both)]) + &pod("second", &[(IPPOOLS, both)]);
    let host = Host::on(ENGINE, &manifests);
    assert_eq!(gets(&host, &Pod::named("first")), ["10.6.0.10/24"]);
    for attempt in 0..5 {
        let second = Pod::named("second").in_sandbox(&format!("attempt-{attempt}"));
        refused(&host, &second, 104, &["net1 needs an IPv4 address", "one: the only address"]);
    }
    Plugin::of(&host).del(&Pod::named("first").nic("net1"));
    Plugin::of(&host).del(&Pod::named("first"));
    assert_eq!(gets(&host, &Pod::named("second")), ["10.6.0.10/24"]);
}

#[test]
fn a00018_interfaces_without_names_are_those_that_multus_attaches_in_order() {
    let positional = r#"[{"ipv4": ["a"]}, {"ipv4": ["b"]}, {"ipv4": ["c"]}]"#;
    let manifests = pool("a", 6, &[])
        + &pool("b", 7, &[])
        + &pool("c", 8, &["multusName: [default/san]"])
        + &pod("web", &[(IPPOOLS, positional), (NETWORKS, "lan, san@fast0")]);
    let host = Host::on(ENGINE, &manifests);
    let web = Pod::named("web");
    assert_eq!(gets(&host, &web), ["10.6.0.10/24"]);
    assert_eq!(host.allocations().len(), 3, "the first ADD takes what all interfaces need");
    assert_eq!(gets(&host, &web.nic("net1")), ["10.7.0.10/24"]);
    assert_eq!(gets(&host, &web.nic("fast0")), ["10.8.0.10/24"]);
    refused(&host, &web.nic("net3"), 103, &["net3 is added now", "eth0, net1, fast0"]);
    Plugin::of(&host).del(&web.nic("net1"));
    let left: Vec<String> = host.allocations().into_iter().map(|row| row.interface).collect();
    assert_eq!(left, ["eth0", "fast0"], "DEL of one interface frees its own");
    Plugin::of(&host).del(&web.nic("fast0"));
    Plugin::of(&host).del(&web);
    assert!(host.allocations().is_empty());
}

#[test]
fn interfaces_of_one_pool_and_both_families_have_an_address_each() {
    let both = r#"[{"interface": "eth0", "ipv4": ["p"], "ipv6": ["p6"]}, {"interface": "net1", "ipv4": ["p"], "ipv6": ["p6"]}]"#;
    let host = Host::on(ENGINE, &(pool("p", 6, &[]) + &pool6("p6", 6, &[]) + &pod("web", &[(IPPOOLS, both)])));
    assert_eq!(gets(&host, &Pod::named("web")), ["10.6.0.10/24", "fd06::10/64"]);
    assert_eq!(gets(&host, &Pod::named("web").nic("net1")), ["10.6.0.11/24", "fd06::11/64"]);
}

#[test]
fn the_configurations_name_resolution_is_in_the_result() {
    let host = Host::on(ENGINE, &(pool("p", 6, &[]) + &pod("web", &[(IPPOOL, r#"{"ipv4": ["p"]}"#)])));
    let mut plugin = Plugin::of(&host);
    let dns =
        json!({"domain": "shop.example", "nameservers": ["10.0.0.2"], "search": ["example"], "options": ["ndots:5"]});
    plugin.config["dns"] = dns.clone();
    assert_eq!(plugin.add(&Pod::named("web")).json["dns"], dns);
    plugin.config["dns"] = json!({"nameservers": "10.0.0.2"});
    let (code, text) = plugin.add(&Pod::named("web")).error();
    assert!(code == 7 && text.contains("dns of the network"), "{code} {text}");
    plugin.del(&Pod::named("web"));
    assert!(host.allocations().is_empty(), "a slip in it keeps nothing from being released");
}
