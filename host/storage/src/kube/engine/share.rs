//! Which addresses of a pool a node begins with where others are at work, and which blocks it likes after these: so that
//! nodes that know nothing of each other rarely meet.

use std::net::IpAddr;

use spiderpool_ip::Block;

use crate::PoolSpace;
use crate::block::Bits;
use crate::place::{fnv1a, scatter};

/// Among how many nodes a node takes itself to be as long as it does not know.
const UNRANKED: u64 = 64;

/// What a node likes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Liking {
    hash: u64,
    /// Its place among the nodes of the cluster, and how many these are.
    place: u64,
    nodes: u64,
}

/// The addresses of a pool, from the first to the last, that are a node's to begin with. They are not reserved for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) first: IpAddr,
    pub(super) last: IpAddr,
}

impl Liking {
    /// Of a node of which nothing is known but its name.
    pub(super) fn of(node: &str) -> Self {
        let hash = fnv1a(node.as_bytes());
        Self { hash, place: scatter(hash) as u64 % UNRANKED, nodes: UNRANKED }
    }

    /// The same, among these nodes.
    pub(super) fn among(node: &str, nodes: &[String]) -> Self {
        let others = nodes.iter().filter(|other| *other != node);
        let before = others.clone().filter(|other| other.as_str() < node);
        Self { place: before.count() as u64, nodes: others.count() as u64 + 1, ..Self::of(node) }
    }

    /// The node's share of a pool: as many addresses in a row as every other node's, or one more. None where there are fewer
    /// addresses than nodes, for some of these.
    pub(super) fn share(&self, space: &PoolSpace) -> Option<Share> {
        let (count, nodes) = (space.usable.count(), u128::from(self.nodes));
        let begin = |place: u128| place * (count / nodes) + place.min(count % nodes);
        let (begin, end) = (begin(self.place.into()), begin(u128::from(self.place) + 1));
        let last = end.checked_sub(1).filter(|last| *last >= begin)?;
        Some(Share { first: space.usable.nth(begin)?, last: space.usable.nth(last)? })
    }

    /// How much the node likes a block that is not of its share.
    pub(super) fn for_block(&self, block: Block) -> u128 {
        scatter(self.hash ^ number(block))
    }

    /// Whether it begins at the end of what others have left, after so many losses.
    pub(super) fn begins_at_the_end(&self, losses: u64) -> bool {
        scatter(self.hash ^ losses) & 1 == 1
    }
}

impl Share {
    /// The blocks that the share touches, except those of the pool that come before `open`.
    pub(super) fn blocks_from(self, open: Block, space: &PoolSpace) -> impl Iterator<Item = Block> {
        let (first, last) = (Block::containing(self.first).max(open), Block::containing(self.last));
        let blocks = std::iter::successors(Some(first), |block| space.block_after(*block));
        blocks.take_while(move |block| *block <= last)
    }

    /// What of the block is in the share.
    pub(super) fn part_of(self, block: Block) -> Bits {
        let mut part = Bits::default();
        let inside = (0..Block::SIZE).filter(|&offset| (self.first..=self.last).contains(&block.address(offset)));
        inside.for_each(|offset| part.set(offset, true));
        part
    }
}

/// A number that no other block of a pool has.
fn number(block: Block) -> u64 {
    match block.address(0) {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64 ^ address.to_bits() as u64,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use spiderpool_ip::{Family, IpSet};

    use super::*;

    fn pool(ips: &str) -> PoolSpace {
        PoolSpace::new("p", "10.6.0.0/16".parse().unwrap(), IpSet::parse(Family::V4, [ips]).unwrap())
    }

    fn addresses(space: &PoolSpace, share: Share) -> Vec<IpAddr> {
        let of = |block: Block| share.part_of(block).iter().map(move |offset| block.address(offset));
        share.blocks_from(Block::containing(share.first), space).flat_map(of).collect()
    }

    #[test]
    fn nodes_share_a_pool_evenly_and_completely() {
        for (ips, nodes) in [("10.6.0.0-10.6.3.231", 100), ("10.6.0.0-10.6.0.255", 3), ("10.6.0.5-10.6.0.24", 20)] {
            let space = pool(ips);
            let names: Vec<_> = (0..nodes).map(|number| format!("node-{number}")).collect();
            let shares = names.iter().map(|name| Liking::among(name, &names).share(&space).unwrap());
            let shares: Vec<_> = shares.map(|share| addresses(&space, share)).collect();
            let all: BTreeSet<_> = shares.iter().flatten().collect();
            assert_eq!(all.len() as u128, space.usable.count(), "{ips}");
            assert_eq!(shares.iter().map(Vec::len).sum::<usize>(), all.len(), "{ips}: two have the same");
            let sizes: BTreeSet<_> = shares.iter().map(Vec::len).collect();
            assert!(sizes.last().unwrap() - sizes.first().unwrap() <= 1, "{ips}: {sizes:?}");
        }
    }

    #[test]
    fn where_addresses_are_fewer_than_nodes_some_have_no_share() {
        let names: Vec<_> = (0..9).map(|number| number.to_string()).collect();
        let space = pool("10.6.0.1-10.6.0.4");
        let shares = names.iter().filter_map(|name| Liking::among(name, &names).share(&space));
        let shares: Vec<_> = shares.flat_map(|share| addresses(&space, share)).collect();
        assert_eq!(shares, (1..5).map(|last| IpAddr::from([10, 6, 0, last])).collect::<Vec<_>>());
    }

    #[test]
    fn a_node_has_a_share_whether_or_not_it_is_listed_and_before_there_is_a_list() {
        let space = pool("10.6.0.0-10.6.3.231");
        let others = ["a".to_owned(), "c".to_owned()];
        let share = Liking::among("b", &others).share(&space).unwrap();
        assert_eq!((share.first, share.last), ([10, 6, 1, 78].into(), [10, 6, 2, 154].into()));
        assert!(Liking::of("b").share(&space).is_some());
    }
}
