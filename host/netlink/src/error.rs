use std::io;

use netlink_packet_core::DecodeError;
use nix::errno::Errno;

use crate::NamespaceError;

/// Why a question to, or a change of, the kernel's network configuration failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetlinkError {
    /// The socket could not be opened.
    #[error("cannot open a netlink socket: {0}")]
    Open(#[source] io::Error),
    /// The namespace could not be entered to open the socket there.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The kernel did not take the request, or its answer could not be read.
    #[error("cannot {action}: talking to the kernel by netlink failed: {source}")]
    Transport {
        /// What was being done, as a verb phrase.
        action: String,
        /// The error of `send` or `recv`.
        #[source]
        source: io::Error,
    },
    /// The kernel understood the request and refused it.
    #[error("cannot {action}: the kernel refused it: {source}{}", remedy(source))]
    Refused {
        /// What was being done, as a verb phrase.
        action: String,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// The kernel answered something that is not a route message as we know it.
    #[error("cannot {action}: the kernel's answer could not be decoded: {source}")]
    Decode {
        /// What was being done, as a verb phrase.
        action: String,
        /// What was wrong with the answer.
        #[source]
        source: DecodeError,
    },
    /// The configuration changed under every attempt to list it.
    #[error("cannot {action}: the configuration kept changing while it was read; try again")]
    Unsteady {
        /// What was being done, as a verb phrase.
        action: String,
    },
    /// There is no link of this name in the namespace of the socket.
    #[error("no network interface {name:?} in the network namespace; check the interface name that was given")]
    NoSuchLink {
        /// The name asked for.
        name: String,
    },
}

impl NetlinkError {
    /// The kernel's error number where it refused, for callers that treat one refusal specially (an entry that exists
    /// already, one that is gone already).
    pub fn refused_with(&self) -> Option<i32> {
        match self {
            Self::Refused { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

fn remedy(source: &io::Error) -> &'static str {
    match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EPERM | Errno::EACCES) => "; run as root or with CAP_NET_ADMIN",
        _ => "",
    }
}
