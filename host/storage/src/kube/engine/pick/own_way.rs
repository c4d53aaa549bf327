//! Addresses of a node that keeps out of others' way: its share of the pool, then what others have left.

use std::net::IpAddr;
use std::sync::Arc;

use spiderpool_ip::Block;

use super::{BLOCKS_IN_A_ROW, Found, Room, SPREAD, View};
use crate::PoolSpace;
use crate::kube::engine::share::Share;

/// How many blocks of others that are worth a write make one that nobody made yet worth no more than any of them.
const FEW: usize = 4;

impl View<'_> {
    /// A place of this node's own: so that agents that fill a pool together rarely want the same address. Its share comes
    /// first, then what others have not taken of theirs.
    pub(super) fn own_way(&mut self, space: &Arc<PoolSpace>) -> Found {
        let found =
            self.share(space).and_then(|share| self.of_share(space, share)).unwrap_or_else(|| self.of_others(space));
        self.wanted = self.wanted.saturating_sub(1);
        found
    }

    /// An address of the node's share: in a block that this round changes already, or else in the fullest one that has room for
    /// all of the round, or in the one with most. Blocks behind the first that nobody made are as good as that.
    fn of_share(&mut self, space: &Arc<PoolSpace>, share: Share) -> Option<Found> {
        let open = self.pictures.lowest_open(space)?;
        let mut unread = None;
        let mut best: Option<((bool, u32), IpAddr)> = None;
        for block in share.blocks_from(open, space).take(BLOCKS_IN_A_ROW) {
            let free = match self.room(space, block) {
                Room::Free(bits) => bits.and(share.part_of(block)),
                Room::Unread => {
                    unread.get_or_insert(block);
                    continue;
                }
                Room::None => continue,
            };
            let Some(offset) = free.first_from(0) else { continue };
            if self.busy.contains_key(&block) {
                return Some(Found::Address(block.address(offset)));
            }
            let room = free.count();
            let fit = if room >= self.wanted { (true, u32::MAX - room) } else { (false, room) };
            if best.is_none_or(|(other, _)| fit > other) {
                best = Some((fit, block.address(offset)));
            }
            if self.pictures.get(block).is_none() {
                break;
            }
        }
        best.map(|(_, address)| Found::Address(address)).or(unread.map(Found::Read))
    }

    /// An address that is not of the node's share. Every node likes the blocks in an order of its own. Whoever made a block
    /// fills it from its beginning; a guest begins at either end, by how often others were faster, so that two who have
    /// enough room between them rarely meet.
    pub(super) fn of_others(&mut self, space: &Arc<PoolSpace>) -> Found {
        let Some(block) = self.begun(space).or_else(|| self.own_or_new(space)) else { return Found::Full };
        match self.room(space, block) {
            Room::Free(bits) => {
                let is_guest = self.pictures.get(block).is_some() && !self.own.contains(&block);
                let end = if is_guest && self.liking.begins_at_the_end(self.apart.map_or(0, |apart| apart.losses)) {
                    bits.iter().last()
                } else {
                    bits.first_from(0)
                };
                end.map_or(Found::Full, |offset| Found::Address(block.address(offset)))
            }
            Room::Unread => Found::Read(block),
            Room::None => Found::Full,
        }
    }

    /// A block that this round changes already, so that it costs no further write. What others have taken of one that was not
    /// seen is not known.
    fn begun(&self, space: &PoolSpace) -> Option<Block> {
        self.busy.keys().copied().find(|&block| !self.free(space, block).is_empty() && self.is_known(space, block))
    }

    /// Of its own blocks the fullest one that has room for all of the round: a round that is spread over two costs twice as
    /// much. If none has, a block that nobody made; where these are few, what its own have left comes first.
    fn own_or_new(&mut self, space: &Arc<PoolSpace>) -> Option<Block> {
        let own = self.own.iter().map(|&block| (self.free(space, block).count(), block)).filter(|(room, _)| *room > 0);
        let mut own: Vec<_> = own.map(|(room, block)| (room, self.liking.for_block(block), block)).collect();
        own.sort_unstable();
        let enough = own.iter().find(|(room, ..)| *room >= self.wanted);
        if let Some((.., block)) = enough {
            return Some(*block);
        }
        let most = own.last().map(|(.., block)| *block);
        let (nobodys, others) = self.elsewhere(space);
        let likes = |blocks: Vec<Block>| blocks.into_iter().max_by_key(|&block| self.liking.for_block(block));
        if nobodys.len() * FEW < others.len() {
            most.or_else(|| likes([nobodys, others].concat()))
        } else {
            likes(nobodys).or(most).or_else(|| likes(others))
        }
    }

    /// Blocks that nobody made, as far as this agent knows, and those with room that others made.
    fn elsewhere(&mut self, space: &Arc<PoolSpace>) -> (Vec<Block>, Vec<Block>) {
        let (mut nobodys, mut others) = (Vec::new(), Vec::new());
        let lowest = self.lowest_block(space).map(|(lowest, _)| lowest);
        for block in std::iter::successors(lowest, |block| space.block_after(*block)).take(BLOCKS_IN_A_ROW) {
            match self.room(space, block) {
                Room::None => {}
                _ if self.own.contains(&block) || self.busy.contains_key(&block) => {}
                room if self.pictures.get(block).is_some() => others.push((room.count(), block)),
                _ => nobodys.push(block),
            }
            if nobodys.len() == SPREAD {
                break;
            }
        }
        (nobodys, self.worthwhile(others))
    }

    /// Of blocks with so much room those that have enough for this round, or no less than one has on average: the few addresses
    /// that a nearly full one has left cost as much to take as many. Not only the roomiest: all guests would meet there.
    fn worthwhile(&self, blocks: Vec<(u32, Block)>) -> Vec<Block> {
        let all: usize = blocks.iter().map(|(room, _)| *room as usize).sum();
        let least = (self.wanted as usize).min(all / blocks.len().max(1));
        blocks.into_iter().filter(|(room, _)| *room as usize >= least).map(|(_, block)| block).collect()
    }
}
