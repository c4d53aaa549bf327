//! Keeps what people see of pools current: counts, holders and finalizers of SpiderIPPools, from their SpiderIPBlocks.
//!
//! ```text
//! watches ──→ view: what is known, stripped ──→ step: what is to be done for one pool ──→ act: one write
//!                        └──→ schedule: which pool is due, and how soon again   ←── done, stale or failed ──┘
//! ```
//!
//! # Where the holders of a pool's addresses are written, and why none is lost
//!
//! A pool that Spiderpool served has its holders in `status.allocatedIPs`. A block is made on first use, and starts with
//! the records of its addresses from there. From then on the block says who holds them; before, the status does. So
//! **a record in the status is left alone until the block of its address has been seen** ([`projection`]).
//!
//! A writer of blocks reads the status, and makes the block a moment later. May the status be written in between?
//!
//! * Before the block exists nobody has seen it. Whoever writes the status then keeps the records of its addresses as he
//!   found them, and the write fails unless the status is still what he found (`resourceVersion`). So these records are
//!   the same at every moment before the block is made, and it starts with all of them however old the status was that it
//!   was made from.
//! * After that nobody needs them in the status any more. Only who has seen the block changes or removes them.
//! * A watch that lags shows too few blocks, never too many that were not made; then records stay too long, which the
//!   next event corrects. Before the first complete list of blocks nothing is written at all.
//! * A block that is removed by hand leaves its last records in the status, and a new block starts with these. An agent that
//!   knows of no records without a block does not read the status for a new one, so for some two seconds the addresses of the
//!   removed block may be given away: the status is written in another name then, which agents hear of (`step::MANAGER`).
//!
//! # Two at once
//!
//! There is no election of a leader. Two that run at once do each other no harm: what is written depends on the objects
//! alone, is not written when it is there already, and every write names the `resourceVersion` that it was made from. They
//! must be given the same `--max-allocated-ips`, or each writes what the other removes.

mod act;
pub mod args;
mod daemon;
mod keeper;
mod metrics;
mod observe;
pub mod projection;
mod schedule;
mod step;
mod view;
mod watched;

use args::{Args, Command};

/// Does what the command line says; returns when the controller was told to stop.
///
/// # Errors
/// The first thing that keeps the controller from running, with what to do about it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let Args { command, logs } = args;
    match command {
        Command::Daemon(args) => {
            logs.init()?;
            daemon::run(args)
        }
        Command::Completion { shell } => spiderpool_cli::print_completion::<Args>(shell),
    }
}
