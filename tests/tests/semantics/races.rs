//! What comes together in time: calls for one pod, pods of one name, pods that want one address. `docs/races.md` has a row
//! for each.

use std::thread;

use spiderpool_tests::{Answer, Engine, Host, Plugin, Pod, manifests};

use super::ENGINE;
use super::case::{IP_ADDRESSES, IPPOOL, IPPOOLS, add_at_once, gets, pod, pool, pool6, recorded, refused};

/// A machine with a default pool of each family.
fn host() -> Host {
    Host::on(ENGINE, &(pool("v4", 6, &["default: true"]) + &pool6("v6", 6, &["default: true"])))
}

/// A machine with a default pool of one address, and these objects.
fn cramped(objects: &str) -> Host {
    Host::on(ENGINE, &(manifests::pool("one", "10.6.0.0/24", "10.6.0.10", &["default: true"]) + objects))
}

/// The next pod of the same name.
fn successor(pod: &Pod) -> Pod {
    Pod { uid: format!("{}-next", pod.uid), container: format!("{}-next", pod.container), ..pod.clone() }
}

/// The sandboxes that hold something, once for each address.
fn holders(host: &Host) -> Vec<String> {
    host.allocations().into_iter().map(|row| row.container_id).collect()
}

#[test]
fn a_repeated_add_finds_its_address_and_a_repeated_del_succeeds() {
    let host = host();
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
    let host = host();
    let plugin = Plugin::of(&host);
    let old = Pod::named("web-0");
    let new = old.in_sandbox("sandbox-2");
    let first = plugin.add(&old).addresses();
    assert_eq!(plugin.add(&new).addresses(), first, "the pod keeps its addresses");
    plugin.remove_sandbox(&old);
    assert_eq!(holders(&host), ["sandbox-2", "sandbox-2"]);
    plugin.del(&new);
    assert!(host.allocations().is_empty());
}

#[test]
fn a_repeated_del_does_not_free_what_another_pod_has_got_since() {
    let host = cramped("");
    let plugin = Plugin::of(&host);
    let (first, second) = (Pod::named("first"), Pod::named("second"));
    assert_eq!(gets(&host, &first), ["10.6.0.10/24"]);
    plugin.del(&first);
    assert_eq!(gets(&host, &second), ["10.6.0.10/24"], "a freed address is given again at once");
    plugin.del(&first);
    assert_eq!(holders(&host), ["sandbox-second"]);
}

#[test]
fn two_adds_of_one_pod_at_once_agree() {
    let host = host();
    let web = Pod::named("web-0");
    let answers: Vec<_> = add_at_once(&host, &vec![web; 8]).iter().map(Answer::addresses).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(host.allocations().len(), 2);
}

#[test]
fn two_sandboxes_of_one_pod_at_once_agree_and_the_last_one_keeps_the_address() {
    let host = host();
    let sandboxes = ["one", "two"].map(|name| Pod::named("web-0").in_sandbox(name));
    let answers: Vec<_> = add_at_once(&host, &sandboxes).iter().map(Answer::addresses).collect();
    assert_eq!(answers[0], answers[1]);
    let holder = holders(&host);
    assert!(holder.len() == 2 && holder[0] == holder[1], "{holder:?}");
    let (kept, given_up) = if holder[0] == "one" { (0, 1) } else { (1, 0) };
    Plugin::of(&host).remove_sandbox(&sandboxes[given_up]);
    assert_eq!(holders(&host), holder);
    Plugin::of(&host).del(&sandboxes[kept]);
    assert!(host.allocations().is_empty());
}

#[test]
fn the_del_of_an_old_sandbox_and_the_add_of_the_new_one_at_once_leave_the_new_one_served() {
    let host = host();
    let plugin = Plugin::of(&host);
    let sandboxes: Vec<Pod> = (0..10).map(|n| Pod::named("web-0").in_sandbox(&format!("sandbox-{n}"))).collect();
    assert_eq!(gets(&host, &sandboxes[0]).len(), 2);
    for step in sandboxes.windows(2) {
        let addresses = thread::scope(|scope| {
            let del = scope.spawn(|| plugin.remove_sandbox(&step[0]));
            let addresses = plugin.add(&step[1]).addresses();
            del.join().unwrap();
            addresses
        });
        assert_eq!(addresses.len(), 2);
        assert_eq!(holders(&host), vec![step[1].container.clone(); 2]);
        assert_eq!(plugin.add(&step[1]).addresses(), addresses, "what it was told is what it has");
    }
}

#[test]
fn an_add_and_its_del_at_once_leave_what_was_answered_or_nothing() {
    let host = host();
    let plugin = Plugin::of(&host);
    for round in 0..10 {
        let web = Pod::named("web-0").in_sandbox(&format!("sandbox-{round}"));
        let answer = thread::scope(|scope| {
            let add = scope.spawn(|| plugin.add(&web));
            plugin.remove_sandbox(&web);
            add.join().unwrap()
        });
        // An address that was answered is either held, or was freed after the answer. No other may be held.
        let rows = host.allocations();
        assert!(rows.iter().all(|row| row.container_id == format!("sandbox-{round}")), "{rows:?}");
        let held: Vec<_> = rows.into_iter().map(|row| row.address.to_string()).collect();
        let answered = if answer.ok { answer.addresses() } else { Vec::new() };
        // In a cluster the pod lives: what a failed ADD took stays for its next try.
        let kept = !answer.ok && ENGINE == Engine::Kube;
        assert!(
            kept || held.iter().all(|held| answered.iter().any(|given| given.starts_with(&format!("{held}/")))),
            "{held:?} {answered:?}"
        );
        plugin.del(&web);
        assert!(host.allocations().is_empty());
    }
}

