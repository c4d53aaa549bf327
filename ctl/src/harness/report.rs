//! What came of the cases, for people and programs.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use crate::cases::Comparison;
use crate::output;

/// One case that was run.
#[derive(Debug, Serialize)]
pub(crate) struct CaseResult {
    pub(crate) name: String,
    pub(crate) line: u64,
    pub(crate) ok: bool,
    /// Of the decision alone.
    pub(crate) microseconds: u128,
    /// What differs, line by line: empty when all is well.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) difference: String,
}

/// All of them.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    files: Vec<FileReport>,
}

#[derive(Debug, Serialize)]
struct FileReport {
    file: String,
    cases: Vec<CaseResult>,
}

impl CaseResult {
    pub(crate) fn new(name: &str, line: u64, took: Duration, comparison: &Comparison) -> Self {
        let ok = comparison.holds();
        let difference = if ok { String::new() } else { difference(comparison) };
        Self { name: name.to_owned(), line, ok, microseconds: took.as_micros(), difference }
    }
}

impl Report {
    pub(crate) fn add(&mut self, file: &Path, cases: Vec<CaseResult>) {
        let passed = cases.iter().filter(|case| case.ok).count();
        self.passed += passed;
        self.failed += cases.len() - passed;
        self.files.push(FileReport { file: file.display().to_string(), cases });
    }

    pub(crate) fn summary(&self, took: Duration) -> String {
        format!("\n{} passed, {} failed ({:.1} s)\n", self.passed, self.failed, took.as_secs_f64())
    }
}

/// Every line of both texts: `-` before what was expected and did not come, `+` before what came instead.
fn difference(comparison: &Comparison) -> String {
    let diff = TextDiff::from_lines(comparison.expected.as_str(), comparison.actual.as_str());
    diff.iter_all_changes().fold(String::new(), |text, change| {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        text + &format!("{sign} {}\n", change.value().trim_end_matches('\n'))
    })
}

/// The lines about one file.
pub(crate) fn section(file: &Path, cases: &[CaseResult]) -> String {
    layout(file, cases, output::coloured())
}

fn layout(file: &Path, cases: &[CaseResult], coloured: bool) -> String {
    let paint = |colour: u8, text: &str| {
        if coloured { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    };
    let width = cases.iter().map(|case| case.name.chars().count()).max().unwrap_or_default();
    let mut text = format!("{}\n", file.display());
    for case in cases {
        let mark = if case.ok { paint(32, "ok  ") } else { paint(31, "FAIL") };
        let _ = writeln!(text, "  {mark}  {:width$}  {:>6} µs", case.name, case.microseconds);
        if case.ok {
            continue;
        }
        let _ = writeln!(text, "        {}:{}    - expected  + actual", file.display(), case.line);
        for line in case.difference.lines() {
            let line = match line.as_bytes().first() {
                Some(b'-') => paint(31, line),
                Some(b'+') => paint(32, line),
                _ => line.to_owned(),
            };
            let _ = writeln!(text, "        {}", line.trim_end());
        }
    }
    text
}

#[cfg(test)]
mod tests;
