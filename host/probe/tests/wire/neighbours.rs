//! Asks and tells real neighbours: the kernel of another network namespace.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::thread;
use std::time::{Duration, Instant};

use crate::network::{Machine, mac, pair};
use spiderpool_probe::{Check, Finding, Outcome, Pace, ProbeError, announce, run};

const FAMILIES: [(&str, &str, u8); 2] = [("10.1.0.5", "10.1.0.1", 24), ("fd01::5", "fd01::1", 64)];

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn check(address: &str, conflict: bool, gateway: Option<&str>) -> Check {
    Check { address: ip(address), conflict, gateway: gateway.map(ip) }
}

/// Runs the checks inside `pod`, and says how long that took.
fn ask(pod: &Machine, checks: &[Check]) -> (Vec<Finding>, Duration) {
    let interface = pod.interface();
    let start = Instant::now();
    let outcomes = pod.inside(|| run(&interface, checks, Pace::PROBE)).expect("the wire is fine");
    let addresses: Vec<_> = outcomes.iter().map(|outcome| outcome.address).collect();
    assert_eq!(addresses, checks.iter().map(|check| check.address).collect::<Vec<_>>());
    (outcomes.into_iter().map(|Outcome { finding, .. }| finding).collect(), start.elapsed())
}

#[test]
fn an_address_that_a_neighbour_holds_is_a_conflict_and_names_it() {
    let (pod, neighbour) = pair();
    for (address, _, length) in FAMILIES {
        neighbour.hold(&format!("{address}/{length}"));
        let (findings, took) = ask(&pod, &[check(address, true, None)]);
        assert_eq!(findings, [Finding::Conflict { holder: neighbour.interface().mac }], "{address}");
        assert!(took < Duration::from_millis(300), "{address}: an answer ends the waiting, but it took {took:?}");
    }
}

#[test]
fn addresses_that_nobody_holds_are_clear_after_three_intervals_for_all_together() {
    let (pod, neighbour) = pair();
    neighbour.hold("10.1.0.9/24");
    neighbour.hold("fd01::9/64");
    let checks = ["10.1.0.5", "10.1.0.6", "fd01::5", "fd01::6"].map(|address| check(address, true, None));
    let (findings, took) = ask(&pod, &checks);
    assert_eq!(findings, [Finding::Clear { gateway: None }; 4]);
    assert!(took >= Duration::from_millis(300) && took < Duration::from_millis(550), "{took:?}");
}

#[test]
fn each_address_of_both_families_gets_its_own_answer() {
    let (pod, neighbour) = pair();
    for held in ["10.1.0.1/24", "fd01::1/64", "fd01::6/64"] {
        neighbour.hold(held);
    }
    let found = Some(neighbour.interface().mac);
    let checks = [
        check("10.1.0.5", true, Some("10.1.0.1")),
        check("fd01::6", true, Some("fd01::1")),
        check("fd01::5", false, Some("fd01::1")),
        check("10.1.0.6", false, Some("10.1.0.2")),
        check("10.1.0.7", false, None),
    ];
    let (findings, took) = ask(&pod, &checks);
    let expected = [
        Finding::Clear { gateway: found },
        Finding::Conflict { holder: neighbour.interface().mac },
        Finding::Clear { gateway: found },
        Finding::GatewayUnreachable { gateway: ip("10.1.0.2") },
        Finding::Clear { gateway: None },
    ];
    assert_eq!(findings, expected);
    assert!(took < Duration::from_millis(550), "{took:?}");
}

#[test]
fn a_gateway_answers_or_is_unreachable() {
    let (pod, neighbour) = pair();
    for (address, gateway, length) in FAMILIES {
        let asked = [check(address, false, Some(gateway))];
        let (findings, _) = ask(&pod, &asked);
        assert_eq!(findings, [Finding::GatewayUnreachable { gateway: ip(gateway) }]);

        neighbour.hold(&format!("{gateway}/{length}"));
        let (findings, took) = ask(&pod, &asked);
        assert_eq!(findings, [Finding::Clear { gateway: Some(neighbour.interface().mac) }]);
        assert!(took < Duration::from_millis(100), "{gateway}: {took:?}");
    }
}

#[test]
fn a_link_local_gateway_answers_too() {
    let (pod, neighbour) = pair();
    neighbour.hold("fe80::1/64");
    let (findings, _) = ask(&pod, &[check("fd01::5", false, Some("fe80::1"))]);
    assert_eq!(findings, [Finding::Clear { gateway: Some(neighbour.interface().mac) }]);
}

/// The one who is heard by the other first gives up; if their first questions cross, both do.
#[test]
fn of_two_who_probe_for_one_address_at_once_at_most_one_gets_it() {
    let (left, right) = pair();
    let checks = [check("10.1.0.5", true, None), check("fd01::5", true, None)];
    let (on_left, on_right) = thread::scope(|scope| {
        let other = scope.spawn(|| ask(&right, &checks).0);
        (ask(&left, &checks).0, other.join().expect("the other side"))
    });
    let clear = Finding::Clear { gateway: None };
    let seen_from = |other: &Machine| Finding::Conflict { holder: other.interface().mac };
    for (left_found, right_found) in on_left.into_iter().zip(on_right) {
        assert!(left_found == seen_from(&right) || right_found == seen_from(&left), "{left_found:?} {right_found:?}");
        assert!([clear, seen_from(&right)].contains(&left_found), "{left_found:?}");
        assert!([clear, seen_from(&left)].contains(&right_found), "{right_found:?}");
    }
}

