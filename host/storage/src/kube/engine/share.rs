//! Which addresses of a pool a node begins with where others are at work, and which blocks it likes after these: so that
//! nodes that know nothing of each other rarely meet.

use std::net::IpAddr;

use spiderpool_ip::Block;

use crate::PoolSpace;
use crate::block::Bits;
use crate::place::{fnv1a, scatter};

/// What a node likes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Liking {
    hash: u64,
    rank: Option<Rank>,
}

/// The place of a node among those of the cluster.
#[derive(Clone, Copy, Debug)]
struct Rank {
    place: u64,
    nodes: u64,
}

/// The addresses of a pool, from the first to the last, that are a node's to begin with. They are not reserved for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    first: IpAddr,
    last: IpAddr,
    /// The blocks in which the shares of the nodes before and after this one begin.
    before: Option<Block>,
    after: Option<Block>,
}

impl Liking {
    /// Of a node of which nothing is known but its name.
    pub(super) fn of(node: &str) -> Self {
        Self { hash: fnv1a(node.as_bytes()), rank: None }
    }

    /// The same, among these nodes.
    pub(super) fn among(node: &str, nodes: &[String]) -> Self {
        let others = nodes.iter().filter(|other| *other != node);
        let before = others.clone().filter(|other| other.as_str() < node);
        let rank = Rank { place: before.count() as u64, nodes: others.count() as u64 + 1 };
        Self { rank: Some(rank), ..Self::of(node) }
    }

    /// Whether the node knows how many others there are, without which it has no share of any pool.
    pub(super) fn is_ranked(&self) -> bool {
        self.rank.is_some()
    }

    /// The node's share of a pool from a block on: as many addresses in a row as every other node's, or one more. None where there
    /// are fewer addresses than nodes, for some of these, and as long as the node does not know how many they are.
    pub(super) fn share(&self, space: &PoolSpace, from: Block) -> Option<Share> {
        let Rank { place, nodes } = self.rank?;
        let first = space.usable.next_at_or_after(from.address(0))?;
        let before = space.usable.position(first)?;
        let (count, nodes) = (space.usable.count() - before, u128::from(nodes));
        let begin = |place: u128| before + place * (count / nodes) + place.min(count % nodes);
        let place = u128::from(place);
        let (before, begin, end) = (place.checked_sub(1).map(begin), begin(place), begin(place + 1));
        let last = end.checked_sub(1).filter(|last| *last >= begin)?;
        let address = |number| space.usable.nth(number);
        let block = |number| address(number).map(Block::containing);
        Some(Share { first: address(begin)?, last: address(last)?, before: before.and_then(block), after: block(end) })
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

    /// Whether another node is likely to have made the block, should it have begun with its share as this one does: its share
    /// begins there, and this one's does not, or is behind it.
    pub(super) fn is_begun_by_another(self, block: Block) -> bool {
        if block.contains(self.first) { self.before == Some(block) } else { self.after == Some(block) }
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

    fn first(space: &PoolSpace) -> Block {
        Block::containing(space.usable.first().unwrap())
    }

    #[test]
    fn nodes_share_what_a_pool_has_left_evenly_and_completely() {
        let first = "10.6.0.0/28";
        let rows = [
            ("10.6.0.0-10.6.3.231", first, 100, 1000),
            ("10.6.0.0-10.6.0.255", first, 3, 256),
            ("10.6.0.5-10.6.0.24", first, 20, 20),
            ("10.6.0.0-10.6.255.255", "10.6.70.16/28", 10, 65_536 - 17_936),
        ];
        for (ips, from, nodes, count) in rows {
            let (space, from) = (pool(ips), from.parse().unwrap());
            let names: Vec<_> = (0..nodes).map(|number| format!("node-{number}")).collect();
            let shares = names.iter().map(|name| Liking::among(name, &names).share(&space, from).unwrap());
            let shares: Vec<_> = shares.map(|share| addresses(&space, share)).collect();
            let all: BTreeSet<_> = shares.iter().flatten().collect();
            assert_eq!(all.len(), count, "{ips}");
            assert_eq!(all.last().copied().copied(), space.usable.last(), "{ips}");
            assert_eq!(shares.iter().map(Vec::len).sum::<usize>(), all.len(), "{ips}: two have the same");
            let sizes: BTreeSet<_> = shares.iter().map(Vec::len).collect();
            assert!(sizes.last().unwrap() - sizes.first().unwrap() <= 1, "{ips}: {sizes:?}");
        }
    }

    #[test]
    fn where_addresses_are_fewer_than_nodes_some_have_no_share() {
        let names: Vec<_> = (0..9).map(|number| number.to_string()).collect();
        let space = pool("10.6.0.1-10.6.0.4");
        let shares = names.iter().filter_map(|name| Liking::among(name, &names).share(&space, first(&space)));
        let shares: Vec<_> = shares.flat_map(|share| addresses(&space, share)).collect();
        assert_eq!(shares, (1..5).map(|last| IpAddr::from([10, 6, 0, last])).collect::<Vec<_>>());
    }

    #[test]
    fn a_node_has_a_share_whether_or_not_it_is_listed_once_there_is_a_list() {
        let space = pool("10.6.0.0-10.6.3.231");
        let others = ["a".to_owned(), "c".to_owned()];
        let share = Liking::among("b", &others).share(&space, first(&space)).unwrap();
        assert_eq!((share.first, share.last), ([10, 6, 1, 78].into(), [10, 6, 2, 154].into()));
        assert_eq!(Liking::of("b").share(&space, first(&space)), None);
    }

    /// Of four nodes that share 40 addresses, those that expect the block to be another's work.
    fn guests_of(block: &str) -> Vec<&'static str> {
        let (space, block) = (pool("10.6.0.0-10.6.0.39"), block.parse().unwrap());
        let names = ["a", "b", "c", "d"];
        let share = |name| Liking::among(name, &names.map(str::to_owned)).share(&space, first(&space)).unwrap();
        names.into_iter().filter(|name| share(name).is_begun_by_another(block)).collect()
    }

    #[test]
    fn of_the_nodes_that_share_a_block_the_first_that_begins_in_it_makes_it() {
        assert_eq!(guests_of("10.6.0.0/28"), ["b"], "a begins at .0, b at .10");
        assert_eq!(guests_of("10.6.0.16/28"), ["b", "d"], "c begins at .20, d at .30");
        assert_eq!(guests_of("10.6.0.32/28"), [""; 0], "all of it is d's, who begins before it");
    }
}
