//! `cargo xtask tidy`: the rules of this project that neither the compiler nor clippy knows.

mod content;
mod names;
mod orphans;
mod rooms;
mod syntax;
mod tree;

use std::fmt;

use anyhow::{Result, bail};

use self::syntax::Syntax;
use self::tree::{Contents, File};
use crate::progress::say;
use crate::workspace::Workspace;

/// One breach of a rule, told so that its reader knows where to go and what to do.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    /// Relative to the repository's root.
    file: String,
    /// Counted from 1.
    line: usize,
    rule: &'static str,
    problem: String,
    remedy: String,
    weight: Weight,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Weight {
    /// Told, and let pass.
    Warning,
    /// Fails the check.
    Error,
}

impl Finding {
    fn error(file: &str, line: usize, rule: &'static str, problem: String, remedy: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, rule, problem, remedy: remedy.into(), weight: Weight::Error }
    }

    fn warning(file: &str, line: usize, rule: &'static str, problem: String, remedy: impl Into<String>) -> Self {
        Self { weight: Weight::Warning, ..Self::error(file, line, rule, problem, remedy) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, rule, problem, remedy, weight } = self;
        let weight = match weight {
            Weight::Warning => "warning: ",
            Weight::Error => "",
        };
        write!(f, "{file}:{line}: {weight}{problem} [{rule}]\n    {remedy}")
    }
}

pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::load()?;
    let files = tree::read(&workspace)?;
    let mut findings = rooms::check(&workspace);
    findings.extend(orphans::check(&workspace, &files));
    files.iter().for_each(|file| check_file(file, &mut findings));
    findings.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    findings.iter().for_each(say);

    let errors = findings.iter().filter(|finding| finding.weight == Weight::Error).count();
    if errors > 0 {
        bail!("tidy: {errors} breaches of the rules above in {} files", files.len());
    }
    say(format_args!("tidy: {} files keep the rules, {} warnings", files.len(), findings.len()));
    Ok(())
}

fn check_file(file: &File, findings: &mut Vec<Finding>) {
    names::check_path(&file.path, findings);
    content::check_bulk(file, findings);
    let Contents::Text(text) = &file.contents else { return };
    content::check_text(&file.path, text, findings);
    if file.is_rust() {
        content::check_length(&file.path, text, findings);
        match Syntax::read(text) {
            Ok(syntax) => {
                names::check_modules(&file.path, &syntax, findings);
                syntax::check(&file.path, &syntax, findings);
            }
            Err(line) => findings.push(Finding::error(
                &file.path,
                line,
                "syntax",
                "this is not Rust".to_owned(),
                "repair it; `cargo check` says more",
            )),
        }
    }
}
