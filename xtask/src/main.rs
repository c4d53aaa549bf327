//! The build steps that cargo lacks. `cargo xtask help` lists them.

mod guests;
mod process;
mod progress;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The build steps that cargo lacks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the policies of this repository into WebAssembly components.
    Guests(guests::Args),
}

fn main() -> Result<()> {
    match Cli::parse().task {
        Task::Guests(args) => guests::run(args),
    }
}
