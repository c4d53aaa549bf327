use expect_test::{Expect, expect};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::super::expectation::RawExpectation;
use super::*;

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn explanation() -> Explanation {
    read(json!({
        "pod": "s/p",
        "demands": [{
            "interface": "eth0", "family": 4, "origin": "cluster default",
            "candidates": [
                {"pool": "a", "admitted": [{"policy": "rack", "rank": 3}]},
                {"pool": "b", "refused": {"policy": "builtin-affinity", "reason": "it is for node n2"}},
                {"pool": "full", "admitted": [{"policy": "rack", "rank": 0}]},
            ],
            "plan": [{"pool": "a", "pick": "lowest"}],
            "skipped": [{"pool": "full", "reason": "all 9 addresses are held"}],
        }],
    }))
}

fn placement(expected: Value, refusal: Option<&Refusal>) -> Comparison {
    let expected = read::<RawExpectation>(expected).of_placement().unwrap();
    compare_placement(&expected, "rack", &explanation(), refusal)
}

#[track_caller]
fn differs(comparison: &Comparison, text: Expect) {
    assert!(!comparison.holds());
    text.assert_eq(&format!("{}---\n{}", comparison.expected, comparison.actual));
}

#[test]
fn what_holds_is_written_alike() {
    for expected in [
        json!({"verdicts": {"a": "admit", "b": {"refuse": "n2"}, "eth0/a": {"admit": 3}}}),
        json!({"verdicts": {"b": {"refuse": "builtin-affinity"}}}),
        json!({"skipped": {"full": "9 addresses"}, "plan": [{"family": 4, "pools": ["a"]}]}),
        json!({"plan": [{"interface": "eth0", "family": 4, "pools": [{"a": "lowest"}]}]}),
    ] {
        let comparison = placement(expected.clone(), None);
        assert!(comparison.holds(), "{expected}: {comparison:?}");
    }
}

