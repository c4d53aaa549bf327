//! A log file that many short-lived processes append to.
//!
//! Each line is one `write` to a file opened for appending, so lines of several processes never mix. The file is
//! rotated by the process that finds it too large when it starts: `spiderpool.log` becomes
//! `spiderpool-2026-01-31T10-20-30.123456Z.log`, and old ones beyond the configured count or age are removed then.
//!
//! A log never fails a request: what cannot be written is a note on stderr. No crate was found that rotates for more
//! than one process.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::process;
use std::time::SystemTime;

use serde_json::{Map, Value};

use crate::serve::note;

mod rotation;
mod settings;

pub use settings::{Level, LogSettings, UnknownLevel};

/// The log of one request.
#[derive(Debug)]
pub struct Log {
    file: Option<File>,
    level: Level,
    about: Map<String, Value>,
}

impl Log {
    /// Opens the file, rotating it if it is too large. `about` is added to every line.
    #[must_use]
    pub fn open<'a>(settings: &LogSettings, about: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let about = about.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        let file = open(&settings.path)
            .and_then(|file| rotation::rotated(file, settings))
            .map_err(|error| note(&format!("the log {} cannot be written: {error}", settings.path.display())));
        Self { file: file.ok(), level: settings.level, about }
    }

    /// What one wants to know while looking for a fault.
    pub fn debug(&self, message: impl Display) {
        self.line(Level::Debug, &message);
    }

    /// What was done.
    pub fn info(&self, message: impl Display) {
        self.line(Level::Info, &message);
    }

    /// What is odd, but was done without.
    pub fn warn(&self, message: impl Display) {
        self.line(Level::Warn, &message);
    }

    /// What failed.
    pub fn error(&self, message: impl Display) {
        self.line(Level::Error, &message);
    }

    fn line(&self, level: Level, message: &dyn Display) {
        let Some(mut file) = self.file.as_ref().filter(|_| level >= self.level) else { return };
        let mut line = Map::new();
        line.insert("level".into(), level.as_str().into());
        line.insert("ts".into(), humantime::format_rfc3339_millis(SystemTime::now()).to_string().into());
        line.insert("pid".into(), process::id().into());
        line.insert("msg".into(), message.to_string().into());
        line.extend(self.about.clone());
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        if let Err(error) = file.write_all(text.as_bytes()) {
            note(&format!("the log cannot be written: {error}; {message}"));
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            options.open(path)
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests;
