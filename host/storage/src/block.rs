//! A block of 16 addresses as pure data: each address is free, held or quarantined.
//!
//! No clock and no I/O: time comes in as a value, and every change is one call of [`Records::put`], which answers with
//! what was there before, so that whoever changed something can change it back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use spiderpool_ip::Block;

use crate::Allocation;

/// A set of the 16 offsets of a block: bit `i` stands for offset `i`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bits(pub u16);

impl Bits {
    /// Whether `offset` is in the set.
    #[must_use]
    pub fn contains(self, offset: u8) -> bool {
        self.0 & bit(offset) != 0
    }

    /// Puts `offset` in or takes it out.
    pub fn set(&mut self, offset: u8, member: bool) {
        if member { self.0 |= bit(offset) } else { self.0 &= !bit(offset) }
    }

    /// How many offsets it has.
    #[must_use]
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The offsets of both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The offsets of this set that are not in `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The offsets of either set.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The lowest offset that is not below `from`.
    #[must_use]
    pub fn first_from(self, from: u8) -> Option<u8> {
        let left = self.0 & u16::MAX.checked_shl(from.into()).unwrap_or(0);
        (left != 0).then(|| left.trailing_zeros() as u8)
    }

    /// The offsets, ascending.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..Block::SIZE).filter(move |&offset| self.contains(offset))
    }
}

/// Offsets beyond the block have no bit.
fn bit(offset: u8) -> u16 {
    1_u16.checked_shl(offset.into()).unwrap_or(0)
}

/// What an address is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Slot {
    /// Nobody has it.
    #[default]
    Free,
    /// Somebody holds it.
    Held(Arc<Allocation>),
    /// Nobody has it and nobody may get it for a while.
    Quarantined(Arc<Rest>),
}

/// Why an address may not be given out, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// The moment from which it is free again.
    pub until: SystemTime,
    /// What happened, for people.
    pub reason: String,
}

/// The records of one block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    held: Bits,
    quarantined: Bits,
    by_offset: BTreeMap<u8, Slot>,
}

impl Records {
    /// What the address is now.
    #[must_use]
    pub fn get(&self, offset: u8) -> &Slot {
        self.by_offset.get(&offset).unwrap_or(&Slot::Free)
    }

    /// Makes the address `slot` and answers with what it was.
    pub fn put(&mut self, offset: u8, slot: Slot) -> Slot {
        self.held.set(offset, matches!(slot, Slot::Held(_)));
        self.quarantined.set(offset, matches!(slot, Slot::Quarantined(_)));
        match slot {
            Slot::Free => self.by_offset.remove(&offset),
            taken => self.by_offset.insert(offset, taken),
        }
        .unwrap_or_default()
    }

    /// The lowest free offset of `usable` that is not below `from`.
    #[must_use]
    pub fn first_free(&self, usable: Bits, from: u8) -> Option<u8> {
        usable.minus(self.held.or(self.quarantined)).first_from(from)
    }

    /// Which addresses are held.
    #[must_use]
    pub fn held(&self) -> Bits {
        self.held
    }

    /// Which addresses are quarantined.
    #[must_use]
    pub fn quarantined(&self) -> Bits {
        self.quarantined
    }

    /// Whether all addresses are free.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_offset.is_empty()
    }

    /// All holders, by address.
    pub fn allocations(&self) -> impl Iterator<Item = &Arc<Allocation>> {
        self.by_offset.values().filter_map(|slot| match slot {
            Slot::Held(allocation) => Some(allocation),
            Slot::Free | Slot::Quarantined(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn rest() -> Slot {
        Slot::Quarantined(Arc::new(Rest { until: SystemTime::UNIX_EPOCH, reason: "test".to_owned() }))
    }

    #[test]
    fn the_first_free_is_the_lowest_from_there_on() {
        let mut records = Records::default();
        let usable = Bits(u16::MAX);
        for offset in 0..Block::SIZE {
            assert_eq!(records.first_free(usable, 0), Some(offset));
            assert_eq!(records.put(offset, rest()), Slot::Free);
        }
        assert_eq!(records.first_free(usable, 0), None);
        for offset in [0, 1, 7, 8, 14, 15] {
            assert_eq!(records.put(offset, Slot::Free), rest());
            assert_eq!(records.first_free(usable, offset), Some(offset), "{offset}");
            records.put(offset, rest());
        }
    }

    #[test]
    fn a_block_that_gave_everything_back_equals_a_new_one() {
        let mut records = Records::default();
        records.put(7, rest());
        assert!(!records.is_empty());
        records.put(7, Slot::Free);
        assert_eq!(records, Records::default());
    }

    proptest! {
        #[test]
        fn bits_behave_like_a_set(
            a in proptest::collection::btree_set(0..Block::SIZE, 0..50),
            b in proptest::collection::btree_set(0..Block::SIZE, 0..50),
            from in 0..=Block::SIZE,
        ) {
            let bits = |set: &BTreeSet<u8>| {
                let mut bits = Bits::default();
                set.iter().for_each(|&offset| bits.set(offset, true));
                bits
            };
            let listed = |bits: Bits| bits.iter().collect::<BTreeSet<u8>>();
            prop_assert_eq!(listed(bits(&a)), a.clone());
            prop_assert_eq!(listed(bits(&a).and(bits(&b))), &a & &b);
            prop_assert_eq!(listed(bits(&a).or(bits(&b))), &a | &b);
            prop_assert_eq!(listed(bits(&a).minus(bits(&b))), &a - &b);
            prop_assert_eq!(bits(&a).count() as usize, a.len());
            prop_assert_eq!(bits(&a).first_from(from), a.range(from..).next().copied());
        }

        #[test]
        fn records_behave_like_a_map(steps in proptest::collection::vec((0..Block::SIZE, any::<bool>()), 0..200)) {
            let (mut records, mut model) = (Records::default(), BTreeSet::new());
            let usable = Bits(0xf0cb);
            for (offset, take) in steps {
                let before = records.put(offset, if take { rest() } else { Slot::Free });
                let was = if take { !model.insert(offset) } else { model.remove(&offset) };
                prop_assert_eq!(before != Slot::Free, was);
                let free = (0..Block::SIZE).find(|&offset| usable.contains(offset) && !model.contains(&offset));
                prop_assert_eq!(records.first_free(usable, 0), free);
                prop_assert_eq!(records.quarantined().count() as usize, model.len());
                prop_assert_eq!(records.held().count(), 0);
            }
        }
    }
}
