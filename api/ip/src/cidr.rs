//! An address with a prefix length.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::family::{AddressError, Family, key, parse_address};
use crate::{IpRange, IpSet};

/// An address and the length of its network's prefix: a subnet (`10.6.0.0/16`), or an address as it is put on an
/// interface (`10.6.0.5/16`).
///
/// The address is kept as written; [`Cidr::canonical`] clears its host bits. Equality compares address and prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    pub(crate) address: IpAddr,
    pub(crate) prefix: u8,
}

/// Why something is not a CIDR, or not one that may stand in a subnet field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// No slash, or what follows it is not a number.
    #[error("{0:?} is not a CIDR; write an address, a slash and a prefix length, like 10.0.0.0/24 or fd00::/64")]
    Syntax(String),
    /// The part before the slash is not an address.
    #[error("{text:?} is not a CIDR: {source}")]
    Address {
        /// What was written.
        text: String,
        /// What is wrong with the address.
        #[source]
        source: AddressError,
    },
    /// The prefix is longer than an address.
    #[error("prefix length {prefix} of {address} is too long; {family} takes 0 to {}", family.bits())]
    Prefix {
        /// The address.
        address: IpAddr,
        /// Its family.
        family: Family,
        /// The prefix length asked for.
        prefix: u32,
    },
    /// Host bits are set, or it is not written in its shortest form.
    #[error("unformatted subnet {text}, please change it to {canonical}")]
    Unformatted {
        /// What was written.
        text: String,
        /// What to write.
        canonical: Cidr,
    },
}

