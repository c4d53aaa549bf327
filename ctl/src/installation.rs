//! Where the parts of an installation are that the policy commands need: the compiler and the built-in policies.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const COMPILER: &str = "spiderpool-policy-compiler";
const COMPILER_VARIABLE: &str = "SPIDERPOOL_POLICY_COMPILER";
const BUILT_INS_VARIABLE: &str = "SPIDERPOOL_BUILTIN_POLICIES";

/// The compiler: what the environment says, else the one beside this program, else the first in `PATH`.
///
/// # Errors
/// There is none.
pub(crate) fn compiler() -> Result<PathBuf> {
    if let Some(named) = variable(COMPILER_VARIABLE) {
        if named.is_file() {
            return Ok(named);
        }
        bail!("{COMPILER_VARIABLE} says {}, where there is no file", named.display());
    }
    let beside = program_folder()?.join(COMPILER);
    let in_path = env::var_os("PATH").unwrap_or_default();
    let in_path = env::split_paths(&in_path).map(|folder| folder.join(COMPILER));
    let Some(found) = std::iter::once(beside.clone()).chain(in_path).find(|file| file.is_file()) else {
        bail!(
            "{COMPILER} is neither {} nor in PATH; install it beside spiderpoolctl or name it with {COMPILER_VARIABLE}",
            beside.display(),
        );
    };
    Ok(found)
}

/// The folder of the built-in policies: what the environment says, else `policies` in the folder above this program's.
///
/// # Errors
/// There is none.
pub(crate) fn built_in_policies() -> Result<PathBuf> {
    let (folder, said_by) = match variable(BUILT_INS_VARIABLE) {
        Some(folder) => (folder, format!("{BUILT_INS_VARIABLE} says so")),
        None => {
            let program = program_folder()?;
            (program.parent().unwrap_or(&program).join("policies"), "the folder beside the program's own".to_owned())
        }
    };
    if !folder.is_dir() {
        bail!(
            "the built-in policies are not in {} ({said_by}); name their folder with {BUILT_INS_VARIABLE}",
            folder.display()
        );
    }
    Ok(folder)
}

/// Where compiled components are kept for this user. The runtime makes the folder, and nobody else may write there.
///
/// # Errors
/// Nothing says where this user keeps such things.
pub(crate) fn cache() -> Result<PathBuf> {
    let cache = match variable("XDG_CACHE_HOME").filter(|folder| folder.is_absolute()) {
        Some(folder) => folder,
        None => env::home_dir().context("neither XDG_CACHE_HOME nor HOME is set; set HOME")?.join(".cache"),
    };
    Ok(cache.join("spiderpool/policies"))
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from)
}

fn program_folder() -> Result<PathBuf> {
    let program = env::current_exe().context("cannot find the folder of this program")?;
    Ok(program.parent().map(Path::to_owned).unwrap_or_default())
}
