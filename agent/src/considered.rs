//! What else is worth knowing when a pod is refused: pools that were not tried, and why an address is not given.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use serde_json::Value;
use spiderpool_crd::keys::ANNOTATION_IP_ADDRESSES;
use spiderpool_ip::{IpSet, parse_address};
use spiderpool_storage::catalog::{Catalog, Pool};
use spiderpool_wire::explain::{DemandExplanation, Explanation, Verdict};

use crate::pod::Asker;

/// Pools that a sentence names: a person reads so many, and a pattern may find thousands.
const POOLS: usize = 16;

/// The pools of these demands that were no choice, each with the reason, as the end of a sentence; empty when there are
/// none.
pub(crate) fn not_tried<'a>(demands: impl IntoIterator<Item = &'a DemandExplanation>) -> String {
    let mut pools: Vec<(&str, &str)> = Vec::new();
    for demand in demands {
        for candidate in &demand.candidates {
            if let Verdict::Refused(refusal) = &candidate.verdict {
                pools.push((&candidate.pool, &refusal.reason));
            }
        }
        pools.extend(demand.skipped.iter().map(|skipped| (&*skipped.pool, &*skipped.reason)));
    }
    // Demands of several interfaces may name the same pools.
    let mut seen = BTreeSet::new();
    pools.retain(|pool| seen.insert(*pool));
    let mut text = String::new();
    for (pool, reason) in pools.iter().take(POOLS) {
        let _ = write!(text, "{} pool {pool}: {reason}", if text.is_empty() { ". Not tried:" } else { ";" });
    }
    match pools.len().saturating_sub(POOLS) {
        0 => text,
        more => text + &format!("; and {more} more, see `spiderpoolctl explain`"),
    }
}

/// Why the addresses that a pod asks for are not given by the pools in whose networks they lie, as the end of a
/// sentence; empty when nothing is to be said.
pub(crate) fn not_given(asker: &Asker, explanation: &Explanation, catalog: &Catalog) -> String {
    let annotation = asker.pod.annotations.iter().find(|(key, _)| key == ANNOTATION_IP_ADDRESSES);
    let Some((_, text)) = annotation else { return String::new() };
    let asked = addresses(&serde_json::from_str(text).unwrap_or_default());
    let candidates = explanation.demands.iter().flat_map(|demand| &demand.candidates);
    let names: BTreeSet<&String> = candidates.map(|candidate| &candidate.pool).collect();
    let mut reasons = Vec::new();
    for pool in names.into_iter().filter_map(|name| catalog.pools.get(name)) {
        let outside =
            |address: &&IpAddr| pool.space.subnet.contains(**address) && !pool.space.usable.contains(**address);
        reasons.extend(asked.iter().filter(outside).map(|address| why(*address, pool, catalog)));
    }
    if reasons.is_empty() { String::new() } else { format!(". {}", reasons.join("; ")) }
}

/// All texts of a JSON value that are addresses, each once.
fn addresses(value: &Value) -> BTreeSet<IpAddr> {
    match value {
        Value::String(text) => parse_address(text).into_iter().collect(),
        Value::Array(values) => values.iter().flat_map(addresses).collect(),
        Value::Object(values) => values.values().flat_map(addresses).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => BTreeSet::new(),
    }
}

fn why(address: IpAddr, pool: &Pool, catalog: &Catalog) -> String {
    let name = &pool.space.name;
    let family = pool.space.subnet.family();
    if pool.space.gateway == Some(address) {
        return format!("{address} is the gateway of pool {name}");
    }
    if pool.space.subnet.not_for_hosts().contains(address) {
        return format!("{address} stands for the whole subnet {} of pool {name}", pool.space.subnet);
    }
    let excluded = pool.object.spec.exclude_ips.iter().map(String::as_str);
    if IpSet::parse(family, excluded).is_ok_and(|excluded| excluded.contains(address)) {
        return format!("{address} is in spec.excludeIPs of pool {name}");
    }
    let reserving = |object: &spiderpool_crd::SpiderReservedIP| {
        object.spec.space(family).is_ok_and(|reserved| reserved.contains(address))
    };
    match catalog.reserved_ips.iter().find(|(_, object)| reserving(object)) {
        Some((by, _)) => format!("{address} is reserved by SpiderReservedIP {by}"),
        None => format!("{address} is not in spec.ips of pool {name}"),
    }
}
