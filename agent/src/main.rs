//! `spiderpool-agent`.

use std::process::ExitCode;

use clap::Parser;
use spiderpool_agent::args::Args;

fn main() -> ExitCode {
    match spiderpool_agent::run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            #[expect(clippy::print_stderr, reason = "logging may be what failed")]
            {
                eprintln!("spiderpool-agent: {failure:#}");
            }
            ExitCode::FAILURE
        }
    }
}
