//! What a machine's agent is asked.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use spiderpool_cni_plugin::agent::{Agent, AgentError, Method};
use spiderpool_wire::endpoint::{WorkloadEndpointArgs, WorkloadEndpointStatus};
use spiderpool_wire::ipam::{IpamAddArgs, IpamAddResponse, IpamDelArgs};
use spiderpool_wire::summary::{AllocationSummary, PolicySummary, PoolSummary};
use spiderpool_wire::{ErrorCode, path};

use super::{Host, PATIENCE};
use crate::Pod;

impl Host {
    /// The agent, to be asked.
    #[must_use]
    pub fn agent(&self) -> Agent {
        Agent::at(self.socket())
    }

    /// Asks for addresses over the socket.
    ///
    /// # Errors
    /// What the agent says, or that it is not there.
    pub fn allocate(&self, args: &IpamAddArgs) -> Result<IpamAddResponse, AgentError> {
        self.agent().ask(&Method::POST, path::IP, args, PATIENCE)
    }

    /// Gives addresses back over the socket.
    ///
    /// # Errors
    /// What the agent says, or that it is not there.
    pub fn release(&self, args: &IpamDelArgs) -> Result<(), AgentError> {
        self.agent().tell(&Method::DELETE, path::IP, args, PATIENCE).map(drop)
    }

    /// Everything that is held.
    ///
    /// # Panics
    /// The agent does not say.
    #[must_use]
    pub fn allocations(&self) -> Vec<AllocationSummary> {
        self.agent().get(path::ALLOCATIONS, &(), PATIENCE).expect("allocations")
    }

    /// What a pod has, by its endpoint; none when it has no endpoint.
    ///
    /// # Panics
    /// The agent does not say.
    #[must_use]
    pub fn endpoint(&self, namespace: &str, pod: &str) -> Option<WorkloadEndpointStatus> {
        let args = WorkloadEndpointArgs { pod_namespace: namespace.into(), pod_name: pod.into() };
        match self.agent().get(path::WORKLOAD_ENDPOINT, &args, PATIENCE) {
            Ok(endpoint) => Some(endpoint),
            Err(AgentError::Said { code: ErrorCode::NotFound, .. }) => None,
            Err(error) => panic!("endpoint of {namespace}/{pod}: {error}"),
        }
    }

    /// The IPv4 address that a pod's first interface has for whoever reads SpiderEndpoints, which are written behind the
    /// answer; without Kubernetes that is what the agent says.
    ///
    /// # Panics
    /// The agent or the API server does not say.
    #[must_use]
    pub fn recorded(&self, pod: &Pod) -> Option<String> {
        match &self.objects {
            Some(objects) => objects.recorded(pod),
            None => Some(self.endpoint(&pod.namespace, &pod.name)?.interfaces.first()?.ipv4.clone()),
        }
    }

    /// The uid that a pod has, or had; without Kubernetes the one by which it is called.
    #[must_use]
    pub fn uid(&self, pod: &Pod) -> String {
        let known = self.objects.as_ref().and_then(|objects| objects.known(pod));
        known.unwrap_or_else(|| pod.uid.clone())
    }

    /// All pools.
    ///
    /// # Panics
    /// The agent does not say.
    #[must_use]
    pub fn pools(&self) -> Vec<PoolSummary> {
        self.agent().get(path::POOLS, &(), PATIENCE).expect("pools")
    }

    /// All policies.
    ///
    /// # Panics
    /// The agent does not say.
    #[must_use]
    pub fn policy_summaries(&self) -> Vec<PolicySummary> {
        self.agent().get(path::POLICIES, &(), PATIENCE).expect("policies")
    }

    /// Runs `spiderpoolctl` against the agent.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn ctl(&self, args: &[&str]) -> Output {
        let mut command = Command::new(self.dist.bin("spiderpoolctl"));
        command.args(args).env("SPIDERPOOL_SOCKET", self.socket()).output().expect("spiderpoolctl starts")
    }

    /// Runs `spiderpoolctl … -o json`.
    ///
    /// # Panics
    /// It fails, or says no JSON.
    #[must_use]
    pub fn ctl_json(&self, args: &[&str]) -> Value {
        let output = self.ctl(&[args, &["-o", "json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// The resident memory of the agent, in KiB.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        let status =
            fs::read_to_string(Path::new("/proc").join(self.pid().to_string()).join("status")).expect("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// What the agent reports at `/metrics`.
    ///
    /// # Panics
    /// It does not answer.
    #[must_use]
    pub fn metrics(&self) -> String {
        let log = self.log();
        let address =
            log.split("metrics=").last().and_then(|rest| rest.split_whitespace().next()).expect("it says where");
        let mut connection = TcpStream::connect(address).expect("the port of metrics");
        connection.write_all(b"GET /metrics HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut text = String::new();
        connection.read_to_string(&mut text).expect("it answers");
        text
    }
}
