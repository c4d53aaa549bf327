use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};

use crate::announce::Announcement;
use crate::aside;
use crate::ethernet::{MacAddress, Protocol};
use crate::io::PacketSocket;
use crate::ndp::{ALL_NODES, solicited_node};
use crate::pace::Step;
use crate::session::{Heard, Session};
use crate::{Check, Interface, Outcome, Pace, ProbeError};

/// Carries out all checks at once and returns one outcome for each, in their order.
///
/// Blocks until every check is over: at once where all are answered or nothing is asked, and never longer than twice
/// [`Pace::times`] × [`Pace::interval`] (the conflict, then the gateway). `interface` must be up and belong to the
/// network namespace of the calling thread; nothing on it is changed.
///
/// # Errors
/// Any [`ProbeError`]; it concerns the asking, not the addresses, and no outcome is known then.
pub fn run(interface: &Interface, checks: &[Check], pace: Pace) -> Result<Vec<Outcome>, ProbeError> {
    let start = Instant::now();
    let sessions = checks.iter().map(|check| Session::new(check, interface.mac, pace, start));
    let mut sessions = sessions.collect::<Result<Vec<_>, _>>()?;
    let asking = checks.iter().filter(|check| check.conflict || check.gateway.is_some());
    let wire = Wire::open(interface, asking.map(|check| check.address))?;
    loop {
        let now = Instant::now();
        wire.drain(|heard| sessions.iter_mut().for_each(|session| session.hear(heard)))?;
        let mut wake = None;
        let mut outcomes = Vec::with_capacity(sessions.len());
        for session in &mut sessions {
            match wire.carry_out(|| session.poll(now))? {
                Next::Wake(at) => wake = earlier(wake, at),
                Next::Done(outcome) => outcomes.push(outcome),
            }
        }
        match wake {
            Some(at) => wire.wait(at)?,
            None => return Ok(outcomes),
        }
    }
}

/// Tells the neighbours on `interface` that `addresses` are here now, at the pace given.
///
/// Blocks for [`Pace::times`] × [`Pace::interval`], with [`Pace::ANNOUNCE`] not at all. To be called once the
/// addresses are this interface's for sure: whoever hears it sends to us from then on.
///
/// # Errors
/// Any [`ProbeError`] but those about gateways and receiving.
pub fn announce(interface: &Interface, addresses: &[IpAddr], pace: Pace) -> Result<(), ProbeError> {
    let start = Instant::now();
    let announcement = |&address| Announcement::new(address, interface.mac, pace, start);
    let mut announcements: Vec<_> = addresses.iter().map(announcement).collect();
    let wire = Wire::open(interface, addresses.iter().copied())?;
    loop {
        let now = Instant::now();
        let mut wake = None;
        for announcement in &mut announcements {
            if let Next::Wake(at) = wire.carry_out(|| announcement.poll(now))? {
                wake = earlier(wake, at);
            }
        }
        match wake {
            Some(at) => std::thread::sleep(at.saturating_duration_since(now)),
            None => return Ok(()),
        }
    }
}

fn earlier(wake: Option<Instant>, at: Instant) -> Option<Instant> {
    Some(wake.map_or(at, |wake| wake.min(at)))
}

/// How a state machine stands when it has nothing more to send.
enum Next<T> {
    Wake(Instant),
    Done(T),
}

/// The sockets of the protocols that are needed, on one interface.
struct Wire {
    interface: String,
    sockets: Vec<PacketSocket>,
}

/// Every probe ends in a process that has nothing else to do than to say so and leave.
impl Drop for Wire {
    fn drop(&mut self) {
        if !self.sockets.is_empty() {
            aside::keep_open();
        }
    }
}

impl Wire {
    fn open(interface: &Interface, addresses: impl Iterator<Item = IpAddr>) -> Result<Self, ProbeError> {
        let mut arp = false;
        let mut groups = Vec::new();
        for address in addresses {
            match address {
                IpAddr::V4(_) => arp = true,
                IpAddr::V6(address) => groups.push(MacAddress::of_group(solicited_node(address))),
            }
        }
        let mut sockets = Vec::new();
        if arp {
            sockets.push(PacketSocket::open(interface, Protocol::Arp, &[])?);
        }
        if !groups.is_empty() {
            groups.push(MacAddress::of_group(ALL_NODES));
            sockets.push(PacketSocket::open(interface, Protocol::Ndp, &groups)?);
        }
        Ok(Self { interface: interface.name.clone(), sockets })
    }

    /// Sends what the state machine behind `poll` wants to send now.
    fn carry_out<T>(&self, mut poll: impl FnMut() -> Step<T>) -> Result<Next<T>, ProbeError> {
        loop {
            match poll() {
                Step::Wait(until) => return Ok(Next::Wake(until)),
                Step::Done(result) => return Ok(Next::Done(result)),
                Step::Send(frame) => {
                    for socket in self.sockets.iter().filter(|socket| socket.protocol() == frame.protocol) {
                        socket.send(&frame)?;
                    }
                }
            }
        }
    }

    fn drain(&self, mut hear: impl FnMut(&Heard)) -> Result<(), ProbeError> {
        self.sockets.iter().try_for_each(|socket| socket.drain(&mut hear))
    }

    /// Returns when a frame has come in, at `until`, or early for no reason; the caller looks at the clock anyway.
    fn wait(&self, until: Instant) -> Result<(), ProbeError> {
        let readable = |socket| PollFd::new(PacketSocket::as_fd(socket), PollFlags::POLLIN);
        let mut polled: Vec<_> = self.sockets.iter().map(readable).collect();
        let left: Duration = until.saturating_duration_since(Instant::now());
        match ppoll(&mut polled, Some(left.into()), None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(ProbeError::Receive { interface: self.interface.clone(), source: errno.into() }),
        }
    }
}
