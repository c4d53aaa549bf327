use std::path::PathBuf;

use serde::Deserialize;
use spiderpool_cni_plugin::log::{Level, LogSettings};
use spiderpool_cni_plugin::{CniError, Code, Network};
use spiderpool_wire::DEFAULT_SOCKET;
use spiderpool_wire::ipam::Dns;

/// Where the plugin logs unless configured otherwise.
const DEFAULT_LOG: &str = "/var/log/spidernet/spiderpool.log";

/// What the `ipam` part of the network configuration says, with Spiderpool's defaults for what it does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) default_ipv4_pools: Vec<String>,
    pub(crate) default_ipv6_pools: Vec<String>,
    pub(crate) clean_gateway: bool,
    pub(crate) match_master_subnet: bool,
    /// Name resolution, as the network configuration has it beside its `ipam` part.
    pub(crate) dns: Dns,
    pub(crate) socket: PathBuf,
    pub(crate) log: LogSettings,
}

/// The same as it is written. Keys that are not known are ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    r#type: Option<String>,
    default_ipv4_ippool: Option<Vec<String>>,
    default_ipv6_ippool: Option<Vec<String>>,
    clean_gateway: Option<bool>,
    match_master_subnet: Option<bool>,
    ipam_unix_socket_path: Option<PathBuf>,
    log_level: Option<String>,
    log_file_path: Option<PathBuf>,
    log_file_max_size: Option<Number>,
    log_file_max_age: Option<Number>,
    log_file_max_count: Option<Number>,
}

/// A count; Spiderpool's documents show it in quotes, its program takes it without.
#[derive(Deserialize)]
#[serde(try_from = "NumberOrText")]
struct Number(u64);

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a whole number that is not negative")]
enum NumberOrText {
    Number(u64),
    Text(String),
}

impl TryFrom<NumberOrText> for Number {
    type Error = String;

    fn try_from(written: NumberOrText) -> Result<Self, String> {
        match written {
            NumberOrText::Number(number) => Ok(Self(number)),
            NumberOrText::Text(text) => {
                text.parse().map(Self).map_err(|_| format!("{text:?} is not a whole number; write it like 30"))
            }
        }
    }
}

impl Config {
    /// Reads the configuration.
    ///
    /// # Errors
    /// [`Code::InvalidConfig`] with the key that is wrong.
    pub(crate) fn of(network: &Network) -> Result<Self, CniError> {
        let written = Written::of(network)?;
        let dns = network.section("dns")?.unwrap_or_default();
        let level = match &written.log_level {
            Some(text) if !text.is_empty() => text.parse().map_err(|error| {
                CniError::new(Code::InvalidConfig, format!("ipam.log_level of network {:?}: {error}", network.name))
            })?,
            _ => LogSettings::DEFAULT_LEVEL,
        };
        Ok(written.complete(level, dns))
    }

    /// Reads what is needed to undo an ADD: neither name resolution nor how much is logged keeps addresses from being released.
    ///
    /// # Errors
    /// [`Code::InvalidConfig`] with the key that is wrong.
    pub(crate) fn for_teardown(network: &Network) -> Result<Self, CniError> {
        let written = Written::of(network)?;
        let level = written.log_level.as_deref().and_then(|text| text.parse().ok());
        Ok(written.complete(level.unwrap_or(LogSettings::DEFAULT_LEVEL), Dns::default()))
    }
}

impl Written {
    fn of(network: &Network) -> Result<Self, CniError> {
        let wrong = |msg| {
            let example = r#""ipam": {"type": "spiderpool", "default_ipv4_ippool": ["my-pool"]}"#;
            CniError::new(Code::InvalidConfig, msg).details(format!("example: {example}"))
        };
        let name = &network.name;
        let written: Self = network
            .section("ipam")?
            .ok_or_else(|| wrong(format!("network {name:?} has no ipam part in its configuration")))?;
        match written.r#type.as_deref() {
            Some("spiderpool") => Ok(written),
            Some(other) => Err(wrong(format!("ipam.type of network {name:?} is {other:?}, but this is spiderpool"))),
            None => Err(wrong(format!("network {name:?} has no ipam.type in its configuration"))),
        }
    }

    fn complete(self, level: Level, dns: Dns) -> Config {
        let path = |written: Option<PathBuf>, default: &str| {
            written.filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(|| default.into())
        };
        // Zero stands for the default, as a program written in Go cannot tell it from a missing key.
        let number = |written: Option<Number>, default: u64| {
            written.map(|Number(number)| number).filter(|&number| number > 0).unwrap_or(default)
        };
        let count = number(self.log_file_max_count, LogSettings::DEFAULT_MAX_COUNT as u64);
        Config {
            default_ipv4_pools: self.default_ipv4_ippool.unwrap_or_default(),
            default_ipv6_pools: self.default_ipv6_ippool.unwrap_or_default(),
            clean_gateway: self.clean_gateway.unwrap_or_default(),
            match_master_subnet: self.match_master_subnet.unwrap_or_default(),
            dns,
            socket: path(self.ipam_unix_socket_path, DEFAULT_SOCKET),
            log: LogSettings::new(
                level,
                path(self.log_file_path, DEFAULT_LOG),
                number(self.log_file_max_size, LogSettings::DEFAULT_MAX_MEGABYTES),
                number(self.log_file_max_age, LogSettings::DEFAULT_MAX_DAYS),
                usize::try_from(count).unwrap_or(usize::MAX),
            ),
        }
    }
}

#[cfg(test)]
mod tests;
