//! SpiderEndpoint: what one pod got, NIC by NIC. It has a status and no specification.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Route;
use crate::field::null_as_empty;
use crate::schema;

/// The specification that an endpoint does not have. It adds nothing to the object.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "spiderpool.spidernet.io",
    version = "v2beta1",
    kind = "SpiderEndpoint",
    plural = "spiderendpoints",
    shortname = "se",
    category = "spiderpool",
    namespaced,
    no_spec,
    status = "SpiderEndpointStatus",
    derive = "PartialEq",
    doc = "What one pod got, NIC by NIC.",
    printcolumn(name = "INTERFACE", type_ = "string", json_path = ".status.current.ips[0].interface"),
    printcolumn(name = "IPV4POOL", type_ = "string", json_path = ".status.current.ips[0].ipv4Pool"),
    printcolumn(name = "IPV4", type_ = "string", json_path = ".status.current.ips[0].ipv4"),
    printcolumn(name = "IPV6POOL", type_ = "string", json_path = ".status.current.ips[0].ipv6Pool"),
    printcolumn(name = "IPV6", type_ = "string", json_path = ".status.current.ips[0].ipv6"),
    printcolumn(name = "NODE", type_ = "string", json_path = ".status.current.node")
)]
pub struct SpiderEndpointFields {}

/// Who the endpoint belongs to and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpiderEndpointStatus {
    /// What the pod has now.
    pub current: PodAllocation,
    /// The kind of the top controller: `Deployment`, `StatefulSet`, `Pod`…
    pub owner_controller_type: String,
    /// The name of the top controller.
    pub owner_controller_name: String,
}

/// The addresses of one pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PodAllocation {
    /// The pod's UID.
    pub uid: String,
    /// The node's name.
    pub node: String,
    /// One entry per NIC. Empty after an address conflict was cleaned up.
    #[serde(deserialize_with = "null_as_empty")]
    pub ips: Vec<NicAllocation>,
}

/// The addresses of one NIC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NicAllocation {
    /// The NIC's name; empty while a NIC of a pod that names none has not asked yet.
    pub interface: String,

    /// The IPv4 address with the prefix length of the pool's subnet, such as `10.6.0.5/16`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<String>,

    /// The IPv6 address with the prefix length of the pool's subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<String>,

    /// The pool of the IPv4 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4_pool: Option<String>,

    /// The pool of the IPv6 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6_pool: Option<String>,

    /// The VLAN of the NIC; 0 for none.
    #[serde(default = "schema::some_zero::<i64>", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4094))]
    pub vlan: Option<i64>,

    /// The gateway of the IPv4 pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4_gateway: Option<String>,

    /// The gateway of the IPv6 pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6_gateway: Option<String>,

    /// Whether no default route goes through the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clean_gateway: Option<bool>,

    /// Routes of the pools and of the pod, both families.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,

    /// The hardware address, where a provider sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_endpoint_reads_and_prints_as_the_cluster_stores_it() {
        let stored = json!({
            "apiVersion": "spiderpool.spidernet.io/v2beta1",
            "kind": "SpiderEndpoint",
            "metadata": {"name": "web-0", "namespace": "shop"},
            "status": {
                "current": {
                    "uid": "6b1c", "node": "node1",
                    "ips": [{
                        "interface": "eth0", "ipv4": "10.6.0.5/16", "ipv4Pool": "p4", "ipv4Gateway": "10.6.0.1",
                        "ipv6": "fd00::5/64", "ipv6Pool": "p6", "vlan": 0, "cleanGateway": false,
                        "routes": [{"dst": "0.0.0.0/0", "gw": "10.6.0.1"}],
                    }],
                },
                "ownerControllerType": "StatefulSet",
                "ownerControllerName": "web",
            },
        });
        let endpoint: SpiderEndpoint = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(serde_json::to_value(&endpoint).unwrap(), stored);
    }

    #[test]
    fn the_vlan_is_zero_unless_said() {
        let nic: NicAllocation = serde_json::from_value(json!({"interface": "net1"})).unwrap();
        assert_eq!(serde_json::to_value(nic).unwrap(), json!({"interface": "net1", "vlan": 0}));
    }
}
