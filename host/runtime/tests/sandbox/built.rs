//! Policies as they are built from Rust: the one that misbehaves on demand, and the built-in ones.

use std::path::PathBuf;

use serde_json::json;
use spiderpool_runtime::{HostConfig, PolicyHost};
use spiderpool_wire::summary::PolicyPhase;

use crate::place::{Place, compiler, question};

/// A component that `cargo xtask guests` built.
fn built(name: &str) -> PathBuf {
    let folder = compiler().ancestors().nth(2).unwrap().join("policies");
    let path = folder.join(name).with_extension("wasm");
    assert!(path.exists(), "{} is missing: cargo xtask guests", path.display());
    path
}

#[test]
fn every_way_to_misbehave_is_named_and_the_next_call_works() {
    let wasm = std::fs::read(built("misbehave")).unwrap();
    let place = Place::new();
    for (behave, expected) in [
        ("spin", "used up its 2000000 units of fuel"),
        ("hog", "more than 16 MiB of memory"),
        ("recurse", "its stack of 256 KiB"),
        ("panic", "it panicked in spiderpool_guest_misbehave::"),
        ("out-of-bounds", "out of bounds memory access in "),
        ("empty", "no demand, and no refusal"),
        ("unknown-pool", "pool \"nobody-asked-about-me\", which it was not asked about"),
        ("outside-pool", "which pool a cannot give"),
        ("million-verdicts", "larger than 1024 KiB"),
        ("too-few-verdicts", "1 verdicts for 2 pools"),
        ("rank-out-of-range", "rank 1000001"),
        ("huge-answer", "larger than 1024 KiB"),
    ] {
        // A million verdicts take more than the fuel that the spinning one is to use up quickly.
        let fuel = if behave == "spin" { 2_000_000 } else { 500_000_000 };
        let memory = if behave == "hog" { 16 } else { 128 };
        let limits = json!({"fuel": fuel, "memoryMiB": memory, "deadlineMilliseconds": 1000});
        let spec = json!({"order": 1, "settings": {"behave": behave}, "limits": limits});
        let summary = place.apply(place.policy("bad", &wasm, spec));
        assert_eq!((summary.phase, summary.message.as_str()), (PolicyPhase::Ready, ""), "{behave}");
        for _ in 0..2 {
            let error = place.decide("web-10").unwrap_err();
            assert!(error.starts_with("policy bad failed: ") && error.contains(expected), "{behave}: {error}");
            assert!(place.decide("trial").is_ok(), "{behave}: the next call");
        }
    }
}

#[test]
fn misbehaving_when_tried_is_a_refusal() {
    let wasm = std::fs::read(built("misbehave")).unwrap();
    let place = Place::new();
    for (settings, expected) in [
        (
            json!({"behave": "panic", "atTrial": true}),
            "it fails when it is tried: affinity.judge: it trapped: it panicked",
        ),
        (json!({"behave": "spin-in-check"}), "it fails when it is tried: settings.check: it used up its"),
        (json!({"behave": "bad-settings"}), "it rejects its settings: behave: "),
        (json!({"behaviour": "well"}), "it rejects its settings: "),
    ] {
        let spec = json!({"settings": settings, "limits": {"fuel": 2_000_000}});
        let summary = place.apply(place.policy("bad", &wasm, spec));
        assert_eq!(summary.phase, PolicyPhase::Failed, "{settings}");
        assert!(summary.message.contains(expected), "{settings}: {}", summary.message);
    }
}

#[test]
fn the_built_in_policies_serve_a_plain_pod_from_the_default_pools() {
    let cache = tempfile::tempdir().unwrap();
    let folder = built("builtin-allocation").parent().unwrap().to_owned();
    let host = PolicyHost::open(HostConfig::new(folder, cache.path().join("cache"), compiler())).unwrap();
    let mut question = question("web-10");
    question.context.cluster.default_network = Some("kube-system/macvlan".into());
    let decision = host.policies().decide(&question).unwrap();
    let tried: Vec<&str> = decision.steps.iter().flat_map(|step| &step.choices).map(|(pool, _)| &**pool).collect();
    assert_eq!(tried, ["a", "b"]);
}
