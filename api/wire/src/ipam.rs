//! Asking for addresses and giving them back.

use std::net::IpAddr;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use spiderpool_ip::{Cidr, Family};

use crate::lists::null_as_empty;

/// The body of `POST /v1/ipam/ip`: addresses for one NIC of one pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpamAddArgs {
    /// The sandbox's ID.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// The NIC's name in the pod.
    pub if_name: String,
    /// The path of the pod's network namespace.
    pub net_namespace: String,
    /// The pod's namespace.
    pub pod_namespace: String,
    /// The pod's name.
    pub pod_name: String,
    /// The pod's UID; empty when the container runtime did not say.
    #[serde(rename = "podUID")]
    pub pod_uid: String,
    /// The IPv4 pools of the CNI configuration.
    #[serde(
        rename = "defaultIPv4IPPool",
        default,
        deserialize_with = "null_as_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub default_ipv4_pools: Vec<String>,
    /// The IPv6 pools of the CNI configuration.
    #[serde(
        rename = "defaultIPv6IPPool",
        default,
        deserialize_with = "null_as_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub default_ipv6_pools: Vec<String>,
    /// Whether no default route goes through the pool's gateway.
    #[serde(default, skip_serializing_if = "is_false")]
    pub clean_gateway: bool,
    /// Whether only pools count whose subnet the host's interface has an address of.
    #[serde(default, skip_serializing_if = "is_false")]
    pub match_master_subnet: bool,
    /// The name of the CNI network, so that a later GC of it finds what is its own. Not in Spiderpool's own requests.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub network: String,
}

/// What a pod's NICs get. All NICs of the pod are in it; a plugin takes those of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpamAddResponse {
    /// The addresses.
    #[serde(deserialize_with = "null_as_empty")]
    pub ips: Vec<IpConfig>,
    /// The routes.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Name resolution, where something is said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<Dns>,
    /// How the plugin asks the network. Not in Spiderpool's own answers.
    #[serde(rename = "detectOptions", default, skip_serializing_if = "DetectOptions::is_default")]
    pub detect_options: DetectOptions,
}

/// How often the network is asked about an address, and for how long: `detectOptions` of Spiderpool's coordinator document,
/// with its defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DetectOptions {
    /// How often at most.
    pub retries: NonZeroU32,
    /// How long after one question has had its time comes the next; milliseconds.
    pub interval_milliseconds: u64,
    /// How long an answer may take; milliseconds.
    pub timeout_milliseconds: u64,
}

impl Default for DetectOptions {
    fn default() -> Self {
        let retries = NonZeroU32::MIN.saturating_add(2);
        Self { retries, interval_milliseconds: 10, timeout_milliseconds: 100 }
    }
}

impl DetectOptions {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// An address of a NIC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpConfig {
    /// 4 or 6.
    pub version: Family,
    /// The address with the prefix length of the pool's subnet.
    pub address: Cidr,
    /// The NIC's name.
    pub nic: String,
    /// The pool that it is from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ip_pool: String,
    /// The pool's gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// The VLAN; 0 for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub vlan: i64,
    /// The hardware address, where a provider sets it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mac: String,
    /// Whether the plugin asks first if the gateway answers.
    #[serde(default, skip_serializing_if = "is_false")]
    pub enable_gateway_detection: bool,
    /// Whether the plugin asks first if somebody else has the address.
    #[serde(rename = "enableIPConflictDetection", default, skip_serializing_if = "is_false")]
    pub enable_ip_conflict_detection: bool,
}

/// A route of a NIC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// The NIC's name.
    pub if_name: String,
    /// The destination.
    pub dst: Cidr,
    /// The gateway.
    pub gw: IpAddr,
}

/// Name resolution, as a CNI result has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dns {
    /// The domain.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// The servers, in order.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<String>,
    /// The search list.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// The resolver's options.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// The body of `DELETE /v1/ipam/ip`: the NIC is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpamDelArgs {
    /// The sandbox's ID.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// The NIC's name in the pod.
    pub if_name: String,
    /// The pod's namespace.
    pub pod_namespace: String,
    /// The pod's name.
    pub pod_name: String,
    /// The pod's UID; empty when the container runtime did not say.
    #[serde(rename = "podUID")]
    pub pod_uid: String,
    /// The path of the pod's network namespace, if there still is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub net_namespace: String,
}

/// The body of `DELETE /v1/ipam/ips`: all addresses of the pod are given back, as after a conflict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpamBatchDelArgs {
    /// The sandbox's ID.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// The pod's namespace.
    pub pod_namespace: String,
    /// The pod's name.
    pub pod_name: String,
    /// The pod's UID; empty when the container runtime did not say.
    #[serde(rename = "podUID")]
    pub pod_uid: String,
    /// The path of the pod's network namespace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub net_namespace: String,
    /// Whether they are given back because of a conflict.
    #[serde(rename = "isReleaseConflictIPs", default, skip_serializing_if = "is_false")]
    pub is_release_conflict_ips: bool,
    /// The addresses that others on the network answered for, and who: they rest for a while. Not in Spiderpool's own
    /// requests.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
}

/// An address that somebody else on the network has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The address.
    pub address: IpAddr,
    /// The hardware address of the other.
    pub mac: String,
}

pub(crate) fn is_false(value: &bool) -> bool {
    !value
}

pub(crate) fn is_zero(value: &i64) -> bool {
    *value == 0
}
