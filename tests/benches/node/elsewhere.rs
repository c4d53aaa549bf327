//! The benchmarks of other packages: run, quoted, and held against the goals.

use std::process::Command;

use crate::report::Report;

/// The sandbox: calls of policies.
pub(crate) fn sandbox(report: &mut Report) {
    let said = run(report, "The sandbox: one call, one decision", "spiderpool-runtime", "decide");
    for (pools, goal) in [("10", 15.0), ("100", 75.0), ("1000", 700.0)] {
        let found = said.number(&format!("judge, {pools} pools "), 1);
        let what = format!("`judge`, fresh instance, all bounds on, {pools} pools");
        report.figure(&what, &format!("≤ {goal} µs"), format!("{found:.1} µs"), found <= goal);
    }
    let found = said.number("decision, 1000 pools", 1) / 1e3;
    report.figure("decision, 1,000 pools as candidates", "≤ 2 ms", format!("{found:.2} ms"), found <= 2.0);
    let found = said.number("load a precompiled policy ", 1) / 1e3;
    let whole = said.number("load, check and try", 1) / 1e3;
    let found_in = format!("{found:.2} ms; with all checks and a trial {whole:.2} ms");
    report.figure("loading a precompiled policy", "≤ 1 ms", found_in, found <= 1.0);
    let found = said.number("judge, 10 pools, two threads", 0);
    report.figure("calls of two threads beside one", "≥ 1.6 x", format!("{found:.2} x"), found >= 1.6);
}

/// The local ledger.
pub(crate) fn ledger(report: &mut Report) {
    let said = run(report, "The local ledger", "spiderpool-storage", "ledger");
    let found = said.number("64 in flight ", 0);
    let what = "local ledger, 64 in flight, durable";
    report.figure(what, "≥ 5,000 reservations/s", format!("{found:.0}/s"), found >= 5000.0);
    let found = said.number("1,000 of 65,536, clock", 2);
    let what = "filling a pool of 65,536: the last 1,000 beside the first";
    report.figure(what, "≤ 1.2 x", format!("{found:.2} x"), found <= 1.2);
}

/// What single writes cost an API server: what the ledger of a cluster was designed by.
pub(crate) fn writes(report: &mut Report) {
    run(report, "Single writes to an API server", "spiderpool-cluster", "writes");
}

/// What a benchmark printed.
struct Said(String);

impl Said {
    /// The `place`-th number after a label, from 0.
    fn number(&self, label: &str, place: usize) -> f64 {
        let line = self.0.lines().find_map(|line| line.strip_prefix(label));
        let line = line.unwrap_or_else(|| panic!("{label:?} is not in:\n{}", self.0));
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
        numbers.nth(place).unwrap_or_else(|| panic!("no number {place} in {line:?}"))
    }
}

fn run(report: &mut Report, title: &str, package: &str, bench: &str) -> Said {
    let mut command = Command::new(env!("CARGO"));
    command.args(["bench", "--quiet", "--package", package, "--bench", bench]);
    // Build scripts of dependencies look at it, and would be run again.
    command.env_remove("CARGO_MANIFEST_DIR");
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "{package}: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let text = format!("`cargo bench --package {package} --bench {bench}`:\n\n```text\n{}\n```", said.trim_end());
    report.section(title, &text);
    Said(said)
}
