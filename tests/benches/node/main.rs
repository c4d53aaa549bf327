//! What a node's pods wait for, measured and written into docs/benchmarks.md: `make bench`.
//!
//! `cargo bench -p spiderpool-tests -- WORD` measures only the parts whose names contain the word, and prints instead of
//! writing.
#![expect(clippy::print_stdout, reason = "progress, for the person who waits")]

mod elsewhere;
mod plugins;
mod report;
mod several;
mod socket;
mod storm;

use std::fs;
use std::path::Path;

use report::Report;

/// A part of the report.
type Part = fn(&mut Report);

const PARTS: [(&str, Part); 9] = [
    ("plugins", plugins::measure),
    ("socket", socket::in_flight),
    ("memory", socket::memory),
    ("several", several::measure),
    ("sandbox", elsewhere::sandbox),
    ("ledger", elsewhere::ledger),
    ("writes", elsewhere::writes),
    ("storm", storm::measure),
    ("filling", storm::filling),
];

fn main() {
    // Cargo passes `--bench`.
    let word = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let mut report = Report::new();
    for (name, measure) in PARTS {
        if word.as_deref().is_none_or(|word| name.contains(word)) {
            println!("measuring: {name}");
            measure(&mut report);
        }
    }
    let text = report.text();
    if word.is_some() {
        println!("{text}");
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
    fs::write(&path, text).expect("docs/benchmarks.md can be written");
    println!("written: docs/benchmarks.md");
}
