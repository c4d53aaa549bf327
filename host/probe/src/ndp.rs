//! Neighbour solicitations and advertisements (RFC 4861 §4.3, §4.4) inside ICMPv6 and IPv6: bytes to packets and back.

use std::net::Ipv6Addr;

use crate::ethernet::{Addressing, Frame, MacAddress, Protocol};

/// ICMPv6's number among the protocols inside IPv6.
pub(crate) const ICMPV6: u8 = 58;
/// ICMPv6 type of a neighbour solicitation.
pub(crate) const SOLICITATION: u8 = 135;
/// ICMPv6 type of a neighbour advertisement.
pub(crate) const ADVERTISEMENT: u8 = 136;
/// The octets of an IPv6 header.
pub(crate) const IPV6_HEADER: usize = 40;

/// Every node on the link, `ff02::1`.
pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// No router has forwarded a packet with this many hops left: it comes from this link (RFC 4861 §7.1).
const HOP_LIMIT: u8 = 255;
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

/// What a neighbour message says about its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Who has the target?
    Solicitation,
    /// I have the target.
    Advertisement { router: bool, solicited: bool, override_: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NeighborPacket {
    pub(crate) ethernet: Addressing,
    pub(crate) source: Ipv6Addr,
    pub(crate) destination: Ipv6Addr,
    pub(crate) kind: Kind,
    pub(crate) target: Ipv6Addr,
    /// The Ethernet address in the option that belongs to the kind: of the sender who asks, of the target that is
    /// advertised.
    pub(crate) link_layer: Option<MacAddress>,
}

/// The group that a holder of `address` listens to (RFC 4291 §2.7.1).
pub(crate) fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]))
}

impl NeighborPacket {
    /// A question for `target` to those who may have it. The option with the sender's Ethernet address is left out
    /// where the sender has no address yet (RFC 4861 §4.3).
    pub(crate) fn solicit(mac: MacAddress, source: Ipv6Addr, target: Ipv6Addr) -> Self {
        let destination = solicited_node(target);
        Self {
            ethernet: Addressing { destination: MacAddress::of_group(destination), source: mac },
            source,
            destination,
            kind: Kind::Solicitation,
            target,
            link_layer: (!source.is_unspecified()).then_some(mac),
        }
    }

    /// The message to everybody, unasked, that `mac` has `address` from now on (RFC 4861 §7.2.6).
    pub(crate) fn advertise(mac: MacAddress, address: Ipv6Addr) -> Self {
        Self {
            ethernet: Addressing { destination: MacAddress::of_group(ALL_NODES), source: mac },
            source: address,
            destination: ALL_NODES,
            kind: Kind::Advertisement { router: false, solicited: false, override_: true },
            target: address,
            link_layer: Some(mac),
        }
    }

    /// The packet as a frame.
    pub(crate) fn to_frame(self) -> Frame {
        let message = self.icmp();
        let mut bytes = self.ethernet.emit(Protocol::Ndp);
        let length = if self.link_layer.is_some() { 32 } else { 24 };
        bytes.extend([0x60, 0, 0, 0, 0, length, ICMPV6, HOP_LIMIT]);
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        bytes.extend(message);
        Frame { protocol: Protocol::Ndp, bytes }
    }

    fn icmp(self) -> Vec<u8> {
        let (number, flags, option) = match self.kind {
            Kind::Solicitation => (SOLICITATION, 0, SOURCE_LINK_LAYER),
            Kind::Advertisement { router, solicited, override_ } => {
                let flags = u8::from(router) << 7 | u8::from(solicited) << 6 | u8::from(override_) << 5;
                (ADVERTISEMENT, flags, TARGET_LINK_LAYER)
            }
        };
        let mut message = vec![number, 0, 0, 0, flags, 0, 0, 0];
        message.extend(self.target.octets());
        if let Some(mac) = self.link_layer {
            message.extend([option, 1]);
            message.extend(mac.0);
        }
        let checksum = checksum(self.source, self.destination, &message);
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
        message
    }

    /// Reads a frame; `None` when it is no neighbour message, or one that RFC 4861 §7.1 tells to discard. Unknown
    /// options are passed over.
    pub(crate) fn parse(frame: &[u8]) -> Option<Self> {
        let (ethernet, packet) = Addressing::parse(frame, Protocol::Ndp)?;
        let (header, rest) = packet.split_first_chunk::<IPV6_HEADER>()?;
        if header[0] >> 4 != 6 || header[6] != ICMPV6 || header[7] != HOP_LIMIT {
            return None;
        }
        let message = rest.get(..usize::from(u16::from_be_bytes([header[4], header[5]])))?;
        let source = address_at(header, 8)?;
        let destination = address_at(header, 24)?;
        if checksum(source, destination, message) != 0 {
            return None;
        }
        let (fixed, options) = message.split_first_chunk::<24>()?;
        let (kind, option) = match (fixed[0], fixed[1]) {
            (SOLICITATION, 0) => (Kind::Solicitation, SOURCE_LINK_LAYER),
            (ADVERTISEMENT, 0) => (advertisement(fixed[4]), TARGET_LINK_LAYER),
            _ => return None,
        };
        let target = address_at(fixed, 8)?;
        let link_layer = link_layer(options, option)?;
        let packet = Self { ethernet, source, destination, kind, target, link_layer };
        packet.is_valid().then_some(packet)
    }

    /// The rules of RFC 4861 §7.1.1 and §7.1.2 that concern more than one field.
    fn is_valid(&self) -> bool {
        let consistent = match self.kind {
            Kind::Solicitation if self.source.is_unspecified() => {
                self.destination == solicited_node(self.target) && self.link_layer.is_none()
            }
            Kind::Solicitation => true,
            Kind::Advertisement { solicited, .. } => !(solicited && self.destination.is_multicast()),
        };
        consistent && !self.target.is_multicast()
    }
}

fn advertisement(flags: u8) -> Kind {
    Kind::Advertisement { router: flags & 0x80 != 0, solicited: flags & 0x40 != 0, override_: flags & 0x20 != 0 }
}

fn address_at(bytes: &[u8], offset: usize) -> Option<Ipv6Addr> {
    Some((*bytes.get(offset..)?.first_chunk::<16>()?).into())
}

/// The first Ethernet address in an option of type `wanted`; the outer `None` says that the options are broken.
fn link_layer(mut options: &[u8], wanted: u8) -> Option<Option<MacAddress>> {
    let mut found = None;
    while !options.is_empty() {
        let [kind, eighths, ..] = *options else { return None };
        let length = usize::from(eighths) * 8;
        if length == 0 {
            return None;
        }
        let (option, rest) = options.split_at_checked(length)?;
        if kind == wanted && found.is_none() && length == 8 {
            found = option[2..].try_into().ok().map(MacAddress);
        }
        options = rest;
    }
    Some(found)
}

/// The ICMPv6 checksum over the pseudo header and `message` (RFC 4443 §2.3, RFC 8200 §8.1). Zero when the message
/// carries the right one.
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let addresses = source.segments().into_iter().chain(destination.segments()).map(u32::from);
    let words = message.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])));
    let mut sum = (length >> 16) + (length & 0xffff) + u32::from(ICMPV6) + addresses.chain(words).sum::<u32>();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
