//! What a task says while it works: short lines on stderr, so that stdout stays free for a task's result.

use std::fmt::Display;
use std::io::Write;
use std::time::{Duration, Instant};

/// Says one line. A closed stderr is not worth failing a build for.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Runs one step of a longer task, naming it before and saying afterwards how long it took.
pub(crate) fn step<T>(title: impl Display, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    say(format_args!("→ {title}"));
    let started = Instant::now();
    let result = work()?;
    say(format_args!("  done in {}", seconds(started.elapsed())));
    Ok(result)
}

/// `0.4 s`, `73.0 s`: one unit, so that the lines of a build compare at a glance.
pub(crate) fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}
