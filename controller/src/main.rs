//! `spiderpool-controller`.

use std::process::ExitCode;

use clap::Parser;
use spiderpool_controller::args::Args;

fn main() -> ExitCode {
    match spiderpool_controller::run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            #[expect(clippy::print_stderr, reason = "logging may be what failed")]
            {
                eprintln!("spiderpool-controller: {failure:#}");
            }
            ExitCode::FAILURE
        }
    }
}
