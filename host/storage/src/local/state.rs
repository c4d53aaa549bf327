//! All addresses in memory, with what is needed to answer at once.
//!
//! Costs about half a KiB per address that is held: its record, shared by the block and whoever asked, and three index
//! entries. A block that nobody uses costs nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use spiderpool_ip::{Block, IpRange, IpSet};

use super::track::{Kind, Track};
use crate::block::{Bits, Records, Slot};
use crate::{Allocation, Endpoint, PoolSpace, Usage};

/// Every address that is not free. All changes go through [`State::put`] and are remembered until they are settled.
#[derive(Debug, Default)]
pub(super) struct State {
    blocks: BTreeMap<Block, Records>,
    by_uid: Index,
    by_pod: Index,
    by_container: Index,
    ends: BTreeSet<(SystemTime, IpAddr)>,
    tracks: HashMap<String, Track>,
    journal: Vec<(IpAddr, Slot)>,
    next_serial: u64,
    /// What has a lower number is settled.
    settled: u64,
}

impl State {
    /// The state that has what `slots` say.
    pub(super) fn load(slots: impl IntoIterator<Item = (IpAddr, Slot)>) -> Self {
        let mut state = Self::default();
        for (address, slot) in slots {
            if let Slot::Held(allocation) = &slot {
                state.next_serial = state.next_serial.max(allocation.serial + 1);
            }
            state.put(address, slot);
        }
        state.settle();
        state
    }

    // === Reading ===

    pub(super) fn get(&self, address: IpAddr) -> &Slot {
        let block = Block::containing(address);
        match (self.blocks.get(&block), block.offset(address)) {
            (Some(records), Some(offset)) => records.get(offset),
            _ => &Slot::Free,
        }
    }

    pub(super) fn held_by(&self, uid: &str) -> Vec<Arc<Allocation>> {
        self.indexed(&self.by_uid, uid)
    }

    pub(super) fn held_by_container(&self, container: &str) -> Vec<Arc<Allocation>> {
        self.indexed(&self.by_container, container)
    }

    /// What all pods of that name have, in the order in which it was taken.
    pub(super) fn held_by_name(&self, namespace: &str, pod: &str) -> Vec<Arc<Allocation>> {
        self.indexed(&self.by_pod, &pod_key(namespace, pod))
    }

    /// What the pod of that name has; of the holder that came last, should there be several.
    pub(super) fn endpoint(&self, namespace: &str, pod: &str) -> Option<Endpoint> {
        let mut held = self.held_by_name(namespace, pod);
        let last = held.last()?.holder.uid.clone();
        held.retain(|allocation| allocation.holder.uid == last);
        Endpoint::from_allocations(held.iter().map(AsRef::as_ref))
    }

    pub(super) fn allocations(&self, pool: Option<&str>) -> Vec<Arc<Allocation>> {
        let all = self.blocks.values().flat_map(Records::allocations);
        all.filter(|allocation| pool.is_none_or(|pool| allocation.lease.pool == pool)).cloned().collect()
    }

    /// The addresses of `space` that are held.
    pub(super) fn in_use(&self, space: &IpSet) -> IpSet {
        let mut ranges = Vec::new();
        for (block, records) in self.blocks_of(space) {
            let held = records.held().and(Bits(space.bits_in_block(block)));
            ranges.extend(held.iter().map(|offset| IpRange::from(block.address(offset))));
        }
        IpSet::from_ranges(space.family(), ranges).unwrap_or_else(|_| IpSet::empty(space.family()))
    }

