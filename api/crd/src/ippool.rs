//! SpiderIPPool: addresses of one subnet, and whom they are for.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spiderpool_ip::{Cidr, Family, IpSet};

use crate::field::{FieldError, addresses, null_as_empty};
use crate::{keys, schema};

/// What a platform team writes about a pool.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "spiderpool.spidernet.io",
    version = "v2beta1",
    kind = "SpiderIPPool",
    plural = "spiderippools",
    shortname = "sp",
    category = "spiderpool",
    status = "SpiderIPPoolStatus",
    derive = "PartialEq",
    doc = "A pool of IP addresses of one subnet.",
    printcolumn(name = "VERSION", type_ = "string", json_path = ".spec.ipVersion"),
    printcolumn(name = "SUBNET", type_ = "string", json_path = ".spec.subnet"),
    printcolumn(name = "ALLOCATED-IP-COUNT", type_ = "integer", json_path = ".status.allocatedIPCount"),
    printcolumn(name = "TOTAL-IP-COUNT", type_ = "integer", json_path = ".status.totalIPCount"),
    printcolumn(name = "DEFAULT", type_ = "boolean", json_path = ".spec.default"),
    printcolumn(name = "DISABLE", type_ = "boolean", json_path = ".spec.disable", priority = 10),
    printcolumn(name = "NodeName", type_ = "string", json_path = ".spec.nodeName", priority = 10),
    printcolumn(name = "MultusName", type_ = "string", json_path = ".spec.multusName", priority = 10),
    printcolumn(
        name = "APP-NAMESPACE",
        type_ = "string",
        json_path = r".spec.podAffinity.matchLabels['ipam\.spidernet\.io/app\-namespace']",
        priority = 10
    )
)]
#[serde(rename_all = "camelCase")]
pub struct SpiderIPPoolSpec {
    /// 4 or 6. Filled in from the subnet; never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::ip_version")]
    pub ip_version: Option<Family>,

    /// The subnet as a CIDR with all host bits zero. Never changes.
    pub subnet: String,

    /// Addresses of the pool: `A` or `A-B` each.
    #[serde(rename = "ips", default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub ips: Vec<String>,

    /// Addresses taken out of `ips`, in the same form.
    #[serde(rename = "excludeIPs", default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub exclude_ips: Vec<String>,

    /// The gateway of the default route. Inherited from the SpiderSubnet when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,

    /// Further routes. Inherited from the SpiderSubnet when absent; an empty list inherits nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<Route>>,

    /// Which pods, by their labels. In automatic pools five `app-*` keys that name one application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_affinity: Option<LabelSelector>,

    /// Which namespaces, by their labels. Not looked at when `namespaceName` has entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_affinity: Option<LabelSelector>,

    /// Which namespaces, by name.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub namespace_name: Vec<String>,

    /// Which nodes, by their labels. Not looked at when `nodeName` has entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_affinity: Option<LabelSelector>,

    /// Which nodes, by name.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub node_name: Vec<String>,

    /// Which network attachments: `namespace/name`, or `name` in Spiderpool's own namespace.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub multus_name: Vec<String>,

    /// Whether the pool serves pods for which nothing else is said. Several pools may.
    #[serde(default = "schema::some_false", skip_serializing_if = "Option::is_none")]
    pub default: Option<bool>,

    /// Whether new allocations are stopped. Releasing goes on.
    #[serde(default = "schema::some_false", skip_serializing_if = "Option::is_none")]
    pub disable: Option<bool>,
}

/// A route of a pool, a subnet, an endpoint or a coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Route {
    /// The destination as a CIDR.
    pub dst: String,
    /// The gateway's address.
    pub gw: String,
}

/// What is known about a pool's use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpiderIPPoolStatus {
    /// Who holds which address, as JSON in a string; absent when nobody holds any. Written by the controller from the blocks.
    #[serde(rename = "allocatedIPs", default, skip_serializing_if = "Option::is_none")]
    pub allocated_ips: Option<String>,

    /// The number of addresses in `ips` less `excludeIPs`, at most 2^63 - 1.
    #[serde(rename = "totalIPCount", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub total_ip_count: Option<i64>,

    /// The number of addresses that are held.
    #[serde(rename = "allocatedIPCount", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub allocated_ip_count: Option<i64>,
}

