//! Which blocks a node likes best, so that nodes that know nothing of each other rarely meet.

use std::net::IpAddr;

use spiderpool_ip::Block;

use crate::place::{fnv1a, scatter};

/// Among so many blocks in a row each node has one where it is at home.
const HOMES: u64 = 64;

/// What a node likes, by its name.
#[derive(Debug)]
pub(super) struct Liking {
    hash: u64,
    home: u64,
}

impl Liking {
    /// Of the node of that name. Nodes are mostly numbered, by whoever installs them (`worker-17`) or after their addresses
    /// (`ip-10-0-3-17.internal`): nodes that differ in their number alone have homes in a row, of which no two are the same
    /// before the 65th. Without a number homes are anywhere.
    pub(super) fn of(node: &str) -> Self {
        let host = node.split('.').next().unwrap_or_default();
        let end = host.rfind(|c: char| c.is_ascii_digit()).map_or(0, |last| last + 1);
        let begin = host[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |before| before + 1);
        let number = host[begin..end]
            .bytes()
            .fold(0_u64, |number, digit| number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
        let row = scatter(fnv1a(format!("{} {}", &host[..begin], &node[end..]).as_bytes())) as u64;
        Self { hash: fnv1a(node.as_bytes()), home: row.wrapping_add(number) % HOMES }
    }

    /// How much the node likes a block: its home most, the others in an order of its own.
    pub(super) fn for_block(&self, block: Block) -> (bool, u128) {
        let number = number(block);
        let place = (number / u64::from(Block::SIZE)) % HOMES;
        (place == self.home, scatter(self.hash ^ number))
    }

    /// Whether it begins at the end of what others have left, after so many losses.
    pub(super) fn begins_at_the_end(&self, losses: u64) -> bool {
        scatter(self.hash ^ losses) & 1 == 1
    }
}

/// A number that no other block of a pool has, one [`Block::SIZE`] higher than that of the block before.
fn number(block: Block) -> u64 {
    match block.address(0) {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64 ^ address.to_bits() as u64,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The block of 64 in a row that a node likes best.
    fn home(node: &str) -> Block {
        let liking = Liking::of(node);
        let blocks = (0..64).map(|place| Block::containing([10, 6, place / 16, place % 16 * 16].into()));
        blocks.max_by_key(|&block| liking.for_block(block)).unwrap()
    }

    #[test]
    fn numbered_nodes_are_at_home_in_blocks_of_their_own() {
        for name in [
            |number| format!("worker-{number}"),
            |number| format!("rack2-node{number:03}.example.org"),
            |number| format!("node{number}-gpu"),
            |number| format!("ip-10-0-3-{number}.internal"),
            |number| format!("{number}"),
        ] {
            let homes: BTreeSet<_> = (90..154).map(|number: u32| home(&name(number))).collect();
            assert_eq!(homes.len(), 64, "{}", name(90));
        }
        assert_eq!(home("worker-1"), home("worker-65"));
    }

    #[test]
    fn nodes_without_numbers_and_rows_of_nodes_are_at_home_anywhere() {
        let names =
            (0..64_u64).map(|number| format!("{:x}", scatter(number)).replace(|c: char| c.is_ascii_digit(), "x"));
        let homes: BTreeSet<_> = names.map(|name| home(&name)).collect();
        assert!(homes.len() > 32, "{}", homes.len());
        let rows: BTreeSet<_> = (0..64).map(|rack| home(&format!("rack{rack}-node1"))).collect();
        assert!(rows.len() > 32, "{}", rows.len());
    }
}
