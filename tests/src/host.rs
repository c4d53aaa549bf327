use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use spiderpool_cni_plugin::agent::{Agent, AgentError, Method};
use spiderpool_wire::endpoint::{WorkloadEndpointArgs, WorkloadEndpointStatus};
use spiderpool_wire::ipam::{IpamAddArgs, IpamAddResponse, IpamDelArgs};
use spiderpool_wire::summary::{AllocationSummary, PolicySummary, PoolSummary};
use spiderpool_wire::{ErrorCode, path};
use tempfile::TempDir;

use crate::Dist;
use crate::compiled::Compiled;

/// Requests of tests take at most this long; it is a limit, not an expectation.
const PATIENCE: Duration = Duration::from_secs(30);

/// How an agent is started.
#[derive(Clone, Debug, Default)]
pub struct HostOptions {
    /// `conf.yml`.
    pub conf: String,
    /// The folder of the ledger; one in the host's own folder when absent.
    pub data: Option<PathBuf>,
    /// The node's name; `node1` when empty.
    pub node: String,
    /// Further environment variables of the agent.
    pub environment: Vec<(&'static str, &'static str)>,
}

/// A machine with an agent.
pub struct Host {
    /// The installation.
    pub dist: Dist,
    options: HostOptions,
    folder: TempDir,
    agent: Option<Child>,
}

impl Host {
    /// A machine with these manifests, its agent running.
    #[must_use]
    pub fn with(manifests: &str) -> Self {
        Self::start(manifests, HostOptions::default())
    }

    /// The same, configured.
    ///
    /// # Panics
    /// The agent does not serve.
    #[must_use]
    pub fn start(manifests: &str, options: HostOptions) -> Self {
        let mut host = Self::stopped(manifests, options);
        host.run();
        host
    }

    /// A machine whose agent does not run yet.
    ///
    /// # Panics
    /// Its folder cannot be made.
    #[must_use]
    pub fn stopped(manifests: &str, options: HostOptions) -> Self {
        let folder = tempfile::Builder::new().prefix("spiderpool-test.").tempdir().expect("a temporary folder");
        fs::create_dir_all(folder.path().join("manifests/policies")).expect("folders");
        fs::write(folder.path().join("conf.yml"), format!("enableIPv4: true\n{}", options.conf)).expect("conf.yml");
        let host = Self { dist: Dist::find(), options, folder, agent: None };
        host.write("manifests.yaml", manifests);
        if let Some(compiled) = Compiled::kept().filter(|_| host.options.data.is_none()) {
            compiled.write(&host.path("data/policies"));
        }
        host
    }

    /// Starts the agent and waits until it serves.
    ///
    /// # Panics
    /// It ends instead, or takes too long.
    pub fn run(&mut self) {
        self.spawn();
        let begun = Instant::now();
        while UnixStream::connect(self.socket()).is_err() {
            let ended = self.agent.as_mut().and_then(|agent| agent.try_wait().expect("wait"));
            assert!(ended.is_none(), "the agent ended: {}", self.log());
            assert!(begun.elapsed() < PATIENCE, "the agent does not serve: {}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
        if self.options.data.is_none() {
            Compiled::keep(&self.path("data/policies"));
        }
    }

    /// Starts the agent, and does not wait.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn spawn(&mut self) {
        let log = File::options().create(true).append(true).open(self.path("agent.log")).expect("a log");
        self.agent = Some(self.command().stderr(log).spawn().expect("the agent starts"));
    }

    /// Runs an agent that is expected to end by itself.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn run_to_end(&self) -> Output {
        self.command().stderr(Stdio::piped()).output().expect("the agent starts")
    }

    fn command(&self) -> Command {
        let data = self.options.data.clone().unwrap_or_else(|| self.path("data"));
        let node = if self.options.node.is_empty() { "node1" } else { &self.options.node };
        let mut command = Command::new(self.dist.bin("spiderpool-agent"));
        command
            .args([
                "standalone",
                "--log-format",
                "text",
                "--health-address",
                "127.0.0.1:0",
                "--metrics-address",
                "127.0.0.1:0",
                "--node-name",
                node,
            ])
            .arg("--manifests")
            .arg(self.path("manifests"))
            .arg("--data")
            .arg(data)
            .arg("--socket")
            .arg(self.socket())
            .arg("--config-path")
            .arg(self.path("conf.yml"))
            .envs(self.options.environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// Ends the agent at once, as a power cut would.
    ///
    /// # Panics
    /// It does not run.
    pub fn kill(&mut self) {
        let mut agent = self.agent.take().expect("an agent runs");
        agent.kill().expect("kill");
        agent.wait().expect("wait");
    }

    /// Asks the agent to stop, and waits for it. Answers whether it said that all was well.
    ///
    /// # Panics
    /// It does not run.
    pub fn stop(&mut self) -> bool {
        let mut agent = self.agent.take().expect("an agent runs");
        kill(Pid::from_raw(agent.id().cast_signed()), Signal::SIGTERM).expect("signal");
        agent.wait().expect("wait").success()
    }

    /// The agent's process id.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.agent.as_ref().expect("an agent runs").id()
    }

    /// A path in the machine's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The agent's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path("agent.sock")
    }

    /// The folder of the user's policies.
    #[must_use]
    pub fn policies(&self) -> PathBuf {
        self.path("manifests/policies")
    }

    /// Writes a manifest.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path("manifests").join(name), text).expect("a manifest");
    }

    /// What the agent logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("agent.log")).unwrap_or_default()
    }

    /// Waits until something is so.
    ///
    /// # Panics
    /// It takes too long.
    pub fn wait_for(&self, what: &str, mut so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !so() {
            assert!(begun.elapsed() < PATIENCE, "{what}: not so after {PATIENCE:?}. The agent said:\n{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

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

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            // It may have ended by itself.
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }
}
