//! `cargo xtask tools`: etcd, kube-apiserver and kubectl as tests start them, built from `tests/tools/go.mod`.
//!
//! They lie in `$XDG_CACHE_HOME/spiderpool/go/HASH/bin`, where the hash is that of `go.sum`, which changes with every
//! version of anything in them; `tests/cluster` looks for them there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::progress::{say, step};
use crate::workspace::Workspace;
use crate::{cache, process};

/// A program and the Go package it is the `main` of.
struct Tool {
    program: &'static str,
    package: &'static str,
}

const TOOLS: [Tool; 3] = [
    Tool { program: "etcd", package: "go.etcd.io/etcd/server/v3" },
    Tool { program: "kube-apiserver", package: "k8s.io/kubernetes/cmd/kube-apiserver" },
    Tool { program: "kubectl", package: "k8s.io/kubernetes/cmd/kubectl" },
];

pub(crate) fn run() -> Result<()> {
    let module = Workspace::load()?.root().join("tests/tools");
    let cache = cache::folder("go")?;
    let home = cache.join(name_of(&fs::read(module.join("go.sum")).context("cannot read tests/tools/go.sum")?));
    if is_complete(&home) {
        return Ok(());
    }
    let _lock = cache::lock(&cache, "the Go tools")?;
    if is_complete(&home) {
        return Ok(());
    }
    let go_mod = fs::read_to_string(module.join("go.mod")).context("cannot read tests/tools/go.mod")?;
    let go = go(&module, &go_mod)?;
    say(format_args!(
        "building {} into {}, once for this version; it takes 5 minutes on two cores, and Go downloads about 300 MB of \
         sources it does not have",
        TOOLS.map(|tool| tool.program).join(", "),
        home.display()
    ));
    build(&go, &module, &go_mod, &cache.join("unfinished"), &home)
}

/// The folder's name for these sums.
fn name_of(go_sum: &[u8]) -> String {
    Sha256::digest(go_sum)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_complete(home: &Path) -> bool {
    TOOLS.iter().all(|tool| home.join("bin").join(tool.program).is_file())
}

/// Builds everything in `unfinished` and gives it its name at the end, so that what has the name is whole. The caller
/// holds the cache's lock; what an interrupted build left there is thrown away, and Go's own cache makes up for it.
fn build(go: &Path, module: &Path, go_mod: &str, unfinished: &Path, home: &Path) -> Result<()> {
    for leftover in [unfinished, home] {
        if leftover.exists() {
            fs::remove_dir_all(leftover).with_context(|| format!("cannot remove {}", leftover.display()))?;
        }
    }
    let flags = format!("-s -w {}", stamp(go_mod)?);
    for Tool { program, package } in TOOLS {
        let mut command = in_module(go, module);
        command.args(["build", "-ldflags", &flags, "-o"]).arg(unfinished.join("bin").join(program)).arg(package);
        step(format_args!("building {program}"), || process::run(&mut command))?;
    }
    fs::rename(unfinished, home).with_context(|| format!("cannot put the tools at {}", home.display()))
}

/// A command that no workspace file of somebody's home changes the meaning of.
fn in_module(go: &Path, module: &Path) -> Command {
    let mut command = Command::new(go);
    command.current_dir(module).env("GOWORK", "off");
    command
}

/// Linker flags with the release that Kubernetes' programs say they are: without them they say `v0.0.0-master`, which
/// clients that ask for a version refuse.
fn stamp(go_mod: &str) -> Result<String> {
    let version = required(go_mod, "k8s.io/kubernetes").context("tests/tools/go.mod requires no k8s.io/kubernetes")?;
    let mut parts = version.trim_start_matches('v').split('.');
    let (Some(major), Some(minor)) = (parts.next(), parts.next()) else {
        bail!("tests/tools/go.mod: {version} is not a version of Kubernetes such as v1.36.3");
    };
    let flag = |name: &str, value: &str| format!("-X k8s.io/component-base/version.{name}={value}");
    Ok([flag("gitVersion", version), flag("gitMajor", major), flag("gitMinor", minor)].join(" "))
}

/// The version at which a `go.mod` requires a module.
fn required<'a>(go_mod: &'a str, module: &str) -> Option<&'a str> {
    go_mod.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word == "require");
        (words.next() == Some(module)).then(|| words.next()).flatten()
    })
}

