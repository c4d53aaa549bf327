//! `spec.ips` and `spec.excludeIPs`.

use std::net::IpAddr;

use serde_json::Value;
use spiderpool_ip::{Cidr, IpRange, IpSet};
use spiderpool_policy_guide::validation::{Cause, Facts};

use crate::addresses::{self, is_same, sentence, set_of};
use crate::cause;

/// The addresses.
pub(super) const IPS: &str = "spec.ips";

/// The addresses that are taken out of them.
pub(super) const EXCLUDED: &str = "spec.excludeIPs";

/// What a pool can give: `ips` less `excludeIPs`.
pub(super) struct Space(IpSet);

impl Space {
    /// Whether the pool can give `address`.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(address)
    }
}

/// Every item is a range inside the subnet. No item at all is a pool without addresses, which may be.
pub(super) fn read(object: &Value, subnet: Cidr) -> Result<Space, Vec<Cause>> {
    let inside = |range: &IpRange| {
        if subnet.contains(range.first()) && subnet.contains(range.last()) {
            return Ok(());
        }
        Err(format!("{range} is not inside the subnet {subnet}; write addresses of {}", subnet.range()))
    };
    let family = subnet.family();
    match (addresses::read(object, IPS, family, inside), addresses::read(object, EXCLUDED, family, inside)) {
        (Ok(ips), Ok(excluded)) => Ok(Space(ips.minus(&excluded))),
        (ips, excluded) => Err([ips.err(), excluded.err()].into_iter().flatten().flatten().collect()),
    }
}

/// Addresses that another pool of the same subnet gives, one cause per pool.
pub(super) fn overlaps(Space(own): &Space, subnet: Cidr, facts: &Facts) -> Vec<Cause> {
    let peers = facts.pools.iter().filter(|peer| is_same(&peer.subnet, subnet));
    let shared = peers.map(|peer| (&peer.name, own.intersection(&set_of(own.family(), &peer.ranges))));
    shared
        .filter(|(_, shared)| !shared.is_empty())
        .map(|(name, shared)| {
            let ranges = sentence(&shared);
            let message =
                format!("overlap with IPPool {name} in IP ranges {ranges}; take these out of one of the pools");
            cause::forbidden(IPS, message)
        })
        .collect()
}

/// Addresses that the SpiderSubnet of the same network does not have. Asked only where that feature is on, and where
/// there is such a SpiderSubnet: it then owns the pool.
pub(super) fn outside_owner(Space(own): &Space, subnet: Cidr, facts: &Facts) -> Option<Cause> {
    let owner = facts.subnets.iter().find(|owner| facts.subnet_feature && is_same(&owner.subnet, subnet))?;
    let outside = own.minus(&set_of(own.family(), &owner.ranges));
    let message = || {
        format!(
            "SpiderSubnet {} does not have {}; take these out of the pool, or add them to the SpiderSubnet",
            owner.name,
            sentence(&outside)
        )
    };
    (!outside.is_empty()).then(|| cause::forbidden(IPS, message()))
}

/// Addresses that pods hold stay in the pool.
pub(super) fn keeps_what_pods_hold(Space(own): &Space, facts: &Facts) -> Option<Cause> {
    let lost = set_of(own.family(), &facts.in_use).minus(own);
    let message =
        || format!("pods hold {}; leave these in {IPS} and out of {EXCLUDED} until the pods are gone", sentence(&lost));
    (!lost.is_empty()).then(|| cause::forbidden(IPS, message()))
}
