//! SpiderCoordinator: how pods with several NICs reach host, cluster and services.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Route;
use crate::field::null_as_empty;
use crate::schema;

/// The fields of a coordinator: the specification of SpiderCoordinator, and `spec.coordinator` of SpiderMultusConfig.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "spiderpool.spidernet.io",
    version = "v2beta1",
    kind = "SpiderCoordinator",
    plural = "spidercoordinators",
    shortname = "scc",
    category = "spiderpool",
    status = "SpiderCoordinatorStatus",
    derive = "PartialEq",
    doc = "How pods with several NICs reach host, cluster and services."
)]
#[serde(rename_all = "camelCase")]
pub struct CoordinatorSpec {
    /// How the pod's traffic is split.
    #[serde(default = "default_mode", skip_serializing_if = "Option::is_none")]
    pub mode: Option<CoordinatorMode>,

    /// Where the cluster's pod CIDRs are read from.
    #[serde(rename = "podCIDRType", default, skip_serializing_if = "Option::is_none")]
    pub pod_cidr_type: Option<PodCidrType>,

    /// Further CIDRs that are reached through the host.
    #[serde(rename = "hijackCIDR", default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub hijack_cidr: Vec<String>,

    /// Routes that are put into each NIC's own table.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub policy_routes: Vec<Route>,

    /// The first two bytes of the pods' hardware addresses, `xx:xx`.
    #[serde(rename = "podMACPrefix", default, skip_serializing_if = "Option::is_none")]
    pub pod_mac_prefix: Option<String>,

    /// Whether routes are tuned so that an answer leaves by the NIC that the question came in by.
    #[serde(default = "schema::some_true", skip_serializing_if = "Option::is_none")]
    pub tune_pod_routes: Option<bool>,

    /// The NIC that holds the pod's default route.
    #[serde(rename = "podDefaultRouteNIC", default, skip_serializing_if = "Option::is_none")]
    pub pod_default_route_nic: Option<String>,

    /// The host's routing table for routes to pods.
    #[serde(default = "default_host_rule_table", skip_serializing_if = "Option::is_none")]
    pub host_rule_table: Option<i64>,

    /// The value of `rp_filter` in the pod: 0, 1 or 2; negative leaves it alone.
    #[serde(rename = "podRPFilter", default = "schema::some_zero::<i64>", skip_serializing_if = "Option::is_none")]
    pub pod_rp_filter: Option<i64>,

    /// The length of the NIC's transmit queue; 0 leaves it alone.
    #[serde(default = "schema::some_zero::<i64>", skip_serializing_if = "Option::is_none")]
    pub tx_queue_len: Option<i64>,

    /// The address of the pod's veth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub veth_link_address: Option<String>,

    /// The MTU of the pod's veth in bytes.
    #[serde(rename = "vethMTU", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub veth_mtu: Option<i64>,
}

/// How the pod's traffic is split between its NICs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CoordinatorMode {
    /// Underlay or overlay, found out from the pod's NICs.
    Auto,
    /// The first NIC is an underlay one; a veth reaches host and cluster.
    Underlay,
    /// The first NIC is the overlay's and reaches host and cluster.
    Overlay,
    /// Nothing is done. Configurations of plugins say `disable`, which is read as the same.
    #[serde(alias = "disable")]
    Disabled,
}

/// Where the cluster's pod CIDRs are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PodCidrType {
    /// Found out from the CNI that is installed.
    Auto,
    /// The cluster's own configuration.
    Cluster,
    /// Calico's pools.
    Calico,
    /// Cilium's configuration.
    Cilium,
    /// Nowhere.
    None,
}

/// The CIDRs that were found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpiderCoordinatorStatus {
    /// Whether the CIDRs are known.
    pub phase: CoordinatorPhase,
    /// Why they are not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The pod CIDRs of the overlay.
    #[serde(
        rename = "overlayPodCIDR",
        default,
        deserialize_with = "null_as_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub overlay_pod_cidr: Vec<String>,
    /// The service CIDRs.
    #[serde(
        rename = "serviceCIDR",
        default,
        deserialize_with = "null_as_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub service_cidr: Vec<String>,
}

/// Whether the cluster's CIDRs are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CoordinatorPhase {
    /// They are.
    Synced,
    /// They are not; the reason says why.
    NotReady,
}

impl JsonSchema for CoordinatorPhase {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CoordinatorPhase".into()
    }

    // The existing schema takes any text here, and an object that was stored under it must stay valid.
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schema::text(generator)
    }
}

fn default_mode() -> Option<CoordinatorMode> {
    Some(CoordinatorMode::Auto)
}

fn default_host_rule_table() -> Option<i64> {
    Some(500)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reading_fills_in_the_schema_defaults() {
        let spec: CoordinatorSpec = serde_json::from_value(json!({"hostRPFilter": 1})).unwrap();
        let filled = json!({
            "mode": "auto", "tunePodRoutes": true, "hostRuleTable": 500, "podRPFilter": 0, "txQueueLen": 0,
        });
        assert_eq!(serde_json::to_value(spec).unwrap(), filled);
    }

    #[test]
    fn disable_and_disabled_are_the_same() {
        for text in ["disable", "disabled"] {
            let mode: CoordinatorMode = serde_json::from_value(json!(text)).unwrap();
            assert_eq!(serde_json::to_value(mode).unwrap(), json!("disabled"));
        }
    }

    #[test]
    fn a_status_without_cidrs_is_read() {
        let status: SpiderCoordinatorStatus =
            serde_json::from_value(json!({"phase": "NotReady", "reason": "no CNI", "serviceCIDR": null})).unwrap();
        assert_eq!((status.phase, status.service_cidr.len()), (CoordinatorPhase::NotReady, 0));
    }
}
