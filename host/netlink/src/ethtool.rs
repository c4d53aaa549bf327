//! The one question that is asked by `ioctl`: on which bus does an interface sit. Netlink knows it since Linux 5.13
//! only, and a sysfs mount shows the interfaces of its own namespace only.
#![expect(unsafe_code, reason = "the kernel offers this by ioctl only")]

use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::link::LONGEST_NAME;

const ETHTOOL_GDRVINFO: u32 = 0x0000_0003;
const SIOCETHTOOL: u16 = 0x8946;

/// The kernel's `struct ethtool_drvinfo`, field by field.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    version: [u8; 32],
    firmware_version: [u8; 32],
    bus_info: [u8; 32],
    expansion_rom_version: [u8; 32],
    reserved: [u8; 12],
    counts: [u32; 5],
}

nix::ioctl_readwrite_bad!(siocethtool, SIOCETHTOOL, libc::ifreq);

/// The bus address of the device behind `interface`, for PCI as `0000:3b:02.1`; `None` for interfaces that have no
/// device (veth, macvlan) and drivers that do not tell. Asked in the namespace of the calling thread.
pub(crate) fn bus_info(interface: &str) -> io::Result<Option<String>> {
    if interface.is_empty() || interface.len() > LONGEST_NAME {
        return Err(io::Error::from(Errno::ENODEV));
    }
    let mut info = DriverInfo {
        command: ETHTOOL_GDRVINFO,
        driver: [0; 32],
        version: [0; 32],
        firmware_version: [0; 32],
        bus_info: [0; 32],
        expansion_rom_version: [0; 32],
        reserved: [0; 12],
        counts: [0; 5],
    };
    let mut name = [0; libc::IFNAMSIZ];
    for (to, from) in name.iter_mut().zip(interface.bytes()) {
        *to = from.cast_signed();
    }
    let mut request =
        libc::ifreq { ifr_name: name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_data: (&raw mut info).cast() } };
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    loop {
        // SAFETY: the request holds a closed name and points to a DriverInfo; both outlive the call and have the layout
        // that this command reads and writes.
        match unsafe { siocethtool(socket.as_raw_fd(), &raw mut request) } {
            Err(Errno::EINTR) => {}
            Err(Errno::EOPNOTSUPP) => return Ok(None),
            Err(errno) => return Err(errno.into()),
            Ok(_) => break,
        }
    }
    let text = info.bus_info.split(|&byte| byte == 0).next().unwrap_or_default();
    Ok(Some(String::from_utf8_lossy(text).into_owned()).filter(|text| !text.is_empty()))
}
