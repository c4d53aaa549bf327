//! What the store refused, in words that say what to do.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::StorageError;

/// The error for what the store answered while doing `what` with the file at `path`.
pub(super) fn refused(what: &'static str, path: &Path, error: redb::Error) -> StorageError {
    let remedy = match &error {
        redb::Error::DatabaseAlreadyOpen => return taken(what, path),
        redb::Error::Corrupted(cause) => return damaged(path, cause),
        redb::Error::Io(error) if is_damage(error) => return damaged(path, &error.to_string()),
        redb::Error::Io(error) if error.kind() == io::ErrorKind::StorageFull || is_quota(error) => {
            "make room on that file system; what was given out before is safe, and the next request tries again"
        }
        redb::Error::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            "let this user read and write the file and its folder"
        }
        redb::Error::Io(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            "keep the data on a file system that can be written"
        }
        _ => "see the kernel's log about that disk; the next request tries again",
    };
    StorageError { what, path: path.to_owned(), cause: error.to_string(), remedy: remedy.to_owned() }
}

/// The error for a file that holds something else than a ledger.
pub(super) fn damaged(path: &Path, cause: &str) -> StorageError {
    StorageError {
        what: "read the ledger",
        path: path.to_owned(),
        cause: format!("the file is damaged: {cause}"),
        remedy: "put a copy of it back; without one, stop all pods of this machine that have addresses, move the file \
                 away, and an empty ledger is made"
            .to_owned(),
    }
}

fn taken(what: &'static str, path: &Path) -> StorageError {
    let holder = lock_holder(path).map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    StorageError {
        what,
        path: path.to_owned(),
        cause: format!("{holder} has it open, and a ledger has one writer"),
        remedy: "stop that process, or use another data folder".to_owned(),
    }
}

/// The process that holds the lock on the file, as the kernel lists it.
fn lock_holder(path: &Path) -> Option<u32> {
    let inode = format!(":{}", fs::metadata(path).ok()?.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    // `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`; locks of open files, without a process, have -1.
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(4);
        let (pid, file) = (words.next()?, words.next()?);
        file.ends_with(&inode).then(|| pid.parse().ok()).flatten()
    })
}

/// redb says so when the first bytes are not its own, or the file is shorter than they say.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn is_quota(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::QuotaExceeded
}
