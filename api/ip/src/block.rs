//! The aligned blocks of 16 addresses that the ledger keeps one record for.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::cidr::{Cidr, CidrError};
use crate::family::{Family, key};
use crate::{IpRange, IpSet};

/// 16 addresses whose first one ends in four zero bits: an IPv4 `/28` or an IPv6 `/124`.
///
/// The text form is the CIDR: `10.0.0.0/28`, `fd00::/124`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Block {
    family: Family,
    base: u128,
}

/// Why a text does not name a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Not a subnet at all.
    #[error(transparent)]
    Cidr(#[from] CidrError),
    /// A subnet of another size.
    #[error("{cidr} is not a block of 16 addresses; write {block}")]
    Size {
        /// What was written.
        cidr: Cidr,
        /// The block that its first address is in.
        block: Block,
    },
}

impl Block {
    /// How many addresses a block has.
    pub const SIZE: u8 = 16;
    const MASK: u128 = Self::SIZE as u128 - 1;
    /// How many blocks a [neighbourhood](Self::neighbourhood) has.
    pub const NEIGHBOURS: u16 = 256;

    /// The block that `address` is in.
    #[must_use]
    pub fn containing(address: IpAddr) -> Self {
        Self { family: Family::of(address), base: key(address) & !Self::MASK }
    }

    /// The family of the addresses.
    #[must_use]
    pub fn family(self) -> Family {
        self.family
    }

    /// The address `offset` places after the first; offsets of 16 and more lie in later blocks.
    #[must_use]
    pub fn address(self, offset: u8) -> IpAddr {
        self.family.address(self.base + u128::from(offset))
    }

    /// The place of `address` in the block, or `None` when it is in another.
    #[must_use]
    pub fn offset(self, address: IpAddr) -> Option<u8> {
        self.contains(address).then(|| (key(address) & Self::MASK) as u8)
    }

    /// Whether `address` is in the block.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        Self::containing(address) == self
    }

    /// All addresses of the block.
    #[must_use]
    pub fn range(self) -> IpRange {
        IpRange { family: self.family, first: self.base, last: self.base | Self::MASK }
    }

    /// The block as a subnet.
    #[must_use]
    pub fn cidr(self) -> Cidr {
        Cidr { address: self.address(0), prefix: self.family.bits() - Self::SIZE.ilog2() as u8 }
    }

    /// The first and the last block of the 4,096 addresses around this one: an IPv4 `/20` or an IPv6 `/116`.
    #[must_use]
    pub fn neighbourhood(self) -> RangeInclusive<Self> {
        let mask = u128::from(Self::NEIGHBOURS) * u128::from(Self::SIZE) - 1;
        Self { base: self.base & !mask, ..self }..=Self { base: (self.base | mask) & !Self::MASK, ..self }
    }

    /// The block after this one, or `None` at the end of the family.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        let base = self.base.checked_add(Self::MASK + 1).filter(|&base| base <= self.family.last_key())?;
        Some(Self { family: self.family, base })
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cidr().fmt(f)
    }
}

impl FromStr for Block {
    type Err = BlockError;

    fn from_str(text: &str) -> Result<Self, BlockError> {
        let cidr = Cidr::parse_subnet(text)?;
        let block = Self::containing(cidr.address());
        if block.cidr() == cidr { Ok(block) } else { Err(BlockError::Size { cidr, block }) }
    }
}

impl From<Block> for String {
    fn from(block: Block) -> Self {
        block.to_string()
    }
}

impl TryFrom<String> for Block {
    type Error = BlockError;

    fn try_from(text: String) -> Result<Self, BlockError> {
        text.parse()
    }
}

/// The blocks of a set in ascending order; see [`IpSet::blocks`].
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    set: &'a IpSet,
    next: Option<Block>,
}

impl<'a> Blocks<'a> {
    pub(crate) fn new(set: &'a IpSet) -> Self {
        Self { set, next: set.first().map(Block::containing) }
    }
}

impl Iterator for Blocks<'_> {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        let block = self.next?;
        self.next = block.next().and_then(|after| self.set.block_at_or_after(after));
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbourhood_is_the_4096_addresses_around() {
        for (block, first, last) in [
            ("10.6.17.0/28", "10.6.16.0/28", "10.6.31.240/28"),
            ("0.0.0.0/28", "0.0.0.0/28", "0.0.15.240/28"),
            ("255.255.255.240/28", "255.255.240.0/28", "255.255.255.240/28"),
            ("fd00::fff0/124", "fd00::f000/124", "fd00::fff0/124"),
        ] {
            let around = block.parse::<Block>().unwrap().neighbourhood();
            assert_eq!([around.start(), around.end()].map(ToString::to_string), [first, last]);
            let count = std::iter::successors(Some(*around.start()), |block| block.next());
            assert_eq!(count.take_while(|block| around.contains(block)).count(), Block::NEIGHBOURS.into());
        }
    }

    #[test]
    fn a_block_reads_and_prints_as_a_cidr() {
        for text in ["0.0.0.0/28", "10.0.0.16/28", "255.255.255.240/28", "::/124", "fd00::/124", "fd00::fff0/124"] {
            assert_eq!(text.parse::<Block>().unwrap().to_string(), text);
        }
        let cases = [
            ("10.0.0.0/16", "10.0.0.0/16 is not a block of 16 addresses; write 10.0.0.0/28"),
            ("fd00::/64", "fd00::/64 is not a block of 16 addresses; write fd00::/124"),
            ("10.0.0.1/28", "unformatted subnet 10.0.0.1/28, please change it to 10.0.0.0/28"),
        ];
        for (text, message) in cases {
            assert_eq!(text.parse::<Block>().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn offsets_and_addresses_are_inverse() {
        for text in ["0.0.0.0/28", "255.255.255.240/28", "::/124", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124"] {
            let block: Block = text.parse().unwrap();
            for offset in 0..Block::SIZE {
                assert_eq!(block.offset(block.address(offset)), Some(offset), "{text} {offset}");
            }
            assert_eq!(block.range().count(), 16);
        }
        let block: Block = "0.0.0.0/28".parse().unwrap();
        assert_eq!(block.offset("0.0.0.16".parse().unwrap()), None);
        assert_eq!(block.offset("::".parse().unwrap()), None);
    }

    #[test]
    fn blocks_end_with_the_family() {
        for (last, before) in [
            ("255.255.255.240/28", "255.255.255.224/28"),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffe0/124"),
        ] {
            let (last, before): (Block, Block) = (last.parse().unwrap(), before.parse().unwrap());
            assert_eq!((before.next(), last.next()), (Some(last), None));
        }
    }

    #[test]
    fn a_huge_set_gives_its_blocks_one_by_one() {
        let set: IpSet = "fd00::/64".parse::<Cidr>().unwrap().range().into();
        let first: Vec<String> = set.blocks().take(3).map(|block| block.to_string()).collect();
        assert_eq!(first, ["fd00::/124", "fd00::10/124", "fd00::20/124"]);
        assert_eq!(set.bits_in_block("fd00::10/124".parse().unwrap()), u16::MAX);
        assert_eq!(set.bits_in_block("fd01::/124".parse().unwrap()), 0);
    }
}