    /// The blocks in use that `space` reaches into. Costs what is in use between its ends, not what is in it.
    pub(super) fn blocks_of<'a>(&'a self, space: &IpSet) -> impl Iterator<Item = (Block, &'a Records)> {
        let ends =
            space.first().zip(space.last()).map(|(first, last)| (Block::containing(first), Block::containing(last)));
        ends.into_iter()
            .flat_map(|(first, last)| self.blocks.range(first..=last))
            .map(|(&block, records)| (block, records))
    }

    pub(super) fn records(&self, block: Block) -> Option<&Records> {
        self.blocks.get(&block)
    }

    pub(super) fn usage(&mut self, space: &Arc<PoolSpace>) -> Usage {
        self.track(space).usage()
    }

    /// The number below which all reservations were answered.
    pub(super) fn settled(&self) -> u64 {
        self.settled
    }

    /// When the next address is free by itself: a quarantine ends, or nobody came for what was kept.
    pub(super) fn next_end(&self) -> Option<SystemTime> {
        self.ends.first().map(|&(until, _)| until)
    }

    fn indexed(&self, index: &Index, key: &str) -> Vec<Arc<Allocation>> {
        let addresses = index.0.get(key).into_iter().flatten();
        let mut held: Vec<Arc<Allocation>> = addresses
            .filter_map(|&address| match self.get(address) {
                Slot::Held(allocation) => Some(Arc::clone(allocation)),
                Slot::Free | Slot::Quarantined(_) => None,
            })
            .collect();
        held.sort_unstable_by_key(|allocation| allocation.serial);
        held
    }

    // === Changing ===

    pub(super) fn take_serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial - 1
    }

    /// Makes `address` what `slot` says.
    pub(super) fn put(&mut self, address: IpAddr, slot: Slot) {
        let before = self.replace(address, slot);
        self.journal.push((address, before));
    }

    /// Frees addresses whose end has come by `now`.
    pub(super) fn end(&mut self, now: SystemTime) {
        while let Some(&(until, address)) = self.ends.first()
            && until <= now
        {
            self.put(address, Slot::Free);
        }
    }

    /// A place in the journal to come back to.
    pub(super) fn mark(&self) -> usize {
        self.journal.len()
    }

    /// Undoes everything since `mark`.
    pub(super) fn rollback(&mut self, mark: usize) {
        while self.journal.len() > mark
            && let Some((address, before)) = self.journal.pop()
        {
            self.replace(address, before);
        }
    }

    /// The addresses that changed since the last [`State::settle`], and what they are now.
    pub(super) fn changes(&self) -> BTreeMap<IpAddr, Slot> {
        self.journal.iter().map(|&(address, _)| (address, self.get(address).clone())).collect()
    }

    /// Forgets how to undo.
    pub(super) fn settle(&mut self) {
        self.journal.clear();
        self.settled = self.next_serial;
    }

    /// What is kept about the pool, counted anew when its addresses changed.
    pub(super) fn track(&mut self, space: &Arc<PoolSpace>) -> &mut Track {
        let known = self.tracks.get(&space.name).is_some_and(|track| track.is_of(space));
        if !known {
            // Whoever removes a pool drops its space; then it is kept here alone.
            self.tracks.retain(|_, track| !track.is_orphan());
            let track = Track::count(space, self.blocks_of(&space.usable));
            self.tracks.insert(space.name.clone(), track);
        }
        self.tracks.entry(space.name.clone()).or_insert_with(|| Track::count(space, std::iter::empty()))
    }

    fn replace(&mut self, address: IpAddr, slot: Slot) -> Slot {
        let block = Block::containing(address);
        let Some(offset) = block.offset(address) else { return slot };
        let kind = Kind::of(&slot);
        let records = self.blocks.entry(block).or_default();
        let before = records.put(offset, slot.clone());
        if records.is_empty() {
            self.blocks.remove(&block);
        }
        self.leave(address, &before);
        self.enter(address, &slot);
        for track in self.tracks.values_mut() {
            track.changed(address, Kind::of(&before), kind);
        }
        before
    }

    fn enter(&mut self, address: IpAddr, slot: &Slot) {
        match slot {
            Slot::Free => {}
            Slot::Held(allocation) => {
                let Allocation { holder, lease, until, .. } = allocation.as_ref();
                self.ends.extend(until.map(|until| (until, address)));
                self.by_uid.insert(&holder.uid, address);
                self.by_pod.insert(&pod_key(&holder.namespace, &holder.pod), address);
                self.by_container.insert(&lease.container, address);
            }
            Slot::Quarantined(rest) => {
                self.ends.insert((rest.until, address));
            }
        }
    }

    fn leave(&mut self, address: IpAddr, slot: &Slot) {
        match slot {
            Slot::Free => {}
            Slot::Held(allocation) => {
                let Allocation { holder, lease, until, .. } = allocation.as_ref();
                until.map(|until| self.ends.remove(&(until, address)));
                self.by_uid.remove(&holder.uid, address);
                self.by_pod.remove(&pod_key(&holder.namespace, &holder.pod), address);
                self.by_container.remove(&lease.container, address);
            }
            Slot::Quarantined(rest) => {
                self.ends.remove(&(rest.until, address));
            }
        }
    }
}

fn pod_key(namespace: &str, pod: &str) -> String {
    format!("{namespace}/{pod}")
}

/// Addresses by a name. A name without addresses is not in it.
#[derive(Debug, Default)]
struct Index(HashMap<Box<str>, Vec<IpAddr>>);

impl Index {
    fn insert(&mut self, name: &str, address: IpAddr) {
        match self.0.get_mut(name) {
            Some(addresses) => addresses.push(address),
            None => {
                self.0.insert(name.into(), vec![address]);
            }
        }
    }

    fn remove(&mut self, name: &str, address: IpAddr) {
        let Some(addresses) = self.0.get_mut(name) else { return };
        if let Some(at) = addresses.iter().position(|&other| other == address) {
            addresses.swap_remove(at);
        }
        if addresses.is_empty() {
            self.0.remove(name);
        }
    }
}
