//! SpiderSubnet: a subnet whose addresses are dealt out to pools.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spiderpool_ip::{Cidr, Family, IpSet};

use crate::Route;
use crate::field::{FieldError, addresses, null_as_empty};
use crate::schema;

/// What a platform team writes about a subnet.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "spiderpool.spidernet.io",
    version = "v2beta1",
    kind = "SpiderSubnet",
    plural = "spidersubnets",
    shortname = "ss",
    category = "spiderpool",
    status = "SpiderSubnetStatus",
    derive = "PartialEq",
    doc = "A subnet whose addresses are dealt out to pools.",
    printcolumn(name = "VERSION", type_ = "string", json_path = ".spec.ipVersion"),
    printcolumn(name = "SUBNET", type_ = "string", json_path = ".spec.subnet"),
    printcolumn(name = "ALLOCATED-IP-COUNT", type_ = "integer", json_path = ".status.allocatedIPCount"),
    printcolumn(name = "TOTAL-IP-COUNT", type_ = "integer", json_path = ".status.totalIPCount")
)]
#[serde(rename_all = "camelCase")]
pub struct SpiderSubnetSpec {
    /// 4 or 6. Filled in from the subnet; never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::ip_version")]
    pub ip_version: Option<Family>,

    /// The subnet as a CIDR with all host bits zero. Never changes, and overlaps with no other SpiderSubnet.
    pub subnet: String,

    /// Addresses that pools may take: `A` or `A-B` each.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub ips: Vec<String>,

    /// Addresses taken out of `ips`, in the same form.
    #[serde(rename = "excludeIPs", default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub exclude_ips: Vec<String>,

    /// The gateway that pools inherit when they are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,

    /// The routes that pools inherit when they are made.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
}

/// What is known about a subnet's use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpiderSubnetStatus {
    /// Which pool has which addresses, as JSON in a string: `{"pool":{"ips":["a-b"],"application":"key"}}`; absent when
    /// there is no pool.
    #[serde(rename = "controlledIPPools", default, skip_serializing_if = "Option::is_none")]
    pub controlled_ip_pools: Option<String>,

    /// The number of addresses in `ips` less `excludeIPs`, at most 2^63 - 1.
    #[serde(rename = "totalIPCount", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub total_ip_count: Option<i64>,

    /// The number of addresses that pools have.
    #[serde(rename = "allocatedIPCount", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub allocated_ip_count: Option<i64>,
}

impl SpiderSubnetSpec {
    /// The subnet.
    ///
    /// # Errors
    /// Names `spec.subnet` when it is not a canonical CIDR.
    pub fn cidr(&self) -> Result<Cidr, FieldError> {
        Cidr::parse_subnet(&self.subnet).map_err(|problem| FieldError::new("spec.subnet", problem))
    }

    /// The addresses that pools may take: `ips` less `excludeIPs`.
    ///
    /// # Errors
    /// Names the first field or item that cannot be read.
    pub fn space(&self) -> Result<IpSet, FieldError> {
        let family = self.ip_version.map_or_else(|| self.cidr().map(|cidr| cidr.family()), Ok)?;
        let ips = addresses("spec.ips", family, &self.ips)?;
        Ok(ips.minus(&addresses("spec.excludeIPs", family, &self.exclude_ips)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_space_is_ips_less_excluded() {
        let spec = SpiderSubnetSpec {
            subnet: "fd00::/64".to_owned(),
            ips: vec!["fd00::1-fd00::ffff".to_owned()],
            exclude_ips: vec!["fd00::1".to_owned()],
            ..SpiderSubnetSpec::default()
        };
        assert_eq!(spec.space().unwrap().to_string(), "fd00::2-fd00::ffff");
        let other = SpiderSubnetSpec { ip_version: Some(Family::V4), ..spec };
        assert!(other.space().unwrap_err().to_string().starts_with("spec.ips[0]: fd00::1-fd00::ffff is IPv6"));
    }
}
