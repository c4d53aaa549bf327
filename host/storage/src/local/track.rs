//! How full one pool is, kept current with every change instead of counted.

use std::net::IpAddr;
use std::sync::Arc;

use spiderpool_ip::{Block, Family};

use crate::block::{Bits, Records, Slot};
use crate::{PoolSpace, Usage};

/// What a slot counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Free,
    Held,
    Quarantined,
}

impl Kind {
    pub(super) fn of(slot: &Slot) -> Self {
        match slot {
            Slot::Free => Self::Free,
            Slot::Held(_) => Self::Held,
            Slot::Quarantined(_) => Self::Quarantined,
        }
    }
}

/// The counts of one pool, and where its lowest free address can be.
#[derive(Debug)]
pub(super) struct Track {
    space: Arc<PoolSpace>,
    /// Set by a change: `total` is asked often and an [`IpSet`](spiderpool_ip::IpSet) adds it up.
    total: u128,
    ends: Option<(IpAddr, IpAddr)>,
    held: u64,
    quarantined: u64,
    /// No block of the pool below this one has a free address; `None`: no block has one.
    lowest: Option<Block>,
}

impl Track {
    pub(super) fn count<'a>(space: &Arc<PoolSpace>, blocks: impl Iterator<Item = (Block, &'a Records)>) -> Self {
        let (mut held, mut quarantined) = (0, 0);
        for (block, records) in blocks {
            let usable = Bits(space.usable.bits_in_block(block));
            held += u64::from(records.held().and(usable).count());
            quarantined += u64::from(records.quarantined().and(usable).count());
        }
        let ends = space.usable.first().zip(space.usable.last());
        let lowest = ends.map(|(first, _)| Block::containing(first));
        Self { space: Arc::clone(space), total: space.usable.count(), ends, held, quarantined, lowest }
    }

    pub(super) fn is_of(&self, space: &Arc<PoolSpace>) -> bool {
        Arc::ptr_eq(&self.space, space) || self.space.usable == space.usable
    }

    /// Whether nobody else knows the pool any more.
    pub(super) fn is_orphan(&self) -> bool {
        Arc::strong_count(&self.space) == 1
    }

    pub(super) fn usage(&self) -> Usage {
        let used = u128::from(self.held) + u128::from(self.quarantined);
        Usage { allocated: self.held, quarantined: self.quarantined, free: self.total.saturating_sub(used) }
    }

    pub(super) fn total(&self) -> u128 {
        self.total
    }

    pub(super) fn lowest(&self) -> Option<Block> {
        self.lowest
    }

    pub(super) fn set_lowest(&mut self, block: Option<Block>) {
        self.lowest = block;
    }

    pub(super) fn changed(&mut self, address: IpAddr, before: Kind, after: Kind) {
        let near = self.ends.is_some_and(|(first, last)| first <= address && address <= last);
        if before == after || !near || Family::of(address) != self.space.usable.family() {
            return;
        }
        if !self.space.usable.contains(address) {
            return;
        }
        match before {
            Kind::Free => {}
            Kind::Held => self.held -= 1,
            Kind::Quarantined => self.quarantined -= 1,
        }
        match after {
            Kind::Held => self.held += 1,
            Kind::Quarantined => self.quarantined += 1,
            Kind::Free => {
                let block = Block::containing(address);
                self.lowest = Some(self.lowest.map_or(block, |lowest| lowest.min(block)));
            }
        }
    }
}
