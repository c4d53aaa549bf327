//! What a program prints for whoever called it.

use std::io::{self, ErrorKind, Write};

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

/// Prints text. Whoever reads it may stop reading at any time, as `head` does.
///
/// # Errors
/// Standard output cannot be written.
pub fn print(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.context("cannot write to standard output"),
    }
}

/// Prints the script with which a shell completes the command line `Args`.
///
/// # Errors
/// As for [`print`].
pub fn print_completion<Args: CommandFactory>(shell: Shell) -> anyhow::Result<()> {
    let mut command = Args::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    print(script)
}
