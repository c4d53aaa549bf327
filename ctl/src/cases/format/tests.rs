use std::time::Duration;

use spiderpool_runtime::types;

use super::super::expectation::FateExpectation;
use super::super::question::Question;
use super::*;

const POOL: &str = "\
- apiVersion: spiderpool.spidernet.io/v2beta1
  kind: SpiderIPPool
  metadata: {name: a}
  spec: {subnet: 10.0.0.0/24, ips: [10.0.0.1-10.0.0.9]}
";

fn parse(text: &str) -> Result<CaseFile, String> {
    CaseFile::parse(Path::new("f.yaml"), text).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(text: &str, wanted: &str) {
    let error = parse(text).expect_err(text);
    assert!(error.contains(wanted), "{error}\n  does not say\n{wanted}\n  about\n{text}");
}

#[test]
fn a_file_becomes_cases_with_their_lines() {
    let file = parse(&format!(
        "policy: {{name: rack, settings: {{a: 1}}}}\nobjects:\n{POOL}cases:\n- name: one\n  pod: {{metadata: {{name: p}}}}\n  \
         expect: {{verdicts: {{a: admit}}}}\n- name: two\n  settings: {{a: 2}}\n  expect: {{settings: [{{field: a}}]}}\n\
         - name: three\n  review: {{operation: delete, object: {{kind: K, metadata: {{name: n}}}}}}\n  expect: {{allow: {{}}}}\n"
    ))
    .unwrap();
    let shape: Vec<_> = file.cases.iter().map(|case| (case.name.as_str(), case.line)).collect();
    assert_eq!(shape, [("one", 8), ("two", 11), ("three", 14)]);
    assert!(matches!(file.cases[0].question, Question::Placement(..)));
    assert!(matches!(file.cases[1].question, Question::Settings(..)));
    assert!(matches!(file.cases[2].question, Question::Review(..)));
    let policy = file.policy.unwrap();
    let spec = policy.spec_with(Some(Path::new("x.wasm")), file.cases[1].settings.as_ref()).unwrap();
    assert_eq!((policy.name.as_str(), spec.order), ("rack", 100));
    assert_eq!(Value::Object(spec.settings), serde_json::json!({"a": 2}));
}

#[test]
fn nothing_is_not_a_test() {
    refused("cases: []", "f.yaml: `cases` is empty");
    refused("{}", "missing field `cases`");
    refused("cases:\n- name: a\n  expect: {}\n", "f.yaml:3: case \"a\": the case asks nothing");
    refused("cases:\n- name: a\n  pod: {}\n  expect: {}\n", "f.yaml:4: case \"a\": nothing is expected");
    refused(
        "cases:\n- name: a\n  review: {operation: delete, object: {kind: K, metadata: {name: n}}}\n  expect: {}\n",
        "f.yaml:4: case \"a\": write either `allow` or `deny`",
    );
}

#[test]
fn a_slip_of_the_pen_is_named_with_its_line() {
    let cases = "cases:\n- name: a\n  pod: {}\n  expect: {verdicts: {p: admit}}\n";
    refused(&format!("{cases}nodes: []\n"), "f.yaml:5: unknown field `nodes`");
    refused("cases:\n- name: a\n  pods: {}\n  expect: {verdicts: {p: admit}}\n", "f.yaml:3: unknown field `pods`");
    refused("cases:\n- name: a\n  pod: {}\n  expect:\n    verdict: {p: admit}\n", "f.yaml:5: unknown field `verdict`");
    refused("cases:\n- name: a\n  pod: {}\n  expect:\n    verdicts: {p: admitted}\n", "`admit`, `{admit: RANK}` or");
    refused(
        "cases:\n- name: a\n  pod: {}\n  expect:\n    verdicts: {p: {admit: 1, refuse: x}}\n",
        "beside another verdict",
    );
    refused("cases:\n- name: a\n  pod: {}\n  expect: {plan: [{family: 5, pools: [a]}]}\n", "5 is not an IP version");
    refused(
        &format!("{cases}objects:\n{}", POOL.replace("ips:", "ipz:")),
        "f.yaml:6: SpiderIPPool a: there is no field spec.ipz",
    );
    refused(
        "cases:\n- name: a\n  pod: {spec: {nodename: n}}\n  expect: {verdicts: {p: admit}}\n",
        "f.yaml:3: case \"a\": pod: there is no field spec.nodename",
    );
    refused(&format!("policy: {{oder: 1}}\n{cases}"), "f.yaml:1: policy: there is no field oder");
}

#[test]
fn questions_and_answers_go_together() {
    refused(
        "cases:\n- name: a\n  pod: {}\n  expect: {deny: [{field: x}]}\n",
        "f.yaml:4: case \"a\": `deny` is no answer about a `pod`",
    );
    refused(
        "cases:\n- name: a\n  review: {operation: delete, object: {kind: K, metadata: {name: n}}}\n  expect: {plan: []}\n",
        "f.yaml:4: case \"a\": `plan` is no answer to a `review`",
    );
    refused(
        "cases:\n- name: a\n  pod: {}\n  expect: {plan: [{family: 4, pools: [a]}], refusal: {}}\n",
        "cannot both be expected",
    );
    refused(
        "cases:\n- name: a\n  review: {operation: update, object: {kind: K, metadata: {name: n}}}\n  expect: {allow: {}}\n",
        "an update needs `review.old`",
    );
    refused(
        "cases:\n- name: a\n  pod: {}\n  expect: {refusal: {}}\n- name: a\n  pod: {}\n  expect: {refusal: {}}\n",
        "f.yaml:5: a case named \"a\" stands further up",
    );
}

#[test]
fn an_event_has_facts_of_its_own_and_is_about_a_pod() {
    let case = |more: &str, expect: &str| format!("cases:\n- name: a\n  {more}\n  expect: {{{expect}}}\n");
    let file = parse(&case(
        "pod: {metadata: {name: web-0, namespace: s}}\n  event: removed\n  interface: net1\n  podState: terminating\n  \
         owners: [{apiVersion: apps/v1, kind: StatefulSet, name: web, uid: u, now: {found: {ordinals: {replicas: 3}}}},\n    \
         {apiVersion: db/v1, kind: Shard, name: s, now: missing}]",
        "retention: {after: 1h 30m}, reason: x",
    ));
    let Question::Departure(departure, expected) = &file.unwrap().cases[0].question else { panic!("no event") };
    assert_eq!(departure.event, types::Event::Removed("net1".to_owned()));
    let holder = &departure.holder;
    assert_eq!((&*holder.context.pod.name, holder.state), ("web-0", types::PodState::Terminating));
    assert_eq!(holder.context.pod.owners.len(), 2);
    let types::Finding::Found(set) = &holder.owners[0].now else { panic!("{:?}", holder.owners) };
    assert_eq!((&*set.uid, set.ordinals), ("u", Some(types::Ordinals { start: 0, replicas: 3 })));
    assert_eq!(holder.owners[1].now, types::Finding::Missing);
    assert_eq!(expected.fate, FateExpectation::After(Duration::from_secs(5400)));

    refused(&case("event: gone", "retention: keep"), "an `event` happens to a `pod`; write one");
    refused(
        &case("pod: {}\n  owners: [{apiVersion: a, kind: b, name: c}]", "refusal: {}"),
        "are for an `event`; write one",
    );
    refused(&case("pod: {}\n  event: left", "retention: keep"), "f.yaml:4: unknown variant `left`");
    refused(&case("pod: {}\n  event: gone", "refusal: {}"), "`refusal` is no answer to an `event`; write `retention`");
    refused(&case("pod: {}\n  event: gone", "reason: x"), "write `retention`: `keep`, `release` or `{after: 10m}`");
    refused(&case("pod: {}\n  event: gone", "retention: {after: soon}"), "write for instance 10m");
    refused(&case("pod: {}", "retention: keep"), "`retention` is no answer about a `pod`");
    refused(
        &case("event: {returned: {metadata: {nam: x}}}\n  pod: {}", "retention: keep"),
        "event.returned: pod: there is no field metadata.nam",
    );
    let owned = "pod: {metadata: {ownerReferences: [{apiVersion: a, kind: b, name: c, uid: d, controller: true}]}}";
    refused(&case(&format!("{owned}\n  event: gone"), "retention: keep"), "under `owners`");
    refused(
        &case(
            "pod: {}\n  event: gone\n  owners: [{apiVersion: a, kind: b, name: c, now: {found: {replicas: 1}}}]",
            "retention: keep",
        ),
        "unknown field `replicas`",
    );
}

#[test]
fn objects_are_checked_before_anything_is_asked() {
    let case =
        |more: &str| format!("objects:\n{POOL}cases:\n- name: c\n  pod: {{}}\n  expect: {{refusal: {{}}}}\n{more}");
    refused(&case("  used: {b: [10.0.0.1]}\n"), "f.yaml:7: case \"c\": used: pool b is not among the objects");
    refused(
        &case("  used: {a: [10.0.0.5-10.0.0.12]}\n"),
        "used: pool a does not have 10.0.0.10-10.0.0.12; it has 10.0.0.1-10.0.0.9",
    );
    refused(
        &case("  objects: [{apiVersion: v1, kind: Secret, metadata: {name: s}}]\n"),
        "kind \"Secret\", which no case needs",
    );
    refused(&case("  objects: [{apiVersion: v1, kind: Node}]\n"), "an object of kind Node has no metadata.name");
    let host_bits = "{apiVersion: spiderpool.spidernet.io/v2beta1, kind: SpiderIPPool, metadata: {name: a}, \
                     spec: {subnet: 10.0.0.7/24}}";
    refused(&case(&format!("  objects: [{host_bits}]\n")), "please change it to 10.0.0.0/24");
}

#[test]
fn a_component_must_come_from_somewhere() {
    let error = PolicyUnderTest::unnamed().spec_with(None, None).unwrap_err();
    assert!(error.contains("--policy FILE.wasm"), "{error}");
}
