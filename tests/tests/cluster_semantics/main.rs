//! The cases of `semantics` on a real API server, with the agent of its only node: the same tests from the same files.
//!
//! One cluster serves them all, one test after the other, each with an agent of its own; what the one before left is
//! deleted. `semantics/{controllers,files}.rs` are left out: what they show is a matter of files.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

#[path = "../semantics/addresses.rs"]
mod addresses;
#[path = "../semantics/affinity.rs"]
mod affinity;
#[path = "../semantics/annotations.rs"]
mod annotations;
#[path = "../semantics/assignment.rs"]
mod assignment;
#[path = "../semantics/case.rs"]
mod case;
#[path = "../semantics/detection.rs"]
mod detection;
#[path = "../semantics/interfaces.rs"]
mod interfaces;
#[path = "../semantics/interrupted.rs"]
mod interrupted;
#[path = "../semantics/network.rs"]
mod network;
#[path = "../semantics/pools.rs"]
mod pools;
#[path = "../semantics/races.rs"]
mod races;
#[path = "../semantics/retention.rs"]
mod retention;

use spiderpool_tests::Engine;

/// Where objects and addresses are kept.
const ENGINE: Engine = Engine::Kube;
