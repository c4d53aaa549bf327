//! The packet socket (`packet(7)`): frames of one protocol on one interface, in and out.
#![expect(unsafe_code, reason = "no safe wrapper binds a packet socket, joins its groups or attaches its filter")]

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, recvfrom, send, socket};

use crate::arp::ArpPacket;
use crate::ethernet::{Frame, HEADER, Protocol};
use crate::ndp::{ADVERTISEMENT, ICMPV6, IPV6_HEADER, NeighborPacket, SOLICITATION};
use crate::session::Heard;
use crate::{Interface, MacAddress};

/// Larger than any neighbour message that makes sense; a longer one is cut off and then discarded for its checksum.
const RECEIVE_BUFFER: usize = 2048;

/// Frames taken in one go before the clock is looked at again: more than the socket queues, so that no answer that came
/// in time is missed, and yet a flood cannot hold up the end.
const BATCH: usize = 1024;

/// Why neighbours could not be asked or told. None of these says anything about the address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// An address and a gateway of different families were given.
    #[error("the gateway {gateway} of {address} is of the other address family; correct spec.gateway of the pool")]
    GatewayOfAnotherFamily {
        /// The address.
        address: IpAddr,
        /// The gateway.
        gateway: IpAddr,
    },
    /// The packet socket could not be made ready.
    #[error("cannot open an {protocol} socket on {interface}: {source}{}", remedy(source))]
    Open {
        /// The protocol: `ARP` or `NDP`.
        protocol: &'static str,
        /// The interface.
        interface: String,
        /// The error of the system call.
        #[source]
        source: io::Error,
    },
    /// A frame could not be sent.
    #[error("cannot send an {protocol} frame on {interface}: {source}{}", remedy(source))]
    Send {
        /// The protocol: `ARP` or `NDP`.
        protocol: &'static str,
        /// The interface.
        interface: String,
        /// The error of `send`.
        #[source]
        source: io::Error,
    },
    /// Waiting for frames, or reading one, failed.
    #[error("cannot receive frames on {interface}: {source}{}", remedy(source))]
    Receive {
        /// The interface.
        interface: String,
        /// The error of `poll` or `recvfrom`.
        #[source]
        source: io::Error,
    },
}

fn remedy(source: &io::Error) -> &'static str {
    match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EPERM | Errno::EACCES) => "; run as root or with CAP_NET_RAW",
        Some(Errno::ENETDOWN) => "; the interface is down: set it up first",
        Some(Errno::ENODEV | Errno::ENXIO) => "; there is no such interface in this network namespace (any more)",
        Some(Errno::ENOBUFS) => "; the interface's queue is full: try again",
        _ => "",
    }
}

/// A socket for the frames of one protocol on one interface of the calling thread's namespace.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    fd: OwnedFd,
    protocol: Protocol,
    interface: String,
}