impl SpiderIPPoolSpec {
    /// The subnet.
    ///
    /// # Errors
    /// Names `spec.subnet` when it is not a canonical CIDR.
    pub fn cidr(&self) -> Result<Cidr, FieldError> {
        Cidr::parse_subnet(&self.subnet).map_err(|problem| FieldError::new("spec.subnet", problem))
    }

    /// The family: `ipVersion`, or else the subnet's.
    ///
    /// # Errors
    /// Names `spec.subnet` when there is no `ipVersion` and the subnet cannot be read.
    pub fn family(&self) -> Result<Family, FieldError> {
        self.ip_version.map_or_else(|| self.cidr().map(|cidr| cidr.family()), Ok)
    }

    /// The addresses of the pool: `ips` less `excludeIPs`.
    ///
    /// # Errors
    /// Names the first item that is not a range of the pool's family.
    pub fn space(&self) -> Result<IpSet, FieldError> {
        let family = self.family()?;
        let ips = addresses("spec.ips", family, &self.ips)?;
        Ok(ips.minus(&addresses("spec.excludeIPs", family, &self.exclude_ips)?))
    }

    /// Whether it is one of the cluster's default pools.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.default.unwrap_or(false)
    }

    /// Whether new allocations are stopped.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.disable.unwrap_or(false)
    }
}

impl SpiderIPPool {
    /// Whether the pool was made for one application and serves only that.
    #[must_use]
    pub fn is_automatic(&self) -> bool {
        self.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(keys::LABEL_OWNER_APPLICATION_NAME))
    }

    /// Whether the pool is being deleted. Such a pool takes no new allocation.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(value: serde_json::Value) -> SpiderIPPoolSpec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_space_is_ips_less_excluded() {
        let spec = spec(json!({
            "subnet": "10.6.0.0/16",
            "ips": ["10.6.0.10-10.6.0.20", "10.6.0.1"],
            "excludeIPs": ["10.6.0.12-10.6.0.13"],
        }));
        assert_eq!(spec.space().unwrap().to_string(), "10.6.0.1,10.6.0.10-10.6.0.11,10.6.0.14-10.6.0.20");
        assert_eq!(spec.family(), Ok(Family::V4));
    }

    #[test]
    fn a_bad_item_is_named_by_its_path() {
        let cases = [
            (
                json!({"subnet": "10.6.1.0/16"}),
                "spec.subnet: unformatted subnet 10.6.1.0/16, please change it to 10.6.0.0/16",
            ),
            (
                json!({"subnet": "10.6.0.0/16", "ips": ["10.6.0.1", "10.6.0.9-10.6.0.2"]}),
                "spec.ips[1]: 10.6.0.9-10.6.0.2 runs backwards; write 10.6.0.2-10.6.0.9",
            ),
            (
                json!({"subnet": "10.6.0.0/16", "ips": [], "excludeIPs": ["fd00::1"]}),
                "spec.excludeIPs[0]: fd00::1 is IPv6 but IPv4 is wanted; remove it or move it to a list of its own family",
            ),
        ];
        for (value, message) in cases {
            assert_eq!(spec(value).space().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn reading_fills_in_the_schema_defaults_and_takes_null_for_empty() {
        let spec = spec(json!({"subnet": "10.6.0.0/16", "ips": null, "unknown": 1}));
        assert_eq!((spec.default, spec.disable, spec.ips.len(), spec.routes), (Some(false), Some(false), 0, None));
    }

    #[test]
    fn an_explicit_empty_route_list_is_kept() {
        let value = json!({"subnet": "10.6.0.0/16", "routes": [], "default": false, "disable": false});
        assert_eq!(serde_json::to_value(spec(value.clone())).unwrap(), value);
    }

    #[test]
    fn an_automatic_pool_is_known_by_its_label() {
        let mut pool = SpiderIPPool::new("p", spec(json!({"subnet": "10.6.0.0/16"})));
        assert!(!pool.is_automatic());
        pool.metadata.labels = Some([(keys::LABEL_OWNER_APPLICATION_NAME.to_owned(), "web".to_owned())].into());
        assert!(pool.is_automatic());
    }
}
