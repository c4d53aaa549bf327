//! Completion scripts.

use std::io::{self, ErrorKind, Write};

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;

/// Prints the script for a shell.
pub(crate) fn print(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "spiderpool-controller", &mut script);
    match io::stdout().lock().write_all(&script) {
        // Whoever reads it may stop reading at any time, as `head` does.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.context("cannot write to standard output"),
    }
}
