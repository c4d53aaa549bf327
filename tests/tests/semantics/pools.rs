//! What may be given: pools as they are written and changed, reserved and excluded addresses.

use spiderpool_tests::{Host, Plugin, Pod};

use super::ENGINE;
use super::case::{gets, pool, refused, total};

fn reserved(ips: &str) -> String {
    format!(
        "apiVersion: spiderpool.spidernet.io/v2beta1\nkind: SpiderReservedIP\nmetadata:\n  name: r\nspec:\n  ips: [{ips}]\n"
    )
}

#[test]
fn s00001_reserved_addresses_are_not_given_until_they_are_no_longer_reserved() {
    let host = Host::on(ENGINE, &pool("p", 6, &["default: true"]));
    host.write("reserved.yaml", &reserved("10.6.0.10-10.6.0.11"));
    host.wait_for("it is in force", || total(&host, "p") == Some(8));
    assert_eq!(gets(&host, &Pod::named("a")), ["10.6.0.12/24"]);
    host.remove("reserved.yaml");
    host.wait_for("it is gone", || total(&host, "p") == Some(10));
    assert_eq!(gets(&host, &Pod::named("b")), ["10.6.0.10/24"]);
}

#[test]
fn s00002_excluded_addresses_are_not_given() {
    let host = Host::on(ENGINE, &pool("p", 6, &["default: true", "excludeIPs: [10.6.0.10, 10.6.0.12-10.6.0.18]"]));
    assert_eq!(gets(&host, &Pod::named("a")), ["10.6.0.11/24"]);
    assert_eq!(gets(&host, &Pod::named("b")), ["10.6.0.19/24"]);
    refused(&host, &Pod::named("c"), 104, &["p: all 2 addresses"]);
}

#[test]
fn d00002_a_changed_gateway_and_changed_routes_are_for_new_pods() {
    let with = |octet: u8| {
        pool(
            "p",
            6,
            &[
                "default: true",
                &format!("gateway: 10.6.0.{octet}"),
                &format!("routes: [{{dst: 10.9.0.0/16, gw: 10.6.0.{octet}}}]"),
            ],
        )
    };
    let host = Host::on(ENGINE, &with(1));
    let plugin = Plugin::of(&host);
    let gateways = |name: &str| {
        let json = plugin.add(&Pod::named(name)).json;
        [&json["ips"][0]["gateway"], &json["routes"][0]["gw"]].map(|text| text.as_str().unwrap().to_owned())
    };
    assert_eq!(gateways("old"), ["10.6.0.1", "10.6.0.1"]);
    host.write("manifests.yaml", &with(2));
    let mut number = 0;
    host.wait_for("new pods see the change", || {
        number += 1;
        gateways(&format!("new-{number}")) == ["10.6.0.2", "10.6.0.2"]
    });
    assert_eq!(gateways("old"), ["10.6.0.1", "10.6.0.1"], "a pod keeps what it has");
}

#[test]
fn d00005_a_disabled_pool_gives_nothing_and_takes_back() {
    let host = Host::on(ENGINE, &pool("p", 6, &["default: true"]));
    assert_eq!(gets(&host, &Pod::named("a")), ["10.6.0.10/24"]);
    host.write("manifests.yaml", &pool("p", 6, &["default: true", "disable: true"]));
    host.wait_for("it is disabled", || host.pools()[0].disabled);
    refused(&host, &Pod::named("b"), 103, &["p: it is disabled (spec.disable)"]);
    Plugin::of(&host).del(&Pod::named("a"));
    assert!(host.allocations().is_empty());
}

#[test]
fn d00006_many_pools_come_and_go() {
    let host = Host::on(ENGINE, "");
    let many: String = (0..200).map(|n| pool(&format!("p{n}"), n, &["default: true"])).collect();
    host.write("many.yaml", &many);
    host.wait_for("all are there", || host.pools().len() == 200);
    assert_eq!(gets(&host, &Pod::named("a")).len(), 1);
    host.remove("many.yaml");
    host.wait_for("all are gone", || host.pools().is_empty());
    Plugin::of(&host).del(&Pod::named("a"));
    assert!(host.allocations().is_empty());
}

#[test]
fn d00007_what_is_told_of_a_pool_follows_its_changes() {
    let host = Host::on(ENGINE, &pool("p", 6, &["default: true"]));
    let told = || host.pools().into_iter().map(|pool| (pool.total, pool.allocated, pool.free)).next();
    assert_eq!(gets(&host, &Pod::named("a")), ["10.6.0.10/24"]);
    assert_eq!(told(), Some((10, 1, 9)));
    let more = spiderpool_tests::manifests::pool("p", "10.6.0.0/24", "10.6.0.10-10.6.0.29", &["default: true"]);
    host.write("manifests.yaml", &more);
    host.wait_for("it has grown", || told() == Some((20, 1, 19)));
    Plugin::of(&host).del(&Pod::named("a"));
    assert_eq!(told(), Some((20, 0, 20)));
}

#[test]
fn d00017_a_pool_as_large_as_a_48_is_served_like_any_other() {
    let exclude = "excludeIPs: [\"fd06::1-fd06::f\", \"fd06::ffff\"]";
    let host = Host::on(
        ENGINE,
        &spiderpool_tests::manifests::pool("p", "fd06::/48", "fd06::1-fd06:0:0:ffff::", &["default: true", exclude]),
    );
    assert_eq!(gets(&host, &Pod::named("a")), ["fd06::10/48"]);
    assert_eq!(total(&host, "p"), Some(u64::MAX), "saturated");
}

#[test]
fn a_gateway_inside_a_pools_addresses_is_never_given() {
    let host = Host::on(ENGINE, &pool("p", 6, &["default: true", "gateway: 10.6.0.10", "excludeIPs: [10.6.0.10]"]));
    assert_eq!(gets(&host, &Pod::named("a")), ["10.6.0.11/24"]);
}
