//! What this node holds, and how full every block was when last seen: a projection of the latest picture of each block.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use spiderpool_crd::ipblock::BlockAllocation;
use spiderpool_ip::{Block, Family, IpRange, IpSet};
use tokio::time::Instant;

use super::Spaces;
use super::adopt::claims;
use super::doubts::{Doubt, Doubts};
use super::entry;
use super::picture::{Picture, Seen};
use super::pictures::Pictures;
use crate::kube::{BlockMark, PodRef, RecordedEndpoint, StoredBlock};
use crate::{Allocation, Endpoint, Holder, PoolSpace, Usage};

/// What a look at a block has brought.
pub(super) struct News {
    /// Pods that hold something else than before, without having asked.
    pub(super) surprised: Vec<PodRef>,
    /// The block is another than the one in which this node held addresses: that was removed.
    pub(super) is_removed: bool,
}

/// Everything that the engine remembers, but its records' state.
pub(super) struct Memory {
    node: String,
    spaces: Spaces,
    by_uid: BTreeMap<String, Vec<Arc<Allocation>>>,
    by_pool: BTreeMap<String, BTreeMap<IpAddr, Arc<Allocation>>>,
    pools: BTreeMap<String, Pictures>,
    /// The UIDs of the blocks in which this node holds something, when last seen.
    homes: BTreeMap<(String, Block), String>,
    /// When all blocks were listed first.
    opened: Option<Instant>,
    pub(super) doubts: Doubts,
    /// What is held here and has an end: when, and in which pool.
    ends: BTreeSet<(SystemTime, String, IpAddr)>,
    next_serial: u64,
}

impl Memory {
    pub(super) fn new(node: String, spaces: Spaces) -> Self {
        let (by_uid, by_pool, pools, homes, opened, doubts, ends) = <_>::default();
        Self { node, spaces, by_uid, by_pool, pools, homes, opened, doubts, ends, next_serial: 0 }
    }

    // === What is held here ===

    pub(super) fn held_by(&self, uid: &str) -> Vec<Arc<Allocation>> {
        self.by_uid.get(uid).cloned().unwrap_or_default()
    }

