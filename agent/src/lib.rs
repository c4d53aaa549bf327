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
mod ask;
mod config;
mod considered;
mod daemon;
mod decide;
mod departure;
mod detection;
mod environment;
mod events;
mod failure;
mod gate;
mod heir;
mod in_flight;
mod lingering;
mod metrics;
mod observe;
mod pod;
mod release;
mod routes;
mod serve;
mod server;
mod standalone;
mod stateful;
mod surroundings;
mod sysctl;
mod view;

use args::{Args, Command, ShutdownArgs};
use config::Config;

/// Does what the command line says; returns when the agent was told to stop.
///
/// # Errors
/// The first thing that keeps the agent from running, with what to do about it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let Args { command, logs } = args;
    logs.init()?;
    match command {
        Command::Daemon(args) => serve::run(daemon::serve(args)),
        Command::Standalone(args) => serve::run(standalone::serve(args)),
        Command::Shutdown(args) => serve::run(shutdown(args)),
        Command::Metric(args) => serve::run(ask::metric(args.port)),
        Command::Completion { shell } => spiderpool_cli::print_completion::<Args>(shell),
    }
}

async fn shutdown(args: ShutdownArgs) -> anyhow::Result<()> {
    let ShutdownArgs { socket, config_path, timeout } = args;
    let socket = match socket {
        Some(socket) => socket,
        None if config_path.exists() => Config::read(&config_path)?.0.socket(),
        None => Config::default().socket(),
    };
    ask::shutdown(&socket, timeout).await
}
