//! `cargo xtask guests`: policy crates → core modules → WebAssembly components.
//!
//! A guest is a workspace member with the crate type `cdylib`; its manifest names the component:
//! `[package.metadata.spiderpool] component = "builtin-affinity"`.

mod component;
mod debian;
mod discover;
mod std_library;
mod toolchain;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use self::discover::Guest;
pub(crate) use self::discover::Kind;
use self::toolchain::Toolchain;
use crate::process;
use crate::progress::{say, seconds};
use crate::workspace::Workspace;

/// Everything below runs in a sandbox without an operating system.
const TARGET: &str = "wasm32-unknown-unknown";

/// The stack of a guest, in bytes. A fresh instance per call touches its first pages each time, so one page of 64 KiB
/// instead of the linker's 1 MiB is measurable; decisions are shallow.
const STACK_BYTES: u32 = 65_536;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the components go; `policies/` in cargo's target folder if not given.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only these components, by name; all of them if none is given.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) fn run(Args { out, names }: Args) -> Result<()> {
    let workspace = Workspace::load()?;
    let folder = out.unwrap_or_else(|| workspace.target_dir().join("policies"));
    let started = Instant::now();
    let guests = build(&workspace, &folder, &names)?;
    say(format_args!("{} policies in {} ({})", guests.len(), folder.display(), seconds(started.elapsed())));
    Ok(())
}

/// Builds the named guests, or all, into `folder` as `<name>.wasm`. A file that would not change is not touched.
pub(crate) fn build(workspace: &Workspace, folder: &Path, names: &[String]) -> Result<Vec<Guest>> {
    let guests = discover::guests(workspace, names)?;
    let toolchain = toolchain::find()?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for guest in &guests {
        let core = compile(workspace, &toolchain, guest)?;
        let component = component::encode(&core).with_context(|| format!("guest `{}`", guest.component))?;
        let file = folder.join(format!("{}.wasm", guest.component));
        let note = if component::write(&file, &component)? { "" } else { "  (unchanged)" };
        say(format_args!("  {:<20} {:>7} bytes{note}", guest.component, component.len()));
    }
    Ok(guests)
}

/// Compiles one guest to a core module and returns its path.
///
/// The crate type is overridden: link-time optimisation does not apply to a library that is also built as an `rlib`.
fn compile(workspace: &Workspace, toolchain: &Toolchain, guest: &Guest) -> Result<PathBuf> {
    // A folder of its own: another compiler must not disturb the records of the native build, nor wait for its lock.
    let target_dir = workspace.target_dir().join("guest-build");
    let mut cargo = workspace.cargo();
    cargo
        .args(["rustc", "--quiet", "--lib", "--crate-type", "cdylib", "--profile", "guest", "--target", TARGET])
        .args(["--package", &guest.package])
        .arg("--target-dir")
        .arg(&target_dir);
    toolchain.configure(&mut cargo, &flags(workspace)?);
    process::run(&mut cargo).with_context(|| format!("guest `{}` does not build", guest.component))?;
    let core = target_dir.join(TARGET).join("guest").join(format!("{}.wasm", guest.library));
    if !core.is_file() {
        bail!("cargo built the guest `{}` but left no {}", guest.component, core.display());
    }
    Ok(core)
}

/// Compiler flags of every guest. Paths are replaced by names, so that a component does not depend on the folder it was
/// built in and a panic's message reads the same everywhere.
fn flags(workspace: &Workspace) -> Result<Vec<String>> {
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .context("neither CARGO_HOME nor HOME is set; set HOME")?;
    Ok(vec![
        format!("-Clink-arg=-zstack-size={STACK_BYTES}"),
        format!("--remap-path-prefix={}=", workspace.root().join("").display()),
        format!("--remap-path-prefix={}=cargo", cargo_home.display()),
    ])
}
