use expect_test::expect;

use super::*;

fn result(name: &str, expected: &str, actual: &str) -> CaseResult {
    let comparison = Comparison { expected: expected.to_owned(), actual: actual.to_owned() };
    CaseResult::new(name, 12, Duration::from_micros(345), &comparison)
}

#[test]
fn a_failed_case_shows_what_differs_among_what_does_not() {
    let results = vec![
        result("a node in the zone", "verdicts:\n  a: admit\n", "verdicts:\n  a: admit\n"),
        result(
            "another node",
            "verdicts:\n  a: admit\n  b: refuse: zone\n",
            "verdicts:\n  a: refuse: it is full (by rack)\n  b: refuse: zone\n",
        ),
    ];
    let text = layout(Path::new("cases/node.yaml"), &results, false);
    let mut report = Report::default();
    report.add(Path::new("cases/node.yaml"), results);
    expect![[r#"
        cases/node.yaml
          ok    a node in the zone     345 µs
          FAIL  another node           345 µs
                cases/node.yaml:12    - expected  + actual
                  verdicts:
                -   a: admit
                +   a: refuse: it is full (by rack)
                    b: refuse: zone

        1 passed, 1 failed (0.4 s)
    "#]]
    .assert_eq(&(text + &report.summary(Duration::from_millis(421))));
}

#[test]
fn programs_get_the_same_as_json() {
    let mut report = Report::default();
    report.add(Path::new("a.yaml"), vec![result("x", "a\n", "b\n"), result("y", "a\n", "a\n")]);
    expect![[r#"{"passed":1,"failed":1,"files":[{"file":"a.yaml","cases":[{"name":"x","line":12,"ok":false,"microseconds":345,"difference":"- a\n+ b\n"},{"name":"y","line":12,"ok":true,"microseconds":345}]}]}"#]].assert_eq(&serde_json::to_string(&report).unwrap());
}

#[test]
fn colours_are_for_terminals() {
    let text = layout(Path::new("a.yaml"), &[result("x", "a\n", "b\n")], true);
    assert!(text.contains("\u{1b}[31mFAIL\u{1b}[0m") && text.contains("\u{1b}[32m+ b\u{1b}[0m"), "{text:?}");
}
