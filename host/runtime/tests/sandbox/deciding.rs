//! The rules of a decision that are the host's own: which pools the sources of a demand lead to, which of them need no
//! judge, and how a refusal reads. The built-in policies do the rest.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};
use spiderpool_crd::SpiderIPPool;
use spiderpool_ip::{Family, IpSet};
use spiderpool_runtime::types::RefusalKind;
use spiderpool_runtime::{
    DecideCause, DecideError, Decision, HostConfig, PolicyHost, PoolIndex, Question, Room, types,
};
use spiderpool_wire::explain::Verdict;

use crate::place::{self, compiler};

/// The built-in policies, once for all tests here: they keep nothing between calls.
static HOST: LazyLock<PolicyHost> = LazyLock::new(|| {
    let policies = compiler().ancestors().nth(2).unwrap().join("policies");
    assert!(policies.join("builtin-affinity.wasm").exists(), "{} is empty: cargo xtask guests", policies.display());
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("deciding");
    PolicyHost::open(HostConfig::new(policies, cache, compiler())).unwrap()
});

/// A pool of 10.N.0.0/16, or of fd00:N::/64, with `more` in its object.
fn pool(name: &str, family: Family, number: u8, more: Value) -> (SpiderIPPool, IpSet) {
    let (subnet, ips) = match family {
        Family::V4 => (format!("10.{number}.0.0/16"), format!("10.{number}.0.10-10.{number}.0.20")),
        Family::V6 => (format!("fd00:{number}::/64"), format!("fd00:{number}::10-fd00:{number}::20")),
    };
    let mut object = json!({
        "apiVersion": "spiderpool.spidernet.io/v2beta1", "kind": "SpiderIPPool",
        "metadata": {"name": name}, "spec": {"subnet": subnet, "ips": [ips]},
    });
    for part in ["metadata", "spec"] {
        let more = more[part].as_object().cloned().unwrap_or_default();
        object[part].as_object_mut().unwrap().extend(more);
    }
    (serde_json::from_value(object).unwrap(), IpSet::parse(family, [ips.as_str()]).unwrap())
}

/// IPv4: red-1, red-2, blue-1, the default pool plain, and off, going and foreign, which serve nobody here. IPv6: six.
fn question() -> Question {
    let of = |name, number, more| pool(name, Family::V4, number, more);
    let pools = [
        of("red-1", 1, json!({})),
        of("red-2", 2, json!({})),
        of("blue-1", 3, json!({})),
        of("plain", 4, json!({"spec": {"default": true}})),
        of("off", 5, json!({"spec": {"disable": true}})),
        of("going", 6, json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})),
        of("foreign", 7, json!({"spec": {"nodeName": ["elsewhere"]}})),
        pool("six", Family::V6, 8, json!({})),
    ];
    let mut question = place::question("web-0");
    question.pools = Arc::new(PoolIndex::new(pools.iter().map(|(object, usable)| (object, usable.clone()))));
    question.context.cluster.families = vec![types::Family::Ipv4, types::Family::Ipv6];
    question
}

/// A question whose pod names its pools.
fn naming(pools: Value) -> Question {
    let mut question = question();
    question.context.pod.annotations = vec![("ipam.spidernet.io/ippool".into(), pools.to_string())];
    question
}

fn decide(question: &Question) -> Result<Decision, DecideError> {
    HOST.policies().decide(question)
}

/// The pools that are tried: per step, in order.
fn tried(question: &Question) -> Vec<(Family, Vec<String>)> {
    let steps = decide(question).unwrap().steps;
    let names = |choices: Vec<(String, _)>| choices.into_iter().map(|(pool, _)| pool).collect();
    steps.into_iter().map(|step| (step.family, names(step.choices))).collect()
}

fn v4(pools: &[&str]) -> (Family, Vec<String>) {
    (Family::V4, pools.iter().map(|&pool| pool.to_owned()).collect())
}

/// The error's text, the same in the explanation.
fn refused(question: &Question) -> (DecideCause, String) {
    let DecideError { cause, explanation } = decide(question).unwrap_err();
    let text = cause.to_string();
    assert_eq!(explanation.refusal.as_ref(), Some(&text));
    (cause, text)
}

#[test]
fn pools_are_tried_in_the_order_written() {
    for order in [["red-2", "blue-1", "red-1"], ["blue-1", "red-1", "red-2"]] {
        assert_eq!(tried(&naming(json!({"ipv4": order}))), [v4(&order)]);
    }
}

#[test]
fn patterns_find_pools_of_their_family_by_name_each_once() {
    assert_eq!(tried(&naming(json!({"ipv4": ["red-*"]}))), [v4(&["red-1", "red-2"])]);
    assert_eq!(tried(&naming(json!({"ipv4": ["red-2", "*-[12]", "red-?"]}))), [v4(&["red-2", "blue-1", "red-1"])]);
    // The pattern is six's name, which is of the other family.
    let decision = decide(&naming(json!({"ipv4": ["s*", "plain"]}))).unwrap();
    assert_eq!(decision.explanation.demands[0].candidates.len(), 1);
}

#[test]
fn a_demand_that_finds_no_pool_is_dropped_as_long_as_another_is_left() {
    // No default pool has IPv6 addresses.
    assert_eq!(tried(&question()), [v4(&["plain"])]);
    assert_eq!(tried(&naming(json!({"ipv4": ["red-1"], "ipv6": ["none-*"]}))), [v4(&["red-1"])]);
    let both = tried(&naming(json!({"ipv4": ["red-1"], "ipv6": ["s*"]})));
    assert_eq!(both, [v4(&["red-1"]), (Family::V6, vec!["six".into()])]);
}

