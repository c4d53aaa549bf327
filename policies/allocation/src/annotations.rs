//! Annotations that name pools: keys, forms and reading.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use spiderpool_policy_guide::allocation::Refusal;
use spiderpool_policy_guide::metadata::annotation;

use crate::refusals::Place;

/// Pod annotation: pools of several interfaces.
pub(crate) const IPPOOLS: &str = "ipam.spidernet.io/ippools";
/// Pod annotation: pools of the interface that is added now.
pub(crate) const IPPOOL: &str = "ipam.spidernet.io/ippool";
/// Namespace annotation: IPv4 pools of its pods.
pub(crate) const DEFAULT_IPV4: &str = "ipam.spidernet.io/default-ipv4-ippool";
/// Namespace annotation: IPv6 pools of its pods.
pub(crate) const DEFAULT_IPV6: &str = "ipam.spidernet.io/default-ipv6-ippool";
/// Pod annotation of the SpiderSubnet feature: subnets of several interfaces.
pub(crate) const SUBNETS: &str = "ipam.spidernet.io/subnets";
/// Pod annotation of the SpiderSubnet feature: the subnet of one interface.
pub(crate) const SUBNET: &str = "ipam.spidernet.io/subnet";

/// One element of [`IPPOOLS`].
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct InterfacePools {
    pub(crate) interface: Option<String>,
    pub(crate) ipv4: Option<Vec<String>>,
    pub(crate) ipv6: Option<Vec<String>>,
    pub(crate) cleangateway: Option<bool>,
}

/// The value of [`IPPOOL`].
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Pools {
    pub(crate) ipv4: Option<Vec<String>>,
    pub(crate) ipv6: Option<Vec<String>>,
}

/// The annotation `key` as a place, where it is set.
pub(crate) fn find<'a>(
    annotations: &'a [(String, String)],
    noun: &'static str,
    key: &'static str,
    example: &'static str,
) -> Option<Place<'a>> {
    annotation(annotations, key).map(|text| Place { noun, key, text: Some(text), example })
}

/// The place's text as JSON.
///
/// # Errors
/// What was found where, and what could be written instead.
pub(crate) fn read<T: DeserializeOwned>(place: Place<'_>) -> Result<T, Refusal> {
    serde_json::from_str(place.text.unwrap_or_default()).map_err(|error| place.malformed(&error.to_string()))
}
