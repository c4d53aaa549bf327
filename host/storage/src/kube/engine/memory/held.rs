//! What this node's pods hold, found by pod, by address, and by when it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use spiderpool_ip::Block;

use crate::{Allocation, Endpoint, Holder};

/// Changed only as blocks tell: by the memory.
#[derive(Default)]
pub(in crate::kube::engine) struct Held {
    by_uid: BTreeMap<String, Vec<Arc<Allocation>>>,
    by_pool: BTreeMap<String, BTreeMap<IpAddr, Arc<Allocation>>>,
    /// What has an end: when, and in which pool.
    ends: BTreeSet<(SystemTime, String, IpAddr)>,
    next_serial: u64,
}

impl Held {
    pub(in crate::kube::engine) fn of(&self, uid: &str) -> &[Arc<Allocation>] {
        self.by_uid.get(uid).map_or(&[], Vec::as_slice)
    }

    /// What the pod of that name has; of the holder that came last, should there be several.
    pub(in crate::kube::engine) fn endpoint(&self, namespace: &str, pod: &str) -> Option<Endpoint> {
        let last = self.of_name(namespace, pod).max_by_key(|held| held.last().map(|last| last.serial))?;
        Endpoint::from_allocations(last.iter().map(AsRef::as_ref))
    }

    /// What pods of that name have, pod by pod.
    fn of_name(&self, namespace: &str, pod: &str) -> impl Iterator<Item = &Vec<Arc<Allocation>>> {
        self.by_uid.values().filter(move |held| {
            held.first().is_some_and(|first| first.holder.pod == pod && first.holder.namespace == namespace)
        })
    }

    /// What others of the holder's name have, the latest first.
    pub(in crate::kube::engine) fn left_by_others(&self, holder: &Holder) -> Vec<Arc<Allocation>> {
        let others = self.of_name(&holder.namespace, &holder.pod).flatten();
        let mut left: Vec<_> = others.filter(|left| left.holder.uid != holder.uid).cloned().collect();
        left.sort_by_key(|left| std::cmp::Reverse(left.serial));
        left
    }

    /// What the holder has is the latest of its name from now on.
    pub(in crate::kube::engine) fn prefer(&mut self, uid: &str) {
        for held in self.of(uid).to_vec() {
            self.forget(&held);
            let serial = self.serial(None);
            self.remember(Allocation { serial, ..held.as_ref().clone() });
        }
    }

    /// At most `most` of what has ended by `now`, and when the next ends.
    pub(in crate::kube::engine) fn ended(
        &self,
        now: SystemTime,
        most: usize,
    ) -> (Vec<Arc<Allocation>>, Option<SystemTime>) {
        let ended = self.ends.iter().take_while(|(end, ..)| *end <= now).take(most);
        let held = |(_, pool, address): &(_, String, IpAddr)| self.by_pool.get(pool)?.get(address).cloned();
        let ended: Vec<_> = ended.filter_map(held).collect();
        (ended, self.ends.first().map(|(end, ..)| *end))
    }

    /// Everything, by address.
    pub(in crate::kube::engine) fn all(&self) -> Vec<Arc<Allocation>> {
        let mut all: Vec<_> = self.by_pool.values().flat_map(BTreeMap::values).cloned().collect();
        all.sort_by_key(|allocation| allocation.lease.address);
        all
    }

    /// What of the pool is held with that address.
    pub(super) fn at(&self, pool: &str, address: IpAddr) -> Option<&Arc<Allocation>> {
        self.by_pool.get(pool)?.get(&address)
    }

    pub(in crate::kube::engine) fn is_of(&self, uid: &str, pool: &str, address: IpAddr) -> bool {
        self.at(pool, address).is_some_and(|held| held.holder.uid == uid)
    }

    /// What is held in a block, whether or not that exists.
    pub(in crate::kube::engine) fn in_block(&self, pool: &str, block: Block) -> Vec<Arc<Allocation>> {
        let held = self.by_pool.get(pool).into_iter();
        held.flat_map(|held| held.range(block.range().first()..=block.range().last()))
            .map(|(_, known)| known)
            .cloned()
            .collect()
    }

    /// The serial of what is held already, or a new one.
    pub(super) fn serial(&mut self, known: Option<&Allocation>) -> u64 {
        let serial = known.map_or(self.next_serial, |known| known.serial);
        self.next_serial = self.next_serial.max(serial + 1);
        serial
    }

    pub(super) fn remember(&mut self, allocation: Allocation) {
        let Allocation { holder, lease, until, serial, .. } = &allocation;
        let (uid, pool, address, serial) = (holder.uid.clone(), lease.pool.clone(), lease.address, *serial);
        self.ends.extend(until.map(|until| (until, pool.clone(), address)));
        let allocation = Arc::new(allocation);
        let held = self.by_uid.entry(uid).or_default();
        let place = held.partition_point(|other| other.serial < serial);
        held.insert(place, Arc::clone(&allocation));
        self.by_pool.entry(pool).or_default().insert(address, allocation);
    }

    pub(super) fn forget(&mut self, known: &Arc<Allocation>) {
        let address = known.lease.address;
        known.until.map(|until| self.ends.remove(&(until, known.lease.pool.clone(), address)));
        if let Some(held) = self.by_pool.get_mut(&known.lease.pool) {
            held.remove(&address);
        }
        if let Some(held) = self.by_uid.get_mut(&known.holder.uid) {
            held.retain(|other| other.lease.address != address || other.lease.pool != known.lease.pool);
            if held.is_empty() {
                self.by_uid.remove(&known.holder.uid);
            }
        }
    }
}
