//! The table of cases is held against the tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// `fn` names of the Rust files below a folder.
fn tests_below(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text.lines().filter_map(|line| line.trim().trim_start_matches("async ").strip_prefix("fn "));
            found.extend(names.filter_map(|rest| rest.split('(').next()).map(str::to_owned));
        }
    }
}

/// The ids that a test's name begins with, such as `d00009` and `d00010`.
fn ids(test: &str) -> impl Iterator<Item = &str> {
    let is_id = |word: &&str| word.len() == 6 && word[1..].bytes().all(|byte| byte.is_ascii_digit());
    test.split('_').take_while(is_id)
}

#[test]
fn every_case_names_a_test_that_exists_or_says_that_none_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeSet::new();
    tests_below(&root.join("tests"), &mut tests);
    let table = fs::read_to_string(root.join("cases/ipam.md")).unwrap();
    let mut listed = BTreeSet::new();
    for line in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| id ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, what, result, by] = cells[..] else { panic!("four cells: {line}") };
        assert!(listed.insert(id.to_lowercase()), "{id} twice");
        let named: Vec<&str> = by.split('`').skip(1).step_by(2).collect();
        match result {
            "held" | "in part" => {
                assert!(!named.is_empty(), "{id} names no test");
                for test in named {
                    assert!(tests.contains(test), "{id}: there is no test {test}");
                }
            }
            "not covered" | "does not apply" => {
                assert!(!by.is_empty() && named.is_empty(), "{id}: say why, and name no test")
            }
            other => panic!("{id}: {other:?} is no result"),
        }
        assert!(!what.is_empty());
    }
    for test in &tests {
        for id in ids(test) {
            assert!(listed.contains(id), "{test} has no row for {id}");
        }
    }
}
