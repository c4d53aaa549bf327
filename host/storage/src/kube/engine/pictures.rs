//! How full the blocks of one pool were when they were last seen, counted with every change instead of when asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use spiderpool_ip::Block;
use tokio::time::Instant;

use super::picture::{Picture, Seen, usable};
use crate::block::Bits;
use crate::kube::BlockMark;
use crate::{PoolSpace, Usage};

/// The blocks of a pool that exist.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    seen: BTreeMap<Block, Seen>,
    /// Blocks with addresses that will be free by themselves: how full they are depends on the time.
    passing: BTreeSet<Block>,
    tally: Option<Tally>,
    /// When the last list of blocks was begun; none: not since the ledger was opened.
    pub(super) looked: Option<Instant>,
}

/// The counts for one shape of the pool.
#[derive(Debug)]
struct Tally {
    space: Arc<PoolSpace>,
    /// Addresses of the pool that are held without an end.
    lasting: u64,
    /// Every block of the pool below this one has no address that is not held without an end; none: no block has.
    open: Option<Block>,
}

impl Pictures {
    pub(super) fn get(&self, block: Block) -> Option<&Seen> {
        self.seen.get(&block)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Block, &Seen)> {
        self.seen.iter().map(|(&block, seen)| (block, seen))
    }

    /// Those that were read.
    pub(super) fn read(&self) -> impl Iterator<Item = (Block, &Picture)> {
        self.iter().filter_map(|(block, seen)| Some((block, seen.picture()?)))
    }

    /// How many exist in the neighbourhood of a block.
    pub(super) fn len_near(&self, near: Block) -> usize {
        self.seen.range(near.neighbourhood()).count()
    }

    pub(super) fn insert(&mut self, block: Block, seen: Seen) {
        if seen.picture().is_some_and(Picture::passes) {
            self.passing.insert(block);
        } else {
            self.passing.remove(&block);
        }
        if let Some(tally) = &mut self.tally {
            tally.lasting += tally.held(block, Some(&seen));
            tally.reopen(block, Some(&seen));
        }
        let before = self.seen.insert(block, seen);
        self.forget(block, before.as_ref());
    }

    /// The block exists, whatever is in it.
    pub(super) fn meet(&mut self, block: Block) {
        if self.get(block).is_none() {
            self.insert(block, Seen::Listed { version: String::new(), mark: None });
        }
    }

    /// What is known of the block is wrong.
    pub(super) fn doubt(&mut self, block: Block) {
        if let Some(doubted) = self.get(block).map(Seen::doubted) {
            self.insert(block, doubted);
        }
    }

    pub(super) fn remove(&mut self, block: Block) {
        self.passing.remove(&block);
        if let Some(tally) = &mut self.tally {
            tally.reopen(block, None);
        }
        let before = self.seen.remove(&block);
        self.forget(block, before.as_ref());
    }

    /// Which blocks exist, with their versions: pictures that are still right are kept.
    pub(super) fn list(&mut self, marks: Vec<BlockMark>) {
        let mut before = std::mem::take(&mut self.seen);
        let seen = |BlockMark { block, version, mark, .. }| match before.remove(&block) {
            Some(seen) => (block, seen.listed(version, mark)),
            None => (block, Seen::Listed { version, mark }),
        };
        self.seen = marks.into_iter().map(seen).collect();
        self.passing = self.read().filter(|(_, picture)| picture.passes()).map(|(block, _)| block).collect();
        self.tally = None;
    }

    /// The same of some of the blocks that exist.
    pub(super) fn list_some(&mut self, marks: Vec<BlockMark>) {
        for BlockMark { block, version, mark, .. } in marks {
            let seen = match self.get(block).cloned() {
                Some(seen) => seen.listed(version, mark),
                None => Seen::Listed { version, mark },
            };
            self.insert(block, seen);
        }
    }

    fn forget(&mut self, block: Block, before: Option<&Seen>) {
        if let Some(tally) = &mut self.tally {
            tally.lasting -= tally.held(block, before);
        }
    }

    pub(super) fn usage(&mut self, space: &Arc<PoolSpace>, now: SystemTime) -> Usage {
        let mut allocated = self.tally(space).lasting;
        let mut quarantined = 0;
        for &block in &self.passing {
            let Some(picture) = self.seen.get(&block).and_then(Seen::picture) else { continue };
            let usable = usable(space, block);
            allocated += u64::from(picture.held_at(now).minus(picture.lasting()).and(usable).count());
            quarantined += u64::from(picture.quarantined(now).and(usable).count());
        }
        let used = u128::from(allocated) + u128::from(quarantined);
        Usage { allocated, quarantined, free: space.usable.count().saturating_sub(used) }
    }

    /// The lowest block of the pool that is not known to have all its addresses held without an end.
    pub(super) fn lowest_open(&mut self, space: &Arc<PoolSpace>) -> Option<Block> {
        let mut open = self.tally(space).open;
        while let Some(block) = open
            && is_closed(space, block, self.seen.get(&block))
        {
            open = space.block_after(block);
        }
        self.tally(space).open = open;
        open
    }