impl PacketSocket {
    /// Opens the socket and listens to `groups` too, which the interface would else let pass by.
    pub(crate) fn open(interface: &Interface, protocol: Protocol, groups: &[MacAddress]) -> Result<Self, ProbeError> {
        let fd = ready(interface.index, protocol, groups).map_err(|errno| ProbeError::Open {
            protocol: protocol.name(),
            interface: interface.name.clone(),
            source: errno.into(),
        })?;
        Ok(Self { fd, protocol, interface: interface.name.clone() })
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(crate) fn send(&self, frame: &Frame) -> Result<(), ProbeError> {
        let sent = uninterrupted(|| send(self.fd.as_raw_fd(), &frame.bytes, MsgFlags::empty()));
        sent.map(drop).map_err(|errno| ProbeError::Send {
            protocol: self.protocol.name(),
            interface: self.interface.clone(),
            source: errno.into(),
        })
    }

    /// Hands what has come in to `hear`, without waiting.
    pub(crate) fn drain(&self, mut hear: impl FnMut(&Heard)) -> Result<(), ProbeError> {
        let mut buffer = [0; RECEIVE_BUFFER];
        for _ in 0..BATCH {
            let (length, from) = match uninterrupted(|| recvfrom::<LinkAddr>(self.fd.as_raw_fd(), &mut buffer)) {
                Ok(received) => received,
                Err(Errno::EAGAIN) => return Ok(()),
                Err(errno) => {
                    return Err(ProbeError::Receive { interface: self.interface.clone(), source: errno.into() });
                }
            };
            if from.is_some_and(|from| is_for_us(from.pkttype()))
                && let Some(heard) = self.parse(&buffer[..length])
            {
                hear(&heard);
            }
        }
        Ok(())
    }

    fn parse(&self, frame: &[u8]) -> Option<Heard> {
        match self.protocol {
            Protocol::Arp => ArpPacket::parse(frame).map(Heard::Arp),
            Protocol::Ndp => NeighborPacket::parse(frame).map(Heard::Neighbor),
        }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Not what we sent ourselves, and not what is meant for others: among that are the frames of VLANs that this interface
/// carries without being part of them, where the same address may well be in use.
fn is_for_us(packet_type: u8) -> bool {
    matches!(packet_type, libc::PACKET_HOST | libc::PACKET_BROADCAST | libc::PACKET_MULTICAST)
}

/// The socket takes nothing in before it is bound, and by then the filter is in place.
fn ready(index: u32, protocol: Protocol, groups: &[MacAddress]) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
    if protocol == Protocol::Ndp {
        attach_filter(&fd, &mut neighbor_filter())?;
    }
    let index = i32::try_from(index).map_err(|_| Errno::ENODEV)?;
    for group in groups {
        join(&fd, index, *group)?;
    }
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET.cast_unsigned() as u16,
        sll_protocol: protocol.ether_type().to_be(),
        sll_ifindex: index,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address is a whole sockaddr_ll that outlives the call, and the length is its own.
    Errno::result(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) })?;
    Ok(fd)
}

fn join(fd: &OwnedFd, index: i32, group: MacAddress) -> nix::Result<()> {
    let mut address = [0; 8];
    address[..6].copy_from_slice(&group.0);
    let request = libc::packet_mreq {
        mr_ifindex: index,
        mr_type: libc::PACKET_MR_MULTICAST as u16,
        mr_alen: 6,
        mr_address: address,
    };
    // SAFETY: PACKET_ADD_MEMBERSHIP takes a packet_mreq.
    unsafe { set_option(fd, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request) }
}

fn attach_filter(fd: &OwnedFd, program: &mut [libc::sock_filter]) -> nix::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| Errno::EINVAL)?;
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: SO_ATTACH_FILTER takes a sock_fprog and copies the instructions, which outlive the call.
    unsafe { set_option(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program) }
}

/// # Safety
/// `T` must be the structure that the kernel expects for the option `name`.
unsafe fn set_option<T>(fd: &OwnedFd, level: i32, name: i32, value: &T) -> nix::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the pointer and the length are those of a whole T; the caller vouches for its type.
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const *value).cast(), length) };
    Errno::result(result).map(drop)
}

/// Lets neighbour solicitations and advertisements through and drops the rest of the interface's IPv6 traffic before
/// it wakes us up.
fn neighbor_filter() -> [libc::sock_filter; 7] {
    const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
    const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    const NEXT_HEADER: u32 = HEADER as u32 + 6;
    const ICMP_TYPE: u32 = (HEADER + IPV6_HEADER) as u32;
    // Jumps are counted in instructions to pass over, when equal and when not.
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    [
        step(LOAD_BYTE, 0, 0, NEXT_HEADER),
        step(IF_EQUAL, 0, 4, ICMPV6.into()),
        step(LOAD_BYTE, 0, 0, ICMP_TYPE),
        step(IF_EQUAL, 1, 0, SOLICITATION.into()),
        step(IF_EQUAL, 0, 1, ADVERTISEMENT.into()),
        step(RETURN, 0, 0, RECEIVE_BUFFER as u32),
        step(RETURN, 0, 0, 0),
    ]
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
