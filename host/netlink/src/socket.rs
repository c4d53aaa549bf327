use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use netlink_packet_core::{
    ErrorMessage, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};

use crate::{Namespace, NetlinkError, in_namespace};

/// The kernel never puts more than this into one datagram of a list, whatever the reader offers.
const RECEIVE_BUFFER: usize = 32 * 1024;

/// How often a list is read again when it changed while it was read.
const DUMP_TRIES: u32 = 5;

/// A route netlink socket. It speaks about the network namespace in which it was opened, from whatever thread it is used.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

/// What a request asks for; decides when its answer is complete.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One object, or a refusal.
    Get,
    /// A list, closed by an end mark.
    Dump,
    /// A change, closed by an acknowledgement.
    Change,
}

impl Kind {
    fn flags(self) -> u16 {
        NLM_F_REQUEST
            | match self {
                Self::Get => 0,
                Self::Dump => NLM_F_DUMP,
                Self::Change => NLM_F_ACK,
            }
    }
}

impl Socket {
    /// Opens a socket in the namespace of the calling thread.
    ///
    /// # Errors
    /// [`NetlinkError::Open`].
    pub fn open() -> Result<Self, NetlinkError> {
        let failed = |errno: Errno| NetlinkError::Open(errno.into());
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)
            .map_err(failed)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0)).map_err(failed)?;
        Ok(Self { fd, sequence: 0 })
    }

    /// Opens a socket in `namespace`. The calling thread stays where it is.
    ///
    /// # Errors
    /// [`NetlinkError::Namespace`] or [`NetlinkError::Open`].
    pub fn open_in(namespace: &Namespace) -> Result<Self, NetlinkError> {
        in_namespace(namespace, Self::open)?
    }

    /// Asks for one object. `action` is the verb phrase for errors.
    pub(crate) fn get(
        &mut self,
        message: RouteNetlinkMessage,
        action: &str,
    ) -> Result<Option<RouteNetlinkMessage>, NetlinkError> {
        Ok(self.exchange(message, Kind::Get, action)?.0.pop())
    }

    /// Asks for a list, again when it changed meanwhile.
    pub(crate) fn dump(
        &mut self,
        message: RouteNetlinkMessage,
        action: &str,
    ) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        for _ in 0..DUMP_TRIES {
            let (list, interrupted) = self.exchange(message.clone(), Kind::Dump, action)?;
            if !interrupted {
                return Ok(list);
            }
        }
        Err(NetlinkError::Unsteady { action: action.into() })
    }

    /// Makes a change and waits for its acknowledgement.
    pub(crate) fn change(&mut self, message: RouteNetlinkMessage, action: &str) -> Result<(), NetlinkError> {
        self.exchange(message, Kind::Change, action).map(drop)
    }

    /// One request and its whole answer; the flag says that a list changed while it was read.
    fn exchange(
        &mut self,
        message: RouteNetlinkMessage,
        kind: Kind,
        action: &str,
    ) -> Result<(Vec<RouteNetlinkMessage>, bool), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        self.send(message, kind).map_err(|errno| transport(action, errno))?;
        let mut answers = Vec::new();
        let mut interrupted = false;
        let mut buffer = vec![0; RECEIVE_BUFFER];
        loop {
            let length = self.receive(&mut buffer).map_err(|errno| transport(action, errno))?;
            let mut rest = &buffer[..length];
            while !rest.is_empty() {
                let (header, payload) = decode(&mut rest, action)?;
                if header.sequence_number != self.sequence {
                    continue;
                }
                interrupted |= header.flags & NLM_F_DUMP_INTR != 0;
                match payload {
                    NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                    NetlinkPayload::Error(ErrorMessage { code: Some(code), .. }) => {
                        let source = io::Error::from_raw_os_error(code.get().saturating_abs());
                        return Err(NetlinkError::Refused { action: action.into(), source });
                    }
                    NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok((answers, interrupted)),
                    _ => {}
                }
            }
            if kind == Kind::Get && !answers.is_empty() {
                return Ok((answers, interrupted));
            }
        }
    }

    fn send(&self, message: RouteNetlinkMessage, kind: Kind) -> nix::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = kind.flags();
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        uninterrupted(|| send(self.fd.as_raw_fd(), &bytes, MsgFlags::empty())).map(drop)
    }

    fn receive(&self, buffer: &mut [u8]) -> nix::Result<usize> {
        // With MSG_TRUNC the kernel returns the real length of a datagram that did not fit.
        let length = uninterrupted(|| recv(self.fd.as_raw_fd(), buffer, MsgFlags::MSG_TRUNC))?;
        if length > buffer.len() { Err(Errno::EMSGSIZE) } else { Ok(length) }
    }
}

fn decode(
    rest: &mut &[u8],
    action: &str,
) -> Result<(NetlinkHeader, NetlinkPayload<RouteNetlinkMessage>), NetlinkError> {
    let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
        .map_err(|source| NetlinkError::Decode { action: action.into(), source })?;
    let length = usize::try_from(message.header.length).unwrap_or(usize::MAX);
    let padded = length.next_multiple_of(4).min(rest.len());
    *rest = &rest[padded..];
    Ok(message.into_parts())
}

fn transport(action: &str, errno: Errno) -> NetlinkError {
    NetlinkError::Transport { action: action.into(), source: errno.into() }
}

/// Repeats a system call that a signal cut short.
fn uninterrupted<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}
