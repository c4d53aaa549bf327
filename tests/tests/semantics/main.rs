//! Spiderpool's end-to-end cases, as far as they concern IPAM and one machine can show them, and what comes together in
//! time. Tests are named by the case's id; `tests/cases/ipam.md` says of every id which test covers it, or that none does.
//! `cluster_semantics` runs the same tests on a real API server.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod addresses;
mod affinity;
mod annotations;
mod assignment;
mod case;
mod controllers;
mod detection;
mod files;
mod interfaces;
mod interrupted;
mod network;
mod pools;
mod races;
mod retention;
mod table;

use spiderpool_tests::Engine;

/// Where objects and addresses are kept.
const ENGINE: Engine = Engine::Local;
