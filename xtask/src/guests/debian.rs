//! Debian's Rust compiler and sources, unpacked into the cache. Nothing is installed and no privilege is needed, except
//! for refreshing apt's package lists where they are missing or old.
//!
//! A compiler builds std only from the sources of its own version. A toolchain without sources and without the target
//! therefore cannot help itself; Debian's `rustc-web` comes with both and is kept current for the browsers.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::toolchain::PREPARED;
use crate::progress::{say, step};
use crate::{cache, process};

/// The compiler, and the sources of its std.
const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// The compiler finds its shared libraries through this script, wherever the folder lies.
const WRAPPER: &str = r#"#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
for folder in "$here"/unpacked/usr/lib/*-linux-gnu* "$here"/unpacked/usr/lib; do
    [ -d "$folder" ] && LD_LIBRARY_PATH="$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
done
export LD_LIBRARY_PATH
exec "$here/unpacked/usr/bin/rustc" "$@"
"#;

/// The unpacked compiler, fetched on first use.
pub(crate) fn compiler(cache: &Path) -> Result<PathBuf> {
    let home = cache.join("debian");
    let rustc = home.join("rustc");
    if rustc.is_file() {
        return Ok(rustc);
    }
    let _lock = cache::lock(cache, PREPARED)?;
    if !rustc.is_file() {
        fetch(cache, &home)?;
    }
    Ok(rustc)
}

/// Downloads and unpacks next to `home`, then moves the result there in one step.
fn fetch(cache: &Path, home: &Path) -> Result<()> {
    for program in ["apt-get", "apt-cache", "dpkg-deb", "dpkg-query"] {
        ensure!(
            process::find(program).is_some(),
            "this Rust toolchain cannot build for {target}, and `{program}` is not here to fetch one that can. Do one \
             of these and try again:\n  rustup target add {target}\n  rustup component add rust-src\n  use Debian 12 or \
             newer, or another system with apt",
            target = super::TARGET
        );
    }
    say(format_args!(
        "this Rust toolchain has no std for {}, which policies are compiled for, and no sources to build it from;\n\
         fetching Debian's {} (about 140 MB, once), unpacked into {}, not installed",
        super::TARGET,
        PACKAGES.join(" and "),
        home.display()
    ));
    let work = tempfile::tempdir_in(cache).context("cannot make a working folder")?;
    let downloads = work.path().join("downloads");
    let fresh = work.path().join("debian");
    fs::create_dir_all(&downloads)?;
    fs::create_dir_all(fresh.join("unpacked"))?;
    step("downloading packages with apt-get", || download_with_fresh_lists(&downloads))?;
    step("unpacking", || unpack(&downloads, &fresh.join("unpacked")))?;

    let wrapper = fresh.join("rustc");
    fs::write(&wrapper, WRAPPER)?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    process::output(Command::new(&wrapper).arg("-vV")).context("the unpacked compiler does not start")?;
    if home.exists() {
        fs::remove_dir_all(home).with_context(|| format!("cannot remove {}", home.display()))?;
    }
    fs::rename(&fresh, home).with_context(|| format!("cannot put the compiler at {}", home.display()))
}

/// Tries with the package lists as they are; if those are missing or name files that are gone, refreshes them once.
fn download_with_fresh_lists(folder: &Path) -> Result<()> {
    let Err(first) = download(folder) else { return Ok(()) };
    say("  the package lists are missing or old; refreshing them (apt-get update)");
    if let Err(update) = process::output(Command::new("apt-get").args(["update", "-qq"])) {
        bail!("{first:#}\nand the package lists cannot be refreshed; run `apt-get update` as root\n{update:#}");
    }
    download(folder).context("after refreshing the package lists")
}

fn download(folder: &Path) -> Result<()> {
    let packages = closure(dependencies, is_installed)?;
    process::output(
        Command::new("apt-get")
            .current_dir(folder)
            // Without it apt drops to a user who may not write here, and warns.
            .args(["-o", "APT::Sandbox::User=root", "-qq", "download"])
            .args(&packages),
    )?;
    Ok(())
}

/// `PACKAGES` and the libraries below them that this machine lacks.
fn closure(
    dependencies: impl Fn(&str) -> Result<Vec<String>>,
    is_installed: impl Fn(&str) -> bool,
) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut open = PACKAGES.map(str::to_owned).to_vec();
    while let Some(package) = open.pop() {
        let below = dependencies(&package)?;
        open.extend(below.into_iter().filter(|name| is_library(name) && !is_installed(name) && !found.contains(name)));
        found.insert(package);
    }
    Ok(found)
}

/// A C compiler and its headers are dependencies of the package, for native programs; guests do without.
fn is_library(package: &str) -> bool {
    package.starts_with("libstd-rust-") || (package.starts_with("lib") && !package.ends_with("-dev"))
}

fn dependencies(package: &str) -> Result<Vec<String>> {
    let listing = process::output(Command::new("apt-cache").args(["depends", package]))?;
    Ok(parse_dependencies(&listing))
}

/// The lines `  Depends: NAME` and `  PreDepends: NAME`; virtual packages stand in angle brackets and are left out.
fn parse_dependencies(listing: &str) -> Vec<String> {
    listing
        .lines()
        .map(str::trim)
        .filter_map(|line| line.strip_prefix("Depends: ").or_else(|| line.strip_prefix("PreDepends: ")))
        .filter(|name| !name.starts_with('<'))
        .map(str::to_owned)
        .collect()
}

fn is_installed(package: &str) -> bool {
    process::output(Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]))
        .is_ok_and(|status| status == "installed")
}

fn unpack(downloads: &Path, root: &Path) -> Result<()> {
    for package in fs::read_dir(downloads)? {
        let package = package?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            process::output(Command::new("dpkg-deb").arg("-x").arg(&package).arg(root))?;
            fs::remove_file(&package)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
