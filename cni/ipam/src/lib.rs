//! The IPAM plugin `spiderpool`: asks the agent for addresses, and the pod's network whether they can be used.
//!
//! ```text
//! ADD   add.rs      POST ip ──→ neighbours.rs: conflict, gateway, announce ──→ result      on failure: release.rs
//! DEL   release.rs  DELETE ip
//! CHECK check.rs    GET ip, and the addresses of the interface
//! STATUS, GC        upkeep.rs
//! config.rs: the `ipam` part of the network configuration
//! ```

mod add;
mod check;
mod config;
mod neighbours;
mod release;
mod upkeep;

use std::path::Path;

use spiderpool_cni_plugin::agent::Agent;
use spiderpool_cni_plugin::log::Log;
use spiderpool_cni_plugin::{AddResult, CniError, Network, Plugin, PreviousResult, Sandbox};
use spiderpool_wire::upkeep::Attachment;

use config::Config;

/// The plugin.
#[derive(Clone, Copy, Debug)]
pub struct Ipam;

/// What every verb works with.
struct Call<'a> {
    network: &'a Network,
    config: Config,
    agent: Agent,
    log: Log,
}

impl<'a> Call<'a> {
    fn new(verb: &str, network: &'a Network, config: Config, sandbox: Option<&Sandbox>) -> Self {
        let mut about = vec![("command", verb), ("network", &network.name)];
        if let Some(Sandbox { container_id, interface, pod }) = sandbox {
            about.extend([("containerID", container_id.as_str()), ("interface", interface)]);
            about.extend([("podNamespace", pod.namespace.as_str()), ("podName", &pod.name)]);
        }
        let log = Log::open(&config.log, about);
        let agent = Agent::at(&config.socket);
        Self { network, config, agent, log }
    }

    /// Notes how it ended.
    fn ended<T>(&self, result: Result<T, CniError>) -> Result<T, CniError> {
        result.inspect_err(|error| self.log.error(format_args!("failed with code {}: {error}", error.code.number())))
    }
}

impl Plugin for Ipam {
    fn add(&self, network: &Network, sandbox: &Sandbox, netns: &Path) -> Result<AddResult, CniError> {
        let call = Call::new("ADD", network, Config::of(network)?, Some(sandbox));
        call.ended(call.add(sandbox, netns))
    }

    fn del(&self, network: &Network, sandbox: &Sandbox, netns: Option<&Path>) -> Result<(), CniError> {
        let call = Call::new("DEL", network, Config::for_teardown(network)?, Some(sandbox));
        call.ended(call.release(sandbox, netns))
    }

    fn check(
        &self,
        network: &Network,
        sandbox: &Sandbox,
        netns: &Path,
        previous: &PreviousResult,
    ) -> Result<(), CniError> {
        let call = Call::new("CHECK", network, Config::of(network)?, Some(sandbox));
        call.ended(call.check(sandbox, netns, previous))
    }

    fn status(&self, network: &Network) -> Result<(), CniError> {
        let call = Call::new("STATUS", network, Config::of(network)?, None);
        call.ended(call.status())
    }

    fn gc(&self, network: &Network, valid: Vec<Attachment>) -> Result<(), CniError> {
        let call = Call::new("GC", network, Config::for_teardown(network)?, None);
        call.ended(call.collect(valid))
    }
}
