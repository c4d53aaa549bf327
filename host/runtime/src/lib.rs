//! The policy host: decisions in the sandbox.
//!
//! ```text
//! .wasm ─→ inspect ─→ compile (child process, cache) ─→ confirm shapes ─→ try ─→ Policy ─┐
//! folder, SpiderPolicy ─→ PolicyHost::apply ──────────────────────────────────→ PolicySet ┤ swapped as a whole
//!                                                                                         ▼
//! Question ─→ candidates ─→ pools ─→ judge, judge, … ─→ arrange ─→ Decision    Review ─→ review, review, … ─→ object
//!                                                                  Departure ─→ keep ─→ Retention
//! ```
//!
//! * Every call has a fresh instance, fuel, a deadline, a bound of memory and of the answer's size.
//! * Every answer is held against its question (`answer`); what does not fit is the policy's failure.
//! * A failure names the policy and follows its `onFailure`. It never reaches the next call.
//! * Nothing here writes the ledger or touches the network, and nothing of the engine shows outside.

mod answer;
mod bindings;
mod case;
mod compile;
pub mod conv;
mod decide;
mod decision;
mod engine;
mod failure;
mod folder;
mod glob;
mod guest;
mod host;
mod inspect;
mod limits;
mod load;
mod loaded;
mod metrics;
mod pools;
mod retain;
mod review;
mod set;
mod trial;

/// The contract's records.
pub mod types {
    pub use crate::bindings::*;
}

pub use decision::{DecideCause, DecideError, Decision, Masters, Pick, PlannedStep, Question, Room};
pub use failure::{CallFailure, HostError, LoadError};
pub use folder::PolicyFolder;
pub use host::{HostConfig, PolicyHost};
pub use inspect::{Inspection, Interface, SERVED, inspect};
pub use limits::Limits;
pub use load::PolicySource;
pub use pools::{PoolEntry, PoolIndex};
pub use retain::{Departure, Fate, RetainError, Retention};
pub use review::{Review, ReviewError};
pub use set::PolicySet;
pub use spiderpool_wire::explain::Explanation;
