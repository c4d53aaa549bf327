//! What cargo knows about this repository.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package};

/// The repository's members and folders, as cargo sees them.
pub(crate) struct Workspace {
    metadata: Metadata,
}

impl Workspace {
    /// Asks cargo, without looking at dependencies: nothing is resolved or downloaded.
    pub(crate) fn load() -> Result<Self> {
        // From the folder where the task is run, and not from where it was built: checkouts may share what they build.
        let metadata =
            MetadataCommand::new().no_deps().exec().context("cargo cannot read the workspace's manifests")?;
        Ok(Self { metadata })
    }

    /// The crates of this repository.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.metadata.packages.iter()
    }

    /// The repository's root folder.
    pub(crate) fn root(&self) -> PathBuf {
        self.metadata.workspace_root.clone().into()
    }

    /// Where cargo puts what it builds: `CARGO_TARGET_DIR`, or `target/`.
    pub(crate) fn target_dir(&self) -> PathBuf {
        self.metadata.target_directory.clone().into()
    }

    /// A cargo command that runs in the repository's root, by the cargo that runs this task.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
        command.current_dir(self.root());
        // What cargo says to a program of the package that it runs. A build script that looks at such a variable would be
        // out of date with every change between cargo here and cargo by hand, with all that depends on it.
        let of_package = |name: &str| name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_");
        for name in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(|name| of_package(name))
        {
            command.env_remove(name);
        }
        command
    }
}
