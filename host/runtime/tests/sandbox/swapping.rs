//! Which policies are in force, how they change while everything runs, and shadows.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde_json::json;
use spiderpool_runtime::types::{Facts, Operation};
use spiderpool_runtime::{Review, ReviewError};
use spiderpool_wire::explain::Verdict;
use spiderpool_wire::summary::PolicyPhase;

use crate::guest;
use crate::place::{Place, question};

/// Names and ranks of the policies that judged the first pool.
fn ranks(place: &Place) -> Vec<(String, i32)> {
    let decision = place.host.policies().decide(&question("web-10")).unwrap();
    match &decision.explanation.demands[0].candidates[0].verdict {
        Verdict::Admitted(ranks) => ranks.iter().map(|rank| (rank.policy.clone(), rank.rank)).collect(),
        Verdict::Refused(refusal) => panic!("{refusal:?}"),
    }
}

fn named(expected: &[(&str, i32)]) -> Vec<(String, i32)> {
    expected.iter().map(|(name, rank)| ((*name).to_owned(), *rank)).collect()
}

#[test]
fn the_chain_follows_order_and_then_names() {
    let place = Place::new();
    place.host.apply(vec![
        place.policy("late", &guest::ranking(4), json!({"order": 2000})),
        place.policy("b", &guest::ranking(3), json!({"order": 7})),
        place.policy("a", &guest::ranking(2), json!({"order": 7})),
        place.policy("first", &guest::ranking(1), json!({"order": -1})),
    ]);
    assert_eq!(ranks(&place), named(&[("first", 1), ("a", 2), ("b", 3), ("builtin-affinity", 0), ("late", 4)]));
}

#[test]
fn a_policy_takes_the_place_of_others_only_for_those_it_concerns() {
    let place = Place::new();
    let with_scope = |team: &str| json!({"order": 1, "replaces": ["builtin-affinity"], "scope": {"namespaceSelector": {"matchLabels": {"team": team}}}});
    place.apply(place.policy("mine", &guest::ranking(5), with_scope("red")));
    assert_eq!(ranks(&place), named(&[("mine", 5)]));
    place.apply(place.policy("mine", &guest::ranking(5), with_scope("blue")));
    assert_eq!(ranks(&place), named(&[("builtin-affinity", 0)]));
}

#[test]
fn of_two_that_replace_each_other_the_earlier_stays() {
    let place = Place::new();
    place.host.apply(vec![
        place.policy("x", &guest::ranking(1), json!({"order": 1, "replaces": ["y"]})),
        place.policy("y", &guest::ranking(2), json!({"order": 2, "replaces": ["x", "builtin-affinity"]})),
    ]);
    assert_eq!(ranks(&place), named(&[("x", 1), ("builtin-affinity", 0)]));
}

#[test]
fn a_new_version_that_is_refused_leaves_the_old_one_in_force() {
    let place = Place::new();
    place.apply(place.policy("mine", &guest::ranking(1), json!({"order": 1})));
    let summary = place.apply(place.policy("mine", b"junk", json!({"order": 1})));
    assert_eq!(summary.phase, PolicyPhase::Failed);
    assert!(summary.message.ends_with("; the version before it stays in force"), "{}", summary.message);
    assert_eq!(ranks(&place), named(&[("mine", 1), ("builtin-affinity", 0)]));
    let summary = place.apply(place.policy("mine", &guest::ranking(2), json!({"order": 1})));
    assert_eq!(summary.phase, PolicyPhase::Ready);
    assert_eq!(ranks(&place), named(&[("mine", 2), ("builtin-affinity", 0)]));
    place.host.apply(Vec::new());
    assert_eq!(ranks(&place), named(&[("builtin-affinity", 0)]));
}

#[test]
fn a_policy_that_never_worked_denies_what_it_would_be_asked_about() {
    let place = Place::new();
    let digest = format!("sha256:{}", "0".repeat(64));
    let summary = place.apply(place.policy("mine", &guest::affinity(""), json!({"digest": digest})));
    assert!(summary.message.ends_with("is denied (spec.onFailure)"), "{}", summary.message);
    let error = place.decide("web-10").unwrap_err();
    assert!(error.starts_with("policy mine failed: it is not in force: its digest is"), "{error}");
    // What it would take part in is not known.
    place.host.apply(Vec::new());
    place.apply(place.policy("mine", b"junk", json!({})));
    assert_eq!(place.decide("web-10"), Ok(vec!["a".into()]));
    // Somebody says it.
    place.apply(place.policy("mine", b"junk", json!({"extensionPoints": ["affinity"]})));
    assert!(place.decide("web-10").is_err());
    place.apply(place.policy("mine", b"junk", json!({"extensionPoints": ["validation"]})));
    assert_eq!(place.decide("web-10"), Ok(vec!["a".into()]));
}

