use std::path::Path;
use std::time::{Duration, Instant};

use spiderpool_cni_plugin::agent::Method;
use spiderpool_cni_plugin::{AddResult, CniError, Code, Ip, Route, Sandbox};
use spiderpool_netlink::Namespace;
use spiderpool_probe::Pace;
use spiderpool_wire::ipam::{DetectOptions, IpConfig, IpamAddArgs, IpamAddResponse};
use spiderpool_wire::path;

use crate::Call;
use crate::neighbours::{self, Objection, Wanted};

/// Spiderpool's time for an ADD: the agent may have to wait for a pool that is being made.
const WITHIN: Duration = Duration::from_secs(100);

impl Call<'_> {
    /// Gets addresses for one interface.
    ///
    /// ## Flow
    /// Ask the agent, keep what is for this interface, ask the neighbours where that is wanted, tell them.
    ///
    /// ## Guarantees
    /// Where anything fails after the agent has answered, what this ADD got is given back, unless the agent says that the
    /// pod keeps it, and the error is that of the first failure.
    pub(crate) fn add(&self, sandbox: &Sandbox, netns: &Path) -> Result<AddResult, CniError> {
        let start = Instant::now();
        sandbox.pod.named()?;
        // Before anything is reserved: without the namespace, nothing can come of it.
        let namespace = Namespace::open(netns)
            .map_err(|error| CniError::new(Code::InvalidEnvironment, format!("CNI_NETNS is of no use: {error}")))?;
        let response = self.ask(sandbox, netns)?;
        self.log.debug(format_args!("the agent answered after {:?}: {response:?}", start.elapsed()));
        let result = self
            .finish(sandbox, &namespace, response)
            .map_err(|Objection { error, conflicts }| self.give_back(sandbox, netns, conflicts, error))?;
        let addresses: Vec<_> = result.ips.iter().map(|ip| ip.address.to_string()).collect();
        self.log.info(format_args!("got {} after {:?}", addresses.join(", "), start.elapsed()));
        Ok(result)
    }

    fn ask(&self, sandbox: &Sandbox, netns: &Path) -> Result<IpamAddResponse, CniError> {
        let Sandbox { container_id, interface, pod } = sandbox;
        let args = IpamAddArgs {
            container_id: container_id.clone(),
            if_name: interface.clone(),
            net_namespace: netns.display().to_string(),
            pod_namespace: pod.namespace.clone(),
            pod_name: pod.name.clone(),
            pod_uid: pod.uid.clone(),
            default_ipv4_pools: self.config.default_ipv4_pools.clone(),
            default_ipv6_pools: self.config.default_ipv6_pools.clone(),
            clean_gateway: self.config.clean_gateway,
            match_master_subnet: self.config.match_master_subnet,
            network: self.network.name.clone(),
        };
        Ok(self.agent.ask(&Method::POST, path::IP, &args, WITHIN)?)
    }

    fn finish(
        &self,
        sandbox: &Sandbox,
        namespace: &Namespace,
        mut response: IpamAddResponse,
    ) -> Result<AddResult, Objection> {
        let interface = &sandbox.interface;
        let others: Vec<_> = response.ips.extract_if(.., |ip| ip.nic != *interface).map(|ip| ip.nic).collect();
        response.routes.retain(|route| route.if_name == *interface);
        if response.ips.is_empty() {
            return Err(none_for(interface, others).into());
        }
        let wanted: Vec<_> = response.ips.iter().map(Wanted::from).collect();
        neighbours::ask_and_tell(namespace, interface, &wanted, pace(response.detect_options), &self.log)?;
        Ok(AddResult {
            ips: response.ips.iter().map(|ip| Ip { address: ip.address, gateway: ip.gateway }).collect(),
            routes: response.routes.iter().map(|route| Route { dst: route.dst, gw: route.gw }).collect(),
            dns: response.dns.unwrap_or_else(|| self.config.dns.clone()),
        })
    }
}

/// The next question comes when the one before has had its time and an interval has passed.
fn pace(options: DetectOptions) -> Pace {
    let DetectOptions { retries, interval_milliseconds, timeout_milliseconds } = options;
    Pace { times: retries, interval: Duration::from_millis(timeout_milliseconds.saturating_add(interval_milliseconds)) }
}

impl From<&IpConfig> for Wanted {
    fn from(ip: &IpConfig) -> Self {
        Self {
            address: ip.address.address(),
            pool: ip.ip_pool.clone(),
            conflict: ip.enable_ip_conflict_detection,
            gateway: ip.gateway.filter(|_| ip.enable_gateway_detection),
        }
    }
}

fn none_for(interface: &str, mut others: Vec<String>) -> CniError {
    others.sort();
    others.dedup();
    let got = if others.is_empty() { "no interface".into() } else { others.join(", ") };
    CniError::new(Code::NoAddressForInterface, format!("no Interface {interface} IP allocation found")).details(format!(
        "the agent gave addresses to {got}; does the annotation ipam.spidernet.io/ippools of the pod name {interface}, \
         and do the pools of an enabled address family match it? `spiderpoolctl explain` shows what was considered"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_says_at_what_pace_the_network_is_asked() {
        let pace = |text: &str| pace(serde_json::from_str::<IpamAddResponse>(text).unwrap().detect_options);
        let ask = |times: u32, milliseconds| (times, Duration::from_millis(milliseconds));
        let of_agent = pace(r#"{"ips": [], "detectOptions": {"retries": 5, "timeoutMilliseconds": 40}}"#);
        assert_eq!((of_agent.times.get(), of_agent.interval), ask(5, 50));
        // One of Spiderpool does not.
        let of_other = pace(r#"{"ips": []}"#);
        assert_eq!((of_other.times.get(), of_other.interval), ask(3, 110));
    }

    #[test]
    fn who_got_the_addresses_is_said_once() {
        let error = none_for("net1", vec!["eth0".into(), "net2".into(), "eth0".into()]);
        assert_eq!(
            (error.code, error.msg.as_str()),
            (Code::NoAddressForInterface, "no Interface net1 IP allocation found")
        );
        assert!(error.details.starts_with("the agent gave addresses to eth0, net2; "), "{error}");
        assert!(none_for("net1", vec![]).details.starts_with("the agent gave addresses to no interface; "));
    }
}
