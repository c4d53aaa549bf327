//! The node's agent: one request of a plugin is one decision and one change of the ledger.
//!
//! ```text
//! server ──→ allocate ──→ decide (policies, in the sandbox) ──→ reserve (ledger)
//!        ──→ release
//!        ──→ explain   ──→ decide, and nothing else
//! ```
//!
//! This is the one crate that knows the policy host, the ledger and the network; they do not know each other.

mod admission;
mod agent;
mod allocate;
mod answer;
pub mod args;
mod config;
mod decide;
mod failure;
mod in_flight;
mod logs;
mod metrics;
mod observe;
mod pod;
mod release;
mod server;
mod standalone;

use args::{Args, Command};

/// Does what the command line says; returns when the agent was told to stop.
///
/// # Errors
/// The first thing that keeps the agent from running, with what to do about it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let Args { command, log_level, log_format } = args;
    logs::init(&log_level, log_format)?;
    match command {
        Command::Standalone(args) => standalone::run(args),
    }
}
