//! Pods that ask for addresses by themselves: they get exactly these, or hear what is in the way.

use spiderpool_tests::manifests::{self, object};
use spiderpool_tests::{Host, Plugin, Pod};

use super::ENGINE;
use super::case::{IP_ADDRESSES, IPPOOL, IPPOOLS, gets, pod, pool, pool6, refused};

fn pools() -> String {
    pool("a", 6, &["default: true", "gateway: 10.6.0.1", "excludeIPs: [10.6.0.15]"])
        + &pool("b", 7, &["default: true"])
        + &pool6("six", 6, &["default: true"])
        + "---\napiVersion: spiderpool.spidernet.io/v2beta1\nkind: SpiderReservedIP\nmetadata:\n  name: printers\nspec:\n  ips: [10.6.0.17]\n"
}

/// A pod of the name that asks for this.
fn asking(name: &str, asked: &str) -> String {
    pod(name, &[(IP_ADDRESSES, asked)])
}

#[test]
fn a_pod_gets_exactly_what_it_asks_for_in_every_family_and_interface() {
    let asked = r#"{"eth0": {"ipv4": "10.6.0.14", "ipv6": "fd06::19"}, "net1": {"ipv4": ["10.7.0.11", "10.7.0.12"]}}"#;
    let ippools = r#"[{"ipv4": ["a"], "ipv6": ["six"]}, {"ipv4": ["b"]}]"#;
    let host = Host::on(ENGINE, &(pools() + &pod("web", &[(IP_ADDRESSES, asked), (IPPOOLS, ippools)])));
    assert_eq!(gets(&host, &Pod::named("web")), ["10.6.0.14/24", "fd06::19/64"]);
    assert_eq!(gets(&host, &Pod::named("web").nic("net1")), ["10.7.0.11/24"]);
}

#[test]
fn of_a_list_the_first_that_is_free_is_given() {
    let list = r#"{"eth0": {"ipv4": ["10.6.0.12", "10.7.0.12", "10.6.0.13"]}}"#;
    let names = ["one", "two", "three", "four"];
    let host = Host::on(ENGINE, &(pools() + &names.map(|name| asking(name, list)).concat()));
    // The pool of the first address is asked for all of its own before the next pool is.
    for (name, address) in names.iter().zip(["10.6.0.12/24", "10.6.0.13/24", "10.7.0.12/24"]) {
        assert_eq!(gets(&host, &Pod::named(name))[0], address);
    }
    let words = ["not free", "10.6.0.12 is held by default/one", "10.7.0.12 is held by default/three"];
    refused(&host, &Pod::named("four"), 104, &words);
    Plugin::of(&host).del(&Pod::named("three"));
    assert_eq!(gets(&host, &Pod::named("four"))[0], "10.7.0.12/24");
}

