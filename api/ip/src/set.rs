//! A set of addresses of one family.

use std::fmt;
use std::net::IpAddr;

use crate::block::{Block, Blocks};
use crate::family::{Family, key};
use crate::range::{IpRange, RangeError};

/// A set of addresses of one family, kept as sorted ranges that neither overlap nor touch.
///
/// Two sets are equal when they hold the same addresses. Addresses of the other family are simply not in the set, so
/// only operations that would have to add them can fail.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IpSet {
    family: Family,
    spans: Vec<Span>,
}

/// `first..=last` as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Span {
    first: u128,
    last: u128,
}

/// Why ranges do not make a set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// An item is not a range.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// An item is of the other family.
    #[error("{range} is {} but {family} is wanted; remove it or move it to a list of its own family", range.family())]
    Family {
        /// The range that does not belong.
        range: IpRange,
        /// The family of the set.
        family: Family,
    },
}

impl IpSet {
    /// The set without addresses.
    #[must_use]
    pub fn empty(family: Family) -> Self {
        Self { family, spans: Vec::new() }
    }

    /// The set of all addresses of `ranges`, which may come in any order and overlap.
    ///
    /// # Errors
    /// [`SetError::Family`] with the first range of the other family.
    pub fn from_ranges(family: Family, ranges: impl IntoIterator<Item = IpRange>) -> Result<Self, SetError> {
        let mut spans = Vec::new();
        for range in ranges {
            if range.family != family {
                return Err(SetError::Family { range, family });
            }
            spans.push(Span { first: range.first, last: range.last });
        }
        Ok(Self::normalised(family, spans))
    }

