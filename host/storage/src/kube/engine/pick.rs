//! Choosing an address that is free as far as this agent knows.

mod own_way;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use spiderpool_ip::{Block, Family};

use super::job::Take;
use super::picture::{Seen, usable};
use super::pictures::Pictures;
use super::share::{Liking, Share};
use crate::block::Bits;
use crate::place::{fnv1a, scatter};
use crate::{Pick, PoolSpace, Why};

/// How many blocks without room are looked at from a place inside the pool before the lowest free address is taken
/// instead.
const BLOCKS_IN_A_ROW: usize = 1024;
/// Among how many blocks that nobody made writers that meet each other spread. The more, the more rarely they meet again.
pub(super) const SPREAD: usize = Block::NEIGHBOURS as usize;
/// How a node goes its own ways.
#[derive(Clone, Copy, Debug)]
pub(super) struct Apart {
    /// How often others were faster.
    pub(super) losses: u64,
    /// The lowest block that had room when it began to: from there on the nodes divide the pool. It stays the same, so that
    /// their shares do.
    pub(super) from: Option<Block>,
}

/// What is known of a pool while one round is planned.
pub(super) struct View<'a> {
    pub(super) pictures: &'a mut Pictures,
    /// What this round takes already.
    pub(super) busy: BTreeMap<Block, Bits>,
    /// How many addresses this round is still to find.
    pub(super) wanted: u32,
    pub(super) now: SystemTime,
    pub(super) liking: Liking,
    /// None: it takes the lowest addresses, as if it was alone.
    pub(super) apart: Option<Apart>,
    /// Blocks that this agent made, and that others leave alone while they can.
    pub(super) own: &'a BTreeSet<Block>,
    /// Whether blocks that this agent has not seen were made by others, as the last calls for them said.
    pub(super) made: &'a BTreeMap<Block, bool>,
    /// No block below this one has room for the pool of that usable set, in this round.
    pub(super) cursor: Option<(*const PoolSpace, Block)>,
}

/// What was found.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// A free address.
    Address(IpAddr),
    /// The block must be read first.
    Read(Block),
    /// Nothing; blocks that are marked as full were not looked at.
    Full,
    /// Nothing that was asked for by address is free; this was the first, and is taken.
    Taken(IpAddr),
    /// Nothing, and never.
    Never(Why),
}

/// What a block has left.
enum Room {
    Free(Bits),
    Unread,
    None,
}

impl Room {
    /// How many addresses; of what was not read, one may be hoped for.
    fn count(&self) -> u32 {
        match self {
            Self::Free(bits) => bits.count(),
            Self::Unread => 1,
            Self::None => 0,
        }
    }
}

