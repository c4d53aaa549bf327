//! What the kernel knows about network namespaces, links and addresses, and how to change it.
//!
//! ```text
//! Namespace::open("/var/run/netns/x") ──→ Socket::open_in(&namespace) ──→ socket.link("eth0"), set_up, addresses, …
//!                                    └──→ in_namespace(&namespace, || anything that needs the namespace itself)
//! ```
//!
//! A netlink socket belongs for good to the namespace in which it was opened. So a namespace is entered once, on a
//! thread of its own that ends at once; afterwards the socket *is* the namespace and no thread of the caller ever
//! leaves home.
//!
//! ## Why a blocking socket of our own and not `rtnetlink`
//! The crate is linked into a plugin that the container runtime starts per pod and that has about a millisecond to come
//! up. The kernel answers a route request before `send` returns, so there is nothing to wait for: one blocking socket
//! needs no runtime, no background task and no channel, where `rtnetlink` brings `netlink-proto`, `netlink-sys` and
//! `futures` with it. The codecs of the same family, `netlink-packet-core` and `netlink-packet-route`, are used as they
//! are; only the request loop of [`Socket`] (some hundred lines) is ours. All calls are short; a caller with an
//! asynchronous runtime may call them in place.

mod address;
mod error;
mod ethtool;
mod link;
mod namespace;
mod socket;
mod sriov;

pub use address::LinkAddress;
pub use error::NetlinkError;
pub use link::Link;
pub use namespace::{Namespace, NamespaceError, in_namespace};
pub use socket::Socket;
pub use sriov::{SriovError, master_addresses};
