//! What requests of unknown outcome may still do.

use std::collections::BTreeMap;
use std::net::IpAddr;

use spiderpool_crd::ipblock::BlockAllocation;
use spiderpool_ip::Family;
use tokio::time::Instant;

use super::entry;
use super::retry::LANDING;
use crate::kube::StoredBlock;

/// An address that a request of unknown outcome may still take.
#[derive(Clone, Debug)]
pub(super) struct Doubt {
    pub(super) to: BlockAllocation,
    /// Whose the address then was, if it was inherited, and still is but for that request.
    pub(super) before: Option<BlockAllocation>,
    /// From when on no such request can be under way any more.
    pub(super) due: Instant,
}

/// The doubts of every pool, by address and the uid of the pod that may get it.
#[derive(Default)]
pub(super) struct Doubts(BTreeMap<String, BTreeMap<(IpAddr, String), Doubt>>);

impl Doubts {
    /// A request that takes the address may be done until `doubt.due`.
    pub(super) fn insert(&mut self, pool: &str, address: IpAddr, doubt: Doubt) {
        let key = (address, doubt.to.pod_uid.clone());
        self.0.entry(pool.to_owned()).or_default().insert(key, doubt);
    }

    /// Whether such a request may still take the address for the pod.
    pub(super) fn contains(&self, pool: &str, address: IpAddr, uid: &str) -> bool {
        self.0.get(pool).is_some_and(|doubts| doubts.contains_key(&(address, uid.to_owned())))
    }

    /// Whether one may still take any address for the pod.
    pub(super) fn are_about(&self, uid: &str) -> bool {
        self.0.values().flat_map(BTreeMap::keys).any(|(_, doubted)| doubted == uid)
    }

    /// The address that one may have taken for the same NIC.
    pub(super) fn taken(&self, pool: &str, wanted: &BlockAllocation) -> Option<IpAddr> {
        let doubts = self.0.get(pool)?.iter();
        doubts.filter(|(_, doubt)| entry::same_nic(&doubt.to, wanted)).map(|((address, _), _)| *address).next()
    }

    /// What one may have inherited for the same NIC and family: in which pool, and from whom.
    pub(super) fn inherited(
        &self,
        wanted: &BlockAllocation,
        family: Family,
    ) -> Option<(String, IpAddr, BlockAllocation)> {
        let mut doubts = self.0.iter().flat_map(|(pool, doubts)| doubts.iter().map(move |doubt| (pool, doubt)));
        doubts.find_map(|(pool, ((address, _), doubt))| {
            let same = Family::of(*address) == family && entry::same_nic(&doubt.to, wanted);
            Some((pool.clone(), *address, doubt.before.clone().filter(|_| same)?))
        })
    }

    /// What a predecessor has lost, to its heir or to anybody, a late request does not bring back. `is_held` tells whether this
    /// node holds an address for a pod.
    pub(super) fn see(&mut self, stored: &StoredBlock, is_held: impl Fn(IpAddr, &str) -> bool) {
        for ((address, uid), doubt) in self.0.get_mut(&stored.spec.pool).into_iter().flatten() {
            if !stored.spec.block.contains(*address) {
                continue;
            }
            let there = stored.spec.allocations.get(address).map(|there| &there.pod_uid);
            let late = there == Some(uid) && !is_held(*address, uid);
            doubt.before.take_if(|before| !late && there != Some(&before.pod_uid));
        }
    }

    /// When the first of the pool can be settled.
    pub(super) fn next_due(&self, pool: &str) -> Option<Instant> {
        self.0.get(pool)?.values().map(|doubt| doubt.due).min()
    }

    /// Those of the pool that can be settled now. They are kept until they are, and come again if that takes too long.
    pub(super) fn take_due(&mut self, pool: &str, now: Instant) -> Vec<(IpAddr, Doubt)> {
        let doubts = self.0.get_mut(pool).into_iter().flatten().filter(|(_, doubt)| doubt.due <= now);
        doubts
            .map(|((address, _), doubt)| {
                doubt.due = now + LANDING;
                (*address, doubt.clone())
            })
            .collect()
    }

    /// The request of that pod for the address can do nothing any more.
    pub(super) fn settle(&mut self, pool: &str, address: IpAddr, uid: &str) {
        if let Some(doubts) = self.0.get_mut(pool) {
            doubts.remove(&(address, uid.to_owned()));
        }
    }
}
