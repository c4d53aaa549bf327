use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};

use crate::{NetlinkError, Socket};

/// An address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkAddress {
    /// The address itself (on a point-to-point link: our end).
    pub address: IpAddr,
    /// How many leading bits are the network's.
    pub prefix_length: u8,
    /// IPv6: duplicate address detection is still running; the kernel does not use the address yet (RFC 4862 §5.4).
    pub tentative: bool,
    /// IPv6: duplicate address detection found another holder; the kernel will never use the address.
    pub duplicate: bool,
}

impl Socket {
    /// The addresses of both families on the link with number `index`, in the kernel's order.
    ///
    /// # Errors
    /// What went wrong with asking. A link that does not exist has no addresses; that is not an error here.
    pub fn addresses(&mut self, index: u32) -> Result<Vec<LinkAddress>, NetlinkError> {
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let list = self.dump(request, &format!("list the addresses of the network interface number {index}"))?;
        let of_this_link = list.into_iter().filter_map(|message| match message {
            RouteNetlinkMessage::NewAddress(address) if address.header.index == index => LinkAddress::read(&address),
            _ => None,
        });
        Ok(of_this_link.collect())
    }
}

impl LinkAddress {
    fn read(message: &AddressMessage) -> Option<Self> {
        // The header has room for the oldest eight flags only; the attribute, where there is one, has all of them.
        let mut flags = AddressFlags::from_bits_retain(message.header.flags.bits().into());
        let (mut local, mut peer) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::Local(address) => local = Some(*address),
                AddressAttribute::Address(address) => peer = Some(*address),
                AddressAttribute::Flags(all) => flags = *all,
                _ => {}
            }
        }
        Some(Self {
            address: local.or(peer)?,
            prefix_length: message.header.prefix_len,
            tentative: flags.contains(AddressFlags::Tentative),
            duplicate: flags.contains(AddressFlags::Dadfailed),
        })
    }
}
