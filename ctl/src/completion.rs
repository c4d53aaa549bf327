//! Completion scripts.

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;
use crate::{Outcome, output};

pub(crate) fn print(shell: Shell) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "spiderpoolctl", &mut script);
    output::print(&String::from_utf8(script)?)?;
    Ok(Outcome::Done)
}
