//! What a pool's status should be. Pure: the rules are in [the crate's description](crate).

use std::collections::BTreeMap;
use std::net::IpAddr;

use spiderpool_crd::{AllocatedIps, AllocatedIpsError, PoolHolder, SpiderIPPoolStatus};
use spiderpool_ip::Block;

/// What is known of a block's allocations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holders {
    /// Their number: enough for a pool whose holders are not listed.
    Counted(usize),
    /// All of them.
    Listed(BTreeMap<IpAddr, PoolHolder>),
}

impl Holders {
    /// The number of allocations.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Counted(count) => *count,
            Self::Listed(holders) => holders.len(),
        }
    }

    /// Forgets who they are. Of nobody there is nothing to forget.
    pub fn strip(&mut self) {
        if self.count() > 0 {
            *self = Self::Counted(self.count());
        }
    }
}

/// A block that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBlock {
    /// Its `resourceVersion`.
    pub version: String,
    /// Its allocations.
    pub holders: Holders,
}

/// What a pool's status should be.
#[derive(Debug)]
pub struct Wanted {
    /// The status.
    pub status: SpiderIPPoolStatus,
    /// Whether any address is held, or may be.
    pub held: bool,
    /// Whether the status tells of nobody whom no block knows. Agents need not read it then ([`MANAGER_PROJECTION`]).
    ///
    /// [`MANAGER_PROJECTION`]: spiderpool_crd::MANAGER_PROJECTION
    pub projected: bool,
    /// Why `allocatedIPs` is left as it is: it cannot be read, and nobody knows what would be lost.
    pub unreadable: Option<AllocatedIpsError>,
}

/// Whether so many holders of a pool are listed. However large the pool is: Spiderpool must be able to take over again where
/// few of many addresses are held.
#[must_use]
pub fn is_listed(held: usize, limit: u32) -> bool {
    held <= usize::try_from(limit).unwrap_or(usize::MAX)
}

/// The status for a pool of `total` addresses (none: `ips` or `excludeIPs` cannot be read) that has `current` now and
/// these blocks. None when a block is only counted whose holders would have to be listed.
#[must_use]
pub fn wanted(
    current: &SpiderIPPoolStatus,
    total: Option<i64>,
    blocks: &BTreeMap<Block, KnownBlock>,
    limit: u32,
) -> Option<Wanted> {
    let in_blocks: usize = blocks.values().map(|block| block.holders.count()).sum();
    let total_ip_count = total.or(current.total_ip_count);
    let status = |allocated_ips, count: usize| SpiderIPPoolStatus {
        allocated_ips,
        total_ip_count,
        allocated_ip_count: Some(i64::try_from(count).unwrap_or(i64::MAX)),
    };
    let mut records = match AllocatedIps::parse(current.allocated_ips.as_deref()) {
        Ok(records) => records,
        Err(error) => {
            let status = status(current.allocated_ips.clone(), in_blocks);
            return Some(Wanted { status, held: true, projected: false, unreadable: Some(error) });
        }
    };
    records.0.retain(|address, _| !blocks.contains_key(&Block::containing(*address)));
    let (waiting, count) = (records.0.len(), in_blocks + records.0.len());
    if is_listed(count, limit) {
        for block in blocks.values() {
            let Holders::Listed(holders) = &block.holders else { return None };
            records.0.extend(holders.iter().map(|(address, holder)| (*address, holder.clone())));
        }
    }
    let status = status(records.to_field(), count);
    Some(Wanted { status, held: count > 0, projected: waiting == 0, unreadable: None })
}

#[cfg(test)]
mod tests;
