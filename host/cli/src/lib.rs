//! What the command lines of Spiderpool's programs have in common: what they print, completion scripts, and where log lines go.

mod logs;
mod output;

pub use clap_complete::Shell;
pub use logs::{LogArgs, LogFormat};
pub use output::{print, print_completion};
