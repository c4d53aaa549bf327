//! Where the programs are.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

/// What the programs are built from; its hash is part of their path. `cargo xtask tools` has the same rule.
const GO_SUM: &[u8] = include_bytes!("../../tools/go.sum");

/// A program that `cargo xtask tools` builds.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute())
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .context("no place for a cache: neither XDG_CACHE_HOME nor HOME is set; set HOME")?;
    let hash = Sha256::digest(GO_SUM)[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let program = cache.join("spiderpool/go").join(hash).join("bin").join(name);
    ensure!(
        program.is_file(),
        "{name} is not built yet, {} does not exist: run `cargo xtask tools` (5 minutes, once)",
        program.display()
    );
    Ok(program)
}
