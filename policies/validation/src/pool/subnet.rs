//! `spec.subnet`, and the family that it gives the pool.

use serde_json::Value;
use spiderpool_ip::{Cidr, CidrError};
use spiderpool_policy_guide::address;
use spiderpool_policy_guide::validation::{Cause, Facts};

use crate::addresses::is_same;
use crate::document::text;
use crate::{cause, family};

/// The field.
pub(super) const FIELD: &str = "spec.subnet";

/// The pool's network: canonical, of the family that `spec.ipVersion` says, which is switched on.
pub(super) fn read(object: &Value, facts: &Facts) -> Result<Cidr, Vec<Cause>> {
    let family = family::written(object).map_err(|cause| vec![cause])?;
    let subnet = parsed(object).map_err(|cause| vec![cause])?;
    let family = family.unwrap_or_else(|| subnet.family());
    family::enabled(family, facts).map_err(|cause| vec![cause])?;
    if subnet.family() != family {
        let message = format!(
            "{subnet} is {}, and spec.ipVersion says {}; change one of them",
            subnet.family(),
            family.version()
        );
        return Err(vec![cause::invalid(FIELD, message)]);
    }
    Ok(subnet)
}

fn parsed(object: &Value) -> Result<Cidr, Cause> {
    match text(object, FIELD)? {
        Some(text) => Cidr::parse_subnet(text).map_err(|error: CidrError| cause::invalid(FIELD, error)),
        None => Err(cause::required(FIELD, "a pool needs a subnet; write its CIDR, like 10.0.0.0/24 or fd00::/64")),
    }
}

/// That networks of pools are the same or share nothing: an address has one gateway and one prefix length.
pub(super) fn overlaps(subnet: Cidr, facts: &Facts) -> Result<(), Vec<Cause>> {
    let others = facts.pools.iter().filter(|peer| !is_same(&peer.subnet, subnet));
    let overlapping = others.filter(|peer| {
        Cidr::new(address::to_std(&peer.subnet.address), peer.subnet.prefix_length)
            .is_ok_and(|other| other.overlaps(&subnet))
    });
    let causes: Vec<Cause> = overlapping
        .map(|peer| {
            let message = format!(
                "{subnet} overlaps {} of IPPool {}; write {1}'s subnet, or one that shares no address with it",
                address::text_of(&peer.subnet),
                peer.name
            );
            cause::invalid(FIELD, message)
        })
        .collect();
    if causes.is_empty() { Ok(()) } else { Err(causes) }
}
