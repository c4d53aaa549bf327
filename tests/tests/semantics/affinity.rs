//! Whom a pool serves: nodes, namespaces, pods, networks; by name or by label.

use spiderpool_tests::manifests::object;
use spiderpool_tests::{Host, HostOptions, Pod};

use super::ENGINE;
use super::case::{NETWORKS, gets, pod, pool, refused};

/// One default pool with these lines in its spec, and these objects; `pod` is of `default` on `node1`.
fn host(spec: &[&str], objects: &str) -> Host {
    Host::on(ENGINE, &(pool("p", 6, &[&["default: true"], spec].concat()) + objects))
}

fn zone_a() -> String {
    object("Node", "node1", &["labels: {zone: a}"])
}

/// The pool with these lines serves the pod `web`.
#[track_caller]
fn serves(spec: &[&str], objects: &str) {
    assert_eq!(gets(&host(spec, objects), &Pod::named("web")), ["10.6.0.10/24"]);
}

/// The pool with these lines does not serve the pod `web`, for a reason with these words.
#[track_caller]
fn serves_not(spec: &[&str], objects: &str, words: &[&str]) {
    let host = host(spec, objects);
    refused(&host, &Pod::named("web"), 103, &[&["all IPv4 IPPools [p] of eth0 filtered out"], words].concat());
}

#[test]
fn l00001_a_pool_for_the_nodes_label_serves() {
    serves(&["nodeAffinity: {matchLabels: {zone: a}}"], &zone_a());
}

#[test]
fn l00002_a_pool_for_other_nodes_labels_does_not() {
    serves_not(&["nodeAffinity: {matchLabels: {zone: b}}"], &zone_a(), &["node1", "spec.nodeAffinity", "zone"]);
}

#[test]
fn l00003_a_pool_for_the_namespaces_label_serves() {
    let namespace = object("Namespace", "default", &["labels: {team: shop}"]);
    serves(&["namespaceAffinity: {matchLabels: {team: shop}}"], &namespace);
}

#[test]
fn l00004_a_pool_for_other_namespaces_labels_does_not() {
    let namespace = object("Namespace", "default", &["labels: {team: shop}"]);
    serves_not(&["namespaceAffinity: {matchLabels: {team: bank}}"], &namespace, &["default", "spec.namespaceAffinity"]);
}

#[test]
fn l00005_a_pool_for_the_pods_label_serves() {
    let web = object("Pod", "web", &["namespace: default", "uid: uid-web", "labels: {app: web}"]);
    serves(&["podAffinity: {matchExpressions: [{key: app, operator: In, values: [web, api]}]}"], &web);
}

#[test]
fn l00006_a_pool_for_other_pods_labels_does_not() {
    let web = object("Pod", "web", &["namespace: default", "uid: uid-web", "labels: {app: web}"]);
    serves_not(&["podAffinity: {matchLabels: {app: db}}"], &web, &["web", "spec.podAffinity", "app"]);
}

#[test]
fn l00007_pods_of_two_zones_take_the_pools_of_their_zones() {
    let zones = |zone: &str| format!("nodeAffinity: {{matchLabels: {{zone: {zone}}}}}");
    let manifests = pool("a", 6, &["default: true", &zones("a")])
        + &pool("b", 7, &["default: true", &zones("b")])
        + &object("Node", "node-a", &["labels: {zone: a}"])
        + &object("Node", "node-b", &["labels: {zone: b}"]);
    for (node, address) in [("node-a", "10.6.0.10/24"), ("node-b", "10.7.0.10/24")] {
        let host = Host::start(&manifests, HostOptions { node: node.into(), ..HostOptions::on(ENGINE) });
        assert_eq!(gets(&host, &Pod::named("agent")), [address], "{node}");
    }
}

