//! `conf.yml`: the settings of an installation, under Spiderpool's keys.

mod duration;
mod report;
mod sections;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use spiderpool_ip::Family;
use thiserror::Error;

use sections::{AgentSection, DetectSection, IaasNetworkProvider, PodResourceInject};

pub(crate) use sections::StatefulController;

/// What the installation is configured to do. Keys, types and meanings are those of Spiderpool's `conf.yml`. Keys that
/// are not served are read all the same, so that a slip of the pen is found; [`Config::read`] says which they are.
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
    /// How the plugin asks.
    pub detect_options: DetectSection,
    /// Deny the deletion of pools that hold addresses.
    pub enable_validating_resources_deleted_webhook: bool,
    /// The agent's socket; Spiderpool's own when empty.
    pub ipam_unix_socket_path: PathBuf,
    /// Set kernel parameters of the node when the agent starts.
    pub tune_sysctl_config: bool,
    /// Ours: how long an address that somebody else uses is kept from being given, in seconds.
    pub conflict_quarantine_seconds: u64,
    /// Addresses of StatefulSets stay with the pods' names.
    pub enable_stateful_set: bool,
    /// Addresses of virtual machines stay with the machines' names.
    #[serde(rename = "enableKubevirtStaticIP")]
    pub enable_kubevirt_static_ip: bool,
    /// Ours: further controllers whose pods' addresses stay with the pods' names, for as long as the controllers exist.
    pub stateful_controllers: Vec<StatefulController>,
    /// Not served: pools are made for applications.
    enable_auto_pool_for_application: bool,
    /// Not served.
    iaas_network_provider: IaasNetworkProvider,
    /// Not served.
    agent: AgentSection,
    /// For the controller.
    enable_clean_outdated_endpoint: bool,
    /// For the controller.
    #[serde(rename = "clusterSubnetAutoPoolDefaultRedundantIPNumber")]
    cluster_subnet_auto_pool_default_redundant_ip_number: i64,
    /// For the controller: the name that the chart writes for the key before it.
    #[serde(rename = "clusterSubnetDefaultFlexibleIPNumber")]
    cluster_subnet_default_flexible_ip_number: i64,
    /// For the controller.
    pod_resource_inject: PodResourceInject,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enable_ipv4: true,
            enable_ipv6: true,
            enable_spider_subnet: false,
            enable_ip_conflict_detection: false,
            enable_gateway_detection: false,
            detect_options: DetectSection::default(),
            enable_validating_resources_deleted_webhook: false,
            ipam_unix_socket_path: PathBuf::new(),
            tune_sysctl_config: false,
            // Long enough that a crash-looping pod (back-off: at most 5 minutes) gets another address each time,
            // short enough that a mistaken neighbour does not cost the pool an address for the day.
            conflict_quarantine_seconds: 600,
            enable_stateful_set: true,
            enable_kubevirt_static_ip: true,
            stateful_controllers: Vec::new(),
            enable_auto_pool_for_application: false,
            iaas_network_provider: IaasNetworkProvider::default(),
            agent: AgentSection::default(),
            enable_clean_outdated_endpoint: false,
            cluster_subnet_auto_pool_default_redundant_ip_number: 0,
            cluster_subnet_default_flexible_ip_number: 0,
            pod_resource_inject: PodResourceInject::default(),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("configuration {path}: {cause}; give the path of spiderpool's conf.yml with --config-path")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("configuration {path}: {key}{message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The key and a colon; empty when the file is no YAML.
        key: String,
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
    /// Reads `conf.yml`. With it comes what the file asks for and does not get, a sentence each: keys that are switched on
    /// and not served, and keys that nobody knows.
    ///
    /// # Errors
    /// The file cannot be read, is no YAML of the right shape, or switches both families off.
    pub(crate) fn read(path: &Path) -> Result<(Self, Vec<String>), ConfigError> {
        let text = fs::read_to_string(path).map_err(|cause| ConfigError::Read { path: path.to_owned(), cause })?;
        let config: Self = parse(&text).map_err(|(key, message)| {
            let key = if key.is_empty() { key } else { format!("{key}: ") };
            ConfigError::Parse { path: path.to_owned(), key, message }
        })?;
        if config.families().is_empty() {
            return Err(ConfigError::NoFamily { path: path.to_owned() });
        }
        let mut notes = config.unserved();
        notes.extend(report::unknown_keys(&text));
        Ok((config, notes))
    }

    /// The families that are switched on.
    #[must_use]
    pub(crate) fn families(&self) -> Vec<Family> {
        [(self.enable_ipv4, Family::V4), (self.enable_ipv6, Family::V6)]
            .into_iter()
            .filter_map(|(enabled, family)| enabled.then_some(family))
            .collect()
    }

    /// The agent's socket.
    #[must_use]
    pub(crate) fn socket(&self) -> PathBuf {
        if self.ipam_unix_socket_path.as_os_str().is_empty() {
            PathBuf::from(spiderpool_wire::DEFAULT_SOCKET)
        } else {
            self.ipam_unix_socket_path.clone()
        }
    }
}

/// A file without any key is the default. A mistake comes with its key and a text that names the line.
fn parse(text: &str) -> Result<Config, (String, String)> {
    let mut key = String::new();
    let config: Result<Option<Config>, _> = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            // A single dot stands for the file itself.
            key = error.path().to_string().trim_matches('.').to_owned();
            error.into_inner()
        })
    });
    config
        .map(Option::unwrap_or_default)
        .map_err(|error| (key, error.to_string().trim_start_matches("error: ").to_owned()))
}

#[cfg(test)]
mod tests;
