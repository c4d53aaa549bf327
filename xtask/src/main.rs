//! The build steps that cargo lacks. `cargo xtask help` lists them.

mod cache;
mod crds;
mod dist;
mod guests;
mod prepare;
mod process;
mod progress;
mod rustc;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

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
    /// Write the chart's custom resource definitions from the Rust types.
    Crds(crds::Args),
    /// Check the rules of this project that compiler and clippy do not know.
    Tidy,
    /// Build everything and lay it out as an installation that runs.
    Dist(dist::Args),
    /// Install what demo and tests need and this machine lacks, with apt-get.
    Prepare,
    /// Build etcd, kube-apiserver and kubectl, which tests and benchmarks start, with Go; minutes the first time.
    Tools,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress::say(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(Cli { task }: Cli) -> Result<()> {
    match task {
        Task::Guests(args) => guests::run(args),
        Task::Crds(args) => crds::run(args),
        Task::Tidy => tidy::run(),
        Task::Dist(args) => dist::run(args),
        Task::Prepare => prepare::run(),
        Task::Tools => tools::run(),
    }
}
