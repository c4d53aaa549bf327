//! What is accepted as a policy, and how a refusal reads.

use serde_json::json;
use spiderpool_runtime::{PolicyHost, inspect};
use spiderpool_wire::summary::PolicyPhase;

use crate::guest::{self, affinity_module, component, contract, retention_module};
use crate::place::{Place, config};

/// The component is refused for `expected`, and nothing else changes.
#[track_caller]
fn refused(wasm: &[u8], spec: serde_json::Value, expected: &str) {
    let place = Place::new();
    let mut spec = spec;
    spec["onFailure"] = "fallback".into();
    let summary = place.apply(place.policy("new", wasm, spec));
    assert_eq!(summary.phase, PolicyPhase::Failed);
    assert!(summary.message.contains(expected), "{}", summary.message);
    assert!(summary.message.ends_with("; decisions go on without it"), "{}", summary.message);
    assert_eq!(place.decide("web-10"), Ok(vec!["a".into()]));
}

#[test]
fn what_is_not_webassembly_is_refused() {
    refused(b"", json!({}), "it is not WebAssembly");
    refused(b"#!/bin/sh", json!({}), "it is not WebAssembly");
}

#[test]
fn a_core_module_is_refused_with_the_way_out() {
    refused(
        &wat::parse_str("(module)").unwrap(),
        json!({}),
        "not a component; make it one with `wasm-tools component new`",
    );
}

#[test]
fn a_broken_component_is_refused() {
    let whole = guest::affinity("");
    refused(&whole[..whole.len() / 2], json!({}), "it is not a valid component");
}