#[test]
fn l00009_a_namespace_has_several_pools_and_a_pool_several_namespaces() {
    let both = "namespaceName: [shop, bank]";
    let one = spiderpool_tests::manifests::pool("a-first", "10.6.0.0/24", "10.6.0.10", &["default: true", both]);
    let host = Host::on(ENGINE, &(one + &pool("b-more", 7, &["default: true", both])));
    assert_eq!(gets(&host, &Pod::named("a").of("shop")), ["10.6.0.10/24"]);
    assert_eq!(gets(&host, &Pod::named("b").of("shop")), ["10.7.0.10/24"]);
    assert_eq!(gets(&host, &Pod::named("c").of("bank")), ["10.7.0.11/24"]);
    refused(&host, &Pod::named("d").of("home"), 103, &["a-first: ", "b-more: ", "spec.namespaceName"]);
}

#[test]
fn d00009_d00010_a_pool_for_networks_serves_their_interfaces_and_others_pools_serve_without_any() {
    let manifests = pool("lan", 6, &["default: true", "multusName: [default/lan]"])
        + &pod("on-lan", &[("v1.multus-cni.io/default-network", "default/lan")])
        + &pod("on-wan", &[("v1.multus-cni.io/default-network", "default/wan")])
        + &pod("second", &[(NETWORKS, "lan@fast0")]);
    let host = Host::on(ENGINE, &manifests);
    assert_eq!(gets(&host, &Pod::named("on-lan")), ["10.6.0.10/24"]);
    assert_eq!(gets(&host, &Pod::named("second").nic("fast0")), ["10.6.0.11/24"]);
    refused(&host, &Pod::named("on-wan"), 103, &["lan: ", "spec.multusName", "default/wan"]);
    refused(&host, &Pod::named("unknown"), 103, &["spec.multusName", "eth0 is not known"]);
    drop(host);
    serves(&[], "");
}

#[test]
fn d00011_a_pool_for_the_node_serves() {
    serves(&["nodeName: [node0, node1]"], "");
}

#[test]
fn d00012_a_pool_for_other_nodes_does_not() {
    serves_not(&["nodeName: [node2]"], "", &["`node2`", "spec.nodeName", "`node1`"]);
}

#[test]
fn d00013_names_of_nodes_beat_their_labels() {
    serves(&["nodeName: [node1]", "nodeAffinity: {matchLabels: {zone: b}}"], &zone_a());
    serves_not(&["nodeName: [node2]", "nodeAffinity: {matchLabels: {zone: a}}"], &zone_a(), &["spec.nodeName"]);
}

#[test]
fn d00014_a_pool_for_the_namespace_serves() {
    serves(&["namespaceName: [default]"], "");
}

#[test]
fn d00015_a_pool_for_other_namespaces_does_not() {
    serves_not(&["namespaceName: [bank]"], "", &["`bank`", "spec.namespaceName", "`default`"]);
}

#[test]
fn d00016_names_of_namespaces_beat_their_labels() {
    let shop = object("Namespace", "default", &["labels: {team: shop}"]);
    serves(&["namespaceName: [default]", "namespaceAffinity: {matchLabels: {team: bank}}"], &shop);
    serves_not(
        &["namespaceName: [bank]", "namespaceAffinity: {matchLabels: {team: shop}}"],
        &shop,
        &["spec.namespaceName"],
    );
}

#[test]
fn refusals_tell_every_pool_also_those_that_others_filtered_out() {
    let full = spiderpool_tests::manifests::pool("full", "10.6.0.0/24", "10.6.0.10", &["default: true"]);
    let manifests = full
        + &pool("elsewhere", 7, &["default: true", "nodeName: [node2]"])
        + &pool("off", 8, &["default: true", "disable: true"])
        + &pool("empty", 9, &["default: true", "excludeIPs: [10.9.0.10-10.9.0.19]"]);
    let host = Host::on(ENGINE, &manifests);
    assert_eq!(gets(&host, &Pod::named("a")), ["10.6.0.10/24"]);
    let words =
        ["full: the only address", "empty: every address", "pool elsewhere: ", "`node2`", "pool off: it is disabled"];
    refused(&host, &Pod::named("b"), 104, &words);
}