#[test]
fn every_verdict_that_differs_says_what_it_is() {
    let comparison = placement(
        json!({"verdicts": {"a": {"admit": 4}, "b": "admit", "full": {"refuse": "x"}, "none": "admit", "net1/a": "admit"}}),
        None,
    );
    differs(
        &comparison,
        expect![[r#"
        verdicts:
          a: admit: 4
          b: admit
          full: refuse: x
          net1/a: admit
          none: admit
        ---
        verdicts:
          a: admit: 3
          b: refuse: it is for node n2 (by builtin-affinity)
          full: admit
          net1/a: not a candidate
          none: not a candidate
    "#]],
    );
}

#[test]
fn a_plan_is_compared_as_a_whole() {
    differs(
        &placement(json!({"plan": [{"family": 4, "pools": [{"a": "spread"}, "b"]}]}), None),
        expect![[r#"
        plan:
          eth0 IPv4:
          - a: spread
          - b
        ---
        plan:
          eth0 IPv4:
          - a: lowest
    "#]],
    );
    differs(
        &placement(json!({"plan": [{"interface": "net1", "family": 4, "pools": ["a"]}]}), None),
        expect![[r#"
        plan:
          net1 IPv4:
          - a
        ---
        plan:
          eth0 IPv4:
          - a: lowest
    "#]],
    );
    differs(
        &placement(json!({"skipped": {"a": ""}, "plan": [{"family": 4, "pools": ["a"]}]}), None),
        expect![[r#"
            skipped:
              a:
            plan:
              eth0 IPv4:
              - a
            ---
            skipped:
              a: not skipped
            plan:
              eth0 IPv4:
              - a
        "#]],
    );
}

#[test]
fn a_no_is_compared_with_a_no() {
    let no = Refusal { kind: "exhausted".to_owned(), message: "no address is left in a".to_owned() };
    assert!(placement(json!({"refusal": {"kind": "exhausted", "message": "left in a"}}), Some(&no)).holds());
    assert!(placement(json!({"refusal": {}}), Some(&no)).holds());
    differs(
        &placement(json!({"refusal": {"kind": "malformed"}}), Some(&no)),
        expect![[r#"
            refusal:
              kind: malformed
              message:
            ---
            refusal:
              kind: exhausted
              message:
        "#]],
    );
    differs(
        &placement(json!({"refusal": {}}), None),
        expect![[r#"
            refusal:
              message:
            ---
            refusal:
              message: none, there is a plan
        "#]],
    );
    differs(
        &placement(json!({"plan": [{"family": 4, "pools": ["a"]}]}), Some(&no)),
        expect![[r#"
        plan:
          eth0 IPv4:
          - a
        ---
        plan:
          none, refused (exhausted): no address is left in a
    "#]],
    );
}

#[test]
fn a_policy_that_breaks_is_never_what_was_expected() {
    let broken = Refusal { kind: Refusal::POLICY_FAILED.to_owned(), message: "rack ran out of fuel".to_owned() };
    differs(
        &placement(json!({"verdicts": {"a": "admit"}}), Some(&broken)),
        expect![[r#"
        verdicts:
          a: admit
        ---
        verdicts:
          a: admit
        refusal (policy-failed): rack ran out of fuel
    "#]],
    );
}

fn complaint(field: &str, kind: &str, message: &str) -> Complaint {
    Complaint { field: field.to_owned(), kind: kind.to_owned(), message: message.to_owned() }
}

#[test]
fn a_review_is_compared_by_fields_and_by_causes() {
    let review = |expected: Value, outcome: Result<Value, Vec<Complaint>>| {
        compare_review(&read::<RawExpectation>(expected).of_review().unwrap(), &outcome)
    };
    let object = json!({"spec": {"ips": ["a", "b"], "ipVersion": 4}, "kind": "K"});
    assert!(review(json!({"allow": {}}), Ok(object.clone())).holds());
    assert!(review(json!({"allow": {"spec": {"ips": ["a", "b"], "gateway": null}}}), Ok(object.clone())).holds());
    differs(
        &review(json!({"allow": {"spec": {"ips": ["a"], "ipVersion": 6}, "kind": "K"}}), Ok(object.clone())),
        expect![[r#"
            allow:
              kind: "K"
              spec.ipVersion: 6
              spec.ips: ["a"]
            ---
            allow:
              kind: "K"
              spec.ipVersion: 4
              spec.ips: ["a","b"]
        "#]],
    );
    let causes =
        vec![complaint("spec.ips[0]", "invalid", "300 is too much"), complaint("spec.gateway", "forbidden", "no")];
    let wanted =
        json!({"deny": [{"field": "spec.gateway"}, {"field": "spec.ips[0]", "kind": "invalid", "message": "300"}]});
    assert!(review(wanted.clone(), Err(causes.clone())).holds());
    differs(
        &review(wanted, Ok(object)),
        expect![[r#"
            deny:
              spec.gateway:
              spec.ips[0] (invalid): 300
            ---
            allow
        "#]],
    );
    differs(
        &review(json!({"deny": [{"field": "spec.ips[0]", "kind": "required"}]}), Err(causes.clone())),
        expect![[r#"
            deny:
              spec.ips[0] (required):
            ---
            deny:
              spec.ips[0] (invalid): 300 is too much
              spec.gateway (forbidden): no
        "#]],
    );
    differs(
        &review(json!({"allow": {}}), Err(causes)),
        expect![[r#"
        allow
        ---
        deny:
          spec.ips[0] (invalid): 300 is too much
          spec.gateway (forbidden): no
    "#]],
    );
}

#[test]
fn problems_with_settings_are_compared_by_field() {
    let refused = Some("it rejects its settings: rackLabel: is missing; speed: must be positive");
    let wanted = |field: &str, message: &str| {
        vec![ProblemExpectation { field: field.to_owned(), message: Some(message.to_owned()) }]
    };
    assert!(compare_problems(&wanted("rackLabel", "missing"), refused).holds());
    assert!(compare_problems(&wanted("speed", "positive"), refused).holds());
    assert!(compare_problems(&wanted("", "missing"), refused).holds());
    differs(
        &compare_problems(&wanted("label", "missing"), refused),
        expect![[r#"
        settings refused:
          label: missing
        ---
        settings refused:
          it rejects its settings: rackLabel: is missing; speed: must be positive
    "#]],
    );
    differs(
        &compare_problems(&wanted("speed", "missing"), refused),
        expect![[r#"
        settings refused:
          speed: missing
        ---
        settings refused:
          it rejects its settings: rackLabel: is missing; speed: must be positive
    "#]],
    );
    differs(
        &compare_problems(&wanted("rackLabel", "missing"), None),
        expect![[r#"
        settings refused:
          rackLabel: missing
        ---
        settings refused:
          no, the policy takes them
    "#]],
    );
}
