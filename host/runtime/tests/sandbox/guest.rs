//! Policies in WebAssembly text: small enough to be wrong in exactly one way.
//!
//! Numbers are the canonical ABI's: a function with many arguments gets a pointer to them, and returns one to its
//! result. In the arguments of `judge`, `candidates`, `arrange` and `keep` the length of the pod's name is at 20, that of its
//! uid at 28; in those of `judge` the number of pools is at 180. The host tries policies with a pod named `trial`.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The contract as one text.
pub(crate) fn contract() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/policy");
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "wit") {
            texts.push(std::fs::read_to_string(path).unwrap().replace("package spiderpool:policy@0.1.0;", ""));
        }
    }
    texts.sort();
    format!("package spiderpool:policy@0.1.0;\n{}", texts.concat())
}

/// A component of a world of `contract`, around a module in text.
pub(crate) fn component(contract: &str, world: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("policy.wit", contract).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut core = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().validate(true).module(&core).unwrap().encode().unwrap()
}

/// What every module has: memory, the allocator, and settings that are always right (a zero at 1024).
const FRAME: &str = r#"
  (memory (export "memory") 64)
  (global $next (mut i32) (i32.const 1572864))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "spiderpool:policy/settings@0.1.0#check") (param i32 i32) (result i32) (i32.const 1024))"#;

/// Whether the pod's name has 5 letters: then every policy answers well.
const WELL: &str = "(i32.eq (i32.load offset=20 (local.get 0)) (i32.const 5))";

/// Verdicts are at 1 MiB and zero, which is `admit(0)`; how many is written to 2052.
const ADMIT: &str = "(i32.store (i32.const 2048) (i32.const 1048576))
    (i32.store (i32.const 2052) (i32.load offset=180 (local.get 0)))";

/// An affinity policy: `rest` runs after verdicts that admit all pools with rank 0 are laid out.
pub(crate) fn affinity(rest: &str) -> Vec<u8> {
    component(&contract(), "affinity-policy", &affinity_module(rest))
}

pub(crate) fn affinity_module(rest: &str) -> String {
    format!(
        r#"(module {FRAME}
  (func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))
  (func $rank (param $value i32)
    (local $at i32) (local $left i32)
    (local.set $at (i32.const 1048576))
    (local.set $left (i32.load (i32.const 2052)))
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $left)))
      (i32.store offset=4 (local.get $at) (local.get $value))
      (local.set $at (i32.add (local.get $at) (i32.const 24)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br $next))))
  (func (export "spiderpool:policy/affinity@0.1.0#judge") (param i32) (result i32)
    {ADMIT}
    (if {WELL} (then (return (i32.const 2048))))
    {rest}
    (i32.const 2048)))"#
    )
}

/// An affinity policy that gives every pool this rank.
pub(crate) fn ranking(rank: i32) -> Vec<u8> {
    affinity(&format!("(call $rank (i32.const {rank}))"))
}

/// An allocation policy that wants an IPv4 address of the cluster's default pools for eth0, and arranges the lowest
/// address of `pool`, or what `pick` makes of it at 3708.
pub(crate) fn allocation(pool: &str, pick: &str) -> Vec<u8> {
    let length = pool.len();
    let module = format!(
        r#"(module {FRAME}
  (data (i32.const 3000) "eth0test")
  (data (i32.const 3020) "\02")                                            ;; sources: cluster-default
  (data (i32.const 3040) "\b8\0b\00\00\04\00\00\00\00\00\00\00\cc\0b\00\00\01\00\00\00\00\00\00\00\bc\0b\00\00\04\00\00\00")
  (data (i32.const 3100) "\00\00\00\00\e0\0b\00\00\01\00\00\00")           ;; ok, one demand at 3040
  (data (i32.const 3600) "{pool}")
  (data (i32.const 3640) "a")
  (data (i32.const 3650) "trial")
  (func (export "spiderpool:policy/allocation@0.1.0#candidates") (param i32) (result i32) (i32.const 3100))
  (func (export "spiderpool:policy/allocation@0.1.0#arrange") (param i32) (result i32)
    (i32.store (i32.const 3204) (i32.const 3300))                           ;; ok, one step at 3300
    (i32.store (i32.const 3208) (i32.const 1))
    (i32.store (i32.const 3300) (i32.const 3700))                           ;; one choice at 3700
    (i32.store (i32.const 3304) (i32.const 1))
    (i32.store (i32.const 3700) (i32.const 3650))                           ;; of the pool `trial`, lowest
    (i32.store (i32.const 3704) (i32.const 5))
    (if (i32.eq (i32.load offset=28 (local.get 0)) (i32.const 36)) (then (return (i32.const 3200))))
    (i32.store (i32.const 3700) (i32.const 3640))
    (i32.store (i32.const 3704) (i32.const 1))
    (if {WELL} (then (return (i32.const 3200))))
    (i32.store (i32.const 3700) (i32.const 3600))
    (i32.store (i32.const 3704) (i32.const {length}))
    {pick}
    (i32.const 3200)))"#
    );
    component(&contract(), "allocation-policy", &module)
}

/// A validation policy that answers every review with an empty list of changes, or what `rest` makes of it at 2048.
pub(crate) fn validation(rest: &str) -> Vec<u8> {
    let module = format!(
        r#"(module {FRAME}
  (func (export "spiderpool:policy/validation@0.1.0#review") (param i32) (result i32)
    {rest}
    (i32.const 2048)))"#
    );
    component(&contract(), "validation-policy", &module)
}

/// A retention policy that answers `keep`, without a word, or what `rest` makes of it at 2048: the fate, its time at 2056,
/// the sentence at 2064.
pub(crate) fn retention(rest: &str) -> Vec<u8> {
    component(
        &contract(),
        "retention-policy",
        &retention_module(&format!("(if {WELL} (then (return (i32.const 2048)))) {rest}")),
    )
}

pub(crate) fn retention_module(body: &str) -> String {
    format!(
        r#"(module {FRAME}
  (func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))
  (func (export "spiderpool:policy/retention@0.1.0#keep") (param i32) (result i32)
    {body}
    (i32.const 2048)))"#
    )
}

/// A retention policy that answers `release`; `keep` about pods with 5 letters.
pub(crate) fn releasing() -> Vec<u8> {
    retention("(i32.store8 (i32.const 2048) (i32.const 1))")
}