    fn tally(&mut self, space: &Arc<PoolSpace>) -> &mut Tally {
        let current = self.tally.take().filter(|tally| Arc::ptr_eq(&tally.space, space) || tally.space == *space);
        let tally = current.unwrap_or_else(|| {
            let open = space.usable.first().map(Block::containing);
            let mut tally = Tally { space: Arc::clone(space), lasting: 0, open };
            tally.lasting = self.iter().map(|(block, seen)| tally.held(block, Some(seen))).sum();
            tally
        });
        self.tally.insert(tally)
    }
}

impl Tally {
    fn held(&self, block: Block, seen: Option<&Seen>) -> u64 {
        let mark = seen.and_then(Seen::mark).unwrap_or_default();
        mark.held.and(usable(&self.space, block)).count().into()
    }

    fn reopen(&mut self, block: Block, seen: Option<&Seen>) {
        let below = self.open.is_none_or(|open| block < open);
        if below && usable(&self.space, block) != Bits::default() && !is_closed(&self.space, block, seen) {
            self.open = Some(block);
        }
    }
}

/// Whether only somebody who gives an address back can make room in the block.
fn is_closed(space: &PoolSpace, block: Block, seen: Option<&Seen>) -> bool {
    let mark = seen.and_then(Seen::mark);
    mark.is_some_and(|mark| usable(space, block).minus(mark.held).is_empty())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;
    use proptest::prelude::*;
    use spiderpool_crd::ipblock::{BlockAllocation, Quarantine};
    use spiderpool_ip::{Family, IpSet};

    use super::*;
    use crate::kube::Mark;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    #[derive(Clone, Debug)]
    enum Change {
        Read(usize, u16, u16, u16),
        List(usize, Option<u16>),
        Remove(usize),
        ListAll,
        ListSome(usize),
        Doubt(usize),
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let bits = || prop_oneof![Just(0), Just(u16::MAX), any::<u16>()];
        let change = prop_oneof![
            8 => (0..8usize, bits(), bits(), bits()).prop_map(|(n, held, ending, rests)| Change::Read(n, held, ending, rests)),
            2 => (0..8usize, proptest::option::of(bits())).prop_map(|(n, held)| Change::List(n, held)),
            2 => (0..8usize).prop_map(Change::Remove),
            1 => Just(Change::ListAll),
            1 => (0..8usize).prop_map(Change::ListSome),
            1 => (0..8usize).prop_map(Change::Doubt),
        ];
        proptest::collection::vec(change, 1..40)
    }

    fn bare(block: Block, version: &str) -> BlockMark {
        BlockMark { block, version: version.to_owned(), mark: None, made: None }
    }

    fn picture(held: u16, ending: u16, rests: u16) -> Picture {
        // Of what has an end, half has ended.
        let time = |offset: u8| Time(Timestamp::from_second(i64::from(offset) - 8).unwrap());
        let ends = |offset| (offset, BlockAllocation { until: Some(time(offset)), ..BlockAllocation::default() });
        let rest = |offset| (offset, Quarantine { until: time(offset), reason: String::new() });
        Picture {
            version: String::new(),
            held: Bits(held | ending),
            ending: Bits(ending).iter().map(ends).collect(),
            resting: Bits(rests & !held & !ending).iter().map(rest).collect(),
        }
    }

    proptest! {
        /// What is kept current is what counting anew says.
        #[test]
        fn counts_follow_every_change(changes in changes()) {
            let usable = IpSet::parse(Family::V4, ["10.6.0.3-10.6.0.47", "10.6.0.50-10.6.0.90"]).unwrap();
            let space = Arc::new(PoolSpace::new("p", "10.6.0.0/16".parse().unwrap(), usable));
            let block = |n: usize| Block::containing(std::net::IpAddr::from([10, 6, 0, 16 * n as u8]));
            let mut kept = Pictures::default();
            for change in changes {
                match change {
                    Change::Read(n, held, ending, rests) => {
                        kept.insert(block(n), Seen::Read(picture(held, ending & !held, rests)));
                    }
                    Change::List(n, held) => {
                        let mark = held.map(|held| Mark { held: Bits(held), ..Mark::default() });
                        kept.insert(block(n), Seen::Listed { version: "listed".to_owned(), mark });
                    }
                    Change::Remove(n) => kept.remove(block(n)),
                    Change::Doubt(n) => kept.doubt(block(n)),
                    Change::ListAll => {
                        let marks = kept.iter().map(|(block, _)| bare(block, "")).collect();
                        kept.list(marks);
                    }
                    Change::ListSome(n) => {
                        kept.list_some(vec![bare(block(n), "new")]);
                        let unread = matches!(kept.get(block(n)), Some(Seen::Listed { mark: None, .. }));
                        prop_assert!(unread);
                    }
                }
                let mut counted = Pictures::default();
                counted.seen = kept.seen.clone();
                counted.passing = counted.seen.keys().copied().collect();
                prop_assert_eq!(kept.usage(&space, NOW), counted.usage(&space, NOW));
                let open = space.usable.blocks().find(|&block| !is_closed(&space, block, kept.get(block)));
                prop_assert_eq!(kept.lowest_open(&space), open);
            }
        }
    }
}
