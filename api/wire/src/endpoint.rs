//! What one pod has.

use serde::{Deserialize, Serialize};

use crate::ipam::is_zero;
use crate::lists::null_as_empty;

/// The query of `GET /v1/workloadendpoint`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadEndpointArgs {
    /// The pod's namespace.
    pub pod_namespace: String,
    /// The pod's name.
    pub pod_name: String,
}

/// The answer: the pod's NICs with their addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadEndpointStatus {
    /// The pod's namespace.
    pub pod_namespace: String,
    /// The pod's name.
    pub pod_name: String,
    /// The pod's UID.
    #[serde(rename = "podUID")]
    pub pod_uid: String,
    /// The node's name.
    pub node: String,
    /// One entry per NIC.
    #[serde(deserialize_with = "null_as_empty")]
    pub interfaces: Vec<InterfaceStatus>,
}

/// The addresses of one NIC, as its endpoint has them; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceStatus {
    /// The NIC's name.
    pub interface: String,
    /// The IPv4 address with the prefix length of the pool's subnet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ipv4: String,
    /// The IPv6 address with the prefix length of the pool's subnet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ipv6: String,
    /// The hardware address, where a provider sets it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mac: String,
    /// The VLAN; 0 for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub vlan: i64,
    /// The pool of the IPv4 address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ipv4_pool: String,
    /// The pool of the IPv6 address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ipv6_pool: String,
    /// The gateway of the IPv4 pool.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ipv4_gateway: String,
    /// The gateway of the IPv6 pool.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ipv6_gateway: String,
    /// The routes.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<EndpointRoute>,
}

/// A route of the NIC that it is listed under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRoute {
    /// The destination as a CIDR.
    pub dst: String,
    /// The gateway's address.
    pub gw: String,
}
