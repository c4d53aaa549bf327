use std::net::IpAddr;
use std::time::Instant;

use crate::arp::ArpPacket;
use crate::conflict::ConflictProbe;
use crate::gateway::{GatewayProbe, Way};
use crate::ndp::NeighborPacket;
use crate::pace::{Pace, Step};
use crate::{MacAddress, ProbeError};

/// What to find out about one address that is about to be used on the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// The address.
    pub address: IpAddr,
    /// Ask whether somebody else holds it.
    pub conflict: bool,
    /// Ask whether this gateway answers it. Of the same family as the address.
    pub gateway: Option<IpAddr>,
}

/// What was found out about one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The address of the check.
    pub address: IpAddr,
    /// What was found.
    pub finding: Finding,
}

/// The end of a check. A conflict is looked for first; where there is one the gateway is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Nothing speaks against using the address.
    Clear {
        /// The Ethernet address of the gateway, where it was asked for.
        gateway: Option<MacAddress>,
    },
    /// Somebody else holds the address, or is about to.
    Conflict {
        /// Who.
        holder: MacAddress,
    },
    /// The gateway did not answer any try.
    GatewayUnreachable {
        /// The gateway that was asked.
        gateway: IpAddr,
    },
}

/// A packet that came in and may concern a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    Arp(ArpPacket),
    Neighbor(NeighborPacket),
}

/// One check under way.
#[derive(Debug)]
pub(crate) struct Session {
    address: IpAddr,
    way: Option<Way>,
    own: MacAddress,
    pace: Pace,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Conflict(ConflictProbe),
    Gateway(GatewayProbe),
    Done(Finding),
}

impl Session {
    /// # Errors
    /// [`ProbeError::GatewayOfAnotherFamily`].
    pub(crate) fn new(check: &Check, own: MacAddress, pace: Pace, now: Instant) -> Result<Self, ProbeError> {
        let Check { address, conflict, gateway } = *check;
        let way = match (address, gateway) {
            (_, None) => None,
            (IpAddr::V4(from), Some(IpAddr::V4(gateway))) => Some(Way::V4 { from, gateway }),
            (IpAddr::V6(from), Some(IpAddr::V6(gateway))) => Some(Way::V6 { from, gateway }),
            (_, Some(gateway)) => return Err(ProbeError::GatewayOfAnotherFamily { address, gateway }),
        };
        let mut session = Self { address, way, own, pace, stage: Stage::Done(Finding::Clear { gateway: None }) };
        session.stage = if conflict {
            Stage::Conflict(ConflictProbe::new(address, own, pace, now))
        } else {
            session.after_conflict(now)
        };
        Ok(session)
    }

    /// What to do at `now`.
    pub(crate) fn poll(&mut self, now: Instant) -> Step<Outcome> {
        loop {
            let step = match &mut self.stage {
                Stage::Done(finding) => return Step::Done(Outcome { address: self.address, finding: *finding }),
                Stage::Conflict(probe) => probe.poll(now),
                Stage::Gateway(probe) => probe.poll(now),
            };
            let answer = match step {
                Step::Send(frame) => return Step::Send(frame),
                Step::Wait(until) => return Step::Wait(until),
                Step::Done(answer) => answer,
            };
            self.stage = self.next(answer, now);
        }
    }

    /// Takes in what was heard on the wire.
    pub(crate) fn hear(&mut self, heard: &Heard) {
        match &mut self.stage {
            Stage::Conflict(probe) => probe.hear(heard),
            Stage::Gateway(probe) => probe.hear(heard),
            Stage::Done(_) => {}
        }
    }

    fn next(&self, answer: Option<MacAddress>, now: Instant) -> Stage {
        match (&self.stage, answer, self.way) {
            (Stage::Done(finding), ..) => Stage::Done(*finding),
            (Stage::Conflict(_), Some(holder), _) => Stage::Done(Finding::Conflict { holder }),
            (Stage::Conflict(_), None, _) => self.after_conflict(now),
            (Stage::Gateway(_), None, Some(way)) => Stage::Done(Finding::GatewayUnreachable { gateway: way.gateway() }),
            (Stage::Gateway(_), gateway, _) => Stage::Done(Finding::Clear { gateway }),
        }
    }

    fn after_conflict(&self, now: Instant) -> Stage {
        match self.way {
            Some(way) => Stage::Gateway(GatewayProbe::new(way, self.own, self.pace, now)),
            None => Stage::Done(Finding::Clear { gateway: None }),
        }
    }
}

impl Way {
    fn gateway(self) -> IpAddr {
        match self {
            Self::V4 { gateway, .. } => gateway.into(),
            Self::V6 { gateway, .. } => gateway.into(),
        }
    }
}

#[cfg(test)]
mod tests;
