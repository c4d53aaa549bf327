use std::path::Path;
use std::time::Duration;

use spiderpool_cni_plugin::agent::AgentError;
use spiderpool_cni_plugin::{CniError, Code, PreviousResult, Sandbox};
use spiderpool_ip::Cidr;
use spiderpool_netlink::{Namespace, NetlinkError, Socket};
use spiderpool_wire::ipam::IpamAddResponse;
use spiderpool_wire::upkeep::IpamCheckArgs;
use spiderpool_wire::{ErrorCode, path};

use crate::Call;

/// A read from memory.
const WITHIN: Duration = Duration::from_secs(10);

impl Call<'_> {
    /// Are the addresses of the result still this sandbox's, by the ledger, and on the interface?
    pub(crate) fn check(&self, sandbox: &Sandbox, netns: &Path, previous: &PreviousResult) -> Result<(), CniError> {
        let interface = &sandbox.interface;
        let promised = previous.addresses_of(interface);
        if promised.is_empty() {
            let msg = format!("prevResult of network {:?} has no address for {interface}", self.network.name);
            return Err(CniError::new(Code::InvalidConfig, msg).details("pass the result of this interface's ADD"));
        }
        let held = self.held(sandbox)?;
        let configured = configured(netns, interface).map_err(|error| match error {
            NetlinkError::NoSuchLink { .. } => CniError::new(Code::NotAsPromised, error.to_string()),
            error => CniError::new(Code::PodNetwork, error.to_string()),
        })?;
        let remedy = "delete the pod so that it is made again";
        for address in promised {
            if !held.contains(&address) {
                let msg = format!("the ledger does not hold {address} for {interface} of this sandbox any more");
                return Err(CniError::new(Code::NotAsPromised, msg).details(remedy));
            }
            if !configured.contains(&address) {
                let msg = format!("{address} is not on {interface} in {} any more", netns.display());
                return Err(CniError::new(Code::NotAsPromised, msg).details(remedy));
            }
        }
        self.log.debug("as promised");
        Ok(())
    }

    fn held(&self, sandbox: &Sandbox) -> Result<Vec<Cidr>, CniError> {
        let args = IpamCheckArgs {
            container_id: sandbox.container_id.clone(),
            if_name: sandbox.interface.clone(),
            pod_namespace: sandbox.pod.namespace.clone(),
            pod_name: sandbox.pod.name.clone(),
            pod_uid: sandbox.pod.uid.clone(),
        };
        match self.agent.get::<IpamAddResponse>(path::IP, &args, WITHIN) {
            Ok(response) => {
                let ours = response.ips.into_iter().filter(|ip| ip.nic == sandbox.interface);
                Ok(ours.map(|ip| ip.address).collect())
            }
            Err(AgentError::Said { code: ErrorCode::NotFound, message }) => {
                Err(CniError::new(Code::NotAsPromised, message))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn configured(netns: &Path, interface: &str) -> Result<Vec<Cidr>, NetlinkError> {
    let mut socket = Socket::open_in(&Namespace::open(netns)?)?;
    let link = socket.link(interface)?;
    let addresses = socket.addresses(link.index)?;
    Ok(addresses.iter().filter_map(|one| Cidr::new(one.address, one.prefix_length).ok()).collect())
}
