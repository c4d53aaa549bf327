use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{LinkAddress, Namespace, NamespaceError, NetlinkError, Socket, ethtool, in_namespace};

const SYSFS: &str = "/sys";

/// Why the master of an SR-IOV interface could not be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SriovError {
    /// The pod's namespace could not be entered.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The interface's driver could not be asked.
    #[error("cannot ask the driver of {nic} in {} for its bus address: {source}", namespace.display())]
    Driver {
        /// The interface.
        nic: String,
        /// The pod's namespace.
        namespace: PathBuf,
        /// The error of the `ioctl`.
        #[source]
        source: io::Error,
    },
    /// The interface is no virtual function of an SR-IOV card.
    #[error(
        "{nic} in {} is not an SR-IOV virtual function ({}); matching pools by the master's subnet works for the sriov \
         plugin only: remove match_master_subnet from this network's configuration",
        namespace.display(), bus.as_ref().map_or_else(|| "it has no bus address".into(), |bus| format!("bus address {bus}"))
    )]
    NotAVirtualFunction {
        /// The interface.
        nic: String,
        /// The pod's namespace.
        namespace: PathBuf,
        /// Its bus address, if it has one.
        bus: Option<String>,
    },
    /// The card has no interface on the host: bound to another driver, or moved into a namespace.
    #[error("the master of {nic} has no network interface on this host ({}: {source}); is the card bound to its network driver?",
        path.display())]
    NoMasterInterface {
        /// The interface.
        nic: String,
        /// The folder in which the master's interface was looked for.
        path: PathBuf,
        /// Why it could not be read.
        #[source]
        source: io::Error,
    },
    /// The master's addresses could not be read.
    #[error("cannot read the addresses of the SR-IOV master: {0}")]
    Netlink(#[from] NetlinkError),
}

/// The addresses of the physical function behind the SR-IOV interface `nic` in `namespace`.
///
/// From the pod's interface to its bus address, from there to the card's physical function, and its first network
/// interface on the host; so the calling thread must be in the host's namespace, with the host's `/sys`.
///
/// # Errors
/// [`SriovError::NotAVirtualFunction`] for every other kind of interface; the rest names the step that failed.
pub fn master_addresses(namespace: &Namespace, nic: &str) -> Result<Vec<LinkAddress>, SriovError> {
    let bus = in_namespace(namespace, || ethtool::bus_info(nic))?.map_err(|source| SriovError::Driver {
        nic: nic.into(),
        namespace: namespace.path().into(),
        source,
    })?;
    addresses_behind(Path::new(SYSFS), namespace, nic, bus)
}

fn addresses_behind(
    sysfs: &Path,
    namespace: &Namespace,
    nic: &str,
    bus: Option<String>,
) -> Result<Vec<LinkAddress>, SriovError> {
    let physical = bus.as_ref().map(|bus| sysfs.join("bus/pci/devices").join(bus).join("physfn"));
    let Some(physical) = physical.filter(|path| path.exists()) else {
        return Err(SriovError::NotAVirtualFunction { nic: nic.into(), namespace: namespace.path().into(), bus });
    };
    let interfaces = physical.join("net");
    let master = first_entry(&interfaces).map_err(|source| SriovError::NoMasterInterface {
        nic: nic.into(),
        path: interfaces,
        source,
    })?;
    let mut host = Socket::open()?;
    let link = host.link(&master)?;
    Ok(host.addresses(link.index)?)
}

/// The first name in a folder by alphabet, so that the answer does not depend on the order of the disk.
fn first_entry(folder: &Path) -> io::Result<String> {
    let names =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()?;
    let first = names.iter().map(|name| OsStr::to_string_lossy(name)).min();
    first.map(Into::into).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the folder is empty"))
}

#[cfg(test)]
mod tests;
