//! The program with real components in the real sandbox.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A program built by cargo stands in a folder of the target folder; components are in its folder `policies`.
fn component(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_spiderpoolctl"));
    let folder = program.parent().expect("a folder of programs");
    let compiler = folder.join("spiderpool-policy-compiler");
    assert!(compiler.is_file(), "{} is missing; run: cargo build -p spiderpool-policy-compiler", compiler.display());
    let file = folder.parent().expect("a target folder").join("policies").join(name).with_extension("wasm");
    assert!(file.is_file(), "{} is missing; run: cargo xtask guests", file.display());
    file
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn ctl(arguments: &[&Path]) -> (Option<i32>, String, String) {
    let cache = tempfile::tempdir().expect("a temporary folder");
    component("builtin-affinity");
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_spiderpoolctl"))
        .args(arguments)
        .env("XDG_CACHE_HOME", cache.path())
        .env_remove("SPIDERPOOL_BUILTIN_POLICIES")
        .env_remove("SPIDERPOOL_POLICY_COMPILER")
        .output()
        .expect("the program starts");
    (status.code(), String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned())
}

#[track_caller]
fn all_cases_pass(folder: &str, policy: Option<&str>) {
    let folder = repository(folder);
    let mut arguments: Vec<PathBuf> = ["policy", "test"].map(PathBuf::from).to_vec();
    arguments.push(folder);
    if let Some(policy) = policy {
        arguments.extend([PathBuf::from("--policy"), component(policy)]);
    }
    let (code, stdout, stderr) = ctl(&arguments.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(stdout.contains(", 0 failed"), "{stdout}");
}

#[test]
fn the_affinity_cases_pass() {
    all_cases_pass("policies/affinity/cases", None);
}

#[test]
fn the_allocation_cases_pass() {
    all_cases_pass("policies/allocation/cases", None);
}

#[test]
fn the_validation_cases_pass() {
    all_cases_pass("policies/validation/cases", None);
}

#[test]
fn the_retention_cases_pass() {
    all_cases_pass("policies/retention/cases", Some("builtin-retention"));
}

#[test]
fn the_example_passes_its_cases() {
    all_cases_pass("policies/examples/rack-and-octet/cases", Some("rack-and-octet"));
}

const CASES: &str = "\
objects:
- apiVersion: spiderpool.spidernet.io/v2beta1
  kind: SpiderIPPool
  metadata: {name: a}
  spec: {default: true, subnet: 10.0.0.0/24, ips: [10.0.0.1-10.0.0.9]}
cases:
- name: what holds
  pod: {metadata: {name: p, namespace: s}}
  expect: {plan: [{family: 4, pools: [a: lowest]}]}
- name: what does not
  pod: {metadata: {name: p, namespace: s}}
  expect: {plan: [{family: 4, pools: [a: spread]}]}
";

#[test]
fn a_case_that_fails_is_shown_and_told_by_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cases.yaml"), CASES).unwrap();
    let test = ["policy", "test"].map(Path::new);
    let (code, stdout, stderr) = ctl(&[test[0], test[1], folder.path()]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    for part in ["ok    what holds", "FAIL  what does not", "-   - a: spread", "+   - a: lowest", "1 passed, 1 failed"]
    {
        assert!(stdout.contains(part), "{part:?} is missing in\n{stdout}{stderr}");
    }
    let filter = ["--filter", "what holds"].map(Path::new);
    let (code, stdout, _) = ctl(&[test[0], test[1], folder.path(), filter[0], filter[1]]);
    assert_eq!((code, stdout.contains("1 passed, 0 failed")), (Some(0), true), "{stdout}");
    let (code, _, stderr) = ctl(&[test[0], test[1], folder.path(), filter[0], Path::new("nothing")]);
    assert_eq!((code, stderr.contains("has \"nothing\" in its name")), (Some(1), true), "{stderr}");
    let (code, stdout, _) = ctl(&[test[0], test[1], folder.path(), Path::new("-ojson")]);
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &report["passed"], &report["failed"]), (Some(1), &1.into(), &1.into()));
}

#[test]
fn a_component_is_inspected() {
    let inspect = ["policy", "inspect"].map(Path::new);
    let (code, stdout, stderr) = ctl(&[inspect[0], inspect[1], &component("rack-and-octet")]);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    for part in ["spiderpool:policy/affinity@0.1.0: judge", "imports   nothing", "An agent of this version takes it."] {
        assert!(stdout.contains(part), "{part:?} is missing in\n{stdout}");
    }
    let (code, _, stderr) = ctl(&[inspect[0], inspect[1], &repository("docs/policies.md")]);
    assert_eq!((code, stderr.contains("it is not WebAssembly")), (Some(1), true), "{stderr}");
}

#[test]
fn wrong_usage_has_a_code_of_its_own() {
    let (code, _, stderr) = ctl(&["explain", "no-namespace"].map(Path::new));
    assert_eq!((code, stderr.contains("write the namespace and the name, for instance shop/web-0")), (Some(2), true));
}
