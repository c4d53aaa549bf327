//! Decisions are the policies': the built-in ones as documented, others dropped in while everything runs.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use spiderpool_tests::manifests::{pod, pool};
use spiderpool_tests::{Dist, Host, HostOptions, Plugin, Pod};
use spiderpool_wire::summary::PolicyPhase;

const IPPOOL: &str = "ipam.spidernet.io/ippool";

fn racks() -> String {
    let rack = |name: &str, ips: &str| {
        pool(&format!("rack-{name}"), "10.7.0.0/16", ips, &[])
            .replace(&format!("name: rack-{name}\n"), &format!("name: rack-{name}\n  labels: {{rack: {name}}}\n"))
    };
    let node = "---\napiVersion: v1\nkind: Node\nmetadata:\n  name: node1\n  labels: {rack: b}\n";
    let mut text = rack("a", "10.7.1.1-10.7.1.250") + &rack("b", "10.7.2.1-10.7.2.250") + node;
    for n in 0..60 {
        text += &pod("default", &format!("p{n}"), &format!("uid-p{n}"), &[(IPPOOL, r#"{"ipv4": ["rack-*"]}"#)]);
    }
    text
}

const RACK: &str = "apiVersion: spiderpool.spidernet.io/v2beta1\nkind: SpiderPolicy\nmetadata:\n  name: rack\nspec:\n  \
                    source: {file: rack.wasm}\n  order: 10\n  settings: {rackLabel: rack}\n";

fn misbehave(host: &Host, behave: &str, on_failure: &str, mode: &str) {
    let manifest = format!(
        "apiVersion: spiderpool.spidernet.io/v2beta1\nkind: SpiderPolicy\nmetadata:\n  name: bad\nspec:\n  \
         source: {{file: bad.wasm}}\n  order: 10\n  onFailure: {on_failure}\n  mode: {mode}\n  settings: {{behave: {behave}}}\n"
    );
    fs::copy(host.dist.fixture("misbehave"), host.policies().join("bad.wasm")).unwrap();
    fs::write(host.policies().join("bad.yaml"), manifest).unwrap();
}

fn is_ready(host: &Host, name: &str) -> bool {
    host.policy_summaries().iter().any(|policy| policy.name == name && policy.phase == PolicyPhase::Ready)
}

#[test]
fn the_tables_of_every_policy_hold_for_its_component() {
    let dist = Dist::find();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for folder in ["allocation", "affinity", "validation", "retention", "examples/rack-and-octet"] {
        let cases = root.join("policies").join(folder).join("cases");
        let mut command = Command::new(dist.bin("spiderpoolctl"));
        command.args(["policy", "test"]).arg(&cases).env("SPIDERPOOL_BUILTIN_POLICIES", dist.policies());
        let component = match folder {
            "examples/rack-and-octet" => Some(dist.example("rack-and-octet")),
            // By itself, so that cases can give it settings.
            "retention" => Some(dist.policies().join("builtin-retention.wasm")),
            _ => None,
        };
        if let Some(component) = component {
            command.arg("--policy").arg(component);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}:\n{text}\n{}", cases.display(), String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("passed, 0 failed"), "{text}");
    }
}

#[test]
fn a_policy_dropped_in_changes_the_next_decision_and_no_add_fails_meanwhile() {
    let host = Host::with(&racks());
    let plugin = Plugin::of(&host);
    assert!(plugin.add(&Pod::named("p0")).addresses()[0].starts_with("10.7.1."));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut calls = 0;
            while !done.load(Ordering::Relaxed) {
                let web = Pod::named(&format!("p{}", 20 + calls % 40));
                let _ = plugin.add(&web).addresses();
                plugin.del(&web);
                calls += 1;
            }
            calls
        });
        fs::copy(host.dist.example("rack-and-octet"), host.policies().join("rack.wasm")).unwrap();
        fs::write(host.policies().join("rack.yaml"), RACK).unwrap();
        host.wait_for("the policy is in force", || is_ready(&host, "rack"));
        host.wait_for("the next decision is its own", || {
            let web = Pod::named("p1");
            let given = plugin.add(&web).addresses();
            plugin.del(&web);
            given[0].starts_with("10.7.2.")
        });
        fs::remove_file(host.policies().join("rack.yaml")).unwrap();
        fs::remove_file(host.policies().join("rack.wasm")).unwrap();
        host.wait_for("the policy is gone", || !is_ready(&host, "rack"));
        done.store(true, Ordering::Relaxed);
        assert!(load.join().unwrap() > 0);
    });
    assert!(plugin.add(&Pod::named("p2")).addresses()[0].starts_with("10.7.1."));
}

#[test]
fn a_broken_policy_fails_by_name_or_is_passed_over_and_never_harms_the_next_call() {
    let host = Host::with(&racks());
    let plugin = Plugin::of(&host);
    misbehave(&host, "panic", "deny", "enforce");
    host.wait_for("the policy is in force", || is_ready(&host, "bad"));
    let (_, text) = plugin.add(&Pod::named("p0")).error();
    assert!(text.contains("bad") && text.contains("panicked"), "{text}");
    misbehave(&host, "spin", "fallback", "enforce");
    host.wait_for("it is passed over", || plugin.add(&Pod::named("p1")).ok);
    misbehave(&host, "panic", "deny", "shadow");
    host.wait_for("it is only watched", || {
        host.policy_summaries().iter().any(|policy| policy.name == "bad" && policy.mode == "shadow")
    });
    assert!(plugin.add(&Pod::named("p2")).ok);
}

#[test]
fn a_policy_that_cannot_be_used_is_reported_and_not_asked() {
    let host = Host::start(&racks(), HostOptions::default());
    fs::write(host.policies().join("junk.wasm"), "not wasm").unwrap();
    host.wait_for("junk is reported", || {
        let policies = host.policy_summaries();
        policies
            .iter()
            .any(|p| p.name == "junk" && p.phase == PolicyPhase::Failed && p.message.contains("not WebAssembly"))
    });
    assert!(Plugin::of(&host).add(&Pod::named("p0")).ok);
}
