//! `cargo xtask dist`: an installation that runs from any folder.
//!
//! ```text
//! bin/spiderpool                   the CNI plugins, static
//! bin/spiderpool-agent
//! bin/spiderpool-controller
//! bin/spiderpool-policy-compiler   the only program with a compiler of WebAssembly in it
//! bin/spiderpoolctl
//! policies/builtin-*.wasm          in force unless replaced
//! policies-examples/*.wasm
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::guests::{self, Kind};
use crate::progress::{say, seconds, step};
use crate::workspace::Workspace;
use crate::{process, rustc};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the installation goes; `dist/`, or `dist-debug/`, in cargo's target folder if not given.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Build programs quickly instead of well.
    #[arg(long)]
    debug: bool,
}

/// Packages that one cargo command builds. Cargo joins the features that packages of one command want: the compiler
/// therefore has a command of its own, or the agent would carry [`COMPILER`]'s Cranelift.
struct Programs {
    title: &'static str,
    packages: &'static [&'static str],
    binaries: &'static [&'static str],
    linkage: Linkage,
    /// Cargo's profile for people who install it.
    profile: &'static str,
}

#[derive(Clone, Copy)]
enum Linkage {
    Dynamic,
    /// No shared library is needed: a plugin runs on whatever system the node has.
    Static,
}

/// The package that no other program may share features with.
const COMPILER: &str = "spiderpool-policy-compiler";

const PROGRAMS: [Programs; 3] = [
    Programs {
        title: "the CNI plugins",
        packages: &["spiderpool-cni"],
        binaries: &["spiderpool"],
        linkage: Linkage::Static,
        profile: "plugin",
    },
    Programs {
        title: "the agent, the controller and spiderpoolctl",
        packages: &["spiderpool-agent", "spiderpool-controller", "spiderpool-ctl"],
        binaries: &["spiderpool-agent", "spiderpool-controller", "spiderpoolctl"],
        linkage: Linkage::Dynamic,
        profile: "release",
    },
    Programs {
        title: "the policy compiler",
        packages: &[COMPILER],
        binaries: &["spiderpool-policy-compiler"],
        linkage: Linkage::Dynamic,
        profile: "release",
    },
];

pub(crate) fn run(Args { out, debug }: Args) -> Result<()> {
    let started = Instant::now();
    let workspace = Workspace::load()?;
    let out = out.unwrap_or_else(|| workspace.target_dir().join(if debug { "dist-debug" } else { "dist" }));
    step("building the policies", || install_policies(&workspace, &out))?;
    for programs in &PROGRAMS {
        step(format_args!("building {}", programs.title), || install_programs(&workspace, programs, debug, &out))?;
    }
    say(format_args!("installation in {} ({})", out.display(), seconds(started.elapsed())));
    Ok(())
}

fn install_policies(workspace: &Workspace, out: &Path) -> Result<()> {
    let built = workspace.target_dir().join("policies");
    for guest in guests::build(workspace, &built, &[])? {
        let folder = match guest.kind {
            Kind::BuiltIn => "policies",
            Kind::Example => "policies-examples",
            Kind::Fixture => continue,
        };
        install(&built.join(format!("{}.wasm", guest.component)), &out.join(folder))?;
    }
    Ok(())
}

fn install_programs(workspace: &Workspace, programs: &Programs, debug: bool, out: &Path) -> Result<()> {
    let Programs { title, packages, binaries, linkage, profile } = programs;
    let profile = if debug { "dev" } else { profile };
    // Cargo's folder for the profile `dev` is the only one with another name.
    let built = if debug { "debug" } else { profile };
    let mut folder = workspace.target_dir();
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--profile", profile]).args(binaries.iter().flat_map(|binary| ["--bin", binary]));
    if debug && matches!(linkage, Linkage::Dynamic) {
        share_with_tests(&mut cargo, packages);
    } else {
        cargo.args(packages.iter().flat_map(|package| ["--package", package]));
    }
    if matches!(linkage, Linkage::Static) {
        let target = static_target()?;
        link_statically(&mut cargo, &target);
        folder.push(target);
    }
    process::run(&mut cargo).with_context(|| format!("{title} cannot be built"))?;
    for binary in *binaries {
        install(&folder.join(built).join(binary), &out.join("bin"))?;
    }
    Ok(())
}

