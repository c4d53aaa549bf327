//! Which compiler and which std build the guests.
//!
//! In this order: the toolchain at hand, if it has the target; the target that rustup installs, if a person asked for
//! that; the toolchain at hand with a std built from its own sources; Debian's compiler and sources, unpacked into a
//! cache and never installed. A std that was built is kept per compiler, outside the repository.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use super::{TARGET, debian, std_library};
use crate::progress::say;
use crate::{cache, rustc};

/// A person who has the network for it sets this to 1 to let rustup add the target to the toolchain.
const ASK_RUSTUP: &str = "SPIDERPOOL_RUSTUP_TARGET";
/// What a second build waits for.
pub(crate) const PREPARED: &str = "the same compiler or std";

/// How to compile for the guests' target.
pub(crate) struct Toolchain {
    rustc: PathBuf,
    /// Where the target's std lies, if not in the compiler's own folder.
    sysroot: Option<PathBuf>,
    linker: PathBuf,
}

impl Toolchain {
    /// Makes a cargo command use this toolchain with `flags`, whatever flags the caller's environment has for native
    /// builds. Lists in TOML, because a path may contain spaces.
    pub(crate) fn configure(&self, cargo: &mut Command, flags: &[String]) {
        let sysroot = self.sysroot.iter().flat_map(|folder| ["--sysroot".to_owned(), folder.display().to_string()]);
        let flags = sysroot.chain(flags.iter().cloned()).collect::<Vec<_>>();
        cargo
            .env("RUSTC", &self.rustc)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("RUSTC_WRAPPER")
            .args(["--config", &format!("target.{TARGET}.rustflags={flags:?}")])
            .args(["--config", &format!("target.{TARGET}.linker={:?}", self.linker.display().to_string())]);
    }
}

/// Finds the first of the ways above that works, preparing it if need be.
pub(crate) fn find() -> Result<Toolchain> {
    let rustc = rustc::path();
    let linker = linker(&rustc)?;
    if rustc::has_std(&rustc, TARGET, None)? || (asked_for_rustup() && add_with_rustup(&rustc)?) {
        return Ok(Toolchain { rustc, sysroot: None, linker });
    }
    let cache = cache::folder("wasm-std")?;
    let rustc = if has_sources(&rustc)? { rustc } else { debian::compiler(&cache)? };
    let sysroot = cache.join(format!("sysroot-{}", identity(&rustc)?));
    if !rustc::has_std(&rustc, TARGET, Some(&sysroot))? {
        let _lock = cache::lock(&cache, PREPARED)?;
        if !rustc::has_std(&rustc, TARGET, Some(&sysroot))? {
            std_library::build(&rustc, &cache, &sysroot)?;
        }
    }
    Ok(Toolchain { rustc, sysroot: Some(sysroot), linker })
}

fn asked_for_rustup() -> bool {
    env::var_os(ASK_RUSTUP).is_some_and(|value| value == "1")
}

fn add_with_rustup(rustc: &Path) -> Result<bool> {
    say(format_args!("{ASK_RUSTUP}=1: rustup adds {TARGET} to the toolchain"));
    rustc::add_std(TARGET)?;
    rustc::has_std(rustc, TARGET, None)
}

fn has_sources(rustc: &Path) -> Result<bool> {
    Ok(rustc::sysroot(rustc)?.join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file())
}

/// The commit a compiler was built from, or its version where it does not say: libraries of another one do not load.
fn identity(rustc: &Path) -> Result<String> {
    let release = rustc::fact(rustc, "release")?;
    let commit = rustc::fact(rustc, "commit-hash")?;
    Ok(format!("{release}-{}", commit.get(..12).unwrap_or("distribution")))
}

/// The linker that comes with the toolchain. The `lld` packages of older distributions are not used: version 14 lacks
/// symbols that current Rust code needs.
fn linker(rustc: &Path) -> Result<PathBuf> {
    let host = rustc::fact(rustc, "host")?;
    let linker = rustc::sysroot(rustc)?.join("lib/rustlib").join(host).join("bin/rust-lld");
    ensure!(
        linker.is_file(),
        "no linker for {TARGET}: {} does not exist; use a toolchain that rustup installed, or put LLVM's lld (15 or \
         newer) in its place",
        linker.display()
    );
    Ok(linker)
}
