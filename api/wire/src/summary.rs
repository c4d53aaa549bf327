//! Pools, allocations and policies, in rows.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use spiderpool_ip::Family;

use crate::lists::null_as_empty;

/// A pool and how full it is. Counts stop at 2^64 - 1; see [`saturate`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSummary {
    /// The pool's name.
    pub name: String,
    /// Its family.
    pub family: Family,
    /// Its subnet as written.
    pub subnet: String,
    /// The addresses that it has.
    pub total: u64,
    /// The addresses that are held.
    pub allocated: u64,
    /// Free addresses that another host on the network uses, kept back for a while.
    pub quarantined: u64,
    /// The addresses that could be given out now: not held, not reserved, not quarantined.
    pub free: u64,
    /// Whether it is one of the cluster's default pools.
    pub default: bool,
    /// Whether new allocations are stopped.
    pub disabled: bool,
}

/// An address and who holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllocationSummary {
    /// The address.
    pub address: IpAddr,
    /// The pool that it is from.
    pub pool: String,
    /// The pod's namespace.
    pub pod_namespace: String,
    /// The pod's name.
    pub pod_name: String,
    /// The pod's UID.
    #[serde(rename = "podUID")]
    pub pod_uid: String,
    /// The NIC's name.
    pub interface: String,
    /// The node's name.
    pub node: String,
    /// The sandbox's ID.
    #[serde(rename = "containerID")]
    pub container_id: String,
}

/// A policy, what it takes part in, and whether it does. Words are those of a SpiderPolicy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicySummary {
    /// The policy's name.
    pub name: String,
    /// Its place in the chain, lower first.
    pub order: i32,
    /// `enforce` or `shadow`.
    pub mode: String,
    /// `deny` or `fallback`.
    pub on_failure: String,
    /// The extension points at which it is asked, such as `affinity`; empty while it has failed.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub extension_points: Vec<String>,
    /// The component's digest, `sha256:` and 64 hexadecimal digits; missing when the component was not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The version of the contract that it was built for; missing when that could not be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_version: Option<String>,
    /// Whether it is in force.
    pub phase: PolicyPhase,
    /// Why it is not in force, or what to know about it, in a sentence; mostly empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Whether a policy is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyPhase {
    /// It is loaded and asked.
    Ready,
    /// It could not be loaded.
    Failed,
}

/// A count as the wire has it: 2^64 - 1 stands for all that is more.
#[must_use]
pub fn saturate(count: u128) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
