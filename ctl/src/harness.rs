//! `policy test`: case files against a policy and the built-in ones, in the runtime that the agent uses.

mod report;
mod run;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};

use self::report::Report;
use self::run::Bench;
use crate::output::{self, Format};
use crate::{Outcome, cases};

/// Run case files against a policy, without agent or cluster.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  spiderpoolctl policy test cases --policy target/policies/rack-and-octet.wasm
  spiderpoolctl policy test cases/node.yaml --filter zone
  spiderpoolctl policy test policies/affinity/cases    the built-in policies alone

The built-in policies take part as in a cluster. They are looked for in ../policies beside the program, or in
SPIDERPOOL_BUILTIN_POLICIES; the compiler beside the program, in PATH, or as SPIDERPOOL_POLICY_COMPILER says.
Exit code 1 when a case fails, and when there is none.")]
pub(crate) struct Args {
    /// A case file, or a folder of case files (*.yaml).
    #[arg(value_name = "DIR")]
    path: PathBuf,
    /// The component under test, in place of the `source` that a case file names.
    #[arg(long, value_name = "FILE.wasm")]
    policy: Option<PathBuf>,
    /// Only cases with this text in their name or in the name of their file.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

pub(crate) async fn run(args: &Args, format: Format) -> Result<Outcome> {
    let mut files = cases::load(&args.path)?;
    if let Some(text) = &args.filter {
        for file in &mut files {
            let of_file = file.path.file_name().is_some_and(|name| name.to_string_lossy().contains(text.as_str()));
            file.cases.retain(|case| of_file || case.name.contains(text.as_str()));
        }
        files.retain(|file| !file.cases.is_empty());
        if files.is_empty() {
            bail!("no case in {} has {text:?} in its name; leave out --filter to see them all", args.path.display());
        }
    }
    let bench = Bench::new(args.policy.clone())?;
    let started = Instant::now();
    let mut report = Report::default();
    for file in &files {
        let results = bench.run(file).await?;
        if format == Format::Table {
            spiderpool_cli::print(report::section(&file.path, &results))?;
        }
        report.add(&file.path, results);
    }
    let outcome = if report.failed == 0 { Outcome::Done } else { Outcome::Refused };
    output::answer(format, &report, || report.summary(started.elapsed()))?;
    Ok(outcome)
}
