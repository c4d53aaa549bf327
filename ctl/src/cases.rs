//! Case files: questions for policies and the answers that are expected, in YAML.
//!
//! ```text
//! *.yaml ──format──→ RawFile ──manifest──→ Objects ─┐
//!                        └─────────────────────────┴──question──→ what the runtime is asked
//!                        └──expectation──→ what is expected ──compare──→ lines of two texts, alike when all is well
//! ```
//!
//! Everything around a case is a Kubernetes manifest. Reading is strict: a key that nobody reads is an error with its
//! line, in the case and in the manifests, because an expectation with a slip of the pen would hold for ever.

mod ask;
mod compare;
mod departure;
mod expectation;
mod format;
mod manifest;
mod question;
mod retention;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

pub use compare::{Comparison, Complaint, Refusal, compare_placement, compare_problems, compare_review, not_in_force};
pub use expectation::{
    CauseExpectation, ChoiceExpectation, EndExpectation, FateExpectation, PlacementExpectation, ProblemExpectation,
    RefusalExpectation, RetentionExpectation, ReviewExpectation, StepExpectation, VerdictExpectation,
};
pub use format::{CaseFile, Operation, PolicyUnderTest};
pub use question::{Case, Placement, Question, Review};
pub use retention::compare_retention;

/// A case file that cannot be read: where, what is wrong, what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseError {
    /// The file or folder.
    pub path: PathBuf,
    /// The line, from 1; none when the whole is meant.
    pub line: Option<u64>,
    /// What is wrong and what to do.
    pub problem: String,
}

impl CaseError {
    pub(crate) fn new(path: &Path, line: impl Into<Option<u64>>, problem: impl fmt::Display) -> Self {
        let line = line.into().filter(|line| *line > 0);
        Self { path: path.to_owned(), line, problem: problem.to_string() }
    }
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for CaseError {}

/// Reads a case file, or all `.yaml` and `.yml` files directly in a folder, by name.
///
/// # Errors
/// The first file that cannot be read. A folder without case files and a file without cases are errors too: nothing
/// tested is not success.
pub fn load(path: &Path) -> Result<Vec<CaseFile>, CaseError> {
    let metadata = fs::metadata(path).map_err(|error| CaseError::new(path, None, error))?;
    if !metadata.is_dir() {
        return Ok(vec![CaseFile::read(path)?]);
    }
    let entries = fs::read_dir(path).map_err(|error| CaseError::new(path, None, error))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| CaseError::new(path, None, error))?.path();
        if file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(CaseError::new(path, None, "there are no case files (*.yaml) in this folder"));
    }
    files.sort();
    files.iter().map(|file| CaseFile::read(file)).collect()
}
