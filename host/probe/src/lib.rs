//! Asks the neighbours on the wire: does somebody else hold this address, is the gateway there; and tells them who
//! holds it now.
//!
//! ```text
//! Check ──→ Session ── conflict, then gateway ──→ Finding       conflict.rs gateway.rs session.rs: no I/O, no clock
//!              ↑ ↓ frames, and when to wake up                  pace.rs: how often, how far apart
//!           Wire: one packet socket per protocol                arp.rs ndp.rs: bytes ⇄ packets   io.rs: AF_PACKET
//! ```
//!
//! Frames are built by hand and go through packet sockets, so nothing has to be configured first: the address is not
//! on the interface yet, and IPv6 need not wait until the kernel has a link-local address that it trusts.
//!
//! Everything here acts in the network namespace of the calling thread and blocks for at most [`Pace::times`] ×
//! [`Pace::interval`] per question, however many addresses are checked: all of them, of both families, share one loop.

mod announce;
mod arp;
mod aside;
mod conflict;
mod ethernet;
mod gateway;
mod io;
mod ndp;
mod pace;
mod run;
mod session;

pub use ethernet::MacAddress;
pub use io::ProbeError;
pub use pace::Pace;
pub use run::{announce, run};
pub use session::{Check, Finding, Outcome};

/// The interface that frames leave and enter by, as netlink describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name, for messages to people.
    pub name: String,
    /// Its number in the network namespace of the calling thread.
    pub index: u32,
    /// Its Ethernet address: the sender of every frame, and who is never a conflict.
    pub mac: MacAddress,
}
