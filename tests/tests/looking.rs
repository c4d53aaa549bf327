//! `spiderpoolctl` shows people what is so, and a refusal says the same wherever it is seen.

use std::process::{Command, Output};
use std::{fs, io};

use spiderpool_tests::manifests::{pod, policy, pool};
use spiderpool_tests::{Dist, Host, HostOptions, Plugin, Pod};

const IPPOOL: &str = "ipam.spidernet.io/ippool";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The table that a command prints, as words; it must succeed.
#[track_caller]
fn table(host: &Host, args: &[&str]) -> Vec<Vec<String>> {
    let output = host.ctl(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    said(&output).lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

#[test]
fn tables_show_pools_holders_and_policies() {
    let manifests = pool("v4", "10.6.0.0/24", "10.6.0.10-10.6.0.19", &["default: true"])
        + &pool("v6", "fd06::/64", "fd06::-fd06::ffff:ffff:ffff:ffff", &["default: true"])
        + &pool("off", "10.7.0.0/24", "10.7.0.1", &["disable: true"]);
    let host = Host::with(&manifests);
    assert_eq!(said(&host.ctl(&["ip", "list"])), "No address is held.\n");
    let plugin = Plugin::of(&host);
    for web in [Pod::named("web-0").of("shop"), Pod::named("web-1").of("billing")] {
        assert!(plugin.add(&web).ok);
    }
    let pools = table(&host, &["pool", "list"]);
    assert_eq!(pools[0].join(" "), "NAME FAMILY SUBNET TOTAL ALLOCATED QUARANTINED FREE DEFAULT DISABLED");
    let rows: Vec<String> = pools[1..].iter().map(|row| row.join(" ")).collect();
    assert_eq!(
        rows,
        [
            "off IPv4 10.7.0.0/24 1 0 0 1 yes",
            "v4 IPv4 10.6.0.0/24 10 2 0 8 yes",
            "v6 IPv6 fd06::/64 ≥ 2^64 2 0 18446744073709551613 yes"
        ]
    );
    let held = table(&host, &["ip", "list", "--namespace", "shop"]);
    assert_eq!(held[0].join(" "), "ADDRESS POOL NAMESPACE POD INTERFACE NODE");
    assert_eq!(held[1].join(" "), "10.6.0.10 v4 shop web-0 eth0 node1");
    assert_eq!(held[2][1..], ["v6", "shop", "web-0", "eth0", "node1"]);
    assert_eq!(held.len(), 3, "the filter leaves the other namespace out");
    assert_eq!(host.ctl_json(&["ip", "list"]).as_array().unwrap().len(), 4);
    assert_eq!(host.ctl_json(&["ip", "list", "--pool", "v4"])[1]["podName"], "web-1");
}

#[test]
fn policies_are_listed_with_what_they_are_asked_for_and_why_they_are_not() {
    let host = Host::with(&pool("v4", "10.6.0.0/24", "10.6.0.10", &["default: true"]));
    fs::write(host.policies().join("junk.wasm"), "not wasm").unwrap();
    fs::write(host.policies().join("junk.yaml"), policy("junk", "junk.wasm", &["order: 7"])).unwrap();
    host.wait_for("the bad one is listed", || said(&host.ctl(&["policy", "list"])).contains("junk"));
    let rows = table(&host, &["policy", "list"]);
    assert_eq!(rows[0].join(" "), "NAME ORDER PHASE ASKED FOR MODE ON FAILURE CONTRACT DIGEST");
    for (name, point) in [
        ("builtin-affinity", "affinity"),
        ("builtin-allocation", "allocation"),
        ("builtin-retention", "retention"),
        ("builtin-validation", "validation"),
    ] {
        let row = rows.iter().find(|row| row.first().is_some_and(|first| first == name)).expect(name);
        assert_eq!(row[1..4], ["1000", "Ready", point], "{row:?}");
    }
    let junk = rows.iter().find(|row| row.first().is_some_and(|first| first == "junk")).unwrap();
    assert_eq!(junk[1..3], ["7", "Failed"], "{junk:?}");
    assert!(said(&host.ctl(&["policy", "list"])).contains("junk: it is not WebAssembly"));
}

#[test]
fn a_refusal_names_every_pool_and_says_the_same_in_the_add_and_in_explain() {
    let manifests = pool("tenant-a", "10.6.0.0/24", "10.6.0.10", &["namespaceName: [a]"])
        + &pool("far", "10.7.0.0/24", "10.7.0.10", &["nodeName: [node9]"])
        + &pool("off", "10.8.0.0/24", "10.8.0.10", &["disable: true"])
        + &pod("shop", "lost", "uid-lost", &[(IPPOOL, r#"{"ipv4": ["tenant-a", "far", "off"]}"#)]);
    let host = Host::with(&manifests);
    let (code, refusal) = Plugin::of(&host).add(&Pod::named("lost").of("shop")).error();
    assert_eq!(code, 103, "{refusal}");
    for part in ["tenant-a", "far", "off", "shop", "node1", "node9", "spec.disable"] {
        assert!(refusal.contains(part), "{part} is not in: {refusal}");
    }
    let explained = host.ctl(&["explain", "shop/lost"]);
    assert_eq!(explained.status.code(), Some(1));
    let text = said(&explained);
    for part in ["Pod shop/lost", "✗ tenant-a", "✗ far", "✗ off", "refused by builtin-affinity", "Refused: "] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    let sentence = host.ctl(&["explain", "shop/lost", "-o", "json"]);
    let sentence: serde_json::Value = serde_json::from_slice(&sentence.stdout).unwrap();
    assert!(refusal.contains(sentence["refusal"].as_str().unwrap()), "{refusal}\n{sentence}");
    assert!(host.allocations().is_empty(), "asking takes nothing");
}

#[test]
fn an_agent_that_is_away_is_named_by_its_socket() {
    let host = Host::stopped("", HostOptions::default());
    for command in [["ip", "list"], ["pool", "list"], ["policy", "list"], ["explain", "shop/web-0"]] {
        let output = host.ctl(&command);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command:?}: {text}");
        assert!(text.contains(&host.socket().display().to_string()), "{command:?}: {text}");
    }
}

#[test]
fn shells_can_complete_the_commands_of_all_programs() {
    let dist = Dist::find();
    for (program, words) in [
        ("spiderpoolctl", ["explain", "inspect"]),
        ("spiderpool-agent", ["standalone", "shutdown"]),
        ("spiderpool-controller", ["daemon", "max-allocated-ips"]),
    ] {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let script = said(&Command::new(dist.bin(program)).args(["completion", shell]).output().unwrap());
            for word in [program, "completion"].into_iter().chain(words) {
                assert!(script.contains(word), "{word} is not in the script of {program} for {shell}");
            }
        }
        // Whoever reads it has had enough.
        let (reader, unread) = io::pipe().unwrap();
        drop(reader);
        let ended = Command::new(dist.bin(program)).args(["completion", "bash"]).stdout(unread).output().unwrap();
        assert!(ended.status.success(), "{program}: {}", String::from_utf8_lossy(&ended.stderr));
    }
}
