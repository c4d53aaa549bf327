//! Pools and allocations, in rows.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use spiderpool_ip::Family;

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
    /// The addresses that could be given out now: not held, not reserved, not resting after a conflict.
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

/// A count as the wire has it: 2^64 - 1 stands for all that is more.
#[must_use]
pub fn saturate(count: u128) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
