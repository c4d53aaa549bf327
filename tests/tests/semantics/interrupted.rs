//! A call that is cut short, on whichever side, neither loses an address nor keeps one that nobody has.

use std::thread;

use spiderpool_tests::{Answer, Host, Plugin, Pod};
use spiderpool_wire::summary::PolicyPhase;

use super::ENGINE;
use super::case::{pool, recorded};

/// A machine on which every decision takes a second, as a policy is in force that never answers and is then passed over.
fn slow_host() -> Host {
    let host = Host::on(ENGINE, &pool("v4", 6, &["default: true"]));
    let lines = [
        "order: 10",
        "extensionPoints: [affinity]",
        "onFailure: fallback",
        "settings: {behave: spin}",
        "limits: {fuel: 5000000000, deadlineMilliseconds: 1000}",
    ];
    host.policy("slow", &host.dist.fixture("misbehave"), &lines);
    host.wait_for("the slow policy is in force", || {
        host.policy_summaries().iter().any(|policy| policy.name == "slow" && policy.phase == PolicyPhase::Ready)
    });
    host
}

fn decisions_under_way(host: &Host) -> bool {
    !host.metrics().contains("spiderpool_policy_calls_under_way 0")
}

/// What an ADD answers in whose middle something happens.
fn add_while(host: &mut Host, pod: &Pod, happens: impl FnOnce(&mut Host)) -> Answer {
    let plugin = Plugin::of(host);
    thread::scope(|scope| {
        let add = scope.spawn(|| plugin.add(pod));
        host.wait_for("the ADD is at work", || decisions_under_way(host));
        happens(host);
        add.join().unwrap()
    })
}

#[test]
fn a_del_that_overtakes_its_add_wins() {
    let mut host = slow_host();
    let plugin = Plugin::of(&host);
    let web = Pod::named("web-0");
    let (code, text) = add_while(&mut host, &web, |_| plugin.del(&web)).error();
    assert_eq!(code, 11, "{text}");
    assert!(text.contains("eth0 of sandbox sandbox-web-0 was deleted while its ADD was at work"), "{text}");
    assert!(host.allocations().is_empty(), "{:?}", host.allocations());
    assert_eq!(plugin.add(&Pod::named("web-1")).addresses(), ["10.6.0.10/24"], "the address is free");
}

#[test]
fn a_plugin_killed_in_the_middle_of_its_add_leaves_nothing_once_its_sandbox_is_deleted() {
    let host = slow_host();
    let plugin = Plugin::of(&host);
    let web = Pod::named("web-0");
    let mut add = plugin.begin("ADD", &web);
    host.wait_for("the ADD is at work", || decisions_under_way(&host));
    add.kill().unwrap();
    add.wait().unwrap();
    plugin.del(&web);
    host.wait_for("the agent is done with it", || !decisions_under_way(&host));
    host.wait_for("the ADD ends", || host.log().contains("was deleted while its ADD was at work"));
    host.wait_for("nothing is held", || host.allocations().is_empty());
}

#[test]
fn an_agent_killed_in_the_middle_of_an_add_answers_it_after_its_restart_or_says_to_try_again() {
    let mut host = slow_host();
    let plugin = Plugin::of(&host);
    let web = Pod::named("web-0");
    let answer = add_while(&mut host, &web, |host| {
        host.kill();
        host.run();
    });
    if !answer.ok {
        let (code, text) = answer.error();
        assert_eq!(code, 11, "{text}");
    }
    assert_eq!(plugin.add(&web).addresses(), ["10.6.0.10/24"], "repeated, it holds the first address, once");
    assert_eq!(host.allocations().len(), 1);
    plugin.del(&web);
    assert!(host.allocations().is_empty());
}

#[test]
fn an_agent_that_is_told_to_stop_answers_first_what_it_has_begun() {
    let mut host = slow_host();
    let web = Pod::named("web-0");
    let answer = add_while(&mut host, &web, |host| assert!(host.stop(), "SIGTERM is a clean end"));
    assert_eq!(answer.addresses(), ["10.6.0.10/24"]);
    host.run();
    let held: Vec<String> = host.allocations().into_iter().map(|row| row.pod_name).collect();
    assert_eq!(held, ["web-0"], "what was answered is held");
}

#[test]
fn a_pod_that_is_deleted_in_the_middle_of_its_add_leaves_nothing() {
    let mut host = slow_host();
    let plugin = Plugin::of(&host);
    let web = Pod::named("web-0");
    let answer = add_while(&mut host, &web, |host| host.delete_pod(&web));
    assert_eq!(answer.addresses(), ["10.6.0.10/24"], "what has begun is answered");
    plugin.del(&web);
    assert!(host.allocations().is_empty());
    recorded(&host, &web, None);
}

#[test]
fn a_pool_that_goes_in_the_middle_of_an_add_is_passed_over() {
    let mut host = slow_host();
    host.write("a.yaml", &pool("a", 7, &["default: true"]));
    host.wait_for("it is known", || host.pools().len() == 2);
    let plugin = Plugin::of(&host);
    let web = Pod::named("web-0");
    let answer = add_while(&mut host, &web, |host| {
        host.remove("a.yaml");
        host.wait_for("it is gone", || host.pools().len() == 1);
        assert!(decisions_under_way(host), "too late: the ADD has ended");
    });
    assert_eq!(answer.addresses(), ["10.6.0.10/24"], "the other's");
    assert_eq!(plugin.add(&web).addresses(), answer.addresses());
    plugin.del(&web);
    assert!(host.allocations().is_empty());
}
