//! From Kubernetes objects and native addresses to the contract's records, and back.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use spiderpool_crd::SpiderIPPool;
use spiderpool_ip::IpSet;

use crate::bindings::{Cidr, Family, IpAddress, IpRange, Labels, Operator, Pairs, Pool, Requirement, Selector};

/// A family, for the contract.
#[must_use]
pub fn family(family: spiderpool_ip::Family) -> Family {
    match family {
        spiderpool_ip::Family::V4 => Family::Ipv4,
        spiderpool_ip::Family::V6 => Family::Ipv6,
    }
}

/// A family, natively.
#[must_use]
pub fn native_family(family: Family) -> spiderpool_ip::Family {
    match family {
        Family::Ipv4 => spiderpool_ip::Family::V4,
        Family::Ipv6 => spiderpool_ip::Family::V6,
    }
}

/// An address, for the contract.
#[must_use]
pub fn address(address: IpAddr) -> IpAddress {
    match address {
        IpAddr::V4(address) => IpAddress::Ipv4(address.octets().into()),
        IpAddr::V6(address) => IpAddress::Ipv6(address.segments().into()),
    }
}

/// An address, natively.
#[must_use]
pub fn native_address(address: IpAddress) -> IpAddr {
    match address {
        IpAddress::Ipv4(octets) => Ipv4Addr::from(<[u8; 4]>::from(octets)).into(),
        IpAddress::Ipv6(segments) => Ipv6Addr::from(<[u16; 8]>::from(segments)).into(),
    }
}

/// A range, for the contract.
#[must_use]
pub fn range(range: spiderpool_ip::IpRange) -> IpRange {
    IpRange { first: address(range.first()), last: address(range.last()) }
}

/// A set, for the contract: ascending.
#[must_use]
pub fn ranges(set: &IpSet) -> Vec<IpRange> {
    set.iter_ranges().map(range).collect()
}

/// A network, for the contract: in canonical form.
#[must_use]
pub fn cidr(cidr: spiderpool_ip::Cidr) -> Cidr {
    let canonical = cidr.canonical();
    Cidr { address: address(canonical.address()), prefix_length: canonical.prefix() }
}

/// A pool, for the contract; none when its subnet cannot be read.
#[must_use]
pub fn pool(object: &SpiderIPPool) -> Option<Pool> {
    let spec = &object.spec;
    let subnet = spec.cidr().ok()?;
    Some(Pool {
        name: object.metadata.name.clone()?,
        family: family(subnet.family()),
        subnet: cidr(subnet),
        is_default: spec.is_default(),
        node_names: said(spec.node_name.clone()),
        node_affinity: spec.node_affinity.as_ref().map(selector),
        namespace_names: said(spec.namespace_name.clone()),
        namespace_affinity: spec.namespace_affinity.as_ref().map(selector),
        pod_affinity: spec.pod_affinity.as_ref().map(selector),
        multus_names: said(spec.multus_name.clone()),
        labels: Some(labels(object.metadata.labels.as_ref())).filter(|text| !text.is_empty()),
        extra: None,
    })
}

/// A label selector, for the contract.
///
/// An operator that Kubernetes does not know becomes `In` with no values, which matches nothing: a pool with a
/// misspelt rule serves nobody rather than everybody.
#[must_use]
pub fn selector(selector: &LabelSelector) -> Selector {
    Selector {
        match_labels: Some(labels(selector.match_labels.as_ref())).filter(|text| !text.is_empty()),
        match_expressions: said(selector.match_expressions.iter().flatten().map(requirement).collect()),
    }
}

/// None for an empty list, as the contract wants it where most lists are empty.
fn said<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// Labels, for the contract.
///
/// Kubernetes lets no label have a line break, nor an `=` in its key. In manifests that no API server has seen such a
/// pair could pass for another one, so it is left out.
#[must_use]
pub fn labels(map: Option<&BTreeMap<String, String>>) -> Labels {
    let told = |(key, value): &(&String, &String)| !key.contains(['=', '\n', '\r']) && !value.contains(['\n', '\r']);
    let mut text = String::new();
    for (key, value) in map.into_iter().flatten().filter(told) {
        text.extend([key, "=", value, "\n"]);
    }
    text
}

/// Annotations, for the contract.
#[must_use]
pub fn pairs(map: Option<&BTreeMap<String, String>>) -> Pairs {
    map.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn requirement(requirement: &LabelSelectorRequirement) -> Requirement {
    let LabelSelectorRequirement { key, operator, values } = requirement;
    let values = values.clone().unwrap_or_default();
    let (operator, values) = match operator.as_str() {
        "In" => (Operator::IsIn, values),
        "NotIn" => (Operator::NotIn, values),
        "Exists" => (Operator::Exists, Vec::new()),
        "DoesNotExist" => (Operator::DoesNotExist, Vec::new()),
        _ => (Operator::IsIn, Vec::new()),
    };
    Requirement { key: key.clone(), operator, values }
}

/// Whether labels satisfy a selector, natively: for the scope of policies.
pub(crate) fn satisfies(labels: &Labels, selector: &LabelSelector) -> bool {
    let pairs = labels.lines().filter_map(|line| line.split_once('='));
    let value = |key: &str| pairs.clone().find(|(other, _)| *other == key).map(|(_, value)| value);
    let label_matches = selector.match_labels.iter().flatten().all(|(key, wanted)| value(key) == Some(wanted));
    label_matches
        && selector.match_expressions.iter().flatten().all(|LabelSelectorRequirement { key, operator, values }| {
            let listed = |value: &str| values.iter().flatten().any(|other| other == value);
            match (operator.as_str(), value(key)) {
                ("In", Some(value)) => listed(value),
                ("NotIn", Some(value)) => !listed(value),
                ("Exists", Some(_)) | ("NotIn" | "DoesNotExist", None) => true,
                _ => false,
            }
        })
}

/// A way of picking, natively.
pub(crate) fn native_pick(pick: crate::bindings::Pick) -> crate::decision::Pick {
    use crate::decision::Pick as Native;
    match pick {
        crate::bindings::Pick::Lowest => Native::Lowest,
        crate::bindings::Pick::Spread => Native::Spread,
        crate::bindings::Pick::Sticky(key) => Native::Sticky(key),
        crate::bindings::Pick::Exactly(addresses) => {
            Native::Exactly(addresses.into_iter().map(native_address).collect())
        }
    }
}
