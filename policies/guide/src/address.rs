//! Addresses of the contract, in the standard library's types and in arithmetic.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bindings::types::{Cidr, IpAddress};

/// The same address as the standard library has it, for instance to print it.
#[must_use]
pub fn to_std(address: &IpAddress) -> IpAddr {
    match *address {
        IpAddress::Ipv4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).into(),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => Ipv6Addr::new(a, b, c, d, e, f, g, h).into(),
    }
}

/// The same address as the contract has it.
#[must_use]
pub fn from_std(address: IpAddr) -> IpAddress {
    match address {
        IpAddr::V4(v4) => IpAddress::Ipv4(v4.octets().into()),
        IpAddr::V6(v6) => IpAddress::Ipv6(v6.segments().into()),
    }
}

/// A network as people write it, for instance `10.0.0.0/8`.
#[must_use]
pub fn text_of(network: &Cidr) -> String {
    [to_std(&network.address).to_string(), network.prefix_length.to_string()].join("/")
}

/// Whether `address` lies inside `network`; never across families.
#[must_use]
pub fn contains(network: &Cidr, address: &IpAddress) -> bool {
    let length = u32::from(network.prefix_length);
    match (to_std(&network.address), to_std(address)) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let host = u32::MAX.checked_shr(length).unwrap_or(0);
            network.to_bits() | host == address.to_bits() | host
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let host = u128::MAX.checked_shr(length).unwrap_or(0);
            network.to_bits() | host == address.to_bits() | host
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddress {
        from_std(text.parse().expect(text))
    }

    #[test]
    fn networks_contain_exactly_their_addresses() {
        let cases = [
            ("10.0.0.0", 8, "10.255.255.255", true),
            ("10.0.0.0", 8, "11.0.0.0", false),
            ("10.1.2.3", 32, "10.1.2.3", true),
            ("10.1.2.3", 32, "10.1.2.2", false),
            ("0.0.0.0", 0, "255.255.255.255", true),
            ("fd00::", 64, "fd00::ffff:ffff:ffff:ffff", true),
            ("fd00::", 64, "fd00:0:0:1::", false),
            ("fd00::1", 128, "fd00::1", true),
            ("::", 0, "ffff::", true),
            ("0.0.0.0", 0, "::", false),
            ("::", 0, "0.0.0.0", false),
        ];
        for (network, prefix_length, inside, expected) in cases {
            let network = Cidr { address: address(network), prefix_length };
            assert_eq!(contains(&network, &address(inside)), expected, "{} {inside}", text_of(&network));
        }
    }

    #[test]
    fn networks_are_written_as_people_do() {
        assert_eq!(text_of(&Cidr { address: address("fd00:0:0:1::"), prefix_length: 64 }), "fd00:0:0:1::/64");
    }
}
