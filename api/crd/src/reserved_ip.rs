//! SpiderReservedIP: addresses that no pool gives out.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spiderpool_ip::{Family, IpRange, IpSet};

use crate::field::{FieldError, addresses, null_as_empty};
use crate::schema;

/// What a platform team writes about reserved addresses.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "spiderpool.spidernet.io",
    version = "v2beta1",
    kind = "SpiderReservedIP",
    plural = "spiderreservedips",
    shortname = "sr",
    category = "spiderpool",
    derive = "PartialEq",
    doc = "Addresses that no pool gives out. An address that a pod already holds stays with it.",
    printcolumn(name = "VERSION", type_ = "string", json_path = ".spec.ipVersion")
)]
#[serde(rename_all = "camelCase")]
pub struct SpiderReservedIPSpec {
    /// 4 or 6. Filled in from the first address; never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::ip_version")]
    pub ip_version: Option<Family>,

    /// The addresses: `A` or `A-B` each.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub ips: Vec<String>,
}

impl SpiderReservedIPSpec {
    /// The family: `ipVersion`, or else that of the first item; `None` when there is neither.
    ///
    /// # Errors
    /// Names `spec.ips[0]` when it cannot be read.
    pub fn family(&self) -> Result<Option<Family>, FieldError> {
        match (self.ip_version, self.ips.first()) {
            (Some(family), _) => Ok(Some(family)),
            (None, None) => Ok(None),
            (None, Some(item)) => match item.parse::<IpRange>() {
                Ok(range) => Ok(Some(range.family())),
                Err(problem) => Err(FieldError::new("spec.ips[0]", problem)),
            },
        }
    }

    /// The addresses of `family` that are reserved; none when the object is about the other family.
    ///
    /// # Errors
    /// Names the first item that is not a range of the object's family.
    pub fn space(&self, family: Family) -> Result<IpSet, FieldError> {
        if self.family()? == Some(family) { addresses("spec.ips", family, &self.ips) } else { Ok(IpSet::empty(family)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_family_is_reserved() {
        let spec = SpiderReservedIPSpec { ip_version: None, ips: vec!["10.0.0.1-10.0.0.9".to_owned()] };
        assert_eq!(spec.space(Family::V4).unwrap().count(), 9);
        assert!(spec.space(Family::V6).unwrap().is_empty());
        let mixed = SpiderReservedIPSpec { ip_version: None, ips: vec!["10.0.0.1".to_owned(), "fd00::1".to_owned()] };
        assert!(mixed.space(Family::V4).unwrap_err().to_string().starts_with("spec.ips[1]: fd00::1 is IPv6"));
        assert_eq!(SpiderReservedIPSpec::default().family(), Ok(None));
    }
}
