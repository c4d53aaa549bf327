//! The tables of cases and of races are held against the tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use spiderpool_tests::Engine;

/// The modules whose tests `docs/races.md` lists.
const RACES: [&str; 2] = ["semantics/interrupted.rs", "semantics/races.rs"];

/// A test, by where it is and on which engines it runs.
struct Test {
    file: String,
    on: Vec<Engine>,
}

/// The tests below a folder, by name; `fn`s beside them are harmless.
fn tests_below(root: &Path, folder: &Path, shared: &str, found: &mut BTreeMap<String, Vec<Test>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(root, &path, shared, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.strip_prefix(root).unwrap().display().to_string();
            let on = if file.starts_with("cluster_") {
                vec![Engine::Kube]
            } else if shared.contains(&format!("\"../{file}\"")) {
                vec![Engine::Local, Engine::Kube]
            } else {
                vec![Engine::Local]
            };
            let text = fs::read_to_string(&path).unwrap();
            let names = text.lines().filter_map(|line| line.trim().trim_start_matches("async ").strip_prefix("fn "));
            for name in names.filter_map(|rest| rest.split('(').next()) {
                found.entry(name.to_owned()).or_default().push(Test { file: file.clone(), on: on.clone() });
            }
        }
    }
}

fn all_tests() -> BTreeMap<String, Vec<Test>> {
    let root = manifest_dir().join("tests");
    let shared = fs::read_to_string(root.join("cluster_semantics/main.rs")).unwrap();
    let mut tests = BTreeMap::new();
    tests_below(&root, &root, &shared, &mut tests);
    tests
}

fn manifest_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows of a table, without its head.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with("| "));
    lines.skip(1).map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// What stands between backticks.
fn named(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Where these tests run, in the words of the table.
fn places(names: &[&str], tests: &BTreeMap<String, Vec<Test>>) -> &'static str {
    let on: Vec<Engine> = names.iter().flat_map(|name| &tests[*name]).flat_map(|test| test.on.clone()).collect();
    match (on.contains(&Engine::Local), on.contains(&Engine::Kube)) {
        (true, true) => "both",
        (true, false) => "local",
        (false, _) => "kube",
    }
}

/// The ids that a test's name begins with, such as `d00009` and `d00010`.
fn ids(test: &str) -> impl Iterator<Item = &str> {
    let is_id = |word: &&str| word.len() == 6 && word[1..].bytes().all(|byte| byte.is_ascii_digit());
    test.split('_').take_while(is_id)
}

#[test]
fn every_case_names_a_test_that_exists_and_says_where_it_runs_or_says_that_none_does() {
    let tests = all_tests();
    let table = fs::read_to_string(manifest_dir().join("cases/ipam.md")).unwrap();
    let mut listed = BTreeSet::new();
    for row in rows(&table) {
        let [id, what, result, on, by] = row[..] else { panic!("five cells: {row:?}") };
        assert!(listed.insert(id.to_lowercase()), "{id} twice");
        assert!(!what.is_empty(), "{id}: what?");
        let named = named(by);
        match result {
            "held" | "in part" => {
                assert!(!named.is_empty(), "{id} names no test");
                for test in &named {
                    assert!(tests.contains_key(*test), "{id}: there is no test {test}");
                }
                assert_eq!(on, places(&named, &tests), "{id}: where its tests run");
                assert!(on == "both" || by.contains('('), "{id}: say in brackets why on {on} alone");
            }
            "not covered" | "does not apply" => {
                assert!(!by.is_empty() && named.is_empty() && on == "–", "{id}: say why, and name no test")
            }
            other => panic!("{id}: {other:?} is no result"),
        }
    }
    for test in tests.keys() {
        for id in ids(test) {
            assert!(listed.contains(id), "{test} has no row for {id}");
        }
    }
}

#[test]
fn every_race_is_tested_on_both_engines_and_every_test_of_one_is_listed() {
    let tests = all_tests();
    let table = fs::read_to_string(manifest_dir().join("../docs/races.md")).unwrap();
    let mut listed = BTreeSet::new();
    for row in rows(&table) {
        let [what, happens, seen, by] = row[..] else { panic!("four cells: {row:?}") };
        assert!(!happens.is_empty() && !seen.is_empty(), "{what}: what happens, and what does one see?");
        let named = named(by);
        assert!(!named.is_empty(), "{what} names no test");
        for test in named {
            assert!(tests.contains_key(test), "{what}: there is no test {test}");
            assert_eq!(places(&[test], &tests), "both", "{what}: {test} runs on one engine alone");
            listed.insert(test);
        }
    }
    let is_race = |test: &Test| RACES.contains(&test.file.as_str());
    for race in RACES {
        let text = fs::read_to_string(manifest_dir().join("tests").join(race)).unwrap();
        let names = text.split("#[test]\nfn ").skip(1).filter_map(|rest| rest.split('(').next());
        for test in names {
            assert!(tests[test].iter().any(is_race) && listed.contains(test), "{test} has no row in docs/races.md");
        }
    }
}
