//! What is wrong with an object, where.

use std::fmt;
use std::path::PathBuf;

/// An object that is not in force as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file, or the folder itself; empty when the object is in a cluster.
    pub file: PathBuf,
    /// The line on which the document or the mistake begins, counted from 1; `None` when it is about the whole file.
    pub line: Option<u64>,
    /// The object, such as `SpiderIPPool p4`; empty when it could not be told.
    pub object: String,
    /// The field, such as `spec.ips[2]`; empty when it is about the whole object.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Whether something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is kept and has no effect.
    Note,
    /// It was refused; the last good version, if there was one, stays in force.
    Refused,
}

/// `pools.yaml:12: SpiderIPPool p4: spec.ips[2]: …`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        let place = format!("{}{line}", self.file.display());
        for part in [&place, &self.object, &self.field] {
            if !part.is_empty() {
                write!(f, "{part}: ")?;
            }
        }
        f.write_str(&self.message)
    }
}