#[test]
fn a_kernel_that_is_about_to_take_the_address_is_a_conflict() {
    let (pod, neighbour) = pair();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(100));
            neighbour.ip("addr add fd01::5/64 dev eth0");
        });
        // One question only, before the neighbour begins: a second one would make it give up before it says anything.
        let pace = Pace { times: NonZeroU32::MIN, interval: Duration::from_secs(5) };
        let outcomes = pod.inside(|| run(&pod.interface(), &[check("fd01::5", true, None)], pace));
        let finding = outcomes.expect("the wire is fine")[0].finding;
        assert_eq!(finding, Finding::Conflict { holder: neighbour.interface().mac });
    });
}

#[test]
fn our_own_address_is_no_conflict_with_ourselves() {
    let (pod, _neighbour) = pair();
    for (address, _, length) in FAMILIES {
        pod.hold(&format!("{address}/{length}"));
        assert_eq!(ask(&pod, &[check(address, true, None)]).0, [Finding::Clear { gateway: None }], "{address}");
    }
}

#[test]
fn siblings_on_a_macvlan_see_each_other() {
    let (pod, neighbour) = pair();
    pod.ip("link set eth0 name wire");
    for (name, address) in [("eth0", "02:00:00:00:00:05"), ("mac1", "02:00:00:00:00:06")] {
        pod.ip(&format!("link add link wire name {name} address {address} type macvlan mode bridge"));
        pod.ip(&format!("link set {name} up"));
    }
    pod.ip("addr add 10.1.0.5/24 dev mac1");
    pod.ip("addr add fd01::5/64 dev mac1 nodad");
    neighbour.hold("10.1.0.6/24");
    let checks = ["10.1.0.5", "fd01::5", "10.1.0.6", "fd01::6"].map(|address| check(address, true, None));
    let sibling = Finding::Conflict { holder: mac("02:00:00:00:00:06") };
    let outside = Finding::Conflict { holder: neighbour.interface().mac };
    assert_eq!(ask(&pod, &checks).0, [sibling, sibling, outside, Finding::Clear { gateway: None }]);
}

#[test]
fn an_announcement_changes_what_a_neighbour_believes() {
    let (pod, neighbour) = pair();
    for (address, gateway, length) in FAMILIES {
        neighbour.hold(&format!("{gateway}/{length}"));
        neighbour.ip(&format!("neigh add {address} lladdr 02:00:00:00:00:99 dev eth0 nud reachable"));
    }
    let addresses = FAMILIES.map(|(address, ..)| ip(address));
    let interface = pod.interface();
    pod.inside(|| announce(&interface, &addresses, Pace::ANNOUNCE)).expect("the wire is fine");
    for address in addresses {
        let deadline = Instant::now() + Duration::from_secs(2);
        while neighbour.knows(address) != Some(interface.mac) {
            assert!(Instant::now() < deadline, "{address}: still {:?}", neighbour.knows(address));
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn questions_for_a_conflict_leave_the_neighbours_cache_alone() {
    let (pod, neighbour) = pair();
    for (address, gateway, length) in FAMILIES {
        neighbour.hold(&format!("{gateway}/{length}"));
        neighbour.ip(&format!("neigh add {address} lladdr 02:00:00:00:00:99 dev eth0 nud reachable"));
    }
    let checks = FAMILIES.map(|(address, ..)| check(address, true, None));
    ask(&pod, &checks);
    for (address, ..) in FAMILIES {
        assert_eq!(neighbour.knows(ip(address)), Some(mac("02:00:00:00:00:99")), "{address}");
    }
}

#[test]
fn an_interface_that_is_down_or_gone_is_an_error_that_says_so() {
    let (pod, _neighbour) = pair();
    let mut interface = pod.interface();
    pod.ip("link set eth0 down");
    for (address, ..) in FAMILIES {
        let error = pod.inside(|| run(&interface, &[check(address, true, None)], Pace::PROBE)).expect_err("it is down");
        assert!(error.to_string().contains("eth0") && error.to_string().contains("set it up"), "{error}");
    }
    interface.index = 999;
    let error = pod.inside(|| run(&interface, &[check("10.1.0.5", true, None)], Pace::PROBE)).expect_err("it is gone");
    assert!(matches!(error, ProbeError::Open { .. }) && error.to_string().contains("no such interface"), "{error}");
}

#[test]
fn nothing_to_ask_takes_no_time_and_no_socket() {
    let (pod, _neighbour) = pair();
    let mut interface = pod.interface();
    interface.index = 999;
    assert_eq!(pod.inside(|| run(&interface, &[], Pace::PROBE)).expect("nothing asked"), []);
    let outcomes = pod.inside(|| run(&interface, &[check("10.1.0.5", false, None)], Pace::PROBE));
    assert_eq!(outcomes.expect("nothing asked")[0].finding, Finding::Clear { gateway: None });
}
