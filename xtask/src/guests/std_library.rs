//! Building std for the guests' target from a compiler's own sources, once per compiler.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::TARGET;
use crate::progress::step;
use crate::{process, rustc as compiler};

/// A package with nothing in it: cargo builds std only as the dependency of something.
const MANIFEST: &str = "[package]
name = \"nothing\"
version = \"0.0.0\"
edition = \"2024\"

[profile.release]
panic = \"abort\"

[workspace]
";

/// Builds std into `sysroot`, which appears complete or not at all. The caller holds the cache's lock.
pub(crate) fn build(rustc: &Path, cache: &Path, sysroot: &Path) -> Result<()> {
    let title = format!(
        "building Rust's std for {TARGET}, once for this compiler (about half a minute; cargo may fetch the few crates \
         std depends on)"
    );
    step(title, || {
        let work = tempfile::tempdir_in(cache).context("cannot make a working folder")?;
        let package = work.path().join("nothing");
        fs::create_dir_all(package.join("src"))?;
        fs::write(package.join("Cargo.toml"), MANIFEST)?;
        fs::write(package.join("src/lib.rs"), "#![no_std]\n")?;
        compile(rustc, &package)?;

        let fresh = work.path().join("sysroot");
        let libraries = fresh.join("lib/rustlib").join(TARGET).join("lib");
        collect(&package.join("target").join(TARGET).join("release/deps"), &libraries)?;
        if sysroot.exists() {
            fs::remove_dir_all(sysroot).with_context(|| format!("cannot remove {}", sysroot.display()))?;
        }
        fs::rename(&fresh, sysroot).with_context(|| format!("cannot put std at {}", sysroot.display()))
    })
}

fn compile(rustc: &Path, package: &Path) -> Result<()> {
    let sources = compiler::sysroot(rustc)?.join("lib/rustlib/src/rust");
    // Bitcode, because guests are linked with link-time optimisation and cargo leaves it out of a profile without one.
    let flags = ["-Cembed-bitcode=yes".to_owned(), format!("--remap-path-prefix={}=rust", sources.display())];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    process::run(
        Command::new(cargo)
            .current_dir(package)
            .args(["build", "--quiet", "--release", "-Zbuild-std=std,panic_abort", "--target", TARGET])
            .arg("--target-dir")
            .arg(package.join("target"))
            .args(["--config", &format!("target.{TARGET}.rustflags={flags:?}")])
            .env("RUSTC", rustc)
            // Building std is not a promised interface of cargo; the result is used for guests alone and tested there.
            .env("RUSTC_BOOTSTRAP", "1")
            // Where cargo looks for the sources, should the compiler's wrapper or a symlink mislead it.
            .env("__CARGO_TESTS_ONLY_SRC_ROOT", sources.join("library"))
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("RUSTC_WRAPPER")
            .env_remove("CARGO_BUILD_TARGET"),
    )
    .with_context(|| format!("std for {TARGET} does not build from {}", sources.display()))
}

/// Copies the libraries that cargo built to where a compiler looks for them.
fn collect(built: &Path, libraries: &Path) -> Result<()> {
    fs::create_dir_all(libraries)?;
    let mut has_std = false;
    for file in fs::read_dir(built).with_context(|| format!("cannot read {}", built.display()))? {
        let file = file?;
        let name = file.file_name();
        let shown = name.to_string_lossy();
        if shown.ends_with(".rlib") && !shown.starts_with("libnothing-") {
            has_std |= shown.starts_with("libstd-");
            fs::copy(file.path(), libraries.join(&name))?;
        }
    }
    ensure!(has_std, "cargo built no std in {}", built.display());
    Ok(())
}