#[test]
fn a_component_without_a_known_interface_is_refused() {
    refused(
        &wat::parse_str("(component)").unwrap(),
        json!({}),
        "exports no interface of spiderpool:policy (found: nothing)",
    );
    let other = contract() + "\nworld settings-alone { export settings; }";
    let settings = affinity_module("").replace(r#"(export "spiderpool:policy/affinity@0.1.0#judge")"#, "");
    let settings = component(&other, "settings-alone", &settings);
    refused(&settings, json!({}), "(found: spiderpool:policy/settings@0.1.0)");
}

#[test]
fn another_version_of_the_contract_is_refused() {
    let (new, module) = (contract(), affinity_module(""));
    let later = component(
        &new.replace("policy@0.1.0;", "policy@0.2.0;"),
        "affinity-policy",
        &module.replace("@0.1.0#", "@0.2.0#"),
    );
    refused(&later, json!({}), "@0.2.0; this host serves spiderpool:policy@0.1: build it against that version");
}

#[test]
fn a_later_release_of_the_same_version_is_served() {
    let place = Place::new();
    let (new, module) = (contract(), affinity_module(""));
    let later = component(
        &new.replace("policy@0.1.0;", "policy@0.1.7;"),
        "affinity-policy",
        &module.replace("@0.1.0#", "@0.1.7#"),
    );
    let summary = place.apply(place.policy("new", &later, json!({})));
    assert_eq!((summary.phase, summary.contract_version.as_deref()), (PolicyPhase::Ready, Some("0.1.7")));
}

#[test]
fn records_of_another_shape_are_refused() {
    let wider = contract().replace("    is-default: bool,", "    is-default: bool,\n    is-new: bool,");
    let wider = component(&wider, "affinity-policy", &affinity_module(""));
    refused(&wider, json!({}), "its affinity.judge has another shape than the contract's");
}

#[test]
fn imports_are_refused_by_name() {
    let nosy = contract()
        + "\ninterface outside { now: func() -> u64; }\nworld nosy { import outside; include affinity-policy; }";
    let module = affinity_module("(drop (call $now))")
        .replace("(module", r#"(module (import "spiderpool:policy/outside@0.1.0" "now" (func $now (result i64)))"#);
    refused(
        &component(&nosy, "nosy", &module),
        json!({}),
        "it imports spiderpool:policy/outside@0.1.0#now; policies get everything",
    );
}

#[test]
fn resources_are_refused_by_name() {
    let nosy = contract()
        + "\ninterface outside { resource socket; }\nworld nosy { import outside; include affinity-policy; }";
    let module = affinity_module("(call $drop (i32.const 0))").replace(
        "(module",
        r#"(module (import "spiderpool:policy/outside@0.1.0" "[resource-drop]socket" (func $drop (param i32)))"#,
    );
    refused(&component(&nosy, "nosy", &module), json!({}), "it imports spiderpool:policy/outside@0.1.0#socket");
}

#[test]
fn a_policy_that_fails_its_trial_is_refused() {
    let broken = affinity_module("").replace("i32.load offset=180", "unreachable i32.load offset=180");
    let broken = broken.replace("(unreachable i32.load offset=180 (local.get 0))", "(unreachable)");
    refused(
        &component(&contract(), "affinity-policy", &broken),
        json!({}),
        "fails when it is tried: affinity.judge: it trapped: it panicked",
    );
    let broken = component(&contract(), "retention-policy", &retention_module("(unreachable)"));
    refused(&broken, json!({}), "fails when it is tried: retention.keep: it trapped: it panicked");
}

#[test]
fn settings_are_judged_by_the_policy() {
    // err([{field: "rank", message: "no"}])
    let picky = affinity_module("").replace(
        r#"(param i32 i32) (result i32) (i32.const 1024))"#,
        r#"(param i32 i32) (result i32)
             (i32.store8 (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1028) (i32.const 1040)) (i32.store (i32.const 1032) (i32.const 1))
             (i32.store (i32.const 1040) (i32.const 1100)) (i32.store (i32.const 1044) (i32.const 4))
             (i32.store (i32.const 1048) (i32.const 1104)) (i32.store (i32.const 1052) (i32.const 2))
             (i32.store (i32.const 1100) (i32.const 0x6b6e6172)) (i32.store (i32.const 1104) (i32.const 0x6f6e))
             (i32.const 1024))"#,
    );
    refused(&component(&contract(), "affinity-policy", &picky), json!({}), "it rejects its settings: rank: no");
}

#[test]
fn wishes_of_the_spec_that_cannot_be_met_are_refused() {
    let good = guest::affinity("");
    let digest = format!("sha256:{}", "0".repeat(64));
    refused(&good, json!({"digest": digest}), "its digest is sha256:");
    refused(
        &good,
        json!({"extensionPoints": ["validation"]}),
        "does not export validation, which spec.extensionPoints names",
    );
    refused(&good, json!({"limits": {"memoryMiB": 257}}), "limits.memoryMiB is 257; at most 256 is allowed");
    refused(&good, json!({"limits": {"fuel": 0}}), "limits.fuel is 0");
}

#[test]
fn sources_and_names_that_are_not_served_are_refused() {
    let place = Place::new();
    let mut policy = place.policy("new", &guest::affinity(""), json!({}));
    policy.spec.source = serde_json::from_value(json!({"oci": "registry.example/new:1"})).unwrap();
    assert!(place.apply(policy).message.contains("source.oci is not served here; use source.file"));
    let mut missing = place.policy("new", b"", json!({}));
    missing.spec.source = serde_json::from_value(json!({"file": "nowhere.wasm"})).unwrap();
    assert!(place.apply(missing).message.contains("nowhere.wasm: No such file"));
    let taken = place.policy("builtin-affinity", &guest::affinity("(unreachable)"), json!({}));
    let summaries = place.host.apply(vec![taken]);
    assert!(summaries.iter().any(|summary| summary.message.contains("the name is taken by a built-in policy")));
    assert_eq!(summaries.iter().filter(|summary| summary.phase == PolicyPhase::Ready).count(), 4);
}

#[test]
fn a_component_that_cannot_be_compiled_is_refused_with_the_compilers_words() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(place.path().join("builtin"), folder.path().join("builtin")).unwrap();
    let mut config = crate::place::config(folder.path());
    config.compiler = folder.path().join("nowhere");
    let error = spiderpool_runtime::PolicyHost::open(config).map(drop).unwrap_err().to_string();
    assert!(
        error.contains("nowhere: No such file or directory") && error.contains("builtin-allocation.wasm"),
        "{error}"
    );
}

#[test]
fn inspecting_tells_what_a_component_is() {
    let place = Place::new();
    let policy = place.policy("new", &guest::affinity(""), json!({}));
    let inspection = inspect(&policy.folder.join("new.wasm")).unwrap();
    let names: Vec<&str> = inspection.exports.iter().map(|export| &*export.name).collect();
    assert_eq!(names, ["spiderpool:policy/settings@0.1.0", "spiderpool:policy/affinity@0.1.0"]);
    assert_eq!(inspection.exports[1].functions, ["judge"]);
    assert_eq!((inspection.imports.len(), inspection.problem), (0, None));
    assert_eq!(inspection.contract_version.as_deref(), Some("0.1.0"));
    assert!(inspection.digest.starts_with("sha256:") && inspection.digest.len() == 71);
}

#[test]
fn a_built_in_policy_must_answer_what_its_name_says() {
    let place = Place::new();
    let wrong = place.path().join("builtin/builtin-affinity.wasm");
    std::fs::write(&wrong, guest::validation("")).unwrap();
    let error = PolicyHost::open(config(place.path())).map(drop).unwrap_err().to_string();
    assert!(error.contains("builtin-affinity.wasm") && error.contains("does not export affinity"), "{error}");
}
