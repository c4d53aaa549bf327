use std::net::IpAddr;
use std::time::Instant;

use crate::MacAddress;
use crate::arp::ArpPacket;
use crate::ethernet::Frame;
use crate::ndp::NeighborPacket;
use crate::pace::{Pace, Step, Tries, Turn};

/// Tells the neighbours who holds an address, so that those who knew another holder learn at once: an ARP announcement
/// (RFC 5227 §2.3) or an unsolicited neighbour advertisement (RFC 4861 §7.2.6).
#[derive(Debug)]
pub(crate) struct Announcement {
    frame: Frame,
    tries: Tries,
}

impl Announcement {
    pub(crate) fn new(address: IpAddr, own: MacAddress, pace: Pace, now: Instant) -> Self {
        let frame = match address {
            IpAddr::V4(address) => ArpPacket::request(own, address, address).to_everybody(),
            IpAddr::V6(address) => NeighborPacket::advertise(own, address).to_frame(),
        };
        Self { frame, tries: Tries::new(pace, now) }
    }

    /// What to do at `now`.
    pub(crate) fn poll(&mut self, now: Instant) -> Step<()> {
        match self.tries.turn(now) {
            Turn::Try => Step::Send(self.frame.clone()),
            Turn::Wait(until) => Step::Wait(until),
            Turn::Over => Step::Done(()),
        }
    }
}

#[cfg(test)]
mod tests;
