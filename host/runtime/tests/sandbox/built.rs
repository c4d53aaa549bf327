//! Policies as they are built from Rust: the one that misbehaves on demand, and the built-in ones.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use spiderpool_runtime::types::{Finding, FoundOwner, LookedUp, Owner};
use spiderpool_runtime::{Fate, HostConfig, PolicyHost};
use spiderpool_wire::summary::PolicyPhase;

use crate::place::{Place, compiler, departure, question};

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

/// The real built-in policies, with these settings for who keeps addresses.
fn retaining(cache: &Path, settings: Value) -> Result<PolicyHost, String> {
    let mut config =
        HostConfig::new(built("builtin-retention").parent().unwrap().to_owned(), cache.join("cache"), compiler());
    config.retention = serde_json::from_value(settings).unwrap();
    PolicyHost::open(config).map_err(|error| error.to_string())
}

#[test]
fn the_built_in_retention_policy_has_its_settings_from_the_configuration() {
    let cache = tempfile::tempdir().unwrap();
    let mut shard = departure("shard-a");
    let owner = Owner { api_version: "db.example/v1".into(), kind: "Shard".into(), name: "a".into(), uid: "1".into() };
    let found =
        FoundOwner { uid: "1".into(), terminating: false, annotations: Vec::new(), ordinals: None, extra: Vec::new() };
    shard.holder.owners = vec![LookedUp { owner, now: Finding::Found(found) }];
    let ours = json!({"stateful": [{"apiVersion": "db.example/v1", "kind": "Shard"}]});
    for (settings, fate, message) in [
        (json!({}), Fate::Release, "no controller of the pod keeps addresses for it"),
        (ours, Fate::Keep, "Shard `a` exists"),
    ] {
        let retention = retaining(cache.path(), settings).unwrap().policies().retain(&shard).unwrap();
        assert_eq!((&*retention.policy, retention.fate, &*retention.message), ("builtin-retention", fate, message));
    }
    let error = retaining(cache.path(), json!({"statefulset": true})).map(drop).unwrap_err();
    for part in [
        "builtin-retention.wasm: it rejects its settings: statefulset: ",
        "; correct them in the agent's configuration",
    ] {
        assert!(error.contains(part), "{error}");
    }
}
