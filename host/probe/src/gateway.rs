use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use crate::MacAddress;
use crate::arp::ArpPacket;
use crate::ethernet::Frame;
use crate::ndp::{Kind, NeighborPacket};
use crate::pace::{Pace, Step, Tries, Turn};
use crate::session::Heard;

/// An address and the gateway through which it reaches the world, of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    V4 { from: Ipv4Addr, gateway: Ipv4Addr },
    V6 { from: Ipv6Addr, gateway: Ipv6Addr },
}

/// Asks whether the gateway is there, as a host does before it sends the first packet through it (RFC 826, RFC 4861
/// §7.2.2). The question comes from the address under test: on a network with filters a gateway may answer that one
/// only.
///
/// ```text
///            tries left, due: Send          answer: gateway known
/// asking ──┬──────────────────────→ asking ─────────────────────→ Done(Some(gateway))
///          └── no tries left, due ───────────────────────────────→ Done(None)
/// ```
#[derive(Debug)]
pub(crate) struct GatewayProbe {
    way: Way,
    own: MacAddress,
    tries: Tries,
    found: Option<MacAddress>,
}

impl GatewayProbe {
    pub(crate) fn new(way: Way, own: MacAddress, pace: Pace, now: Instant) -> Self {
        Self { way, own, tries: Tries::new(pace, now), found: None }
    }

    /// What to do at `now`; done with the gateway's Ethernet address, or `None` when it stays silent.
    pub(crate) fn poll(&mut self, now: Instant) -> Step<Option<MacAddress>> {
        if self.found.is_some() {
            return Step::Done(self.found);
        }
        match self.tries.turn(now) {
            Turn::Try => Step::Send(self.question()),
            Turn::Wait(until) => Step::Wait(until),
            Turn::Over => Step::Done(None),
        }
    }

    /// Takes in what was heard on the wire.
    pub(crate) fn hear(&mut self, heard: &Heard) {
        let found = match (self.way, heard) {
            (Way::V4 { gateway, .. }, Heard::Arp(packet)) => (packet.sender == gateway).then_some(packet.sender_mac),
            (Way::V6 { gateway, .. }, Heard::Neighbor(packet)) => advertised(gateway, packet),
            _ => None,
        };
        self.found = self.found.or(found.filter(|&found| found != self.own));
    }

    fn question(&self) -> Frame {
        match self.way {
            Way::V4 { from, gateway } => ArpPacket::request(self.own, from, gateway).to_everybody(),
            Way::V6 { from, gateway } => NeighborPacket::solicit(self.own, from, gateway).to_frame(),
        }
    }
}

fn advertised(gateway: Ipv6Addr, packet: &NeighborPacket) -> Option<MacAddress> {
    let answers = matches!(packet.kind, Kind::Advertisement { .. }) && packet.target == gateway;
    answers.then(|| packet.link_layer.unwrap_or(packet.ethernet.source))
}

#[cfg(test)]
mod tests;
