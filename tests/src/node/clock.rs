//! A node's own idea of what time it is.

use std::fs;
use std::path::{Path, PathBuf};

use super::Node;

/// The library's name below `/usr/lib/ARCHITECTURE/faketime`.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

impl Node {
    /// Gives the agent, from its next start on, a calendar clock that can be set. Durations are measured as ever.
    ///
    /// # Panics
    /// The library that it takes is not installed.
    pub fn own_clock(&mut self) {
        let libraries = library();
        self.set("LD_PRELOAD", Some(&libraries.display().to_string()));
        let file = self.path("clock").display().to_string();
        for (name, value) in
            [("FAKETIME_TIMESTAMP_FILE", &*file), ("FAKETIME_NO_CACHE", "1"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]
        {
            self.set(name, Some(value));
        }
        fs::write(self.path("clock"), "+0").expect("a clock");
    }

    /// Sets that clock to the beginning of a year; it goes on from there.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn set_clock(&self, year: u32) {
        let next = self.path("clock.next");
        fs::write(&next, format!("@{year}-01-01 00:00:00")).expect("a clock");
        // Whoever reads meanwhile reads all or nothing of it.
        fs::rename(&next, self.path("clock")).expect("a clock");
    }
}

fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("libraries");
    let places = folders.map(|folder| folder.expect("a folder").path().join(LIBRARY));
    places.into_iter().find(|place| place.is_file()).expect("libfaketime is missing: apt-get install faketime")
}

/// Removes what the library leaves when the process is killed that it was loaded into.
pub(super) fn forget(process: u32) {
    for name in [format!("faketime_shm_{process}"), format!("sem.faketime_sem_{process}")] {
        // Only a process with such a clock has them.
        let _ = fs::remove_file(Path::new("/dev/shm").join(name));
    }
}
