//! `cargo xtask crds`: custom resource definitions from the Rust types.
//!
//! A program of its own does it (xtask/crds), so that other tasks do not wait until the Kubernetes types are compiled.

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if a file is not what would be written.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(Args { check }: Args) -> Result<()> {
    let mut cargo = Workspace::load()?.cargo();
    cargo.args(["run", "--quiet", "--package", "xtask-crds", "--", "charts/spiderpool/crds"]);
    if check {
        cargo.arg("--check");
    }
    process::run(&mut cargo)
}
