use std::fmt;
use std::net::Ipv6Addr;

/// The octets of an Ethernet header without a VLAN tag.
pub(crate) const HEADER: usize = 14;

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// Everybody on the wire.
    pub(crate) const BROADCAST: Self = Self([0xff; 6]);
    /// No address; what ARP carries where it asks for one.
    pub(crate) const ZERO: Self = Self([0; 6]);

    /// Where frames to an IPv6 multicast group go (RFC 2464 §7).
    pub(crate) fn of_group(group: Ipv6Addr) -> Self {
        let [.., a, b, c, d] = group.octets();
        Self([0x33, 0x33, a, b, c, d])
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The protocols spoken here, each on a socket of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    /// Neighbours of IPv4 addresses (RFC 826).
    Arp,
    /// Neighbours of IPv6 addresses (RFC 4861), inside IPv6.
    Ndp,
}

impl Protocol {
    /// The EtherType.
    pub(crate) fn ether_type(self) -> u16 {
        match self {
            Self::Arp => 0x0806,
            Self::Ndp => 0x86dd,
        }
    }

    /// The name, for messages to people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Arp => "ARP",
            Self::Ndp => "NDP",
        }
    }
}

/// A frame ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) protocol: Protocol,
    pub(crate) bytes: Vec<u8>,
}

/// From whom a frame is and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addressing {
    pub(crate) destination: MacAddress,
    pub(crate) source: MacAddress,
}

impl Addressing {
    /// The header's octets, with the EtherType of `protocol`.
    pub(crate) fn emit(self, protocol: Protocol) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + 72);
        bytes.extend(self.destination.0);
        bytes.extend(self.source.0);
        bytes.extend(protocol.ether_type().to_be_bytes());
        bytes
    }

    /// Splits a frame of `protocol` into header and content; `None` when it is of another protocol or too short.
    pub(crate) fn parse(frame: &[u8], protocol: Protocol) -> Option<(Self, &[u8])> {
        let (destination, rest) = frame.split_first_chunk()?;
        let (source, rest) = rest.split_first_chunk()?;
        let (ether_type, content) = rest.split_first_chunk()?;
        let header = Self { destination: MacAddress(*destination), source: MacAddress(*source) };
        (u16::from_be_bytes(*ether_type) == protocol.ether_type()).then_some((header, content))
    }
}
