//! What an author of a policy needs.
//!
//! A policy is a pure function that answers one question about addresses: may this pool serve this pod, from where does
//! this pod get its addresses, may this object be created, who keeps addresses. It is compiled to a WebAssembly component and sees nothing
//! but its arguments: no files, no network, no clock. Spiderpool's own decisions are policies of this kind, and yours
//! take their place beside them or instead of them while everything runs.
//!
//! # A policy from nothing to running
//!
//! The policy below keeps pods of the namespace `batch` away from pools that are labelled `reserved-for: people`.
//!
//! **1. A crate.** `crate-type` makes it a guest, the metadata names the component:
//!
//! ```toml
//! [package.metadata.spiderpool]
//! component = "no-batch"
//!
//! [lib]
//! crate-type = ["cdylib", "rlib"]
//!
//! [dependencies]
//! serde.workspace = true
//! spiderpool-policy-guide.workspace = true
//! ```
//!
//! **2. The decision.** A type without fields implements one trait per question. `settings` is the JSON text that the
//! policy was configured with; `check` judges it once, when the policy is loaded, and every call gets it again.
//!
//! ```
//! use spiderpool_policy_guide::affinity::{Reason, ReasonKind, Subject, Verdict};
//! use spiderpool_policy_guide::settings::Problem;
//! use spiderpool_policy_guide::types::Pool;
//! use spiderpool_policy_guide::{Affinity, Settings, configuration, export_affinity_policy, metadata};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     namespace: String,
//! }
//!
//! struct NoBatch;
//!
//! impl Settings for NoBatch {
//!     fn check(settings: String) -> Result<(), Vec<Problem>> {
//!         configuration::parse::<Config>(&settings).map(|_| ())
//!     }
//! }
//!
//! impl Affinity for NoBatch {
//!     fn judge(settings: String, subject: Subject, pools: Vec<Pool>) -> Vec<Verdict> {
//!         let config = match configuration::parse::<Config>(&settings) {
//!             Ok(config) => config,
//!             Err(problems) => return refuse_all(&pools, &configuration::sentence(&problems)),
//!         };
//!         let theirs = subject.context.namespace.name == config.namespace;
//!         let judge = |pool: &Pool| match metadata::label(pool.labels.as_deref().unwrap_or_default(), "reserved-for") {
//!             Some("people") if theirs => refuse("this pool is for people, and the pod's namespace is not"),
//!             _ => Verdict::Admit(0),
//!         };
//!         pools.iter().map(judge).collect()
//!     }
//! }
//!
//! fn refuse(message: &str) -> Verdict {
//!     Verdict::Refuse(Reason { kind: ReasonKind::Namespace, message: message.to_owned() })
//! }
//!
//! fn refuse_all(pools: &[Pool], message: &str) -> Vec<Verdict> {
//!     pools.iter().map(|_| refuse(message)).collect()
//! }
//!
//! export_affinity_policy!(NoBatch);
//! # assert!(NoBatch::check(r#"{"namespace": "batch"}"#.to_owned()).is_ok());
//! # assert!(NoBatch::check("{}".to_owned()).is_err());
//! ```
//!
//! **3. Tests.** Off wasm32 the crate is an ordinary one: call `NoBatch::judge` from `#[test]`. The types of the
//! contract implement `Clone`, `Debug`, `PartialEq` and, natively, serde's `Serialize` and `Deserialize`.
//!
//! **4. The component.** `cargo xtask guests no-batch` compiles and checks it; `spiderpoolctl policy inspect` shows what
//! it exports and what it may not import.
//!
//! # Rules worth knowing
//!
//! * Answer in the order of the question: `judge` gives one verdict per pool, `arrange` one step per demand.
//! * A refusal is an answer, and its sentence is read by the person whose pod waits: say what was compared with what,
//!   and what to change. A panic is a failure of the policy.
//! * Calls are bounded in time, memory and size of the answer. Memory is never given back within a call: see
//!   `allocator`; a call's memory dies with the call.
//! * Nothing survives a call. Time and randomness are in [`types::Moment`], so the same question gets the same answer.
//!
//! # Which macro
//!
//! | to answer | implement | export with |
//! |---|---|---|
//! | may this pool serve this pod | [`Settings`], [`Affinity`] | [`export_affinity_policy!`] |
//! | from where, and in which order | [`Settings`], [`Allocation`] | [`export_allocation_policy!`] |
//! | both | [`Settings`], [`Affinity`], [`Allocation`] | [`export_placement_policy!`] |
//! | may this object be created, changed, deleted | [`Settings`], [`Validation`] | [`export_validation_policy!`] |
//! | who keeps addresses | [`Settings`], [`Retention`] | [`export_retention_policy!`] |

pub mod address;
#[cfg(target_arch = "wasm32")]
mod allocator;
#[doc(hidden)]
pub mod bindings;
pub mod configuration;
mod export;
pub mod metadata;
pub mod networks;
pub mod phrase;
pub mod selector;

pub use crate::bindings::affinity::Guest as Affinity;
pub use crate::bindings::allocation::Guest as Allocation;
pub use crate::bindings::retention::Guest as Retention;
pub use crate::bindings::settings::Guest as Settings;
pub use crate::bindings::validation::Guest as Validation;
pub use crate::bindings::{affinity, allocation, retention, settings, types, validation};

/// Leaves a value to the end of the call. In the sandbox nothing gives memory back, and walking through thousands of
/// pools only to say so is a good part of a call's time; natively this is `drop`.
pub fn leave<T>(value: T) {
    #[cfg(target_arch = "wasm32")]
    std::mem::forget(value);
    #[cfg(not(target_arch = "wasm32"))]
    drop(value);
}
