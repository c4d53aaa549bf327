//! How full a block was when it was last seen.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use spiderpool_crd::ipblock::Quarantine;
use spiderpool_ip::Block;

use crate::PoolSpace;
use crate::block::Bits;
use crate::kube::{FullMark, StoredBlock};
use crate::place::fnv1a;

/// What is known of a block that exists.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    /// It was read, or changed by this agent.
    Read(Picture),
    /// It was listed: there is a version that this agent has not read.
    Listed(Option<FullMark>),
}

/// What a block held.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    pub(super) version: String,
    pub(super) held: Bits,
    pub(super) resting: BTreeMap<u8, Quarantine>,
}

impl Picture {
    pub(super) fn of(stored: &StoredBlock) -> Self {
        let block = stored.spec.block;
        let mut held = Bits::default();
        offsets(block, stored.spec.allocations.keys()).for_each(|offset| held.set(offset, true));
        let resting = stored.spec.quarantine.iter();
        let resting = resting.filter_map(|(&address, rest)| Some((block.offset(address)?, rest.clone())));
        Self { version: stored.version.clone(), held, resting: resting.collect() }
    }

    /// Which addresses are quarantined now.
    pub(super) fn quarantined(&self, now: SystemTime) -> Bits {
        let mut bits = Bits::default();
        let resting = self.resting.iter().filter(|(_, rest)| SystemTime::from(rest.until.0) > now);
        resting.for_each(|(&offset, _)| bits.set(offset, true));
        bits.minus(self.held)
    }

    /// Which of `usable` could be given now. What has rested long enough is free.
    pub(super) fn free(&self, usable: Bits, now: SystemTime) -> Bits {
        usable.minus(self.held).minus(self.quarantined(now))
    }
}

fn offsets<'a>(block: Block, addresses: impl Iterator<Item = &'a IpAddr>) -> impl Iterator<Item = u8> {
    addresses.filter_map(move |&address| block.offset(address))
}

/// The addresses of `block` that the pool may give.
pub(super) fn usable(space: &PoolSpace, block: Block) -> Bits {
    Bits(space.usable.bits_in_block(block))
}

/// The mark of a block that has none left for this pool, once `held` are held. Addresses that rest count as left: nobody
/// would take the mark off when they have rested enough.
pub(super) fn full_mark(space: &PoolSpace, block: Block, held: Bits) -> Option<FullMark> {
    let usable = usable(space, block);
    (usable != Bits::default() && usable.minus(held) == Bits::default()).then(|| mark(usable))
}

/// The mark that says that a block had nothing left of `usable`.
pub(super) fn mark(usable: Bits) -> FullMark {
    let bytes: Vec<u8> = usable.0.iter().flat_map(|word| word.to_le_bytes()).collect();
    FullMark(format!("{:016x}", fnv1a(&bytes)))
}
