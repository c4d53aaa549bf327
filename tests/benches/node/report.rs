//! The page that is written, and samples of times.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Above this, the machine was busy with something else as well, and the figures say more about that.
const QUIET: f64 = 0.5;

/// docs/benchmarks.md while it is made.
pub(crate) struct Report {
    head: String,
    figures: Vec<[String; 4]>,
    sections: String,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { head: machine(), figures: Vec::new(), sections: String::new() }
    }

    /// A figure that was set as a goal: what, the goal, what was found, whether that is within it.
    pub(crate) fn figure(&mut self, what: &str, wanted: &str, found: impl Into<String>, reached: bool) {
        let reached = if reached { "yes" } else { "**no**" };
        self.figures.push([what.into(), wanted.into(), found.into(), reached.into()]);
    }

    /// A section with its own words.
    pub(crate) fn section(&mut self, title: &str, text: &str) {
        let _ = writeln!(self.sections, "## {title}\n\n{}\n", text.trim_end());
    }

    pub(crate) fn text(&self) -> String {
        let Self { head, figures, sections } = self;
        let mut text = format!(
            "# Benchmarks\n\nWritten by `make bench`: one run on one machine, release builds, everything on the same \
             cores. Medians unless said otherwise.\n\n{head}\n\n## Goals\n\n| figure | wanted | found | reached |\n|---|---|---|---|\n"
        );
        for row in figures {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        format!("{text}\n{}\n", sections.trim_end())
    }
}

fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let memory = read("/proc/meminfo").split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0);
    let load: f64 =
        read("/proc/loadavg").split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN);
    let date = Command::new("date").args(["-u", "+%F"]).output().map(|output| output.stdout).unwrap_or_default();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let mut text = format!(
        "* Date: {}\n* Machine: {cores} cores ({}), {:.0} GiB of memory, Linux {}\n* Load when it began: {load}",
        String::from_utf8_lossy(&date).trim(),
        model.trim_start_matches([':', ' ', '\t']),
        memory / f64::from(1 << 20),
        read("/proc/sys/kernel/osrelease").trim(),
    );
    if load > QUIET {
        text += ". The machine was not quiet: times are longer than its own, ratios and rates may be off";
    }
    text
}

/// Sorted times in milliseconds.
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn of(times: Vec<Duration>) -> Self {
        let mut times: Vec<f64> = times.into_iter().map(|time| time.as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    pub(crate) fn median(&self) -> f64 {
        self.at(0.5)
    }

    pub(crate) fn p99(&self) -> f64 {
        self.at(0.99)
    }

    fn at(&self, share: f64) -> f64 {
        let last = self.0.len() - 1;
        self.0[(last as f64 * share).round() as usize]
    }
}

/// How long a call takes, which must succeed.
pub(crate) fn timed(call: impl FnOnce() -> bool) -> Duration {
    let begun = Instant::now();
    assert!(call(), "a measured call failed");
    begun.elapsed()
}
