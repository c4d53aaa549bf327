//! The files of the repository: what git tracks, and what it would track next.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// One file.
pub(crate) struct File {
    /// Relative to the repository's root, with `/`.
    pub(crate) path: String,
    pub(crate) bytes: usize,
    pub(crate) contents: Contents,
}

/// What a file holds.
pub(crate) enum Contents {
    Text(String),
    Binary,
}

impl File {
    pub(crate) fn new(path: &str, bytes: Vec<u8>) -> Self {
        let length = bytes.len();
        let contents = match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Contents::Text(text),
            _ => Contents::Binary,
        };
        Self { path: path.to_owned(), bytes: length, contents }
    }

    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }
}

/// Reads them all, in the order of their paths. Links are left out: they hold nothing of their own.
pub(crate) fn read(workspace: &Workspace) -> Result<Vec<File>> {
    let root = workspace.root();
    let listing = process::output(Command::new("git").current_dir(&root).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))
    .context("the rules are about what git tracks; run this in a clone, with git installed")?;
    let paths: BTreeSet<&str> = listing.split('\0').filter(|path| !path.is_empty()).collect();
    paths
        .into_iter()
        // A file that was deleted but is still in git's index.
        .filter(|path| root.join(path).symlink_metadata().is_ok_and(|metadata| metadata.is_file()))
        .map(|path| Ok(File::new(path, std::fs::read(root.join(path)).with_context(|| format!("cannot read {path}"))?)))
        .collect()
}
