//! Where log lines go: standard error, one a line.

use std::io::{self, IsTerminal};

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;

/// What the client of the API server says of every connection that is lost, but not what was asked for: that is told with what
/// to do. A level for it in the filter stands.
const QUIET: &str = "kube_client=off";

/// Sends log lines that pass `level` to standard error from now on.
///
/// # Errors
/// `level` is no filter, or logging was set up before.
pub(crate) fn init(level: &str, format: LogFormat) -> anyhow::Result<()> {
    let lines = tracing_subscriber::fmt().with_env_filter(filter(level)?).with_writer(io::stderr);
    match format {
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
        LogFormat::Text => lines.with_target(false).with_ansi(io::stderr().is_terminal()).try_init(),
    }
    .map_err(|error| anyhow::anyhow!("log set-up: {error}"))
}

fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    // Without a level, nothing but the client would be spoken of.
    let level = if level.trim().is_empty() { "info" } else { level };
    EnvFilter::builder().parse(format!("{QUIET},{level}")).with_context(|| {
        format!("log level {level:?}; use error, warn, info, debug, trace, or a filter such as info,spiderpool_controller=debug")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_quiet_unless_it_is_asked_for() {
        let targets = |level: &str| {
            let mut targets: Vec<String> = filter(level).unwrap().to_string().split(',').map(str::to_owned).collect();
            targets.sort();
            targets
        };
        assert_eq!(targets(""), ["info", "kube_client=off"]);
        assert_eq!(targets("debug"), ["debug", "kube_client=off"]);
        assert_eq!(targets("info,kube_client=debug"), ["info", "kube_client=debug"]);
        assert!(filter("info,a=b=c").is_err());
    }
}
