use spiderpool_policy_guide::address::{from_std, to_std};
use spiderpool_policy_guide::allocation::{Admitted, Demand, Judged, Pick, Refusal, RefusalKind, Source, Step};
use spiderpool_policy_guide::types::{Cidr, Family, IpRange};

use super::annotated;
use crate::{IP_ADDRESSES, arrange};

fn address(text: &str) -> std::net::IpAddr {
    text.parse().expect(text)
}

/// A pool with ranges like `10.0.0.1-10.0.0.9`, full: what a pod asks for by itself does not depend on that.
fn pool(name: &str, network: &str, ranges: &[&str], rank: i32) -> Admitted {
    let range = |text: &&str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        IpRange { first: from_std(address(first)), last: from_std(address(last)) }
    };
    let (network, length) = network.split_once('/').expect(network);
    let subnet = Cidr { address: from_std(address(network)), prefix_length: length.parse().expect(length) };
    let ranges = ranges.iter().map(range).collect();
    Admitted { name: name.into(), subnet, ranks: vec![rank], total: 9, free: 0, ranges }
}

fn judged(nic: &str, family: Family, pools: Vec<Admitted>) -> Judged {
    let demand = Demand {
        nic: nic.into(),
        family,
        sources: vec![Source::ClusterDefault],
        clean_gateway: false,
        match_master_subnet: false,
        origin: "default pools".into(),
    };
    Judged { demand, pools }
}

fn a() -> Admitted {
    pool("a", "10.0.0.0/24", &["10.0.0.1-10.0.0.4", "10.0.0.6-10.0.0.9"], 0)
}

fn b() -> Admitted {
    pool("b", "10.0.1.0/24", &["10.0.1.1-10.0.1.9"], 9)
}

fn asked(text: &str, judged: &[Judged]) -> Result<Vec<Step>, Refusal> {
    arrange(&annotated(&[(IP_ADDRESSES, text)]), judged, |_, _| Pick::Lowest)
}

/// `pool address,address` for each pool that is tried.
fn lines(step: &Step) -> Vec<String> {
    let line = |choice: &spiderpool_policy_guide::allocation::Choice| match &choice.pick {
        Pick::Exactly(addresses) => {
            let addresses: Vec<String> = addresses.iter().map(|address| to_std(address).to_string()).collect();
            format!("{} {}", choice.pool, addresses.join(","))
        }
        other => format!("{} {other:?}", choice.pool),
    };
    step.choices.iter().map(line).collect()
}

