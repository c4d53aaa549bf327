use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

use crate::{NetlinkError, Socket};

/// The longest interface name in bytes (the kernel's `IFNAMSIZ` without the closing zero).
pub(crate) const LONGEST_NAME: usize = 15;

/// A network interface as the kernel described it when it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// Its number, unique in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its Ethernet address; `None` where it has none or one of another size (InfiniBand, tunnels).
    pub mac: Option<[u8; 6]>,
    /// The largest packet in bytes.
    pub mtu: u32,
    /// Set up by an administrator (`IFF_UP`).
    pub up: bool,
    /// The other end is there (`IFF_LOWER_UP`): what is sent now arrives somewhere.
    pub carrier: bool,
    /// Can broadcast (`IFF_BROADCAST`).
    pub broadcast: bool,
    /// Can multicast (`IFF_MULTICAST`).
    pub multicast: bool,
    /// Is a loopback interface (`IFF_LOOPBACK`).
    pub loopback: bool,
}

impl Socket {
    /// The link called `name`.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchLink`] when there is none, else what went wrong with asking.
    pub fn link(&mut self, name: &str) -> Result<Link, NetlinkError> {
        let missing = || NetlinkError::NoSuchLink { name: name.into() };
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(missing());
        }
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.into()));
        match self.get(RouteNetlinkMessage::GetLink(message), &format!("look up the network interface {name}")) {
            Ok(Some(RouteNetlinkMessage::NewLink(link))) => Ok(Link::from(link)),
            Ok(_) => Err(missing()),
            Err(error) if error.refused_with() == Some(nix::libc::ENODEV) => Err(missing()),
            Err(error) => Err(error),
        }
    }

    /// Sets the link with number `index` up. Does nothing where it is up already.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`] when there is no such link, or without the right to change it.
    pub fn set_up(&mut self, index: u32) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        self.change(RouteNetlinkMessage::SetLink(message), &format!("set the network interface number {index} up"))
    }
}

impl From<LinkMessage> for Link {
    fn from(message: LinkMessage) -> Self {
        let flags = message.header.flags;
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            mac: None,
            mtu: 0,
            up: flags.contains(LinkFlags::Up),
            carrier: flags.contains(LinkFlags::LowerUp),
            broadcast: flags.contains(LinkFlags::Broadcast),
            multicast: flags.contains(LinkFlags::Multicast),
            loopback: flags.contains(LinkFlags::Loopback),
        };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::Mtu(mtu) => link.mtu = mtu,
                LinkAttribute::Address(address) => link.mac = address.try_into().ok(),
                _ => {}
            }
        }
        link
    }
}
