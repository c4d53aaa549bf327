//! `spiderpoolctl`: look at addresses and pools, have decisions explained, inspect and test policies.
//!
//! ```text
//! ip, pool, explain, policy list ──→ client ──unix socket──→ agent
//! policy inspect, policy test    ──→ host/runtime            no agent, no cluster
//! ```
//!
//! Every command answers with a value; [`output`] prints it for people or for programs. [`cases`] is the part that
//! other tests use too: it turns case files into questions for policies and compares the answers.

mod agent_commands;
mod args;
pub mod cases;
mod client;
mod explain;
mod harness;
mod inspect;
mod installation;
mod output;
mod tables;

use std::process::ExitCode;

pub use args::main;

/// How a command ended that could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The answer is yes.
    Done,
    /// The answer is no: a pod would be refused, a case failed, a file is not a policy.
    Refused,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Refused => Self::FAILURE,
        }
    }
}
