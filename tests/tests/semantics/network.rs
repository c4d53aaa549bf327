//! On a real network: pods reach each other, and an address that somebody else uses is not given.

use spiderpool_tests::manifests::pool;
use spiderpool_tests::{Host, HostOptions, Lab, Namespace, Plugin, Pod};

use super::ENGINE;

fn host(conf: &str) -> Host {
    let manifests = pool("v4", "10.60.0.0/24", "10.60.0.10-10.60.0.40", &["default: true", "gateway: 10.60.0.1"])
        + &pool("v6", "fd60::/64", "fd60::10-fd60::40", &["default: true", "gateway: fd60::1"]);
    Host::start(&manifests, HostOptions { conf: conf.into(), ..HostOptions::on(ENGINE) })
}

fn reaches(from: &Namespace, to: &str) -> bool {
    from.command("ping")
        .args(["-c1", "-W3", "-q", to])
        .output()
        .expect("ping is missing: apt-get install iputils-ping")
        .status
        .success()
}

#[test]
fn pods_reach_each_other_and_the_gateway() {
    let (host, lab) = (host(""), Lab::new());
    let plugin = Plugin::macvlan(&host, &lab.node);
    let (a, b) = (Namespace::new(), Namespace::new());
    assert!(plugin.call_in("ADD", &Pod::named("a"), &a).ok);
    let second = plugin.call_in("ADD", &Pod::named("b"), &b).addresses();
    assert_eq!(second, ["10.60.0.11/24", "fd60::11/64"]);
    for to in ["10.60.0.11", "10.60.0.1", "fd60::1", "fd60::11"] {
        host.wait_for(&format!("a reaches {to}"), || reaches(&a, to));
    }
    for (pod, netns) in [(Pod::named("a"), &a), (Pod::named("b"), &b)] {
        host.delete_pod(&pod);
        assert!(plugin.call_in("DEL", &pod, netns).ok);
    }
    host.wait_for("nothing is held", || host.allocations().is_empty());
}

#[test]
fn a_conflict_names_the_other_host_and_the_next_try_gets_another_address() {
    for (address, expected) in [("10.60.0.10", "10.60.0.11/24"), ("fd60::10", "fd60::11/64")] {
        let (host, lab) = (host("enableIPConflictDetection: true"), Lab::new());
        lab.hold(&format!("{address}/64").replace("10.60.0.10/64", "10.60.0.10/24"));
        let plugin = Plugin::macvlan(&host, &lab.node);
        let web = Pod::named("web-0");
        let (_, text) = plugin.call_in("ADD", &web, &Namespace::new()).error();
        assert!(text.contains(address) && text.contains(&lab.gateway_mac()), "{text}");
        assert!(host.allocations().is_empty(), "a failed ADD leaves nothing: {:?}", host.allocations());
        let again = plugin.call_in("ADD", &web, &Namespace::new()).addresses();
        assert!(again.contains(&expected.to_owned()), "{again:?}");
    }
}

#[test]
fn a_gateway_that_does_not_answer_fails_the_add() {
    let (host, lab) = (host("enableGatewayDetection: true"), Lab::new());
    let plugin = Plugin::macvlan(&host, &lab.node);
    assert!(plugin.call_in("ADD", &Pod::named("fine"), &Namespace::new()).ok);
    let _ = lab.gateway.ip(&["addr", "del", "10.60.0.1/24", "dev", "gw"]);
    let lost = Pod::named("lost");
    let (_, text) = plugin.call_in("ADD", &lost, &Namespace::new()).error();
    assert!(text.contains("gateway 10.60.0.1 is unreachable"), "{text}");
    // The address stays with a pod that lives, for its next try.
    host.delete_pod(&lost);
    host.wait_for("it holds nothing", || host.allocations().iter().all(|row| row.pod_name == "fine"));
}

#[test]
fn neighbours_learn_that_an_address_has_moved() {
    let (host, lab) = (host(""), Lab::new());
    let plugin = Plugin::macvlan(&host, &lab.node);
    let first = Namespace::new();
    assert!(plugin.call_in("ADD", &Pod::named("first"), &first).ok);
    for address in ["10.60.0.10", "fd60::10"] {
        host.wait_for("the gateway knows the first pod", || reaches(&lab.gateway, address));
    }
    host.delete_pod(&Pod::named("first"));
    assert!(plugin.call_in("DEL", &Pod::named("first"), &first).ok);
    host.wait_for("nothing is held", || host.allocations().is_empty());
    let second = Namespace::new();
    assert!(plugin.call_in("ADD", &Pod::named("second"), &second).ok);
    let mac = second.ip(&["-br", "link", "show", "eth0"]).split_whitespace().nth(2).expect("a MAC").to_owned();
    for address in ["10.60.0.10", "fd60::10"] {
        host.wait_for("the gateway's cache names the second pod, which nobody has asked", || {
            lab.gateway.ip(&["neigh", "show", address]).contains(&mac)
        });
    }
}
