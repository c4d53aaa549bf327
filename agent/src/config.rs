//! `conf.yml`: the keys of Spiderpool's ConfigMap that the agent acts on.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use spiderpool_ip::Family;
use thiserror::Error;

/// What the installation is configured to do. Keys and meanings are those of Spiderpool's `conf.yml`; unknown keys are
/// ignored, as Spiderpool does.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Config {
    /// Give IPv4 addresses.
    #[serde(rename = "enableIPv4")]
    pub enable_ipv4: bool,
    /// Give IPv6 addresses.
    #[serde(rename = "enableIPv6")]
    pub enable_ipv6: bool,
    /// Honour the annotations of SpiderSubnet.
    pub enable_spider_subnet: bool,
    /// Have the plugin ask the network whether somebody else uses an address before the pod does.
    #[serde(rename = "enableIPConflictDetection")]
    pub enable_ip_conflict_detection: bool,
    /// Have the plugin ask the network whether the gateway answers.
    pub enable_gateway_detection: bool,
    /// Deny the deletion of pools that hold addresses.
    pub enable_validating_resources_deleted_webhook: bool,
    /// Ours: how long an address that somebody else uses is kept from being given, in seconds.
    pub conflict_quarantine_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enable_ipv4: true,
            enable_ipv6: true,
            enable_spider_subnet: false,
            enable_ip_conflict_detection: false,
            enable_gateway_detection: false,
            enable_validating_resources_deleted_webhook: false,
            // Long enough that a crash-looping pod (back-off: at most 5 minutes) gets another address each time,
            // short enough that a mistaken neighbour does not cost the pool an address for the day.
            conflict_quarantine_seconds: 600,
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error(
        "configuration {path}: {source}; give the path of spiderpool's conf.yml with --config-path, or leave it out"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("configuration {path}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// Nothing could ever be given.
    #[error("configuration {path}: enableIPv4 and enableIPv6 are both false; switch at least one on")]
    NoFamily {
        /// The file.
        path: PathBuf,
    },
}

impl Config {
    /// Reads `conf.yml`.
    ///
    /// # Errors
    /// The file cannot be read, is no YAML of the right shape, or switches both families off.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config: Self = serde_saphyr::from_str(&text)
            .map_err(|error| ConfigError::Parse { path: path.to_owned(), message: error.to_string() })?;
        if config.families().is_empty() {
            return Err(ConfigError::NoFamily { path: path.to_owned() });
        }
        Ok(config)
    }

    /// The families that are switched on.
    #[must_use]
    pub(crate) fn families(&self) -> Vec<Family> {
        [(self.enable_ipv4, Family::V4), (self.enable_ipv6, Family::V6)]
            .into_iter()
            .filter_map(|(enabled, family)| enabled.then_some(family))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Config::read(file.path())
    }

    #[test]
    fn keys_are_those_of_the_chart_and_others_are_ignored() {
        let text = "enableIPv4: true\nenableIPv6: false\nenableIPConflictDetection: true\nenableStatefulSet: true\n";
        let config = read(text).unwrap();
        assert_eq!(config.families(), [Family::V4]);
        assert!(config.enable_ip_conflict_detection && !config.enable_gateway_detection);
    }

    #[test]
    fn errors_say_where_and_what_to_change() {
        let error = read("enableIPv4: true\nenableIPv6: perhaps\n").unwrap_err().to_string();
        assert!(error.contains("line 2") || error.contains("2:"), "{error}");
        let error = read("enableIPv4: false\nenableIPv6: false\n").unwrap_err().to_string();
        assert!(error.contains("switch at least one on"), "{error}");
        let error = Config::read(Path::new("/nowhere/conf.yml")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/conf.yml") && error.contains("--config-path"), "{error}");
    }
}