#[test]
fn finding_no_pool_at_all_names_where_was_looked_and_what_to_do() {
    let (cause, text) = refused(&naming(json!({"ipv4": ["none-*"], "ipv6": ["none-*"]})));
    assert!(matches!(cause, DecideCause::NoCandidates(_)), "{cause:?}");
    assert!(text.starts_with("no IPPool available, no pool selection rules of any type are specified"), "{text}");
    assert!(text.contains("pod annotation ipam.spidernet.io/ippool") && text.contains("spec.default"), "{text}");
}

#[test]
fn an_unknown_pool_is_named_with_its_place_and_what_there_is() {
    let (cause, text) = refused(&naming(json!({"ipv4": ["red-1", "red-3"]})));
    let DecideCause::UnknownPool { pool, origin, hint } = cause else { panic!("{cause:?}") };
    assert_eq!((&*pool, &*origin), ("red-3", "pod annotation ipam.spidernet.io/ippool"));
    assert!(hint.starts_with("there are for instance red-1, red-2, "), "{hint}");
    assert!(text.starts_with("IPPool red-3 does not exist (named by pod annotation"), "{text}");
    let mut empty = naming(json!({"ipv4": ["red-1"]}));
    empty.pools = Arc::default();
    assert!(refused(&empty).1.ends_with("there is no IPPool at all"));
}

#[test]
fn pools_that_serve_nobody_are_passed_over_and_explained() {
    let all = ["off", "going", "six", "foreign", "red-1"];
    let question = naming(json!({"ipv4": all}));
    assert_eq!(tried(&question), [v4(&["red-1"])]);
    let explanation = decide(&question).unwrap().explanation;
    let reasons = explanation.demands[0].candidates.iter().map(|candidate| match &candidate.verdict {
        Verdict::Refused(refusal) => (&*candidate.pool, refusal.policy.as_deref(), &*refusal.reason),
        Verdict::Admitted(_) => (&*candidate.pool, None, "admitted"),
    });
    let reasons: Vec<(&str, Option<&str>, &str)> = reasons.collect();
    assert_eq!(reasons[0], ("off", None, "it is disabled (spec.disable)"));
    assert_eq!(reasons[1], ("going", None, "it is being deleted"));
    assert_eq!(reasons[2], ("six", None, "it is an IPv6 pool; list it under that family"));
    assert_eq!((reasons[3].0, reasons[3].1), ("foreign", Some("builtin-affinity")));
    assert_eq!(reasons[4], ("red-1", None, "admitted"));
}

#[test]
fn when_all_pools_are_refused_each_is_named_with_its_reason() {
    let (cause, text) = refused(&naming(json!({"ipv4": ["off", "foreign"]})));
    let DecideCause::AllRefused { nic, family, pools, reasons } = cause else { panic!("{cause:?}") };
    assert_eq!((&*nic, family, reasons.len()), ("eth0", Family::V4, 2));
    assert_eq!(pools, ["off", "foreign"]);
    let beginning = "no IPPool available, all IPv4 IPPools [off, foreign] of eth0 filtered out: \
                     off: it is disabled (spec.disable); foreign: ";
    assert!(text.starts_with(beginning) && text.contains("elsewhere"), "{text}");
}

#[test]
fn one_family_without_a_pool_stops_the_other_too() {
    let (cause, _) = refused(&naming(json!({"ipv4": ["red-1"], "ipv6": ["red-2"]})));
    assert!(matches!(cause, DecideCause::AllRefused { family: Family::V6, .. }), "{cause:?}");
}

#[test]
fn a_refusal_of_the_allocation_policy_is_told_apart_by_whether_to_try_again() {
    let (cause, _) = refused(&naming(json!({"ipv4": "red-1"})));
    assert!(matches!(&cause, DecideCause::Refused { policy, kind: RefusalKind::Malformed(key), .. }
        if policy == "builtin-allocation" && key == "ipam.spidernet.io/ippool"));
    let mut full = naming(json!({"ipv4": ["red-1"]}));
    full.room = Box::new(|_| Room { total: 11, free: 0 });
    let (cause, text) = refused(&full);
    assert!(matches!(cause, DecideCause::Refused { kind: RefusalKind::Exhausted, .. }), "{cause:?}");
    assert!(text.contains("red-1: all 11 addresses of the pool are in use"), "{text}");
}

#[test]
fn the_parent_device_is_looked_at_only_when_it_counts() {
    let mut question = naming(json!({"ipv4": ["red-*"]}));
    question.masters = Box::new(|nic| panic!("{nic} was looked at"));
    assert_eq!(tried(&question), [v4(&["red-1", "red-2"])]);
    question.cni.match_master_subnet = true;
    question.masters = Box::new(|_| Ok(vec![IpAddr::V4(Ipv4Addr::new(10, 2, 9, 9))]));
    assert_eq!(tried(&question), [v4(&["red-2"])]);
    question.masters = Box::new(|_| Err("no such device".into()));
    let text = refused(&question).1;
    assert_eq!(text, "the parent device of eth0 cannot be matched with pools: no such device");
}

#[test]
fn the_same_question_has_the_same_answer() {
    let question = naming(json!({"ipv4": ["red-*", "blue-1", "foreign"]}));
    let first = decide(&question).unwrap();
    assert!((0..20).all(|_| decide(&question).unwrap() == first));
}