#[test]
fn a_new_pod_of_the_name_is_served_before_the_old_one_is_deleted() {
    let host = host();
    let plugin = Plugin::of(&host);
    let old = Pod::named("web-0");
    let new = successor(&old);
    assert_eq!(gets(&host, &old), ["10.6.0.10/24", "fd06::10/64"]);
    host.delete_pod(&old);
    assert_eq!(gets(&host, &new), ["10.6.0.11/24", "fd06::11/64"]);
    plugin.del(&old);
    assert_eq!(holders(&host), ["sandbox-web-0-next", "sandbox-web-0-next"]);
    recorded(&host, &new, Some("10.6.0.11/24"));
    plugin.del(&new);
    assert!(host.allocations().is_empty());
    recorded(&host, &new, None);
}

#[test]
fn an_endpoint_that_a_dead_pod_left_blocks_nobody() {
    let host = host();
    let old = Pod::named("web-0");
    assert_eq!(gets(&host, &old)[0], "10.6.0.10/24");
    recorded(&host, &old, Some("10.6.0.10/24"));
    // No DEL comes, as after a power cut.
    host.delete_pod(&old);
    let new = successor(&old);
    assert_eq!(gets(&host, &new)[0], "10.6.0.11/24");
    assert_eq!(gets(&host, &new)[0], "10.6.0.11/24", "and is found again");
    recorded(&host, &new, Some("10.6.0.11/24"));
    Plugin::of(&host).del(&new);
    assert_eq!(
        holders(&host),
        ["sandbox-web-0", "sandbox-web-0"],
        "what the dead one holds is given back by its DEL alone"
    );
    Plugin::of(&host).del(&old);
    assert!(host.allocations().is_empty());
}

#[test]
fn a_pod_that_is_being_deleted_gets_nothing_new_and_gives_back() {
    let host = host();
    let (before, after) = (Pod::named("before"), Pod::named("after"));
    assert_eq!(gets(&host, &before)[0], "10.6.0.10/24");
    host.write("after.yaml", &pod("after", &[]));
    for pod in [&before, &after] {
        host.end_pod(pod);
        // The news may be on its way yet.
        host.wait_for("the agent has heard of it", || {
            host.ctl(&["explain", &format!("default/{}", pod.name)]).stdout.is_empty()
        });
        refused(&host, &pod.in_sandbox("late"), 103, &["is being deleted", "gets no address"]);
    }
    Plugin::of(&host).del(&before);
    assert!(host.allocations().is_empty());
}

#[test]
fn the_last_address_goes_to_one_of_those_who_want_it_at_once() {
    let host = cramped("");
    let pods: Vec<Pod> = (0..6).map(|n| Pod::named(&format!("web-{n}"))).collect();
    one_is_served(&host, &pods, "one: ");
}

#[test]
fn an_address_goes_to_one_of_those_who_ask_for_it_by_itself_at_once() {
    let asked = [(IP_ADDRESSES, r#"{"eth0": {"ipv4": "10.6.0.15"}}"#), (IPPOOL, r#"{"ipv4": ["v4"]}"#)];
    let pods: Vec<Pod> = (0..6).map(|n| Pod::named(&format!("web-{n}"))).collect();
    let objects: String = pods.iter().map(|web| pod(&web.name, &asked)).collect();
    let host = Host::on(ENGINE, &(pool("v4", 6, &[]) + &objects));
    one_is_served(&host, &pods, "10.6.0.15 is held by default/web-");
}

/// Of these, exactly one is served, and the next one as soon as that one goes.
#[track_caller]
fn one_is_served(host: &Host, pods: &[Pod], word: &str) {
    let answers = add_at_once(host, pods);
    let (served, others): (Vec<_>, Vec<_>) = pods.iter().zip(&answers).partition(|(_, answer)| answer.ok);
    assert_eq!(served.len(), 1, "{answers:?}");
    for (_, answer) in &others {
        let (code, text) = answer.error();
        assert!(code == 104 && text.contains(word), "{code} {text}");
    }
    assert_eq!(holders(host), [served[0].0.container.clone()]);
    Plugin::of(host).del(served[0].0);
    assert_eq!(gets(host, others[0].0), served[0].1.addresses());
}

#[test]
fn interfaces_of_one_pod_that_are_added_at_once_have_an_address_each() {
    let both = r#"[{"interface": "eth0", "ipv4": ["v4"]}, {"interface": "net1", "ipv4": ["v4"]}]"#;
    let host = Host::on(ENGINE, &(pool("v4", 6, &[]) + &pod("web", &[(IPPOOLS, both)])));
    let interfaces = ["eth0", "net1"].map(|name| Pod::named("web").nic(name));
    let mut given: Vec<_> = add_at_once(&host, &interfaces).iter().flat_map(Answer::addresses).collect();
    given.sort();
    assert_eq!(given, ["10.6.0.10/24", "10.6.0.11/24"]);
    assert_eq!(host.allocations().len(), 2, "neither call takes what the other took");
    for interface in &interfaces {
        Plugin::of(&host).del(interface);
    }
    assert!(host.allocations().is_empty());
}

#[test]
fn a_restart_changes_nothing_however_the_agent_ended() {
    let mut host = host();
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
fn a_pod_that_goes_while_the_agent_is_away_is_freed_by_the_repeated_del() {
    let mut host = host();
    let plugin = Plugin::of(&host);
    let web = Pod::named("web-0");
    assert_eq!(gets(&host, &web).len(), 2);
    host.kill();
    host.delete_pod(&web);
    let (code, text) = plugin.call("DEL", &web).error();
    assert_eq!(code, 11, "{text}");
    host.run();
    plugin.del(&web);
    assert!(host.allocations().is_empty());
    recorded(&host, &web, None);
}
