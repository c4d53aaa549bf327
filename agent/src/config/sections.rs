//! Parts of `conf.yml`; most the agent reads, so that a slip of the pen is found, and does not act on.

use std::time::Duration;

use serde::Deserialize;

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
