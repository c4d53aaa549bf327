//! A pod of two interfaces and two families beside one of a single address.

use std::fmt::Write as _;
use std::time::Duration;

use spiderpool_tests::manifests::{pod, pool};
use spiderpool_tests::{Host, Namespace, Plugin, Pod};
use spiderpool_wire::ipam::IpamAddArgs;

use crate::report::{Report, Samples, timed};

const ROUNDS: usize = 300;
const IPPOOLS: &str =
    r#"[{"interface": "eth0", "ipv4": ["a"], "ipv6": ["c"]}, {"interface": "net1", "ipv4": ["b"], "ipv6": ["d"]}]"#;

pub(crate) fn measure(report: &mut Report) {
    let pools = pool("a", "10.6.0.0/16", "10.6.1.0-10.6.250.255", &["default: true"])
        + &pool("b", "10.7.0.0/16", "10.7.1.0-10.7.250.255", &[])
        + &pool("c", "fd06::/64", "fd06::1-fd06::ffff", &["ipVersion: 6"])
        + &pool("d", "fd07::/64", "fd07::1-fd07::ffff", &["ipVersion: 6"]);
    let annotated =
        |number: usize| pod("default", &four(number), &uid(&four(number)), &[("ipam.spidernet.io/ippools", IPPOOLS)]);
    let host = Host::with(&(pools + &(0..2 * ROUNDS).map(annotated).collect::<String>()));
    let plugin = Plugin::of(&host);
    let netns = Namespace::new();
    let mut times: [Vec<Duration>; 5] = Default::default();
    for round in 0..ROUNDS {
        let single = Pod::named(&one(round));
        let many = Pod::named(&four(round));
        times[0].push(timed(|| plugin.call_in("ADD", &single, &netns).ok));
        times[1].push(timed(|| plugin.call_in("ADD", &many, &netns).ok));
        times[2].push(timed(|| plugin.call_in("ADD", &many.nic("net1"), &netns).ok));
        times[3].push(timed(|| host.allocate(&add(one(ROUNDS + round))).is_ok()));
        times[4].push(timed(|| host.allocate(&add(four(ROUNDS + round))).is_ok()));
    }
    let [one, many, second, one_alone, many_alone] = times.map(Samples::of);
    let ratio = many.median() / one.median();
    let mut text = format!(
        "{ROUNDS} pods of each kind in turns, built-in policies, durable. The first ADD of a pod takes what all its \
         interfaces need; the second one finds it.\n\n| ADD | median ms | p99 ms |\n|---|---|---|\n"
    );
    for (name, samples) in [
        ("one address, with the plugin", &one),
        ("two interfaces and two families, first ADD, with the plugin", &many),
        ("second ADD, with the plugin", &second),
        ("one address, the agent alone", &one_alone),
        ("two interfaces and two families, first ADD, the agent alone", &many_alone),
    ] {
        let _ = writeln!(text, "| {name} | {:.2} | {:.2} |", samples.median(), samples.p99());
    }
    let found = format!("{ratio:.2} x ({:.2} ms beside {:.2} ms)", many.median(), one.median());
    report.figure("ADD of four addresses (two interfaces, two families) beside one", "≤ 1.5 x", found, ratio <= 1.5);
    report.section("Several interfaces", &text);
}

fn one(number: usize) -> String {
    format!("one-{number}")
}

fn four(number: usize) -> String {
    format!("four-{number}")
}

fn uid(name: &str) -> String {
    format!("uid-{name}")
}

fn add(name: String) -> IpamAddArgs {
    IpamAddArgs {
        container_id: format!("sandbox-of-{name}"),
        if_name: "eth0".into(),
        net_namespace: "/proc/self/ns/net".into(),
        pod_namespace: "default".into(),
        pod_uid: uid(&name),
        pod_name: name,
        ..IpamAddArgs::default()
    }
}