impl View<'_> {
    /// The free address that is asked for.
    pub(super) fn pick(&mut self, take: &Take) -> Found {
        let space = &take.space;
        if space.usable.is_empty() {
            return Found::Never(Why::Empty);
        }
        match &take.pick {
            Pick::Lowest if self.apart.is_some() => self.own_way(space),
            Pick::Lowest => self.lowest(space),
            Pick::Spread(seed) => self.near(space, scatter(*seed)),
            Pick::Sticky(key) => self.near(space, scatter(fnv1a(key.as_bytes()))),
            Pick::Exactly(addresses) => self.exactly(space, addresses),
        }
    }

    /// The blocks of the pool that exist and were not read since they were changed.
    pub(super) fn unread(&self, space: &PoolSpace) -> Vec<Block> {
        let listed = self.pictures.iter().filter(|(_, seen)| matches!(seen, Seen::Listed { .. }));
        let listed = listed.map(|(block, _)| block).filter(|block| block.family() == space.usable.family());
        listed.filter(|&block| usable(space, block) != Bits::default()).collect()
    }

    /// Whether this agent knows what others have taken of the block: it has seen it, or nobody is likely to have made it.
    pub(super) fn is_known(&self, space: &PoolSpace, block: Block) -> bool {
        if self.pictures.get(block).is_some() {
            return true;
        }
        match self.made.get(&block) {
            Some(made) => !made,
            None => !self.share(space).is_some_and(|share| share.is_begun_by_another(block)),
        }
    }

    /// The part of the pool with which this node begins while it goes its own ways.
    fn share(&self, space: &PoolSpace) -> Option<Share> {
        self.liking.share(space, self.apart?.from?)
    }

    fn room(&self, space: &PoolSpace, block: Block) -> Room {
        let usable = usable(space, block);
        let free = match self.pictures.get(block) {
            None => usable,
            Some(Seen::Read(picture)) => picture.free(usable, self.now),
            Some(Seen::Listed { mark: None, .. }) => return Room::Unread,
            Some(Seen::Listed { mark: Some(mark), .. }) => {
                let open = usable.minus(mark.held);
                let free = open.minus(mark.passing);
                if free.is_empty() && !open.is_empty() {
                    return Room::Unread;
                }
                free
            }
        };
        let free = free.minus(self.busy.get(&block).copied().unwrap_or_default());
        if free == Bits::default() { Room::None } else { Room::Free(free) }
    }

    fn lowest(&mut self, space: &Arc<PoolSpace>) -> Found {
        match self.lowest_block(space) {
            Some((block, Room::Free(bits))) => {
                bits.first_from(0).map_or(Found::Full, |offset| Found::Address(block.address(offset)))
            }
            Some((block, _)) => Found::Read(block),
            None => Found::Full,
        }
    }

    /// The lowest block that has room, or is not known to have none.
    fn lowest_block(&mut self, space: &Arc<PoolSpace>) -> Option<(Block, Room)> {
        let start = match self.cursor {
            Some((of, block)) if std::ptr::eq(of, Arc::as_ptr(space)) => space.usable.block_at_or_after(block),
            _ => self.pictures.lowest_open(space),
        };
        let mut candidate = start;
        while let Some(block) = candidate {
            self.cursor = Some((Arc::as_ptr(space), block));
            match self.room(space, block) {
                Room::None => candidate = space.block_after(block),
                room => return Some((block, room)),
            }
        }
        None
    }

    fn free(&self, space: &PoolSpace, block: Block) -> Bits {
        match self.room(space, block) {
            Room::Free(bits) => bits,
            Room::Unread | Room::None => Bits::default(),
        }
    }

    /// The first free address at or after the place that `number` stands for, going on at the pool's beginning.
    fn near(&mut self, space: &Arc<PoolSpace>, number: u128) -> Found {
        let place = space.usable.nth(number % space.usable.count().max(1));
        let Some(start) = place else { return Found::Full };
        let mut block = Block::containing(start);
        let mut from = block.offset(start).unwrap_or_default();
        for _ in 0..BLOCKS_IN_A_ROW {
            match self.room(space, block) {
                Room::Unread => return Found::Read(block),
                Room::Free(bits) => {
                    if let Some(offset) = bits.first_from(from) {
                        return Found::Address(block.address(offset));
                    }
                }
                Room::None => {}
            }
            let next = space.block_after(block).or_else(|| space.usable.first().map(Block::containing));
            let Some(next) = next else { break };
            (block, from) = (next, 0);
        }
        self.lowest(space)
    }

    fn exactly(&self, space: &PoolSpace, addresses: &[IpAddr]) -> Found {
        let mut first = None;
        for &address in addresses {
            let block = Block::containing(address);
            let not = if space.usable.contains(address) {
                match (self.room(space, block), block.offset(address)) {
                    (Room::Unread, _) => return Found::Read(block),
                    (Room::Free(bits), Some(offset)) if bits.contains(offset) => return Found::Address(address),
                    // A label may be behind, and that address is all that is asked for.
                    _ if matches!(self.pictures.get(block), Some(Seen::Listed { .. })) => return Found::Read(block),
                    _ => Found::Taken(address),
                }
            } else {
                Found::Never(Why::Outside(address))
            };
            first.get_or_insert(not);
        }
        first.unwrap_or(Found::Never(Why::NoneNamed))
    }
}

/// Why a pool cannot serve a family at all.
pub(super) fn other_family(space: &PoolSpace, family: Family) -> Option<Why> {
    let of = space.usable.family();
    (of != family).then_some(Why::Family(of))
}

#[cfg(test)]
mod tests;
