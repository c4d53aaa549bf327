//! What this node holds, and how full every block was when last seen: a projection of the latest picture of each block.

mod held;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use spiderpool_crd::ipblock::BlockAllocation;
use spiderpool_ip::{Block, Family, IpRange, IpSet};
use tokio::time::Instant;

use self::held::Held;
use super::Spaces;
use super::adopt::claims;
use super::doubts::{Doubt, Doubts};
use super::entry;
use super::picture::{Picture, Seen};
use super::pictures::Pictures;
use crate::kube::{BlockMark, PodRef, RecordedEndpoint, StoredBlock};
use crate::{Allocation, PoolSpace, Usage};

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
    pub(super) held: Held,
    pools: BTreeMap<String, Pictures>,
    /// The UIDs of the blocks in which this node holds something, when last seen.
    homes: BTreeMap<(String, Block), String>,
    /// When all blocks were listed first.
    opened: Option<Instant>,
    pub(super) doubts: Doubts,
}

impl Memory {
    pub(super) fn new(node: String, spaces: Spaces) -> Self {
        let (held, pools, homes, opened, doubts) = <_>::default();
        Self { node, spaces, held, pools, homes, opened, doubts }
    }

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
        for known in self.held.in_block(pool, block) {
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
                self.held.forget(&known);
                if passed_on || !expected.contains(&address) {
                    surprised.push(known.holder.clone().into());
                }
            }
        }
        for (&address, there) in &stored.spec.allocations {
            if there.node == self.node && block.contains(address) {
                surprised.extend(self.meet(pool, address, there, expected.contains(&address), now));
            }
        }
        if self.held.in_block(pool, block).is_empty() {
            self.homes.remove(&home);
        } else {
            self.homes.insert(home, stored.uid.clone());
        }
        let Self { doubts, held, .. } = self;
        doubts.see(stored, |address, uid| held.is_of(uid, pool, address));
        News { surprised, is_removed }
    }

    /// Whether it is another block than the one in which this node held addresses, and lacks some of these.
    pub(super) fn misses(&self, stored: &StoredBlock) -> bool {
        let (pool, block) = (&stored.spec.pool, stored.spec.block);
        let is_another = self.homes.get(&(pool.clone(), block)).is_some_and(|uid| *uid != stored.uid);
        let is_there = |held: &Arc<Allocation>| stored.spec.allocations.contains_key(&held.lease.address);
        is_another && !self.held.in_block(pool, block).iter().all(is_there)
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
        let known = self.held.at(pool, address).cloned();
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
            if self.held.of(&there.pod_uid).iter().any(nic) {
                self.doubts.insert(pool, address, Doubt { to: there.clone(), before: None, due: now });
                return None;
            }
        }
        let space = (self.spaces)(pool);
        let serial = self.held.serial(known.as_deref());
        let allocation = entry::allocation(there, address, pool, space.as_deref(), serial);
        if let Some(known) = &known {
            self.held.forget(known);
        }
        let surprise = (!expected).then(|| allocation.holder.clone().into());
        self.held.remember(allocation);
        surprise
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
        let known = self.held.in_block(pool, block);
        known.iter().for_each(|known| self.held.forget(known));
        known.iter().map(|known| known.holder.clone().into()).collect()
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
            let held = self.held.in_block(pool, listed.block);
            held.iter().for_each(|held| mark.add(listed.block.offset(held.lease.address), held.until.is_none()));
        }
        listed
    }

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