#[test]
fn the_first_allocation_policy_decides_and_the_next_takes_over_when_it_fails() {
    let place = Place::new();
    place.apply(place.policy("mine", &guest::allocation("b", ""), json!({"order": 1})));
    assert_eq!(place.decide("web-10"), Ok(vec!["b".into()]));
    let lying = guest::allocation("nowhere", "");
    place.apply(place.policy("mine", &lying, json!({"order": 1, "onFailure": "fallback"})));
    assert_eq!(place.decide("web-10"), Ok(vec!["a".into()]));
}

#[test]
fn swapping_under_load_never_fails_a_call_and_counts_at_once() {
    let place = Place::new();
    let versions = [1, 2].map(guest::ranking);
    let (done, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // An end of its own, for when a step below fails and nobody says that it is done.
                let begun = Instant::now();
                while !done.load(Ordering::Relaxed) && begun.elapsed() < Duration::from_secs(60) {
                    let ranks = ranks(&place);
                    assert!(ranks.len() <= 2 && ranks.iter().all(|(_, rank)| (0..=2).contains(rank)), "{ranks:?}");
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..40 {
            let expected = match round % 3 {
                2 => {
                    place.host.apply(Vec::new());
                    named(&[("builtin-affinity", 0)])
                }
                version => {
                    place.apply(place.policy("mine", &versions[version], json!({"order": 1})));
                    named(&[("mine", if version == 0 { 1 } else { 2 }), ("builtin-affinity", 0)])
                }
            };
            assert_eq!(ranks(&place), expected, "round {round}");
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(calls.load(Ordering::Relaxed) > 40);
}

#[test]
fn a_shadow_is_asked_and_counted_but_never_obeyed_or_waited_for() {
    let place = Place::new();
    let mut registry = Registry::default();
    place.host.register_metrics(&mut registry);
    let limits = json!({"fuel": 5_000_000_000_u64, "deadlineMilliseconds": 1000});
    let shadow = json!({"order": 1, "mode": "shadow", "limits": limits, "replaces": ["builtin-affinity"]});
    place.apply(place.policy("dark", &guest::affinity("(loop (br 0))"), shadow));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let begun = Instant::now();
    for _ in 0..20 {
        let decision = runtime.block_on(place.host.decide(question("web-10"))).unwrap();
        let explained = serde_json::to_string(&decision.explanation).unwrap();
        assert!(explained.contains("builtin-affinity") && !explained.contains("dark"), "{explained}");
    }
    assert!(begun.elapsed() < Duration::from_millis(800), "{:?}", begun.elapsed());
    let text = || {
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    };
    let wanted = r#"spiderpool_policy_shadow_differences_total{policy="dark"} 1"#;
    while !text().contains(wanted) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", text());
        std::thread::sleep(Duration::from_millis(20));
    }
    let text = text();
    for line in [
        r#"spiderpool_policy_call_failures_total{policy="dark",function="judge",kind="deadline"} 1"#,
        r#"spiderpool_policy_calls_total{policy="builtin-allocation",function="arrange"} 21"#,
        "spiderpool_policy_in_force 5",
        "spiderpool_policy_calls_under_way 0",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

fn review() -> (Review, Facts) {
    let review = Review {
        operation: Operation::Create,
        kind: "SpiderIPPool".into(),
        name: "a".into(),
        object: json!({"spec": {}}),
        old: None,
    };
    let facts = Facts {
        families: Vec::new(),
        pools: Vec::new(),
        subnets: Vec::new(),
        subnet_feature: false,
        in_use: Vec::new(),
        reserved: Vec::new(),
        guard_deletion: false,
        extra: Vec::new(),
    };
    (review, facts)
}

#[test]
fn reviews_apply_changes_and_name_who_denies() {
    let place = Place::new();
    // allow([{path: "/x", value: some("1")}]), but only once the object under review is shorter than the trial's.
    let change = "(i32.store (i32.const 2052) (i32.const 2100)) (i32.store (i32.const 2056) (i32.const 1))
        (i32.store (i32.const 2100) (i32.const 2200)) (i32.store (i32.const 2104) (i32.const 2))
        (i32.store (i32.const 2108) (i32.const 1)) (i32.store (i32.const 2112) (i32.const 2202)) (i32.store (i32.const 2116) (i32.const 1))
        (i32.store (i32.const 2200) (i32.const 0x31782f))";
    place.apply(place.policy("defaults", &guest::validation(change), json!({"order": 1})));
    let (question, facts) = review();
    assert_eq!(place.host.policies().review(question.clone(), facts.clone()), Ok(json!({"spec": {}, "x": 1})));
    // deny([]): a denial without a cause is no answer.
    let deny = "(i32.store8 (i32.const 2048) (i32.const 1))";
    place.apply(place.policy("defaults", &guest::validation(deny), json!({"order": 1})));
    let denied = place.host.policies().review(question.clone(), facts.clone()).unwrap_err();
    assert!(matches!(&denied, ReviewError::PolicyFailed { policy, .. } if policy == "defaults"), "{denied}");
    place.apply(place.policy("defaults", &guest::validation(deny), json!({"order": 1, "onFailure": "fallback"})));
    assert_eq!(place.host.policies().review(question, facts), Ok(json!({"spec": {}})));
}
