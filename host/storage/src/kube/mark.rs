//! What the label of a block says of its addresses.

use std::fmt;
use std::str::FromStr;

use spiderpool_crd::SpiderIPBlockSpec;
use spiderpool_ip::Block;

use super::Change;
use crate::block::Bits;

/// Which addresses of a block are not free: the value of
/// [`LABEL_BLOCK_HELD`](spiderpool_crd::keys::LABEL_BLOCK_HELD).
///
/// It says where to look for a free address, and never that one is free: who takes one demands that of the block itself.
/// Of two writers that met it is the later one's, who did not know of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Held without an end: nobody but whoever frees one will make room.
    pub held: Bits,
    /// Kept for a time, or quarantined: free by itself one day.
    pub passing: Bits,
}

impl Mark {
    /// The mark of a block with that content.
    #[must_use]
    pub fn of(spec: &SpiderIPBlockSpec) -> Self {
        let mut mark = Self::default();
        let resting = spec.quarantine.keys().map(|address| (address, false));
        let held = spec.allocations.iter().map(|(address, there)| (address, there.until.is_none()));
        for (&address, lasting) in resting.chain(held) {
            mark.set(spec.block.offset(address), lasting, !lasting);
        }
        mark
    }

    /// The mark once these changes are made.
    #[must_use]
    pub fn after(mut self, block: Block, changes: &[Change]) -> Self {
        for change in changes {
            let (address, held, passing) = match change {
                Change::Take { address, .. } => (address, true, false),
                Change::Move { address, to, .. } => (address, to.until.is_none(), to.until.is_some()),
                Change::Free { address, .. } | Change::Wake { address, .. } => (address, false, false),
                Change::Rest { address, .. } => (address, false, true),
            };
            self.set(block.offset(*address), held, passing);
        }
        self
    }

    /// The address is held as well, without an end or with one.
    pub(super) fn add(&mut self, offset: Option<u8>, lasting: bool) {
        self.set(offset, lasting, !lasting);
    }

    fn set(&mut self, offset: Option<u8>, held: bool, passing: bool) {
        if let Some(offset) = offset {
            self.held.set(offset, held);
            self.passing.set(offset, passing);
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.held.0)?;
        if self.passing.is_empty() { Ok(()) } else { write!(f, "-{:04x}", self.passing.0) }
    }
}

/// Not the value of such a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no four hexadecimal digits, or twice four with a dash between")]
pub struct NoMark;

impl FromStr for Mark {
    type Err = NoMark;

    fn from_str(text: &str) -> Result<Self, NoMark> {
        let bits = |digits: &str| {
            let is_whole = digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            u16::from_str_radix(digits, 16).ok().filter(|_| is_whole).map(Bits).ok_or(NoMark)
        };
        match text.split_once('-') {
            Some((held, passing)) => Ok(Self { held: bits(held)?, passing: bits(passing)? }),
            None => Ok(Self { held: bits(text)?, passing: Bits::default() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::IpAddr;

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;
    use spiderpool_crd::ipblock::{BlockAllocation, Quarantine};

    use super::*;

    #[test]
    fn a_label_says_what_it_was_written_for() {
        for (held, passing, label) in [(0, 0, "0000"), (0xfff0, 0, "fff0"), (0xffff, 1, "ffff-0001")] {
            let mark = Mark { held: Bits(held), passing: Bits(passing) };
            assert_eq!((mark.to_string().as_str(), label.parse()), (label, Ok(mark)));
        }
        for label in ["", "fff", "+fff", "fffff", "ffff-", "ffff-01", "f00d-0000-0000", "no label!"] {
            assert_eq!(label.parse::<Mark>(), Err(NoMark), "{label}");
        }
    }

    #[test]
    fn every_change_leads_to_the_mark_of_what_is_there_then() {
        let block: Block = "10.6.0.0/28".parse().unwrap();
        let at = |last: u8| IpAddr::from([10, 6, 0, last]);
        let until = Time(Timestamp::UNIX_EPOCH);
        let held = BlockAllocation::default();
        let kept = BlockAllocation { until: Some(until.clone()), ..held.clone() };
        let rest = Quarantine { until, reason: String::new() };
        let spec = SpiderIPBlockSpec {
            pool: "p".to_owned(),
            block,
            allocations: BTreeMap::from([(at(0), held.clone()), (at(1), held.clone()), (at(2), kept.clone())]),
            quarantine: BTreeMap::from([(at(15), rest.clone())]),
        };
        let mark = Mark::of(&spec);
        assert_eq!(mark, Mark { held: Bits(0b11), passing: Bits(0x8004) });
        let changes = [
            Change::Free { address: at(0), from: held.clone() },
            Change::Move { address: at(1), from: held.clone(), to: kept.clone() },
            Change::Move { address: at(2), from: kept, to: held.clone() },
            Change::Take { address: at(3), to: held },
            Change::Rest { address: at(4), from: None, rest: rest.clone() },
            Change::Wake { address: at(15), from: rest },
        ];
        assert_eq!(mark.after(block, &changes), Mark { held: Bits(0b1100), passing: Bits(0b1_0010) });
    }
}
