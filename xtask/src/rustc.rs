//! What a compiler says about itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// The compiler at hand: `RUSTC`, or `rustc`.
pub(crate) fn path() -> PathBuf {
    PathBuf::from(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

/// The folder of a compiler's installation.
pub(crate) fn sysroot(rustc: &Path) -> Result<PathBuf> {
    Ok(PathBuf::from(process::output(Command::new(rustc).args(["--print", "sysroot"]))?.trim_end()))
}

/// The value of a line `key: value` of `rustc -vV`.
pub(crate) fn fact(rustc: &Path, key: &str) -> Result<String> {
    let lines = process::output(Command::new(rustc).arg("-vV"))?;
    let value = lines.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    value.map(str::to_owned).with_context(|| format!("`{} -vV` has no line `{key}: …`", rustc.display()))
}

/// The machine's own target with musl as its C library.
pub(crate) fn musl(rustc: &Path) -> Result<String> {
    Ok(fact(rustc, "host")?.replace("-linux-gnu", "-linux-musl"))
}

/// Has rustup add a target's std to the toolchain, in two minutes at most.
pub(crate) fn add_std(target: &str) -> Result<()> {
    // Where rustup fails, its own reason is enough for a person.
    let mut command = Command::new("timeout");
    command.args(["120", "rustup", "target", "add", target]).env_remove("RUST_BACKTRACE");
    process::output(&mut command).map(drop)
}

/// Whether a std for the target lies where this compiler would look for it: in `sysroot`, or in its own folder.
pub(crate) fn has_std(rustc: &Path, target: &str, sysroot: Option<&Path>) -> Result<bool> {
    let mut command = Command::new(rustc);
    command.args(["--print", "target-libdir", "--target", target]);
    if let Some(sysroot) = sysroot {
        command.arg("--sysroot").arg(sysroot);
    }
    let folder = PathBuf::from(process::output(&mut command)?.trim_end());
    let Ok(files) = fs::read_dir(folder) else { return Ok(false) };
    Ok(files.flatten().any(|file| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    }))
}
