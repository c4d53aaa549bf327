//! The folder of a cluster's data, which goes when the process goes.

use std::env;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use nix::sys::statvfs::statvfs;

/// What etcd's writes cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Data in memory where there is a gigabyte of it (`/dev/shm`), and etcd waits for no disk: the speed of one's disk is
    /// not what tests and benchmarks are about. A process that is killed loses nothing; the machine does.
    #[default]
    Memory,
    /// Data in the folder for temporary files, and etcd waits until the disk has them, as in production.
    Disk,
}

/// Room that etcd may need: it sets aside 64 MiB twice for its log, and a database grows.
const ROOM: u64 = 1 << 30;

/// A folder, and a small process that removes it when this one closes it or dies.
pub(crate) struct Folder {
    path: PathBuf,
    guard: Child,
}

impl Folder {
    pub(crate) fn make(durability: Durability) -> Result<Self> {
        let base = match durability {
            Durability::Memory if has_room(Path::new("/dev/shm")) => PathBuf::from("/dev/shm"),
            Durability::Memory | Durability::Disk => env::temp_dir(),
        };
        let folder = tempfile::Builder::new()
            .prefix("spiderpool-cluster-")
            .tempdir_in(&base)
            .with_context(|| format!("cannot make a folder in {}", base.display()))?;
        // The guard waits for the end of its input, which comes when the last holder of the other end is gone. In a group
        // of its own it survives a Ctrl-C. Servers that die at the same moment may still write: then once more.
        let guard = Command::new("sh")
            .args(["-c", r#"cat >/dev/null; rm -rf -- "$0" 2>/dev/null || { sleep 1; rm -rf -- "$0"; }"#])
            .arg(folder.path())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start `sh`, which removes the cluster's folder afterwards")?;
        Ok(Self { path: folder.keep(), guard })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // Whoever looks afterwards finds nothing.
        let _ = self.guard.wait();
    }
}

fn has_room(folder: &Path) -> bool {
    statvfs(folder).is_ok_and(|it| it.blocks_available().saturating_mul(it.fragment_size()) >= ROOM)
}
