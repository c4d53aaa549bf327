//! The two address families, and addresses as numbers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// The family of an address. Read and written as the number 4 or 6, as `spec.ipVersion` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub enum Family {
    /// IPv4, 32 bits.
    V4,
    /// IPv6, 128 bits.
    V6,
}

/// A number that names no address family.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not an IP version; write 4 or 6")]
pub struct FamilyError(pub i64);

/// Why a text is not one address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not an address of either family.
    #[error("{0:?} is not an IP address; write it like 10.0.0.1 or fd00::1")]
    Syntax(String),
    /// An IPv4 address in IPv6 clothes, which would count as a second address next to the plain one.
    #[error("{text:?} is an IPv4 address written as IPv6; write {plain}")]
    Mapped {
        /// What was written.
        text: String,
        /// The IPv4 address that it stands for.
        plain: Ipv4Addr,
    },
}

/// Reads one address: no blanks, no zone, no prefix length.
///
/// # Errors
/// Refuses what is not an address, and IPv4-mapped IPv6 addresses (RFC 4291, section 2.5.5.2): they would be a second
/// name for an IPv4 address.
pub fn parse_address(text: &str) -> Result<IpAddr, AddressError> {
    let address: IpAddr = text.parse().map_err(|_| AddressError::Syntax(text.to_owned()))?;
    if let IpAddr::V6(v6) = address
        && let Some(plain) = v6.to_ipv4_mapped()
    {
        return Err(AddressError::Mapped { text: text.to_owned(), plain });
    }
    Ok(address)
}

impl Family {
    /// The family that `address` belongs to.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The length of an address in bits: 32 or 128. Also the longest prefix.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// 4 or 6, as in `spec.ipVersion`.
    #[must_use]
    pub fn version(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }

    /// The number of the last address of the family.
    pub(crate) fn last_key(self) -> u128 {
        u128::MAX >> (128 - u32::from(self.bits()))
    }

    /// The address that has the number `key`; bits beyond the family's width are dropped.
    pub(crate) fn address(self, key: u128) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::from_bits(key as u32)),
            Self::V6 => IpAddr::V6(Ipv6Addr::from_bits(key)),
        }
    }
}

/// The number of an address: its bits, most significant first.
pub(crate) fn key(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IPv{}", self.version())
    }
}

impl From<Family> for i64 {
    fn from(family: Family) -> Self {
        Self::from(family.version())
    }
}

impl TryFrom<i64> for Family {
    type Error = FamilyError;

    fn try_from(version: i64) -> Result<Self, FamilyError> {
        match version {
            4 => Ok(Self::V4),
            6 => Ok(Self::V6),
            other => Err(FamilyError(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_strictly() {
        for good in ["0.0.0.0", "255.255.255.255", "::", "fd00::1", "FD00:0::1"] {
            assert!(parse_address(good).is_ok(), "{good}");
        }
        for bad in ["", " 10.0.0.1", "10.0.0.1 ", "10.0.0", "10.0.0.01", "10.0.0.256", "fe80::1%eth0", "10.0.0.1/24"] {
            assert_eq!(parse_address(bad), Err(AddressError::Syntax(bad.to_owned())), "{bad}");
        }
    }

    #[test]
    fn a_mapped_address_is_refused_with_the_plain_one() {
        let error = parse_address("::ffff:10.0.0.1").unwrap_err();
        assert_eq!(error.to_string(), r#""::ffff:10.0.0.1" is an IPv4 address written as IPv6; write 10.0.0.1"#);
    }

    #[test]
    fn families_are_the_numbers_4_and_6() {
        assert_eq!(Family::try_from(4), Ok(Family::V4));
        assert_eq!(Family::try_from(6), Ok(Family::V6));
        assert_eq!(Family::try_from(5).unwrap_err().to_string(), "5 is not an IP version; write 4 or 6");
        assert_eq!((Family::V4.last_key(), Family::V6.last_key()), (u128::from(u32::MAX), u128::MAX));
        assert_eq!(Family::V6.to_string(), "IPv6");
    }
}
