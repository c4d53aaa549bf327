//! Addresses that somebody else on the network uses.

use spiderpool_tests::manifests::pool;
use spiderpool_tests::{Host, HostOptions, Lab, Namespace, Plugin, Pod};

use super::ENGINE;
use super::case::{IP_ADDRESSES, pod};

const OTHERS: &str = "10.60.0.10";

/// A machine that looks for conflicts, on a network where another host has [`OTHERS`].
fn contested(objects: &str, release: &'static str) -> (Host, Lab) {
    let manifests = pool("v4", "10.60.0.0/24", "10.60.0.10-10.60.0.12", &["default: true"]) + objects;
    let environment = vec![("SPIDERPOOL_ENABLED_RELEASE_CONFLICT_IPS", release)];
    let conf = "enableIPConflictDetection: true".into();
    let host = Host::start(&manifests, HostOptions { conf, environment, ..HostOptions::on(ENGINE) });
    let lab = Lab::new();
    lab.hold("10.60.0.10/24");
    (host, lab)
}

#[test]
fn c00018_a_pod_that_keeps_no_address_gives_the_conflicting_one_up_and_gets_another() {
    let (host, lab) = contested("", "true");
    let plugin = Plugin::macvlan(&host, &lab.node);
    let web = Pod::named("web");
    let (code, text) = plugin.call_in("ADD", &web, &Namespace::new()).error();
    assert_eq!(code, 106, "{text}");
    assert!(text.contains(OTHERS) && text.contains("the next attempt gets another address"), "{text}");
    assert!(host.allocations().is_empty(), "{:?}", host.allocations());
    assert_eq!((host.pools()[0].quarantined, host.pools()[0].free), (1, 2));
    assert_eq!(plugin.call_in("ADD", &web, &Namespace::new()).addresses(), ["10.60.0.11/24"]);
}

#[test]
fn a_pool_may_have_its_addresses_looked_for_or_not_whatever_the_installation_says() {
    for (conf, said, code) in [("false", "true", Some(106)), ("true", "false", None)] {
        let annotated = format!("  name: v4\n  annotations: {{ipam.spidernet.io/detect-ip-conflict: \"{said}\"}}\n");
        let manifests = pool("v4", "10.60.0.0/24", "10.60.0.10-10.60.0.12", &["default: true"]);
        let conf = format!("enableIPConflictDetection: {conf}\ndetectOptions: {{retries: 2, timeout: 300ms}}\n");
        let host = Host::start(
            &manifests.replace("  name: v4\n", &annotated),
            HostOptions { conf, ..HostOptions::on(ENGINE) },
        );
        let lab = Lab::new();
        lab.hold("10.60.0.10/24");
        let answer = Plugin::macvlan(&host, &lab.node).call_in("ADD", &Pod::named("web"), &Namespace::new());
        match code {
            Some(code) => assert_eq!(answer.error().0, code),
            None => assert_eq!(answer.addresses(), ["10.60.0.10/24"], "nobody asked"),
        }
    }
}

#[test]
fn a_pod_keeps_the_conflicting_address_where_releasing_is_switched_off() {
    let (host, lab) = contested("", "false");
    let plugin = Plugin::macvlan(&host, &lab.node);
    let web = Pod::named("web");
    for sandbox in ["first", "second"] {
        let (code, text) = plugin.call_in("ADD", &web.in_sandbox(sandbox), &Namespace::new()).error();
        assert_eq!(code, 106, "{text}");
        for word in [OTHERS, "the pod keeps the address", "SPIDERPOOL_ENABLED_RELEASE_CONFLICT_IPS"] {
            assert!(text.contains(word), "no {word:?} in: {text}");
        }
        assert_eq!((host.allocations().len(), host.pools()[0].quarantined), (1, 0));
    }
    let _ = lab.gateway.ip(&["addr", "del", "10.60.0.10/24", "dev", "gw"]);
    assert_eq!(plugin.call_in("ADD", &web.in_sandbox("third"), &Namespace::new()).addresses(), ["10.60.0.10/24"]);
}

#[test]
fn an_address_that_a_pod_asks_for_by_itself_is_not_given_while_it_is_kept_back() {
    let (host, lab) = contested(&pod("web", &[(IP_ADDRESSES, r#"{"eth0": {"ipv4": "10.60.0.10"}}"#)]), "true");
    let plugin = Plugin::macvlan(&host, &lab.node);
    let web = Pod::named("web");
    assert_eq!(plugin.call_in("ADD", &web, &Namespace::new()).error().0, 106);
    let (code, text) = plugin.call_in("ADD", &web, &Namespace::new()).error();
    assert_eq!(code, 104, "{text}");
    assert!(text.contains("10.60.0.10 is quarantined: answered by") && text.contains(&lab.gateway_mac()), "{text}");
}

#[test]
fn neither_yes_nor_no_is_no_setting() {
    let options = HostOptions {
        environment: vec![("SPIDERPOOL_ENABLED_RELEASE_CONFLICT_IPS", "maybe")],
        ..HostOptions::on(ENGINE)
    };
    let output = Host::stopped("", options).run_to_end();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("\"maybe\" is neither true nor false"), "{text}");
}
