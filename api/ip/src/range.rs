//! A run of addresses, first to last, both included.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Cidr;
use crate::family::{AddressError, Family, key, parse_address};

/// Addresses from `first` to `last`, both included, of one family.
///
/// The text form is Spiderpool's: `A` or `A-B`, no blanks, no CIDR, one family, A not after B. Ranges order by family,
/// then first, then last address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IpRange {
    pub(crate) family: Family,
    pub(crate) first: u128,
    pub(crate) last: u128,
}

/// Why something is not a range. The text says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// One end is not an address.
    #[error("{text:?} is not an IP range: {source}")]
    Address {
        /// What was written.
        text: String,
        /// What is wrong with the end.
        #[source]
        source: AddressError,
    },
    /// There are blanks in it.
    #[error("{text:?} is not an IP range: blanks are not allowed; write {without:?}")]
    Blanks {
        /// What was written.
        text: String,
        /// The same without blanks.
        without: String,
    },
    /// It is a CIDR.
    #[error("{text:?} is a CIDR, not an IP range; write {range}")]
    Cidr {
        /// What was written.
        text: String,
        /// The same addresses as a range.
        range: IpRange,
    },
    /// The ends are of different families.
    #[error("{first}-{last} is not an IP range: one end is IPv4 and the other IPv6; write both ends in one family")]
    Families {
        /// The first end.
        first: IpAddr,
        /// The other end.
        last: IpAddr,
    },
    /// The first address is after the last.
    #[error("{first}-{last} runs backwards; write {last}-{first}")]
    Backwards {
        /// The end written first, which is the greater one.
        first: IpAddr,
        /// The end written last.
        last: IpAddr,
    },
}

impl IpRange {
    /// The range from `first` to `last`.
    ///
    /// # Errors
    /// [`RangeError::Families`] and [`RangeError::Backwards`].
    pub fn new(first: IpAddr, last: IpAddr) -> Result<Self, RangeError> {
        let family = Family::of(first);
        if family != Family::of(last) {
            return Err(RangeError::Families { first, last });
        }
        if first > last {
            return Err(RangeError::Backwards { first, last });
        }
        Ok(Self { family, first: key(first), last: key(last) })
    }

    /// The family of both ends.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// The lowest address.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.family.address(self.first)
    }

    /// The highest address.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        self.family.address(self.last)
    }

    /// How many addresses it has, at least 1; the whole of IPv6 counts as `u128::MAX`.
    #[must_use]
    pub fn count(&self) -> u128 {
        (self.last - self.first).saturating_add(1)
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        Family::of(address) == self.family && (self.first..=self.last).contains(&key(address))
    }

    /// Whether the two share an address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.family == other.family && self.first <= other.last && other.first <= self.last
    }
}

impl From<IpAddr> for IpRange {
    fn from(address: IpAddr) -> Self {
        Self { family: Family::of(address), first: key(address), last: key(address) }
    }
}

impl FromStr for IpRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        if text.contains(char::is_whitespace) {
            let without = text.split_whitespace().collect();
            return Err(RangeError::Blanks { text: text.to_owned(), without });
        }
        if let Ok(cidr) = text.parse::<Cidr>() {
            return Err(RangeError::Cidr { text: text.to_owned(), range: cidr.range() });
        }
        let end = |end| parse_address(end).map_err(|source| RangeError::Address { text: text.to_owned(), source });
        match text.split_once('-') {
            Some((first, last)) => Self::new(end(first)?, end(last)?),
            None => end(text).map(Self::from),
        }
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first().fmt(f) } else { write!(f, "{}-{}", self.first(), self.last()) }
    }
}

impl From<IpRange> for String {
    fn from(range: IpRange) -> Self {
        range.to_string()
    }
}

impl TryFrom<String> for IpRange {
    type Error = RangeError;

    fn try_from(text: String) -> Result<Self, RangeError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_read_and_print() {
        let cases = [
            ("10.0.0.1", "10.0.0.1", 1),
            ("10.0.0.1-10.0.0.1", "10.0.0.1", 1),
            ("10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9", 9),
            ("0.0.0.0-255.255.255.255", "0.0.0.0-255.255.255.255", 1 << 32),
            ("FD00:0::1-fd00::ff", "fd00::1-fd00::ff", 255),
            ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", u128::MAX),
        ];
        for (text, printed, count) in cases {
            let range: IpRange = text.parse().unwrap();
            assert_eq!((range.to_string().as_str(), range.count()), (printed, count), "{text}");
        }
    }

    #[test]
    fn a_bad_range_says_what_to_write() {
        let cases = [
            ("", r#""" is not an IP range: "" is not an IP address; write it like 10.0.0.1 or fd00::1"#),
            (
                "10.0.0.1-x",
                r#""10.0.0.1-x" is not an IP range: "x" is not an IP address; write it like 10.0.0.1 or fd00::1"#,
            ),
            (
                "10.0.0.1-10.0.0.2-10.0.0.3",
                r#""10.0.0.1-10.0.0.2-10.0.0.3" is not an IP range: "10.0.0.2-10.0.0.3" is not an IP address; write it like 10.0.0.1 or fd00::1"#,
            ),
            (
                "10.0.0.1 - 10.0.0.2",
                r#""10.0.0.1 - 10.0.0.2" is not an IP range: blanks are not allowed; write "10.0.0.1-10.0.0.2""#,
            ),
            ("10.0.0.0/30", r#""10.0.0.0/30" is a CIDR, not an IP range; write 10.0.0.0-10.0.0.3"#),
            (
                "10.0.0.1-fd00::1",
                "10.0.0.1-fd00::1 is not an IP range: one end is IPv4 and the other IPv6; write both ends in one family",
            ),
            ("10.0.0.9-10.0.0.1", "10.0.0.9-10.0.0.1 runs backwards; write 10.0.0.1-10.0.0.9"),
            (
                "::ffff:10.0.0.1",
                r#""::ffff:10.0.0.1" is not an IP range: "::ffff:10.0.0.1" is an IPv4 address written as IPv6; write 10.0.0.1"#,
            ),
        ];
        for (text, message) in cases {
            assert_eq!(text.parse::<IpRange>().unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn ranges_of_two_families_never_meet() {
        let v4: IpRange = "0.0.0.0-0.0.0.9".parse().unwrap();
        let v6: IpRange = "::-::9".parse().unwrap();
        assert!(!v4.overlaps(&v6) && !v4.contains(v6.first()));
        assert!(v4.overlaps(&"0.0.0.9-0.0.0.20".parse().unwrap()));
        assert!(!v4.overlaps(&"0.0.0.10-0.0.0.20".parse().unwrap()));
    }
}
