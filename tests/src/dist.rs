use std::env;
use std::path::{Path, PathBuf};

/// An installation, as `cargo xtask dist` lays it out.
#[derive(Clone, Debug)]
pub struct Dist(PathBuf);

impl Dist {
    /// The installation under test: `$SPIDERPOOL_DIST`, else what `cargo xtask dist --debug` made; for benchmarks, what
    /// `cargo xtask dist` made.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn find() -> Self {
        let target =
            || env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).unwrap_or_else(|| manifest_dir().join("../target"));
        let (name, command) = if cfg!(debug_assertions) {
            ("dist-debug", "cargo xtask dist --debug")
        } else {
            ("dist", "cargo xtask dist")
        };
        let folder = env::var_os("SPIDERPOOL_DIST").map(PathBuf::from).unwrap_or_else(|| target().join(name));
        let agent = folder.join("bin/spiderpool-agent");
        assert!(agent.exists(), "{} is missing: run `{command}`", agent.display());
        Self(folder)
    }

    /// A program.
    #[must_use]
    pub fn bin(&self, name: &str) -> PathBuf {
        self.0.join("bin").join(name)
    }

    /// The folder of programs.
    #[must_use]
    pub fn bins(&self) -> PathBuf {
        self.0.join("bin")
    }

    /// The folder of built-in policies.
    #[must_use]
    pub fn policies(&self) -> PathBuf {
        self.0.join("policies")
    }

    /// A component of an example policy.
    #[must_use]
    pub fn example(&self, name: &str) -> PathBuf {
        self.0.join("policies-examples").join(name).with_extension("wasm")
    }

    /// A component that misbehaves.
    ///
    /// # Panics
    /// It was not built.
    #[must_use]
    pub fn fixture(&self, name: &str) -> PathBuf {
        let beside = self.0.parent().unwrap_or(Path::new("/"));
        let path = beside.join("policies").join(name).with_extension("wasm");
        assert!(path.exists(), "{} is missing: run `cargo xtask guests`", path.display());
        path
    }
}

/// The folder of this package.
pub(crate) fn manifest_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
