use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Debug,
    /// What was done.
    Info,
    /// What is odd.
    Warn,
    /// What failed.
    Error,
}

/// A text that names no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown log level {0:?}; use debug, info, warn or error")]
pub struct UnknownLevel(pub String);

impl Level {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl FromStr for Level {
    type Err = UnknownLevel;

    /// In any case, as Spiderpool's documents write `INFO`. Its levels above error log errors.
    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        match text.to_ascii_lowercase().as_str() {
            "debug" => Ok(Self::Debug),
            "info" => Ok(Self::Info),
            "warn" => Ok(Self::Warn),
            "error" | "fatal" | "panic" => Ok(Self::Error),
            _ => Err(UnknownLevel(text.into())),
        }
    }
}

/// Where a plugin logs, how much, and what is kept. The defaults are those of Spiderpool's documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Lines below this are left out.
    pub level: Level,
    /// The file.
    pub path: PathBuf,
    /// The file is rotated when it is at least this large, in bytes.
    pub max_bytes: u64,
    /// Rotated files older than this are removed.
    pub max_age: Duration,
    /// So many rotated files are kept at most.
    pub max_count: usize,
}

impl LogSettings {
    /// Spiderpool's 100 MB.
    pub const DEFAULT_MAX_MEGABYTES: u64 = 100;
    /// Spiderpool's 30 days.
    pub const DEFAULT_MAX_DAYS: u64 = 30;
    /// Spiderpool's documents say 7 files (its code 10).
    pub const DEFAULT_MAX_COUNT: usize = 7;
    /// What Spiderpool's documents say (its code logs everything).
    pub const DEFAULT_LEVEL: Level = Level::Info;

    /// From megabytes (2^20) and days, as they are configured.
    #[must_use]
    pub fn new(level: Level, path: PathBuf, megabytes: u64, days: u64, max_count: usize) -> Self {
        let max_age = Duration::from_secs(days.saturating_mul(24 * 60 * 60));
        Self { level, path, max_bytes: megabytes.saturating_mul(1 << 20), max_age, max_count }
    }
}
