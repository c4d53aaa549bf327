//! Parts of `conf.yml`; most the agent reads, so that a slip of the pen is found, and does not act on.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;
use spiderpool_wire::ipam::DetectOptions;

use super::duration;

/// A kind of controller, both parts as in its manifest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StatefulController {
    /// For instance `apps.kruise.io/v1beta1`.
    pub(crate) api_version: String,
    /// For instance `StatefulSet`.
    pub(crate) kind: String,
}

/// How the network is asked about addresses, under the keys of the coordinator's `detectOptions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DetectSection {
    retries: NonZeroU32,
    #[serde(deserialize_with = "duration::of_detection")]
    interval: Duration,
    #[serde(deserialize_with = "duration::of_detection")]
    timeout: Duration,
}

impl Default for DetectSection {
    fn default() -> Self {
        let DetectOptions { retries, interval_milliseconds, timeout_milliseconds } = DetectOptions::default();
        let [interval, timeout] = [interval_milliseconds, timeout_milliseconds].map(Duration::from_millis);
        Self { retries, interval, timeout }
    }
}

impl From<DetectSection> for DetectOptions {
    fn from(DetectSection { retries, interval, timeout }: DetectSection) -> Self {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (interval_milliseconds, timeout_milliseconds) = (milliseconds(interval), milliseconds(timeout));
        Self { retries, interval_milliseconds, timeout_milliseconds }
    }
}

/// Injection of resources into pods, by the controller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PodResourceInject {
    enabled: bool,
    namespaces_exclude: Vec<String>,
    namespaces_include: Vec<String>,
}

/// A provider that is asked for addresses beside the pools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct IaasNetworkProvider {
    /// Its URL; empty: there is none.
    pub(super) server_url: String,
    #[serde(deserialize_with = "duration::request_timeout")]
    http_request_timeout: Option<Duration>,
}

/// What the agent is to do beside giving addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct AgentSection {
    /// Network devices as resources of the node.
    pub(super) network_resource_plugin: NetworkResourcePlugin,
}

/// See [`AgentSection`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct NetworkResourcePlugin {
    /// Whether it is wanted.
    pub(super) enabled: bool,
    kubelet_root_dir: String,
    resource_advertisement: Advertisement,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Advertisement {
    #[serde(rename = "subENI")]
    sub_eni: Rules,
    #[serde(rename = "masterNIC")]
    master_nic: Rules,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Rules {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Rule {
    resource_name: String,
    default_max_count: i64,
    include_interfaces: Vec<String>,
    exclude_interfaces: Vec<String>,
}
