//! What an agent has compiled of its policies, so that the next one need not: compiling takes longer than most tests.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// The files of a cache of compiled policies.
pub(crate) struct Compiled(Vec<(OsString, Vec<u8>)>);

/// What the first agent of this process left.
static FIRST: OnceLock<Compiled> = OnceLock::new();

impl Compiled {
    /// What the cache of an agent that serves holds.
    ///
    /// # Panics
    /// It cannot be read.
    pub(crate) fn read(cache: &Path) -> Self {
        let entries = fs::read_dir(cache).expect("a cache").map(|entry| entry.expect("an entry of the cache"));
        // Something may be compiled there right now, in a folder of its own.
        let files = entries.filter(|entry| entry.path().is_file());
        let read = |entry: fs::DirEntry| (entry.file_name(), fs::read(entry.path()).expect("a file of the cache"));
        Self(files.map(read).collect())
    }

    /// Puts it where an agent looks that did not run yet.
    ///
    /// # Panics
    /// It cannot be written.
    pub(crate) fn write(&self, cache: &Path) {
        fs::create_dir_all(cache).expect("a folder");
        for (name, bytes) in &self.0 {
            fs::write(cache.join(name), bytes).expect("a copy");
        }
    }

    /// Keeps what an agent that serves has compiled for those to come, unless an earlier one's is kept.
    pub(crate) fn keep(cache: &Path) {
        FIRST.get_or_init(|| Self::read(cache));
    }

    /// What was kept.
    pub(crate) fn kept() -> Option<&'static Self> {
        FIRST.get()
    }
}
