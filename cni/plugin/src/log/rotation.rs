use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{LogSettings, open};

/// Puts a log that is too large aside and returns a new one; else the log as it is.
///
/// Who has the lock of the file rotates it. Others append to what they have open, under whichever name.
pub(super) fn rotated(file: File, settings: &LogSettings) -> io::Result<File> {
    let metadata = file.metadata()?;
    if metadata.len() < settings.max_bytes || !metadata.is_file() {
        return Ok(file);
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(file),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Between opening and locking, another process may have rotated it already.
    if fs::metadata(&settings.path).is_ok_and(|now| now.ino() == metadata.ino() && now.dev() == metadata.dev()) {
        fs::rename(&settings.path, aside(&settings.path, SystemTime::now()))?;
    }
    let fresh = open(&settings.path)?;
    remove_old(settings, SystemTime::now())?;
    Ok(fresh)
}

/// `spiderpool-` and `.log`: what the names of rotated files begin and end with.
fn frame(path: &Path) -> (OsString, OsString) {
    let mut prefix = path.file_stem().unwrap_or_default().to_owned();
    prefix.push("-");
    let mut suffix = OsString::new();
    if let Some(extension) = path.extension() {
        suffix.push(".");
        suffix.push(extension);
    }
    (prefix, suffix)
}

/// Microseconds, because what is renamed to a name that exists replaces it.
fn aside(path: &Path, now: SystemTime) -> PathBuf {
    let (mut name, suffix) = frame(path);
    name.push(humantime::format_rfc3339_micros(now).to_string().replace(':', "-"));
    name.push(suffix);
    path.with_file_name(name)
}

/// When a file was rotated, by its name; `None` when it is not one of ours.
fn rotated_at(name: &str, (prefix, suffix): &(OsString, OsString)) -> Option<SystemTime> {
    let stamp = name.strip_prefix(prefix.to_str()?)?.strip_suffix(suffix.to_str()?)?;
    let (day, time) = stamp.split_once('T')?;
    humantime::parse_rfc3339(&format!("{day}T{}", time.replace('-', ":"))).ok()
}

fn remove_old(settings: &LogSettings, now: SystemTime) -> io::Result<()> {
    let folder = settings.path.parent().unwrap_or(Path::new("."));
    let frame = frame(&settings.path);
    let mut rotated = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Some(at) = entry.file_name().to_str().and_then(|name| rotated_at(name, &frame)) {
            rotated.push((at, entry.path()));
        }
    }
    rotated.sort_by(|one, other| other.cmp(one));
    let too_old = |at: SystemTime| now.duration_since(at).unwrap_or(Duration::ZERO) > settings.max_age;
    for (place, (at, path)) in rotated.into_iter().enumerate() {
        if place >= settings.max_count || too_old(at) {
            // Another process may remove the same ones.
            fs::remove_file(path).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?;
        }
    }
    Ok(())
}