/// A Go that can build the tools.
fn go(module: &Path, go_mod: &str) -> Result<PathBuf> {
    let wanted = go_mod
        .lines()
        .find_map(|line| line.strip_prefix("go "))
        .context("tests/tools/go.mod says no version of Go: it lacks a line such as `go 1.26.0`")?;
    let remedy = format!(
        "install Go {wanted} or newer from https://go.dev/dl/ and put its bin folder on PATH; a Go since 1.21 (on Debian: \
         apt-get install golang-go) fetches it itself if GOTOOLCHAIN=auto is set"
    );
    let beside_path = [PathBuf::from("/usr/local/go/bin/go")];
    let found = process::find("go").or_else(|| beside_path.into_iter().find(|file| file.is_file()));
    let Some(go) = found else {
        bail!("Go is missing, which etcd and kube-apiserver are built with for the tests: {remedy}");
    };
    let said = process::output(in_module(&go, module).arg("version"))
        .with_context(|| format!("{} is of no use here: {remedy}", go.display()))?;
    let version = version_in(&said).with_context(|| format!("`go version` says no version: {}", said.trim_end()))?;
    ensure!(is_at_least(version, wanted), "{} is Go {version}, which is too old: {remedy}", go.display());
    Ok(go)
}

/// `1.26.8` of `go version go1.26.8 linux/amd64`.
fn version_in(said: &str) -> Option<&str> {
    said.split_whitespace().find_map(|word| word.strip_prefix("go").filter(|rest| rest.starts_with(char::is_numeric)))
}

fn is_at_least(version: &str, wanted: &str) -> bool {
    // A release candidate, `1.27rc1`, counts as what it leads to.
    let parts = |text: &str| {
        let number = |part: &str| part.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().parse().ok();
        text.split('.').map(|part| number(part).unwrap_or(0)).collect::<Vec<u32>>()
    };
    parts(version) >= parts(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GO_MOD: &str = include_str!("../../tests/tools/go.mod");

    #[test]
    fn every_tool_is_one_of_the_modules() {
        for Tool { program, package } in TOOLS {
            assert!(GO_MOD.lines().any(|line| line.trim() == package), "{program}: go.mod has no tool {package}");
        }
    }

    #[test]
    fn programs_say_the_release_they_are_built_from() {
        let flags = stamp("require (\n\tk8s.io/kubernetes v1.36.3 // indirect\n)\n").unwrap();
        assert!(flags.starts_with("-X k8s.io/component-base/version.gitVersion=v1.36.3 "), "{flags}");
        assert!(flags.ends_with("gitMinor=36"), "{flags}");
        assert!(stamp(GO_MOD).is_ok());
        let error = stamp("require k8s.io/api v0.36.3\n").unwrap_err().to_string();
        assert!(error.contains("requires no k8s.io/kubernetes"), "{error}");
    }

    #[test]
    fn versions_of_go_compare_by_number() {
        assert_eq!(version_in("go version go1.26.8 linux/amd64\n"), Some("1.26.8"));
        assert_eq!(version_in("go version devel\n"), None);
        let cases =
            [("1.26.8", true), ("1.26.0", true), ("1.27rc1", true), ("2.0", true), ("1.9.7", false), ("1.25.9", false)];
        for (version, expected) in cases {
            assert_eq!(is_at_least(version, "1.26.0"), expected, "{version}");
        }
    }

    #[test]
    fn what_is_incomplete_is_built_again() {
        let home = tempfile::tempdir().unwrap();
        let bin = home.path().join("bin");
        fs::create_dir(&bin).unwrap();
        for Tool { program, .. } in TOOLS {
            assert!(!is_complete(home.path()), "complete without {program}");
            fs::write(bin.join(program), "").unwrap();
        }
        assert!(is_complete(home.path()));
    }
}
