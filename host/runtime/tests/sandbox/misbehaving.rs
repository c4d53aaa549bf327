//! Policies that were accepted and go wrong afterwards.

use std::time::{Duration, Instant};

use serde_json::json;
use spiderpool_wire::summary::PolicyPhase;

use crate::guest;
use crate::place::Place;

/// The bad policy's failure has `expected` in it, by its name; others are not touched, before and after.
#[track_caller]
fn check(wasm: Vec<u8>, limits: serde_json::Value, expected: &str) {
    let place = Place::new();
    let summary = place.apply(place.policy("bad", &wasm, json!({"order": 1, "limits": limits})));
    assert_eq!((summary.phase, summary.message.as_str()), (PolicyPhase::Ready, ""));
    assert_eq!(place.decide("web-1"), Ok(vec!["a".into()]));
    for _ in 0..3 {
        let error = place.decide("web-10").unwrap_err();
        assert!(error.starts_with("policy bad failed: ") && error.contains(expected), "{error}");
        assert_eq!(place.decide("web-1"), Ok(vec!["a".into()]), "the next call");
    }
    place.apply(place.policy("bad", &wasm, json!({"order": 1, "limits": limits, "onFailure": "fallback"})));
    assert_eq!(place.decide("web-10"), Ok(vec!["a".into()]), "without it");
}

#[test]
fn spinning_uses_up_fuel() {
    check(guest::affinity("(loop (br 0))"), json!({"fuel": 1_000_000}), "used up its 1000000 units of fuel");
}

#[test]
fn spinning_with_much_fuel_ends_at_the_deadline() {
    let limits = json!({"fuel": 5_000_000_000_u64, "deadlineMilliseconds": 10});
    check(guest::affinity("(loop (br 0))"), limits, "did not answer within 10 ms");
}

#[test]
fn a_deadline_holds_however_many_spin_at_once() {
    let place = Place::new();
    let limits = json!({"fuel": 5_000_000_000_u64, "deadlineMilliseconds": 20});
    place.apply(place.policy("bad", &guest::affinity("(loop (br 0))"), json!({"order": 1, "limits": limits})));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| place.decide("web-10").unwrap_err());
        }
    });
    // Ten times the deadline by the clock, two rounds on a machine with few processors, and some for a busy one.
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(place.decide("web-1"), Ok(vec!["a".into()]));
}

#[test]
fn hogging_memory_is_named() {
    let hog = guest::affinity("(loop (drop (memory.grow (i32.const 16))) (br 0))");
    check(hog, json!({"memoryMiB": 8}), "more than 8 MiB of memory");
}

#[test]
fn recursing_without_end_is_named() {
    check(guest::affinity("(drop (call $deep (i32.const 0)))"), json!({}), "its stack of 256 KiB");
}

#[test]
fn panicking_is_named() {
    check(guest::affinity("(unreachable)"), json!({}), "it panicked");
}

#[test]
fn reading_outside_memory_is_named() {
    check(guest::affinity("(drop (i32.load (i32.const -4)))"), json!({}), "out of bounds memory access");
}

#[test]
fn a_million_verdicts_are_too_large() {
    let million = "(drop (memory.grow (i32.const 500))) (i32.store (i32.const 2052) (i32.const 1000000))";
    check(guest::affinity(million), json!({}), "larger than 1024 KiB");
}

#[test]
fn a_verdict_too_many_or_too_few_is_wrong() {
    check(guest::affinity("(i32.store (i32.const 2052) (i32.const 3))"), json!({}), "3 verdicts for 2 pools");
    check(guest::affinity("(i32.store (i32.const 2052) (i32.const 0))"), json!({}), "0 verdicts for 2 pools");
}

#[test]
fn a_rank_beyond_the_range_is_wrong() {
    let rank = "(i32.store (i32.const 1048580) (i32.const 1000001))";
    check(guest::affinity(rank), json!({}), "rank 1000001");
}

#[test]
fn a_sentence_too_long_is_wrong() {
    let refuse = "(i32.store (i32.const 1048576) (i32.const 1)) (i32.store (i32.const 1048596) (i32.const 4097))";
    check(guest::affinity(refuse), json!({}), "a message of 4097 bytes");
}

#[test]
fn text_that_is_none_is_a_failure() {
    let refuse = "(i32.store (i32.const 1048576) (i32.const 1)) (i32.store (i32.const 1048592) (i32.const 4096))
                  (i32.store (i32.const 1048596) (i32.const 1)) (i32.store8 (i32.const 4096) (i32.const 255))";
    check(guest::affinity(refuse), json!({}), "utf-8");
}

#[test]
fn an_answer_outside_memory_is_a_failure() {
    check(guest::affinity("(i32.store (i32.const 2048) (i32.const -8))"), json!({}), "out of bounds");
}

#[test]
fn an_unknown_pool_in_the_plan_is_wrong() {
    check(guest::allocation("elsewhere", ""), json!({}), r#"pool "elsewhere", which it was not asked about"#);
}

#[test]
fn an_address_outside_the_pool_is_wrong() {
    // exactly([10.0.0.9]); the pool begins at 10.0.0.10.
    let pick = "(i32.store (i32.const 3708) (i32.const 3)) (i32.store (i32.const 3712) (i32.const 3800))
                (i32.store (i32.const 3716) (i32.const 1)) (i32.store (i32.const 3802) (i32.const 0x0900000a))";
    check(guest::allocation("a", pick), json!({}), "address 10.0.0.9, which pool a cannot give");
}

#[test]
fn a_variant_that_does_not_exist_is_a_failure() {
    check(guest::allocation("a", "(i32.store (i32.const 3708) (i32.const 9))"), json!({}), "discriminant");
}

#[test]
fn a_failure_refuses_only_whom_the_policy_concerns() {
    let place = Place::new();
    let bad = guest::affinity("(unreachable)");
    for (team, fails) in [("red", true), ("blue", false)] {
        let scope = json!({"namespaceSelector": {"matchLabels": {"team": team}}});
        place.apply(place.policy("bad", &bad, json!({"order": 1, "scope": scope})));
        assert_eq!(place.decide("web-10").is_err(), fails, "{team}");
    }
}

#[test]
fn a_failing_policy_that_may_be_done_without_gives_way_to_what_it_replaces() {
    let place = Place::new();
    let spec = json!({"order": 1, "replaces": ["builtin-affinity"], "onFailure": "fallback"});
    place.apply(place.policy("bad", &guest::affinity("(unreachable)"), spec));
    let decision = place.host.policies().decide(&crate::place::question("web-10")).unwrap();
    let explained = serde_json::to_string(&decision.explanation).unwrap();
    assert!(explained.contains("builtin-affinity"), "{explained}");
}