    /// What the pod of that name has; of the holder that came last, should there be several.
    pub(super) fn endpoint(&self, namespace: &str, pod: &str) -> Option<Endpoint> {
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
    pub(super) fn left_by_others(&self, holder: &Holder) -> Vec<Arc<Allocation>> {
        let others = self.of_name(&holder.namespace, &holder.pod).flatten();
        let mut left: Vec<_> = others.filter(|left| left.holder.uid != holder.uid).cloned().collect();
        left.sort_by_key(|left| std::cmp::Reverse(left.serial));
        left
    }

    /// What the holder has is the latest of its name from now on.
    pub(super) fn prefer(&mut self, uid: &str) {
        for held in self.held_by(uid) {
            self.forget(&held);
            let serial = self.next_serial;
            self.next_serial += 1;
            self.remember(Allocation { serial, ..held.as_ref().clone() });
        }
    }

    /// At most `most` of what has ended by `now`, and when the next ends.
    pub(super) fn ended(&self, now: SystemTime, most: usize) -> (Vec<Arc<Allocation>>, Option<SystemTime>) {
        let ended = self.ends.iter().take_while(|(end, ..)| *end <= now).take(most);
        let held = |(_, pool, address): &(_, String, IpAddr)| self.by_pool.get(pool)?.get(address).cloned();
        let ended: Vec<_> = ended.filter_map(held).collect();
        (ended, self.ends.first().map(|(end, ..)| *end))
    }

    pub(super) fn allocations(&self) -> Vec<Arc<Allocation>> {
        let mut all: Vec<_> = self.by_pool.values().flat_map(BTreeMap::values).cloned().collect();
        all.sort_by_key(|allocation| allocation.lease.address);
        all
    }

    pub(super) fn holds(&self, pool: &str, address: IpAddr, uid: &str) -> bool {
        let held = self.by_pool.get(pool).and_then(|held| held.get(&address));
        held.is_some_and(|allocation| allocation.holder.uid == uid)
    }

    // === Pictures ===

    pub(super) fn pictures(&mut self, pool: &str) -> &mut Pictures {
        self.pools.entry(pool.to_owned()).or_default()
    }

    /// When the latest list of the pool's blocks was begun.
    pub(super) fn looked(&self, pool: &str) -> Option<Instant> {
        self.pools.get(pool).and_then(|pictures| pictures.looked).or(self.opened)
    }

    /// The pools that have a record of the block that the address is in.
    pub(super) fn pools_around(&self, address: IpAddr) -> Vec<String> {
        let block = Block::containing(address);
        self.pools.iter().filter(|(_, blocks)| blocks.get(block).is_some()).map(|(pool, _)| pool.clone()).collect()
    }

    /// Keeps what a block is now, and tells what this means for those who hold addresses of it here. What is not `expected` to
    /// change surprises its pod.
    pub(super) fn see(&mut self, stored: &StoredBlock, expected: &BTreeSet<IpAddr>, now: Instant) -> News {
        let (pool, block) = (stored.spec.pool.as_str(), stored.spec.block);
        let home = (pool.to_owned(), block);
        let is_another = self.homes.get(&home).is_some_and(|uid| *uid != stored.uid);
        self.pictures(pool).insert(block, Seen::Read(Picture::of(stored)));
        let (mut surprised, mut is_removed) = (Vec::new(), false);
        for known in self.held_in(pool, block) {
            let address = known.lease.address;
            let there = stored.spec.allocations.get(&address);
            if there.is_none() && is_another && !expected.contains(&address) {
                is_removed = true;
                continue;
            }
            if there.is_some_and(|there| entry::is_bare(there) && there.pod_uid == known.holder.uid) {
                continue;
            }
            let passed_on = there.is_some_and(|there| there.pod_uid != known.holder.uid);
            let there = there.filter(|entry| entry.node == self.node);
            if there.is_none_or(|there| there.pod_uid != known.holder.uid || there.interface != known.lease.interface) {
                self.forget(&known);
                if passed_on || !expected.contains(&address) {
                    surprised.push(pod_ref(&known));
                }
            }
        }
        for (&address, there) in &stored.spec.allocations {
            if there.node == self.node && block.contains(address) {
                surprised.extend(self.meet(pool, address, there, expected.contains(&address), now));
            }
        }
        if self.held_in(pool, block).is_empty() {
            self.homes.remove(&home);
        } else {
            self.homes.insert(home, stored.uid.clone());
        }
        let Self { doubts, by_pool, .. } = self;
        let held = by_pool.get(pool);
        doubts.see(stored, |address, uid| {
            held.and_then(|held| held.get(&address)).is_some_and(|held| held.holder.uid == uid)
        });
        News { surprised, is_removed }
    }

    /// Whether it is another block than the one in which this node held addresses, and lacks some of these.
    pub(super) fn misses(&self, stored: &StoredBlock) -> bool {
        let (pool, block) = (&stored.spec.pool, stored.spec.block);
        let is_another = self.homes.get(&(pool.clone(), block)).is_some_and(|uid| *uid != stored.uid);
        let is_there = |held: &Arc<Allocation>| stored.spec.allocations.contains_key(&held.lease.address);
        is_another && !self.held_in(pool, block).iter().all(is_there)
    }

    /// The block is the one in which this node holds addresses from now on.
    pub(super) fn move_in(&mut self, stored: &StoredBlock) {
        self.homes.insert((stored.spec.pool.clone(), stored.spec.block), stored.uid.clone());
    }

    /// Remembers an entry of this node, unless it is one that came too late.
    fn meet(
        &mut self,
        pool: &str,
        address: IpAddr,
        there: &BlockAllocation,
        expected: bool,
        now: Instant,
    ) -> Option<PodRef> {
        let known = self.by_pool.get(pool).and_then(|held| held.get(&address)).cloned();
        if let Some(known) = &known
            && entry::entry(known) == *there
        {
            return None;
        }
        if known.is_none() && !expected {
            if self.doubts.contains(pool, address, &there.pod_uid) {
                return None;
            }
            // What an earlier run of this agent asked for and the pod got no answer about, while it has another now.
            let family = Family::of(address);
            let nic = |held: &Arc<Allocation>| held.lease.interface == there.interface && held.lease.family() == family;
            if self.by_uid.get(&there.pod_uid).is_some_and(|held| held.iter().any(nic)) {
                self.doubts.insert(pool, address, Doubt { to: there.clone(), before: None, due: now });
                return None;
            }
        }
        let space = (self.spaces)(pool);
        let serial = known.as_ref().map_or(self.next_serial, |known| known.serial);
        self.next_serial = self.next_serial.max(serial + 1);
        let allocation = entry::allocation(there, address, pool, space.as_deref(), serial);
        if let Some(known) = &known {
            self.forget(known);
        }
        let surprise = (!expected).then(|| pod_ref(&allocation));
        self.remember(allocation);
        surprise
    }

    fn remember(&mut self, allocation: Allocation) {
        let Allocation { holder, lease, until, serial, .. } = &allocation;
        let (uid, pool, address, serial) = (holder.uid.clone(), lease.pool.clone(), lease.address, *serial);
        self.ends.extend(until.map(|until| (until, pool.clone(), address)));
        let allocation = Arc::new(allocation);
        let held = self.by_uid.entry(uid).or_default();
        let place = held.partition_point(|other| other.serial < serial);
        held.insert(place, Arc::clone(&allocation));
        self.by_pool.entry(pool).or_default().insert(address, allocation);
    }

    /// At the start everything is met at once, as it was listed from `begun` on; leases are listed by NIC then, IPv4 before
    /// IPv6. Of several pods of one name the latest is the one that the `recorded` tell of, and of several addresses of one
    /// NIC the first.
    pub(super) fn start(&mut self, all: &[StoredBlock], recorded: &[RecordedEndpoint], begun: Instant) {
        self.opened = Some(begun);
        let pods: BTreeSet<&str> = recorded.iter().map(|recorded| recorded.pod.uid.as_str()).collect();
        let claims = recorded.iter().flat_map(claims);
        let answered: BTreeSet<_> = claims.map(|(_, claim)| (claim.record.pod_uid, claim.address)).collect();
        let mut mine: Vec<(&str, IpAddr, &BlockAllocation)> = Vec::new();
        for stored in all {
            let (pool, block) = (&stored.spec.pool, stored.spec.block);
            self.pictures(pool).insert(block, Seen::Read(Picture::of(stored)));
            let entries = stored.spec.allocations.iter().filter(|(_, entry)| entry.node == self.node);
            let before = mine.len();
            mine.extend(entries.map(|(&address, entry)| (pool.as_str(), address, entry)));
            if mine.len() > before {
                self.homes.insert((pool.clone(), block), stored.uid.clone());
            }
        }
        mine.sort_by_cached_key(|(_, address, entry)| {
            let (uid, nic) = (entry.pod_uid.clone(), entry.interface.clone());
            let latest = pods.contains(uid.as_str());
            let twin = !answered.contains(&(uid.clone(), *address));
            (latest, uid, nic, Family::of(*address), twin, *address)
        });
        for (pool, address, entry) in mine {
            self.meet(pool, address, entry, true, begun);
        }
    }

    /// Nobody can hold anything in the block any more.
    pub(super) fn forget_all_in(&mut self, pool: &str, block: Block) -> Vec<PodRef> {
        self.homes.remove(&(pool.to_owned(), block));
        let known = self.held_in(pool, block);
        known.iter().for_each(|known| self.forget(known));
        known.iter().map(|known| pod_ref(known)).collect()
    }

    /// Keeps the pictures that are still right by a list of all blocks, or of those `near` one, that was begun then. Whether
    /// there are blocks that nobody knew of.
    pub(super) fn see_marks(&mut self, pool: &str, near: Option<Block>, marks: Vec<BlockMark>, begun: Instant) -> bool {
        let marks: Vec<_> = marks.into_iter().map(|mark| self.completed(pool, mark)).collect();
        let pictures = self.pictures(pool);
        let is_news = marks.iter().any(|mark| pictures.get(mark.block).is_none());
        match near {
            // A block that a list of its neighbourhood leaves out may only lack the label.
            Some(_) => pictures.list_some(marks),
            None => {
                pictures.list(marks);
                pictures.looked = Some(begun);
            }
        }
        is_news
    }

    /// What this node holds is not free, whatever a label says: it may be behind, or that of a block that was made anew.
    fn completed(&self, pool: &str, mut listed: BlockMark) -> BlockMark {
        if let Some(mark) = &mut listed.mark {
            let held = self.held_in(pool, listed.block);
            held.iter().for_each(|held| mark.add(listed.block.offset(held.lease.address), held.until.is_none()));
        }
        listed
    }

    /// What this node holds in a block, whether or not that exists.
    pub(super) fn held_in(&self, pool: &str, block: Block) -> Vec<Arc<Allocation>> {
        let held = self.by_pool.get(pool).into_iter();
        held.flat_map(|held| held.range(block.range().first()..=block.range().last()))
            .map(|(_, known)| known)
            .cloned()
            .collect()
    }

    fn forget(&mut self, known: &Arc<Allocation>) {
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

    // === How full ===

    pub(super) fn usage(&mut self, space: &Arc<PoolSpace>, now: SystemTime) -> Usage {
        self.pictures(&space.name).usage(space, now)
    }

    pub(super) fn in_use(&self, space: &IpSet) -> IpSet {
        let mut ranges = Vec::new();
        let (first, last) = (space.first().map(Block::containing), space.last().map(Block::containing));
        let blocks = self.pools.values().flat_map(Pictures::read);
        for (block, picture) in blocks.filter(|(block, _)| Some(*block) >= first && Some(*block) <= last) {
            let held = picture.held.and(crate::block::Bits(space.bits_in_block(block)));
            ranges.extend(held.iter().map(|offset| IpRange::from(block.address(offset))));
        }
        IpSet::from_ranges(space.family(), ranges).unwrap_or_else(|_| IpSet::empty(space.family()))
    }
}

pub(super) fn pod_ref(allocation: &Allocation) -> PodRef {
    let holder = &allocation.holder;
    PodRef { namespace: holder.namespace.clone(), name: holder.pod.clone(), uid: holder.uid.clone() }
}
