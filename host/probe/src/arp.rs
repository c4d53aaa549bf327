//! ARP for IPv4 on Ethernet (RFC 826): bytes to packets and back.

use std::net::Ipv4Addr;

use crate::ethernet::{Addressing, Frame, MacAddress, Protocol};

/// Hardware Ethernet, protocol IPv4, and the sizes of their addresses: the same eight octets in every packet of ours,
/// but for the operation that ends them.
const KIND: [u8; 6] = [0, 1, 8, 0, 6, 4];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Request,
    Reply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ArpPacket {
    pub(crate) operation: Operation,
    pub(crate) sender_mac: MacAddress,
    pub(crate) sender: Ipv4Addr,
    pub(crate) target_mac: MacAddress,
    pub(crate) target: Ipv4Addr,
}

impl ArpPacket {
    /// A question to everybody: who has `target`, tell `sender`.
    pub(crate) fn request(sender_mac: MacAddress, sender: Ipv4Addr, target: Ipv4Addr) -> Self {
        Self { operation: Operation::Request, sender_mac, sender, target_mac: MacAddress::ZERO, target }
    }

    /// The packet as a frame to everybody.
    pub(crate) fn to_everybody(self) -> Frame {
        let addressing = Addressing { destination: MacAddress::BROADCAST, source: self.sender_mac };
        let mut bytes = addressing.emit(Protocol::Arp);
        bytes.extend(KIND);
        bytes.extend(match self.operation {
            Operation::Request => [0, 1],
            Operation::Reply => [0, 2],
        });
        bytes.extend(self.sender_mac.0);
        bytes.extend(self.sender.octets());
        bytes.extend(self.target_mac.0);
        bytes.extend(self.target.octets());
        Frame { protocol: Protocol::Arp, bytes }
    }

    /// Reads a frame; `None` when it is no ARP question or answer about IPv4 on Ethernet. Padding behind the packet is
    /// ignored, Ethernet's shortest frame is longer than it.
    pub(crate) fn parse(frame: &[u8]) -> Option<Self> {
        let (_, content) = Addressing::parse(frame, Protocol::Arp)?;
        let (kind, rest) = content.split_first_chunk::<6>()?;
        let (operation, rest) = rest.split_first_chunk::<2>()?;
        let (sender_mac, rest) = rest.split_first_chunk()?;
        let (sender, rest) = rest.split_first_chunk::<4>()?;
        let (target_mac, rest) = rest.split_first_chunk()?;
        let (target, _) = rest.split_first_chunk::<4>()?;
        let operation = match operation {
            [0, 1] => Operation::Request,
            [0, 2] => Operation::Reply,
            _ => return None,
        };
        (*kind == KIND).then_some(Self {
            operation,
            sender_mac: MacAddress(*sender_mac),
            sender: (*sender).into(),
            target_mac: MacAddress(*target_mac),
            target: (*target).into(),
        })
    }
}

#[cfg(test)]
mod tests;
