use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use crate::MacAddress;
use crate::arp::{ArpPacket, Operation};
use crate::ethernet::Frame;
use crate::ndp::{Kind, NeighborPacket};
use crate::pace::{Pace, Step, Tries, Turn};
use crate::session::Heard;

/// Asks whether somebody else holds an address: RFC 5227 §2.1.1 for IPv4, RFC 4862 §5.4 for IPv6.
///
/// ```text
///            tries left, due: Send          answer: holder known
/// asking ──┬──────────────────────→ asking ─────────────────────→ Done(Some(holder))
///          └── no tries left, due ───────────────────────────────→ Done(None)
/// ```
#[derive(Debug)]
pub(crate) struct ConflictProbe {
    address: IpAddr,
    own: MacAddress,
    tries: Tries,
    holder: Option<MacAddress>,
}

impl ConflictProbe {
    pub(crate) fn new(address: IpAddr, own: MacAddress, pace: Pace, now: Instant) -> Self {
        Self { address, own, tries: Tries::new(pace, now), holder: None }
    }

    /// What to do at `now`; done with the other holder, if there is one.
    pub(crate) fn poll(&mut self, now: Instant) -> Step<Option<MacAddress>> {
        if self.holder.is_some() {
            return Step::Done(self.holder);
        }
        match self.tries.turn(now) {
            Turn::Try => Step::Send(self.question()),
            Turn::Wait(until) => Step::Wait(until),
            Turn::Over => Step::Done(None),
        }
    }

    /// Takes in what was heard on the wire.
    pub(crate) fn hear(&mut self, heard: &Heard) {
        let holder = match (self.address, heard) {
            (IpAddr::V4(address), Heard::Arp(packet)) => arp_holder(address, packet),
            (IpAddr::V6(address), Heard::Neighbor(packet)) if packet.ethernet.source != self.own => {
                neighbor_holder(address, packet)
            }
            _ => None,
        };
        self.holder = self.holder.or(holder.filter(|&holder| holder != self.own));
    }

    /// Asked without an address of our own, so that nobody's cache learns an address that may be another's.
    fn question(&self) -> Frame {
        match self.address {
            IpAddr::V4(address) => ArpPacket::request(self.own, Ipv4Addr::UNSPECIFIED, address).to_everybody(),
            IpAddr::V6(address) => NeighborPacket::solicit(self.own, Ipv6Addr::UNSPECIFIED, address).to_frame(),
        }
    }
}

/// Whoever sends from the address holds it; whoever probes for it at the same time wants it as well.
fn arp_holder(address: Ipv4Addr, packet: &ArpPacket) -> Option<MacAddress> {
    let holds = packet.sender == address;
    let probes = packet.operation == Operation::Request && packet.sender.is_unspecified() && packet.target == address;
    (holds || probes).then_some(packet.sender_mac)
}

/// Whoever advertises the address holds it; a solicitation without a source is another node's detection, one with a
/// source is an ordinary question (RFC 4862 §5.4.3).
fn neighbor_holder(address: Ipv6Addr, packet: &NeighborPacket) -> Option<MacAddress> {
    let concerns = match packet.kind {
        Kind::Advertisement { .. } => true,
        Kind::Solicitation => packet.source.is_unspecified(),
    };
    (concerns && packet.target == address).then(|| packet.link_layer.unwrap_or(packet.ethernet.source))
}

#[cfg(test)]
mod tests;