/// Has dependencies built with the features that `cargo test --workspace` builds them with, once for both: that took a first
/// `make test` from 20 minutes of compiling to 14.
fn share_with_tests(cargo: &mut Command, packages: &[&str]) {
    cargo.arg("--workspace");
    if !packages.contains(&COMPILER) {
        cargo.args(["--exclude", COMPILER]);
    }
}

/// With which C library static programs are linked: musl where the toolchain has it (see `prepare`), else the machine's.
/// The GNU one asks the processor at every start what it is, which takes 0.4 ms in a virtual machine.
fn static_target() -> Result<String> {
    let rustc = rustc::path();
    let musl = rustc::musl(&rustc)?;
    if rustc::has_std(&rustc, &musl, None)? { Ok(musl) } else { rustc::fact(&rustc, "host") }
}

/// The target is named also where it is the machine's own: only then do flags leave out procedural macros, which are shared
/// libraries. Without the second flag HTTP, too, asks the processor at every start what it is, to read a few lines faster.
fn link_statically(cargo: &mut Command, target: &str) {
    let flags = r#"['-Ctarget-feature=+crt-static', '--cfg=httparse_disable_simd="1"']"#;
    cargo
        .args(["--target", target])
        .args(["--config", &format!("target.{target}.rustflags={flags}")])
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
}

/// Copies next to the place and moves: a program that is running stays whole, and a reader never sees half a file.
fn install(file: &Path, folder: &Path) -> Result<()> {
    let name = file.file_name().context("an installed file needs a name")?;
    let copy = || -> std::io::Result<u64> {
        fs::create_dir_all(folder)?;
        let fresh = tempfile::Builder::new().tempfile_in(folder)?;
        let bytes = fs::copy(file, fresh.path())?;
        fresh.persist(folder.join(name))?;
        Ok(bytes)
    };
    let bytes = copy().with_context(|| format!("cannot install {} in {}", file.display(), folder.display()))?;
    say(format_args!("  {:<32} {:>7} KiB", folder.join(name).display(), bytes / 1024));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_compiler_shares_no_command_with_programs_that_must_not_carry_it() {
        let with_compiler = PROGRAMS.iter().filter(|programs| programs.packages.contains(&COMPILER));
        assert_eq!(with_compiler.map(|programs| programs.packages.len()).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn every_package_is_a_member_that_builds_the_named_binary() {
        let workspace = Workspace::load().expect("the workspace");
        for Programs { packages, binaries, .. } in &PROGRAMS {
            for (package, binary) in packages.iter().zip(*binaries) {
                let member = workspace.members().find(|member| member.name == *package).expect(package);
                assert!(
                    member.targets.iter().any(|target| target.is_bin() && target.name == *binary),
                    "{package}: {binary}"
                );
            }
        }
    }

    #[test]
    fn an_installed_program_replaces_the_old_one_and_can_be_started() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (built, out) = (folder.path().join("tool"), folder.path().join("bin"));
        for text in ["#!/bin/sh\nexit 1\n", "#!/bin/sh\nexit 0\n"] {
            fs::write(&built, text).expect("written");
            fs::set_permissions(&built, fs::Permissions::from_mode(0o755)).expect("permissions");
            install(&built, &out).expect("installed");
        }
        // What was open here for writing is open in children of other tests until these start their own program.
        let status = loop {
            match Command::new(out.join("tool")).status() {
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                status => break status,
            }
        };
        assert!(status.expect("started").success());
        assert_eq!(fs::read_dir(&out).expect("a listing").count(), 1, "nothing else is left");
    }
}
