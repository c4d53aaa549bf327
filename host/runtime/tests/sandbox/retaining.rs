//! Who keeps addresses: which policy says it, what it may say, and that a broken one gives nothing away.

use std::time::{Duration, Instant};

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde_json::json;
use spiderpool_runtime::{Fate, RetainError};
use spiderpool_wire::summary::PolicyPhase;

use crate::guest;
use crate::place::{Place, departure};

/// `release-after` this many milliseconds, about pods that have not 5 letters.
fn after(milliseconds: u64) -> Vec<u8> {
    guest::retention(&format!(
        "(i32.store8 (i32.const 2048) (i32.const 2)) (i64.store (i32.const 2056) (i64.const {milliseconds}))"
    ))
}

/// Who decides about a pod, and what.
fn decided(place: &Place, pod: &str) -> (String, Fate) {
    let retention = place.retain(pod);
    assert_eq!(retention.failure, None);
    (retention.policy, retention.fate)
}

fn by(policy: &str, fate: Fate) -> (String, Fate) {
    (policy.to_owned(), fate)
}

#[test]
fn a_policy_that_breaks_keeps_addresses_or_gives_way() {
    let limits = json!({"fuel": 1_000_000, "memoryMiB": 8});
    for (rest, expected) in [
        ("(loop (br 0))", "used up its 1000000 units of fuel"),
        ("(loop (drop (memory.grow (i32.const 16))) (br 0))", "more than 8 MiB of memory"),
        ("(drop (call $deep (i32.const 0)))", "its stack of 256 KiB"),
        ("(unreachable)", "it panicked"),
        ("(drop (i32.load (i32.const -4)))", "out of bounds memory access"),
        ("(return (i32.const -8))", "out of bounds"),
        ("(i32.store8 (i32.const 2048) (i32.const 3))", "discriminant"),
        ("(i32.store (i32.const 2068) (i32.const 4097))", "a message of 4097 bytes; at most 4096"),
        ("(i32.store (i32.const 2068) (i32.const 2000000))", "larger than 1024 KiB"),
        ("(i32.store8 (i32.const 1) (i32.const 255)) (i32.store (i32.const 2068) (i32.const 2))", "utf-8"),
        (
            "(i32.store8 (i32.const 2048) (i32.const 2)) (i64.store (i32.const 2056) (i64.const 315360000001))",
            "a release after 315360000001 milliseconds; at most 315360000000 (ten years)",
        ),
    ] {
        let place = Place::new();
        let wasm = guest::retention(rest);
        let summary = place.apply(place.policy("bad", &wasm, json!({"order": 1, "limits": limits})));
        assert_eq!((summary.phase, &*summary.message), (PolicyPhase::Ready, ""), "{rest}");
        for _ in 0..2 {
            let retention = place.retain("web-10");
            assert_eq!((&*retention.policy, retention.fate), ("bad", Fate::Keep), "{rest}");
            let failure = retention.failure.unwrap().to_string();
            assert!(failure.contains(expected), "{rest}: {failure}");
            assert_eq!(
                retention.message,
                format!("policy bad failed: {failure}; the addresses are kept until it answers")
            );
            assert_eq!(decided(&place, "web-1"), by("bad", Fate::Keep), "the next call");
        }
        place.apply(place.policy("bad", &wasm, json!({"order": 1, "limits": limits, "onFailure": "fallback"})));
        assert_eq!(decided(&place, "web-10"), by("builtin-retention", Fate::Release), "without it");
    }
}

#[test]
fn a_policy_that_was_refused_keeps_addresses_until_it_is_mended() {
    let place = Place::new();
    let digest = format!("sha256:{}", "0".repeat(64));
    let summary = place.apply(place.policy("mine", &after(1), json!({"digest": digest})));
    assert!(summary.message.ends_with("the addresses that it would be asked about are kept (spec.onFailure)"));
    let retention = place.retain("web-10");
    assert_eq!(retention.fate, Fate::Keep);
    assert!(retention.message.starts_with("policy mine failed: it is not in force: its digest is"), "{retention:?}");
    place.apply(place.policy("mine", &after(1), json!({})));
    assert_eq!(decided(&place, "web-10"), by("mine", Fate::ReleaseAfter(Duration::from_millis(1))));
}

#[test]
fn the_first_policy_that_concerns_a_pod_decides() {
    let place = Place::new();
    let ten_years = 315_360_000_000;
    place.host.apply(vec![
        place.policy("late", &after(2), json!({"order": 2})),
        place.policy("early", &after(ten_years), json!({"order": 1})),
    ]);
    assert_eq!(decided(&place, "web-10"), by("early", Fate::ReleaseAfter(Duration::from_millis(ten_years))));
    let scope = |team: &str| json!({"order": 1, "scope": {"namespaceSelector": {"matchLabels": {"team": team}}}});
    place.apply(place.policy("mine", &after(0), scope("red")));
    assert_eq!(decided(&place, "web-10"), by("mine", Fate::ReleaseAfter(Duration::ZERO)));
    place.apply(place.policy("mine", &after(0), scope("blue")));
    assert_eq!(decided(&place, "web-10"), by("builtin-retention", Fate::Release));
}

#[test]
fn nobody_to_ask_is_told_with_the_way_out() {
    let place = Place::new();
    place.apply(place.policy("alone", &guest::affinity(""), json!({"order": 1, "replaces": ["builtin-retention"]})));
    let error = place.host.policies().retain(&departure("web-10")).unwrap_err();
    assert_eq!(error, RetainError::Nobody);
    assert!(error.to_string().ends_with("do not replace builtin-retention without another"), "{error}");
}

#[test]
fn a_shadow_is_counted_and_never_obeyed() {
    let place = Place::new();
    let mut registry = Registry::default();
    place.host.register_metrics(&mut registry);
    place.apply(place.policy(
        "dark",
        &after(5),
        json!({"order": 1, "mode": "shadow", "replaces": ["builtin-retention"]}),
    ));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // About a pod with 5 letters both say the same; it may go unasked, since one comparison is made at a time.
    for (pod, fate) in [("web-10", Fate::Release), ("web-1", Fate::Keep)] {
        let retention = runtime.block_on(place.host.retain(departure(pod))).unwrap();
        assert_eq!((&*retention.policy, retention.fate), ("builtin-retention", fate));
    }
    let text = || {
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    };
    let begun = Instant::now();
    while !text().contains(r#"spiderpool_policy_shadow_differences_total{policy="dark"} 1"#) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", text());
        std::thread::sleep(Duration::from_millis(20));
    }
    let calls = r#"spiderpool_policy_calls_total{policy="builtin-retention",function="keep"} 3"#;
    assert!(text().contains(calls), "{calls} is missing in\n{}", text());
}
