//! What is prepared once and serves every clone of the repository.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::progress::say;

/// The folder `spiderpool/NAME` in `$XDG_CACHE_HOME`, or in `~/.cache`; it exists afterwards.
pub(crate) fn folder(name: &str) -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute())
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .context("no place for a cache: neither XDG_CACHE_HOME nor HOME is set; set HOME")?;
    let folder = base.join("spiderpool").join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    Ok(folder)
}

/// Holds off a second build that would prepare `what` in the same folder, until the file is dropped.
pub(crate) fn lock(folder: &Path, what: &str) -> Result<File> {
    let path = folder.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    if file.try_lock().is_err() {
        say(format_args!("waiting for another build that prepares {what}"));
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(file)
}
