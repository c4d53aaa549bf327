//! What the coordinator plugin has to know about the cluster.

use serde::{Deserialize, Serialize};

use crate::endpoint::EndpointRoute;
use crate::ipam::is_zero;
use crate::lists::null_as_empty;

/// The body of `GET /v1/coordinator/config`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CoordinatorConfigArgs {
    /// The pod's name.
    pub pod_name: String,
    /// The pod's namespace.
    pub pod_namespace: String,
}

/// The answer. Empty lists and zeros mean that nothing is said about it, except where a field says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CoordinatorConfig {
    /// The pod CIDRs of the overlay.
    #[serde(rename = "overlayPodCIDR", deserialize_with = "null_as_empty")]
    pub overlay_pod_cidr: Vec<String>,
    /// The service CIDRs.
    #[serde(rename = "serviceCIDR", deserialize_with = "null_as_empty")]
    pub service_cidr: Vec<String>,
    /// `auto`, `underlay`, `overlay` or `disabled`.
    pub mode: String,
    /// Whether routes are tuned so that an answer leaves by the NIC that the question came in by.
    pub tune_pod_routes: bool,
    /// Further CIDRs that are reached through the host.
    #[serde(rename = "hijackCIDR", default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub hijack_cidr: Vec<String>,
    /// Routes for each NIC's own table.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub policy_routes: Vec<EndpointRoute>,
    /// The first two bytes of the pods' hardware addresses, `xx:xx`.
    #[serde(rename = "podMACPrefix", default, skip_serializing_if = "String::is_empty")]
    pub pod_mac_prefix: String,
    /// The NIC that holds the pod's default route.
    #[serde(rename = "podDefaultRouteNIC", default, skip_serializing_if = "String::is_empty")]
    pub pod_default_route_nic: String,
    /// The host's routing table for routes to pods.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub host_rule_table: i64,
    /// `rp_filter` in the pod; 0 is a value, negative leaves it alone.
    #[serde(rename = "podRPFilter", default, skip_serializing_if = "is_zero")]
    pub pod_rp_filter: i64,
    /// The length of the NIC's transmit queue.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tx_queue_len: i64,
    /// The address of the pod's veth.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub veth_link_address: String,
    /// The MTU of the pod's veth in bytes.
    #[serde(rename = "vethMTU", default, skip_serializing_if = "is_zero")]
    pub veth_mtu: i64,
}
