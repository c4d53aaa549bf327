//! What every plugin of ours has in common: the CNI protocol (specification 1.1.0), a log, and the way to the agent.
//!
//! ```text
//! environment.rs ─ CNI_* ──→ Command ─┐
//! network.rs ── stdin ─────→ Network ─┴→ serve.rs ──→ Plugin::{add, del, check, status, gc}
//!                                          └─ stdout ←── result.rs AddResult, or error.rs CniError and status 1
//! version.rs: what each version of the protocol has        log.rs: lines in a file that is rotated
//! agent.rs: one request over the agent's socket
//! ```
//!
//! A plugin never ends with an empty success: whatever goes wrong, a panic included, becomes an error object on stdout.
//! `VERSION` starts nothing that it does not need: no runtime, no log, no socket.
//!
//! `CNI_PATH` is not read: it is where a plugin finds others to delegate to, and none of ours does.

pub mod agent;
mod arguments;
mod environment;
mod error;
pub mod log;
mod network;
mod result;
mod serve;
mod version;

pub use arguments::PodArgs;
pub use environment::{Command, Sandbox};
pub use error::{CniError, Code};
pub use network::{Network, PreviousResult};
pub use result::{AddResult, Ip, Route};
pub use serve::{Plugin, refuse, serve};
pub use version::Version;