#[track_caller]
fn refused(text: &str, judged: &[Judged], parts: &[&str]) -> RefusalKind {
    let Refusal { kind, message } = asked(text, judged).expect_err(text);
    for part in parts.iter().chain(&[IP_ADDRESSES, "write for example"]) {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
    assert!(message.len() <= 4096);
    kind
}

#[test]
fn exactly_what_is_asked_for_is_tried_also_in_a_full_pool() {
    let demands = [judged("eth0", Family::Ipv4, vec![a(), b()])];
    let steps = asked(r#"{"eth0": {"ipv4": "10.0.0.3"}}"#, &demands).expect("a gives it");
    assert_eq!(lines(&steps[0]), ["a 10.0.0.3"]);
    assert_eq!(steps[0].skipped[0].pool, "b");
    assert_eq!(steps[0].skipped[0].message, "its network is 10.0.1.0/24");
}

#[test]
fn a_list_is_tried_in_its_order_as_far_as_pools_allow() {
    let demands = [judged("eth0", Family::Ipv4, vec![a(), b()])];
    let steps = asked(r#"{"eth0": {"ipv4": ["10.0.0.5", "10.0.0.9", "10.0.1.1", "10.0.0.1"]}}"#, &demands);
    assert_eq!(lines(&steps.expect("both give some")[0]), ["a 10.0.0.9,10.0.0.1", "b 10.0.1.1"]);
}

#[test]
fn of_pools_that_both_give_an_address_the_higher_rank_goes_first() {
    let twin = pool("twin", "10.0.0.0/24", &["10.0.0.1-10.0.0.9"], 5);
    let steps = asked(r#"{"eth0": {"ipv4": "10.0.0.1"}}"#, &[judged("eth0", Family::Ipv4, vec![a(), twin])]);
    assert_eq!(lines(&steps.expect("both give it")[0]), ["twin 10.0.0.1", "a 10.0.0.1"]);
}

#[test]
fn interfaces_and_families_that_nothing_is_said_of_are_served_as_ever() {
    let six = pool("six", "fd00::/64", &["fd00::1-fd00::9"], 0);
    let roomy = Admitted { free: 1, ..b() };
    let demands = [
        judged("eth0", Family::Ipv4, vec![roomy.clone()]),
        judged("net1", Family::Ipv4, vec![roomy]),
        judged("net1", Family::Ipv6, vec![six]),
    ];
    let asked = asked(r#"{"net1": {"ipv4": null, "ipv6": "fd00::7"}, "net9": {"ipv4": "10.9.9.9"}}"#, &demands);
    let steps = asked.expect("one wish, which can be met");
    let all: Vec<Vec<String>> = steps.iter().map(lines).collect();
    assert_eq!(all, [["b Pick::Lowest"], ["b Pick::Lowest"], ["six fd00::7"]]);
}

#[test]
fn addresses_that_no_pool_gives_are_told_with_every_pool() {
    let demands = [judged("eth0", Family::Ipv4, vec![a(), b()])];
    let asked = r#"{"eth0": {"ipv4": ["10.0.0.5", "10.9.0.1"]}}"#;
    let parts = [
        "no pool that may serve eth0 (default pools) gives 10.0.0.5, 10.9.0.1",
        "a: it does not give 10.0.0.5 of its network 10.0.0.0/24",
        "b: its network is 10.0.1.0/24",
    ];
    assert_eq!(refused(asked, &demands, &parts), RefusalKind::Other("address".into()));
}

#[test]
fn a_family_that_no_pool_is_named_of_cannot_be_asked_for() {
    let demands = [judged("eth0", Family::Ipv4, vec![a()])];
    let parts = ["fd00::1 on eth0, and no pool of IPv6 is named"];
    assert_eq!(refused(r#"{"eth0": {"ipv6": "fd00::1"}}"#, &demands, &parts), RefusalKind::NoCandidates);
}

#[test]
fn text_that_cannot_be_followed_is_told() {
    let many = format!(r#"{{"eth0": {{"ipv4": [{}]}}}}"#, vec![r#""10.0.0.1""#; 65].join(","));
    let cases = [
        ("10.0.0.1", "expected a map"),
        (r#"{"eth0": "10.0.0.1"}"#, "invalid type: string"),
        (r#"{"eth0": {"ipv4": 7}}"#, "expected an address in quotes"),
        (r#"{"eth0": {"v4": "10.0.0.1"}}"#, "unknown field `v4`"),
        (r#"{"eth0": {"ipv4": "10.0.0"}}"#, "`10.0.0` of eth0 is no IPv4 address"),
        (r#"{"eth0": {"ipv4": "10.0.0.1/24"}}"#, "`10.0.0.1/24` of eth0 is no IPv4 address"),
        (r#"{"eth0": {"ipv4": "fd00::1"}}"#, "`fd00::1` of eth0 is no IPv4 address"),
        (r#"{"eth0": {"ipv6": ["10.0.0.1"]}}"#, "`10.0.0.1` of eth0 is no IPv6 address"),
        (r#"{"eth0": {"ipv4": []}}"#, "0 IPv4 addresses for eth0, not 1 to 64"),
        (many.as_str(), "65 IPv4 addresses for eth0, not 1 to 64"),
    ];
    for (text, part) in cases {
        let kind = refused(text, &[judged("eth0", Family::Ipv4, vec![a()])], &[part]);
        assert_eq!(kind, RefusalKind::Malformed(IP_ADDRESSES.into()), "{text}");
    }
}

#[test]
fn of_a_pool_whose_ranges_are_not_all_told_the_host_knows_the_rest() {
    let ranges: Vec<String> = (0..64).map(|n| format!("10.0.0.{}", 2 * n)).collect();
    let ranges: Vec<&str> = ranges.iter().map(String::as_str).collect();
    let demands = [judged("eth0", Family::Ipv4, vec![pool("many", "10.0.0.0/24", &ranges, 0)])];
    let steps = asked(r#"{"eth0": {"ipv4": ["10.0.0.3", "10.0.0.200", "10.0.1.1"]}}"#, &demands);
    assert_eq!(lines(&steps.expect("it may give one")[0]), ["many 10.0.0.200"]);
}