#[test]
fn an_address_that_cannot_be_given_is_told_with_the_reason() {
    let cases = [
        ("outside", "10.9.0.1", ["a: its network is 10.6.0.0/24", "b: its network is 10.7.0.0/24"]),
        ("excluded", "10.6.0.15", ["a: it does not give 10.6.0.15", "10.6.0.15 is in spec.excludeIPs of pool a"]),
        (
            "reserved",
            "10.6.0.17",
            ["a: it does not give 10.6.0.17", "10.6.0.17 is reserved by SpiderReservedIP printers"],
        ),
        ("gateway", "10.6.0.1", ["a: it does not give 10.6.0.1", "10.6.0.1 is the gateway of pool a"]),
        (
            "broadcast",
            "10.6.0.255",
            ["a: it does not give 10.6.0.255", "10.6.0.255 stands for the whole subnet 10.6.0.0/24"],
        ),
        ("unlisted", "10.6.0.99", ["a: it does not give 10.6.0.99", "10.6.0.99 is not in spec.ips of pool a"]),
        ("family", "fd06::10", ["`fd06::10` of eth0 is no IPv4 address", "write for example"]),
        ("text", "10.6.0", ["`10.6.0` of eth0 is no IPv4 address", "write for example"]),
    ];
    let pods =
        cases.map(|(name, address, _)| asking(name, &format!(r#"{{"eth0": {{"ipv4": "{address}"}}}}"#))).concat();
    let host = Host::on(ENGINE, &(pools() + &pods + &asking("json", "10.6.0.12")));
    for (name, _, words) in cases {
        refused(&host, &Pod::named(name), 103, &[&[IP_ADDRESSES], words.as_slice()].concat());
    }
    refused(&host, &Pod::named("json"), 103, &[IP_ADDRESSES, "it is `10.6.0.12`", "write for example"]);
}

#[test]
fn the_ends_of_a_subnet_are_given_to_nobody() {
    let pools = manifests::pool(
        "four",
        "10.6.0.0/29",
        "10.6.0.0-10.6.0.7",
        &["default: true", "excludeIPs: [10.6.0.3-10.6.0.6]"],
    ) + &manifests::pool("six", "fd06::/125", "fd06::-fd06::1", &["ipVersion: 6", "default: true"])
        + &manifests::pool("link", "10.7.0.0/31", "10.7.0.0-10.7.0.1", &[]);
    let link = pod("link", &[(IPPOOL, r#"{"ipv4": ["link"]}"#)]);
    let host = Host::on(ENGINE, &(pools + &link));
    assert_eq!(gets(&host, &Pod::named("one")), ["10.6.0.1/29", "fd06::1/125"]);
    refused(&host, &Pod::named("two"), 104, &["the only address of the pool is in use"]);
    assert_eq!(gets(&host, &Pod::named("link")), ["10.7.0.0/31"]);
}

#[test]
fn a_family_without_pools_cannot_be_asked_for() {
    let asked = [(IP_ADDRESSES, r#"{"eth0": {"ipv6": "fd06::12"}}"#), (IPPOOL, r#"{"ipv4": ["a"]}"#)];
    let host = Host::on(ENGINE, &(pools() + &pod("web", &asked)));
    refused(&host, &Pod::named("web"), 103, &[IP_ADDRESSES, "fd06::12 on eth0, and no pool of IPv6 is named"]);
}

#[test]
fn an_address_of_a_full_pool_is_refused_with_its_holder() {
    let one = manifests::pool("one", "10.6.0.0/24", "10.6.0.10", &["default: true"]);
    let host = Host::on(ENGINE, &(one + &asking("late", r#"{"eth0": {"ipv4": "10.6.0.10"}}"#)));
    let first = Pod::named("first").of("shop");
    assert_eq!(gets(&host, &first), ["10.6.0.10/24"]);
    refused(&host, &Pod::named("late"), 104, &["10.6.0.10 is held by shop/first", "ask for another one"]);
    Plugin::of(&host).del(&first);
    assert_eq!(gets(&host, &Pod::named("late")), ["10.6.0.10/24"]);
}

#[test]
fn all_of_it_or_nothing() {
    let asked = r#"{"eth0": {"ipv4": "10.6.0.12", "ipv6": "fd06::12"}}"#;
    let host =
        Host::on(ENGINE, &(pools() + &asking("one", asked) + &asking("two", &asked.replace("6.0.12", "6.0.13"))));
    assert_eq!(gets(&host, &Pod::named("one")), ["10.6.0.12/24", "fd06::12/64"]);
    refused(&host, &Pod::named("two"), 104, &["fd06::12 is held by default/one"]);
}

#[test]
fn the_lowest_free_address_is_given_where_nothing_is_said_and_a_freed_one_at_once() {
    let host = Host::on(ENGINE, &(pools() + &object("Pod", "x", &["namespace: default", "uid: uid-x"])));
    let given: Vec<String> = ["p", "q", "r"].iter().map(|name| gets(&host, &Pod::named(name))[0].clone()).collect();
    assert_eq!(given, ["10.6.0.10/24", "10.6.0.11/24", "10.6.0.12/24"]);
    Plugin::of(&host).del(&Pod::named("q"));
    assert_eq!(gets(&host, &Pod::named("x"))[0], "10.6.0.11/24");
}