    /// The set of addresses written as `A` or `A-B`.
    ///
    /// # Errors
    /// The first item that is not a range of `family`.
    pub fn parse<'a>(family: Family, items: impl IntoIterator<Item = &'a str>) -> Result<Self, SetError> {
        let ranges: Vec<IpRange> = items.into_iter().map(str::parse).collect::<Result<_, _>>()?;
        Self::from_ranges(family, ranges)
    }

    fn normalised(family: Family, mut spans: Vec<Span>) -> Self {
        spans.sort_unstable_by_key(|span| span.first);
        let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match merged.last_mut() {
                Some(before) if span.first <= before.last.saturating_add(1) => before.last = before.last.max(span.last),
                _ => merged.push(span),
            }
        }
        Self { family, spans: merged }
    }

    /// The family of the addresses.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// Whether there is no address in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// How many addresses it has; the whole of IPv6, one more than fits, counts as `u128::MAX`.
    #[must_use]
    pub fn count(&self) -> u128 {
        self.spans.iter().fold(0, |sum: u128, span| sum.saturating_add((span.last - span.first).saturating_add(1)))
    }

    /// Whether `address` is in it. O(log ranges).
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let key = key(address);
        Family::of(address) == self.family
            && self.spans.get(self.span_reaching(key)).is_some_and(|span| span.first <= key)
    }

    /// The lowest address.
    #[must_use]
    pub fn first(&self) -> Option<IpAddr> {
        self.spans.first().map(|span| self.family.address(span.first))
    }

    /// The highest address.
    #[must_use]
    pub fn last(&self) -> Option<IpAddr> {
        self.spans.last().map(|span| self.family.address(span.last))
    }

    /// The address that has `n` others of the set before it.
    #[must_use]
    pub fn nth(&self, mut n: u128) -> Option<IpAddr> {
        for span in &self.spans {
            let steps = span.last - span.first;
            if n <= steps {
                return Some(self.family.address(span.first + n));
            }
            n -= steps + 1;
        }
        None
    }

    /// How many addresses of the set come before `address`, or `None` when it is not in the set. The inverse of
    /// [`IpSet::nth`].
    #[must_use]
    pub fn position(&self, address: IpAddr) -> Option<u128> {
        if !self.contains(address) {
            return None;
        }
        let key = key(address);
        let index = self.span_reaching(key);
        let before: u128 = self.spans[..index].iter().map(|span| span.last - span.first + 1).sum();
        Some(before + (key - self.spans[index].first))
    }

    /// The lowest address of the set that is not below `address`. O(log ranges).
    #[must_use]
    pub fn next_at_or_after(&self, address: IpAddr) -> Option<IpAddr> {
        if Family::of(address) != self.family {
            return None;
        }
        self.next_key(key(address)).map(|key| self.family.address(key))
    }

    /// The lowest address that is in this set and not in `used`; the same as `self.minus(used).first()`, without
    /// building that set.
    #[must_use]
    pub fn first_free(&self, used: &Self) -> Option<IpAddr> {
        if used.family != self.family {
            return self.first();
        }
        let mut candidate = self.spans.first()?.first;
        for taken in &used.spans {
            candidate = self.next_key(candidate)?;
            if candidate < taken.first {
                break;
            }
            if candidate <= taken.last {
                candidate = taken.last.checked_add(1)?;
            }
        }
        self.next_key(candidate).map(|key| self.family.address(key))
    }

    /// The ranges, in ascending order.
    pub fn iter_ranges(&self) -> impl ExactSizeIterator<Item = IpRange> + DoubleEndedIterator + '_ {
        self.spans.iter().map(|span| IpRange { family: self.family, first: span.first, last: span.last })
    }

    /// The addresses of either set.
    ///
    /// # Errors
    /// [`SetError::Family`] when `other` holds addresses of the other family.
    pub fn union(&self, other: &Self) -> Result<Self, SetError> {
        Self::from_ranges(self.family, self.iter_ranges().chain(other.iter_ranges()))
    }

    /// The addresses of this set that are not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        if self.family != other.family {
            return self.clone();
        }
        let mut left = Vec::with_capacity(self.spans.len());
        let mut holes = other.spans.as_slice();
        for &Span { mut first, last } in &self.spans {
            let skip = holes.partition_point(|hole| hole.last < first);
            holes = &holes[skip..];
            let mut rest = true;
            for hole in holes.iter().take_while(|hole| hole.first <= last) {
                if first < hole.first {
                    left.push(Span { first, last: hole.first - 1 });
                }
                if hole.last >= last {
                    rest = false;
                    break;
                }
                first = hole.last + 1;
            }
            if rest {
                left.push(Span { first, last });
            }
        }
        Self { family: self.family, spans: left }
    }

    /// The addresses of both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = Vec::new();
        if self.family == other.family {
            let (mut left, mut right) = (self.spans.as_slice(), other.spans.as_slice());
            while let (Some(a), Some(b)) = (left.first(), right.first()) {
                if a.first <= b.last && b.first <= a.last {
                    both.push(Span { first: a.first.max(b.first), last: a.last.min(b.last) });
                }
                if a.last < b.last { left = &left[1..] } else { right = &right[1..] }
            }
        }
        Self { family: self.family, spans: both }
    }

    /// The addresses of the set that are in `range`. O(log ranges + ranges found).
    #[must_use]
    pub fn intersect_range(&self, range: &IpRange) -> Self {
        Self { family: self.family, spans: self.within(range).collect() }
    }

    /// Whether every address of this set is in `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.minus(other).is_empty()
    }

    /// Whether the sets share an address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        !self.intersection(other).is_empty()
    }

    /// The aligned blocks that hold an address of the set, in ascending order, one by one: a `/64` has 2^56 of them.
    #[must_use]
    pub fn blocks(&self) -> Blocks<'_> {
        Blocks::new(self)
    }

    /// The lowest block that is not below `block` and holds an address of the set. O(log ranges).
    #[must_use]
    pub fn block_at_or_after(&self, block: Block) -> Option<Block> {
        self.next_at_or_after(block.address(0)).map(Block::containing)
    }

    /// Which addresses of `block` are in the set: bit `i` stands for `block.address(i)`.
    #[must_use]
    pub fn bits_in_block(&self, block: Block) -> u16 {
        let range = block.range();
        let bits = |span: Span| {
            let (from, to) = (span.first - range.first, span.last - range.first);
            (u16::MAX >> (15 - (to - from))) << from
        };
        self.within(&range).map(bits).fold(0, |all, bits| all | bits)
    }

    fn within(&self, range: &IpRange) -> impl Iterator<Item = Span> {
        let IpRange { family, first, last } = *range;
        let spans = if family == self.family { &self.spans[self.span_reaching(first)..] } else { &[] };
        let found = spans.iter().take_while(move |span| span.first <= last);
        found.map(move |span| Span { first: span.first.max(first), last: span.last.min(last) })
    }

    /// The index of the first span that ends at or after `key`: the one that holds `key`, or else the next one.
    fn span_reaching(&self, key: u128) -> usize {
        self.spans.partition_point(|span| span.last < key)
    }

    fn next_key(&self, from: u128) -> Option<u128> {
        self.spans.get(self.span_reaching(from)).map(|span| span.first.max(from))
    }
}

impl From<IpRange> for IpSet {
    fn from(range: IpRange) -> Self {
        Self { family: range.family, spans: vec![Span { first: range.first, last: range.last }] }
    }
}

/// The ranges, separated by commas; nothing for the empty set.
impl fmt::Display for IpSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.iter_ranges().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            range.fmt(f)?;
        }
        Ok(())
    }
}
