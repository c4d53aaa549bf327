//! How full a block was when it was last seen.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use spiderpool_crd::ipblock::{BlockAllocation, Quarantine};
use spiderpool_ip::Block;

use super::entry;
use crate::PoolSpace;
use crate::block::Bits;
use crate::kube::{Mark, StoredBlock};

/// What is known of a block that exists.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    /// It was read, or changed by this agent.
    Read(Picture),
    /// It was listed: there is a version that this agent has not read.
    Listed {
        version: String,
        /// What its label says; none: it has no such label, or one that was found wrong.
        mark: Option<Mark>,
    },
}

impl Seen {
    pub(super) fn picture(&self) -> Option<&Picture> {
        match self {
            Self::Read(picture) => Some(picture),
            Self::Listed { .. } => None,
        }
    }

    /// What is held of it, as far as that is known.
    pub(super) fn mark(&self) -> Option<Mark> {
        match self {
            Self::Read(picture) => Some(picture.mark()),
            Self::Listed { mark, .. } => *mark,
        }
    }

    /// Empty: of a block that somebody made, and that is all that is known of it.
    fn version(&self) -> &str {
        match self {
            Self::Read(picture) => &picture.version,
            Self::Listed { version, .. } => version,
        }
    }

    /// What is known of it once it is listed with that version and that label.
    pub(super) fn listed(self, version: String, mark: Option<Mark>) -> Self {
        if self.version() == version { self } else { Self::Listed { version, mark } }
    }

    /// The same, should it have turned out wrong: only another version says more.
    pub(super) fn doubted(&self) -> Self {
        Self::Listed { version: self.version().to_owned(), mark: None }
    }
}

/// What a block held.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    pub(super) version: String,
    pub(super) held: Bits,
    /// What is kept for pods that are gone, and until when.
    pub(super) ending: BTreeMap<u8, BlockAllocation>,
    pub(super) resting: BTreeMap<u8, Quarantine>,
}

impl Picture {
    pub(super) fn of(stored: &StoredBlock) -> Self {
        let block = stored.spec.block;
        let mut held = Bits::default();
        offsets(block, stored.spec.allocations.keys()).for_each(|offset| held.set(offset, true));
        let resting = stored.spec.quarantine.iter();
        let resting = resting.filter_map(|(&address, rest)| Some((block.offset(address)?, rest.clone())));
        let ending = stored.spec.allocations.iter().filter(|(_, there)| there.until.is_some());
        let ending = ending.filter_map(|(&address, there)| Some((block.offset(address)?, there.clone())));
        Self { version: stored.version.clone(), held, ending: ending.collect(), resting: resting.collect() }
    }

    /// Whether time changes what is free.
    pub(super) fn passes(&self) -> bool {
        !(self.ending.is_empty() && self.resting.is_empty())
    }

    /// Which addresses are held without an end: nobody but whoever frees one will make room.
    pub(super) fn lasting(&self) -> Bits {
        self.ending.keys().fold(self.held, |mut bits, &offset| {
            bits.set(offset, false);
            bits
        })
    }

    /// What its label is to say.
    pub(super) fn mark(&self) -> Mark {
        let mut passing = Bits::default();
        self.ending.keys().chain(self.resting.keys()).for_each(|&offset| passing.set(offset, true));
        Mark { held: self.lasting(), passing: passing.minus(self.lasting()) }
    }

    /// Which addresses are held now. What was kept long enough is free.
    pub(super) fn held_at(&self, now: SystemTime) -> Bits {
        let kept = self.ending.iter().filter(|(_, there)| entry::end(there).is_some_and(|end| end > now));
        kept.fold(self.lasting(), |mut bits, (&offset, _)| {
            bits.set(offset, true);
            bits
        })
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
        usable.minus(self.held_at(now)).minus(self.quarantined(now))
    }
}

fn offsets<'a>(block: Block, addresses: impl Iterator<Item = &'a IpAddr>) -> impl Iterator<Item = u8> {
    addresses.filter_map(move |&address| block.offset(address))
}

/// The addresses of `block` that the pool may give.
pub(super) fn usable(space: &PoolSpace, block: Block) -> Bits {
    Bits(space.usable.bits_in_block(block))
}
