//! The program's two streams: answers go to the one, complaints to the other.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;
use spiderpool_cli::print;

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// For programs that read YAML.
    Yaml,
}

/// Prints `answer` for programs, or what `text` makes of it for people.
pub(crate) fn answer<T: Serialize>(format: Format, answer: &T, text: impl FnOnce() -> String) -> Result<()> {
    match format {
        Format::Table => print(text()),
        Format::Json => print(serde_json::to_string_pretty(answer).context("cannot write the answer as JSON")? + "\n"),
        Format::Yaml => print(&serde_saphyr::to_string(answer).context("cannot write the answer as YAML")?),
    }
}

/// Prints a complaint. When even that fails, nobody is left to be told.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether a person looks at the answers, who likes colours.
pub(crate) fn coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
