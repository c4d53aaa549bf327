//! Whatever a policy does, its failure has its name, harms no other call, and follows its `onFailure`.

use std::fs;

use spiderpool_tests::manifests::{policy, pool};
use spiderpool_tests::{Host, Plugin, Pod};
use spiderpool_wire::summary::PolicyPhase;

/// A way to misbehave, the extension point at which it does, and words of what is said about it.
const WAYS: [(&str, &str, &[&str]); 11] = [
    ("spin", "affinity", &["make it do less, or raise limits."]),
    ("hog", "affinity", &["MiB of memory", "limits.memoryMiB"]),
    ("recurse", "affinity", &["stack", "recurse less"]),
    ("panic", "affinity", &["it trapped", "it panicked in spiderpool_guest_misbehave::"]),
    ("out-of-bounds", "affinity", &["trapped"]),
    ("too-few-verdicts", "affinity", &["its answer is wrong", "verdicts"]),
    ("million-verdicts", "affinity", &["answer"]),
    ("rank-out-of-range", "affinity", &["its answer is wrong", "1000001"]),
    ("huge-answer", "affinity", &["its answer is larger than", "KiB"]),
    ("unknown-pool", "allocation", &["its answer is wrong", "nobody-asked-about-me"]),
    ("outside-pool", "allocation", &["its answer is wrong", "v4"]),
];

/// Puts a policy in force that misbehaves this way, instead of whatever was there.
fn install(host: &Host, way: &str, point: &str, on_failure: &str, mode: &str) {
    let lines = [
        "order: 10",
        &format!("extensionPoints: [{point}]"),
        &format!("onFailure: {on_failure}"),
        &format!("mode: {mode}"),
        &format!("settings: {{behave: {way}}}"),
    ];
    let text = policy(way, "misbehave.wasm", &lines);
    fs::write(host.policies().join("bad.yaml"), text).expect("a manifest");
    host.wait_for(&format!("{way} is in force, {on_failure}, {mode}"), || {
        let policies = host.policy_summaries();
        let user: Vec<_> = policies.iter().filter(|policy| !policy.name.starts_with("builtin-")).collect();
        matches!(user.as_slice(), [only] if only.name == way && only.phase == PolicyPhase::Ready
            && only.on_failure == on_failure && only.mode == mode)
    });
}

/// The failures that the agent counted of a policy.
fn failures(host: &Host, policy: &str) -> u64 {
    let metrics = host.metrics();
    let lines = metrics.lines().filter(|line| line.starts_with("spiderpool_policy_call_failures_total{"));
    let own = lines.filter(|line| line.contains(&format!("policy=\"{policy}\"")));
    own.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[test]
fn every_failure_is_named_denied_or_passed_over_and_forgotten() {
    let host = Host::with(&pool("v4", "10.6.0.0/24", "10.6.0.10-10.6.0.19", &["default: true"]));
    fs::copy(host.dist.fixture("misbehave"), host.policies().join("misbehave.wasm")).expect("a component");
    let plugin = Plugin::of(&host);
    let web = Pod::named("web-0");
    for (way, point, words) in WAYS {
        install(&host, way, point, "deny", "enforce");
        let (code, text) = plugin.add(&web).error();
        assert_eq!(code, 100, "{way}: {text}");
        assert!(text.contains(way) && words.iter().all(|word| text.contains(word)), "{way}: {text}");
        assert!(host.allocations().is_empty(), "{way} took something");
        install(&host, way, point, "fallback", "enforce");
        assert_eq!(plugin.add(&web).addresses(), ["10.6.0.10/24"], "{way} is passed over");
        plugin.del(&web);
        assert!(failures(&host, way) >= 2, "{way}: {}", host.metrics());
    }
    fs::remove_file(host.policies().join("bad.yaml")).expect("the manifest");
    fs::remove_file(host.policies().join("misbehave.wasm")).expect("the component");
    host.wait_for("only the built-in ones are left", || host.policy_summaries().len() == 4);
    assert_eq!(plugin.add(&web).addresses(), ["10.6.0.10/24"]);
}

#[test]
fn a_shadow_is_asked_and_counted_and_never_obeyed() {
    let host = Host::with(&pool("v4", "10.6.0.0/24", "10.6.0.10-10.6.0.19", &["default: true"]));
    fs::copy(host.dist.fixture("misbehave"), host.policies().join("misbehave.wasm")).expect("a component");
    let plugin = Plugin::of(&host);
    install(&host, "panic", "affinity", "deny", "shadow");
    assert_eq!(plugin.add(&Pod::named("web-0")).addresses(), ["10.6.0.10/24"]);
    host.wait_for("its failure is counted", || failures(&host, "panic") == 1);
}

#[test]
fn what_a_retention_policy_does_not_decide_is_kept_and_asked_again_without_a_further_del() {
    let host = Host::with(&pool("v4", "10.6.0.0/24", "10.6.0.10-10.6.0.19", &["default: true"]));
    host.policy("speechless", &host.dist.fixture("speechless"), &["order: 10", "extensionPoints: [retention]"]);
    host.wait_for("it is in force", || {
        host.policy_summaries().iter().any(|policy| policy.name == "speechless" && policy.phase == PolicyPhase::Ready)
    });
    let plugin = Plugin::of(&host);
    let web = Pod::named("web-0");
    assert_eq!(plugin.add(&web).addresses(), ["10.6.0.10/24"]);
    plugin.del(&web);
    assert_eq!(host.allocations().len(), 1, "nobody has decided");
    assert_eq!(failures(&host, "speechless"), 1, "{}", host.metrics());
    host.wait_for("it is asked again", || failures(&host, "speechless") == 2);
    host.remove("policies/speechless.yaml");
    host.remove("policies/speechless.wasm");
    host.wait_for("another one decides", || host.allocations().is_empty());
    let metrics = host.metrics();
    assert!(metrics.contains("spiderpool_ipam_release_kept_counts_total 1"), "once, as one DEL came: {metrics}");
}