impl Cidr {
    /// `address` with a prefix of `prefix` bits.
    ///
    /// # Errors
    /// [`CidrError::Prefix`] when the prefix is longer than an address of the family.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, CidrError> {
        let family = Family::of(address);
        if prefix > family.bits() {
            return Err(CidrError::Prefix { address, family, prefix: u32::from(prefix) });
        }
        Ok(Self { address, prefix })
    }

    /// Reads a subnet: host bits must be zero and the text must be the canonical one.
    ///
    /// # Errors
    /// What [`Cidr::from_str`] refuses, and [`CidrError::Unformatted`] with the text to write instead.
    pub fn parse_subnet(text: &str) -> Result<Self, CidrError> {
        let canonical = text.parse::<Self>()?.canonical();
        if canonical.to_string() == text {
            Ok(canonical)
        } else {
            Err(CidrError::Unformatted { text: text.to_owned(), canonical })
        }
    }

    /// The same network with all host bits zero.
    #[must_use]
    pub fn canonical(&self) -> Self {
        Self { address: self.family().address(key(self.address) & !self.host_mask()), prefix: self.prefix }
    }

    /// The address as written, host bits included.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The length of the prefix in bits.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The family of the address.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(self.address)
    }

    /// All addresses of the network, the first and the last included.
    #[must_use]
    pub fn range(&self) -> IpRange {
        let first = key(self.canonical().address);
        IpRange { family: self.family(), first, last: first | self.host_mask() }
    }

    /// The addresses that stand for the network or for all of its hosts, so that no host can have them: the first and the
    /// last of an IPv4 network (RFC 1122, section 3.2.1.3; a `/31` has none, RFC 3021), and the first of an IPv6 network,
    /// which is every router's (RFC 4291, section 2.6.1; a `/127` has none, RFC 6164).
    #[must_use]
    pub fn not_for_hosts(&self) -> IpSet {
        let IpRange { family, first, last } = self.range();
        let ends = if family.bits() - self.prefix < 2 {
            Vec::new()
        } else if family == Family::V4 {
            vec![first, last]
        } else {
            vec![first]
        };
        let ends = ends.into_iter().map(|key| IpRange::from(family.address(key)));
        IpSet::from_ranges(family, ends).unwrap_or_else(|_| IpSet::empty(family))
    }

    /// Whether `address` is in the network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.range().contains(address)
    }

    /// Whether the two networks share an address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.range().overlaps(&other.range())
    }

    fn host_mask(&self) -> u128 {
        // A prefix of zero shifts by the whole width, which `checked_shr` answers with None for IPv6.
        self.family().last_key().checked_shr(u32::from(self.prefix)).unwrap_or(0)
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let syntax = || CidrError::Syntax(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(syntax)?;
        let address = parse_address(address).map_err(|source| CidrError::Address { text: text.to_owned(), source })?;
        // `parse` alone would take a sign.
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(syntax());
        }
        let prefix: u32 = prefix.parse().map_err(|_| syntax())?;
        let family = Family::of(address);
        match u8::try_from(prefix) {
            Ok(prefix) => Self::new(address, prefix),
            Err(_) => Err(CidrError::Prefix { address, family, prefix }),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;

    fn try_from(text: String) -> Result<Self, CidrError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cidr_knows_its_network() {
        let cases = [
            ("10.6.0.5/16", "10.6.0.0/16", "10.6.0.0-10.6.255.255"),
            ("10.6.0.5/32", "10.6.0.5/32", "10.6.0.5"),
            ("1.2.3.4/0", "0.0.0.0/0", "0.0.0.0-255.255.255.255"),
            ("fd00::5/120", "fd00::/120", "fd00::-fd00::ff"),
            ("fd00::5/0", "::/0", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fd00::5/128", "fd00::5/128", "fd00::5"),
        ];
        for (text, canonical, range) in cases {
            let cidr: Cidr = text.parse().unwrap();
            assert_eq!(cidr.to_string(), text);
            assert_eq!(cidr.canonical().to_string(), canonical, "{text}");
            assert_eq!(cidr.range().to_string(), range, "{text}");
            assert!(cidr.contains(cidr.address()) && cidr.overlaps(&cidr.canonical()), "{text}");
        }
    }

    #[test]
    fn the_ends_of_a_network_are_for_no_host() {
        let cases = [
            ("10.6.0.0/16", "10.6.0.0,10.6.255.255"),
            ("10.6.0.5/30", "10.6.0.4,10.6.0.7"),
            ("10.6.0.4/31", ""),
            ("10.6.0.4/32", ""),
            ("fd00::5/64", "fd00::"),
            ("fd00::4/127", ""),
        ];
        for (text, ends) in cases {
            assert_eq!(text.parse::<Cidr>().unwrap().not_for_hosts().to_string(), ends, "{text}");
        }
    }

    #[test]
    fn a_subnet_must_be_written_canonically() {
        assert_eq!(Cidr::parse_subnet("10.6.0.0/16").unwrap().to_string(), "10.6.0.0/16");
        let cases = [
            ("10.6.1.0/16", "unformatted subnet 10.6.1.0/16, please change it to 10.6.0.0/16"),
            ("FD00::/64", "unformatted subnet FD00::/64, please change it to fd00::/64"),
            ("fd00:0::/064", "unformatted subnet fd00:0::/064, please change it to fd00::/64"),
        ];
        for (text, message) in cases {
            assert_eq!(Cidr::parse_subnet(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_bad_cidr_says_what_to_write() {
        let syntax = "is not a CIDR; write an address, a slash and a prefix length, like 10.0.0.0/24 or fd00::/64";
        for text in ["", "10.0.0.0", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0.0/99999999999"] {
            assert_eq!(text.parse::<Cidr>().unwrap_err().to_string(), format!("{text:?} {syntax}"));
        }
        let cases = [
            ("10.0.0.0/33", "prefix length 33 of 10.0.0.0 is too long; IPv4 takes 0 to 32"),
            ("fd00::/300", "prefix length 300 of fd00:: is too long; IPv6 takes 0 to 128"),
            ("x/8", r#""x/8" is not a CIDR: "x" is not an IP address; write it like 10.0.0.1 or fd00::1"#),
        ];
        for (text, message) in cases {
            assert_eq!(text.parse::<Cidr>().unwrap_err().to_string(), message);
        }
    }
}
