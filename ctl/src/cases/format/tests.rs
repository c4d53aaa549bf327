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
