//! What stays as it is, and when a pool may go.

use serde_json::Value;
use spiderpool_ip::{Cidr, Family};
use spiderpool_policy_guide::validation::{Cause, Facts, Proposal};

use super::subnet;
use crate::addresses::{sentence, set_of};
use crate::document::{has_finalizer, text};
use crate::{cause, family};

/// Family and subnet stay: addresses that pods hold were given with both.
pub(super) fn unchanged(old: &Value, new: &Value) -> Result<(), Vec<Cause>> {
    let causes: Vec<Cause> =
        [family::unchanged(old, new), same_subnet(old, new)].into_iter().filter_map(Result::err).collect();
    if causes.is_empty() { Ok(()) } else { Err(causes) }
}

/// Compares networks, not texts: one that is not canonical may be repaired. What cannot be read is not compared.
fn same_subnet(old: &Value, new: &Value) -> Result<(), Cause> {
    let network = |object| text(object, subnet::FIELD).ok()??.parse::<Cidr>().ok().map(|cidr| cidr.canonical());
    match (network(old), network(new)) {
        (Some(before), Some(after)) if before != after => {
            let message = format!(
                "the subnet is not changeable from {before} to {after}; restore it, or make a new pool for {after}"
            );
            Err(cause::forbidden(subnet::FIELD, message))
        }
        _ => Ok(()),
    }
}

/// While a pool is being deleted, the one legal change is that it is let go.
pub(super) fn termination(object: &Value) -> Result<(), Cause> {
    if !has_finalizer(object) {
        return Ok(());
    }
    let message =
        "cannot update a terminating IPPool; it goes when pods hold none of its addresses, and can be made anew then";
    Err(cause::forbidden("metadata.deletionTimestamp", message))
}

/// A pool with addresses that pods hold stays, where the installation says so.
pub(super) fn deletion(proposal: &Proposal, facts: &Facts) -> Result<(), Cause> {
    let sets = [Family::V4, Family::V6].map(|family| set_of(family, &facts.in_use));
    let Some(held) = sets.iter().find(|set| facts.guard_deletion && !set.is_empty()) else { return Ok(()) };
    let message = format!(
        "cannot delete an IPPool with allocated IPs({}): pods hold {} of {}; delete these pods first, or set spec.disable so \
         that no more get addresses",
        held.count(),
        sentence(held),
        proposal.name
    );
    Err(cause::forbidden("metadata.name", message))
}
