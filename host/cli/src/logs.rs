//! Where log lines go: standard error, one a line.

use std::io::{self, IsTerminal};

use anyhow::Context;
use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// What the client of the API server says of every connection that is lost, but not what was asked for: that is told with what
/// to do. A level for it in the filter stands.
const QUIET: &str = "kube_client=off";

/// What a daemon logs, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct LogArgs {
    /// How much to log: error, warn, info, debug, trace, or a filter such as `info,spiderpool_storage=debug`.
    #[arg(long, global = true, env = "SPIDERPOOL_LOG_LEVEL", default_value = "info")]
    pub log_level: String,
    /// How to log.
    #[arg(long, global = true, env = "SPIDERPOOL_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// The shape of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, for programs.
    #[default]
    Json,
    /// Plain lines, for people.
    Text,
}

impl LogArgs {
    /// Sends log lines that pass the level to standard error from now on.
    ///
    /// # Errors
    /// The level is no filter, or logging was set up before.
    pub fn init(&self) -> anyhow::Result<()> {
        let lines = tracing_subscriber::fmt().with_env_filter(filter(&self.log_level)?).with_writer(io::stderr);
        match self.log_format {
            LogFormat::Json => lines.json().flatten_event(true).try_init(),
            LogFormat::Text => lines.with_target(false).with_ansi(io::stderr().is_terminal()).try_init(),
        }
        .map_err(|error| anyhow::anyhow!("log set-up: {error}"))
    }
}

fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    let level = match level.trim() {
        // Without a level, nothing but the client would be spoken of.
        "" => "info",
        // Levels of Spiderpool's that there are no separate ones for.
        "fatal" | "panic" => "error",
        level => level,
    };
    EnvFilter::builder().parse(format!("{QUIET},{level}")).with_context(|| {
        format!("log level {level:?}; use error, warn, info, debug, trace, or a filter such as info,spiderpool_storage=debug")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(level: &str) -> Vec<String> {
        let mut targets: Vec<String> = filter(level).unwrap().to_string().split(',').map(str::to_owned).collect();
        targets.sort();
        targets
    }

    #[test]
    fn the_client_is_quiet_unless_it_is_asked_for() {
        assert_eq!(targets(""), ["info", "kube_client=off"]);
        assert_eq!(targets("debug"), ["debug", "kube_client=off"]);
        assert_eq!(targets("info,kube_client=debug"), ["info", "kube_client=debug"]);
    }

    #[test]
    fn levels_of_spiderpool_that_there_are_none_for_are_errors() {
        assert_eq!(targets("fatal"), ["error", "kube_client=off"]);
        assert_eq!(targets("panic"), ["error", "kube_client=off"]);
        let error = filter("info,a=b=c").unwrap_err().to_string();
        assert!(error.contains("a=b=c") && error.contains("use error, warn"), "{error}");
    }
}
