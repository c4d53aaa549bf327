mod clock;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use spiderpool_cluster::{Usage, spawn, tied};
use spiderpool_cni_plugin::agent::Agent;
use spiderpool_wire::endpoint::{WorkloadEndpointArgs, WorkloadEndpointStatus};
use spiderpool_wire::path;
use spiderpool_wire::summary::{AllocationSummary, PolicySummary, PoolSummary};
use tempfile::TempDir;

use crate::compiled::Compiled;
use crate::{Account, Dist};

/// Requests of tests take at most this long; it is a limit, not an expectation.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node of a cluster: an object of the API server, and an agent that believes to run there.
///
/// Its agent listens on a socket and on ports of its own, so that a machine has room for many.
pub struct Node {
    /// The installation.
    pub dist: Dist,
    /// The node's name.
    pub name: String,
    /// Variables of the agent's environment, in force from its next start on.
    pub environment: Vec<(String, String)>,
    /// The account by which the agent comes to the API server, where it has no kubeconfig.
    pub account: Option<Account>,
    folder: TempDir,
    agent: Option<Child>,
}

impl Node {
    /// A node whose agent serves.
    ///
    /// # Panics
    /// The agent does not serve.
    #[must_use]
    pub fn start(name: &str, kubeconfig: &Path) -> Self {
        let mut node = Self::stopped(name, kubeconfig);
        node.run();
        node
    }

    /// Nodes whose agents serve. The first one's compiles policies for all of them.
    ///
    /// # Panics
    /// An agent does not serve, or there is none.
    #[must_use]
    pub fn start_all(names: &[String], kubeconfig: &Path) -> Vec<Self> {
        let mut nodes: Vec<Self> = names.iter().map(|name| Self::stopped(name, kubeconfig)).collect();
        let (first, others) = nodes.split_first_mut().expect("a node");
        first.run();
        others.iter().for_each(|node| node.compiled_like(first));
        others.iter_mut().for_each(Self::spawn);
        others.iter_mut().for_each(Self::serves);
        nodes
    }

    /// A node whose agent does not run yet.
    ///
    /// # Panics
    /// Its folder cannot be made.
    #[must_use]
    pub fn stopped(name: &str, kubeconfig: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("spiderpool-test.").tempdir().expect("a temporary folder");
        fs::create_dir_all(folder.path().join("policies")).expect("folders");
        let environment = [
            ("KUBECONFIG", &*kubeconfig.display().to_string()),
            ("SPIDERPOOL_NODE_NAME", name),
            ("SPIDERPOOL_POD_NAMESPACE", "kube-system"),
            ("SPIDERPOOL_POD_NAME", "spiderpool-agent"),
            ("SPIDERPOOL_ENABLED_METRIC", "true"),
            ("SPIDERPOOL_METRIC_HTTP_PORT", "0"),
            ("SPIDERPOOL_HEALTH_PORT", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (name, environment) = (name.to_owned(), environment.into());
        let node = Self { dist: Dist::find(), name, environment, account: None, folder, agent: None };
        node.configure("");
        node
    }

    /// Writes `conf.yml`, in force from the agent's next start on: the socket, and these lines.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn configure(&self, lines: &str) {
        let text = format!("ipamUnixSocketPath: {}\n{lines}", self.socket().display());
        fs::write(self.path("conf.yml"), text).expect("conf.yml");
    }

    /// Sets a variable of the agent's environment, or takes it away.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        self.environment.retain(|(other, _)| other != name);
        self.environment.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }

    /// Starts the agent and waits until it serves.
    ///
    /// # Panics
    /// It ends instead, or takes too long.
    pub fn run(&mut self) {
        self.spawn();
        self.serves();
    }

    /// Takes over what another node's agent has compiled of its policies, as if it had run here before.
    ///
    /// # Panics
    /// It cannot be copied.
    pub fn compiled_like(&self, other: &Node) {
        Compiled::read(&other.path("cache")).write(&self.path("cache"));
    }

    /// Waits until the agent serves.
    ///
    /// # Panics
    /// It ends instead, or takes too long.
    pub fn serves(&mut self) {
        let begun = Instant::now();
        while self.health("startup").is_none_or(|(status, _)| status != 200) {
            let ended = self.agent.as_mut().and_then(|agent| agent.try_wait().expect("wait"));
            assert!(ended.is_none(), "the agent ended: {}", self.log());
            assert!(begun.elapsed() < PATIENCE, "the agent does not serve: {}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts the agent, and does not wait.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn spawn(&mut self) {
        // A new log for each start, since it says where the agent listens.
        let log = File::create(self.path("agent.log")).expect("a log");
        let mut command = self.command();
        command.stderr(log);
        self.agent = Some(spawn(command).expect("the agent starts"));
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
        let mut command = self.program();
        command
            .args(["daemon", "--log-format", "text", "--config-path"])
            .arg(self.path("conf.yml"))
            .arg("--policies")
            .arg(self.policies())
            .arg("--policy-cache")
            .arg(self.path("cache"))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// The agent's program, in the environment of the node.
    #[must_use]
    pub fn program(&self) -> Command {
        let program = self.dist.bin("spiderpool-agent");
        let mut command = match &self.account {
            Some(account) => account.program(&program),
            None => tied(program),
        };
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
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
        clock::forget(agent.id());
    }

    /// Asks the agent to stop, and waits for it. Answers whether it said that all was well.
    ///
    /// # Panics
    /// It does not run.
    pub fn stop(&mut self) -> bool {
        kill(Pid::from_raw(self.pid().cast_signed()), Signal::SIGTERM).expect("signal");
        self.wait()
    }

    /// Waits for the agent's end. Answers whether it said that all was well.
    ///
    /// # Panics
    /// It does not run.
    pub fn wait(&mut self) -> bool {
        self.agent.take().expect("an agent runs").wait().expect("wait").success()
    }

    /// The agent's process id.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.agent.as_ref().expect("an agent runs").id()
    }

    /// What the agent has used since its start.
    ///
    /// # Errors
    /// It has ended.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(Pid::from_raw(self.pid().cast_signed()))
    }

    /// A path in the node's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The agent's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path("agent.sock")
    }

    /// The folder of the node's policies.
    #[must_use]
    pub fn policies(&self) -> PathBuf {
        self.path("policies")
    }

    /// What the agent logged since its start.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("agent.log")).unwrap_or_default()
    }

    /// The agent, to be asked.
    #[must_use]
    pub fn agent(&self) -> Agent {
        Agent::at(self.socket())
    }

    /// Everything that is held.
    #[must_use]
    pub fn allocations(&self) -> Vec<AllocationSummary> {
        self.ask(path::ALLOCATIONS, &())
    }

    /// All pools.
    #[must_use]
    pub fn pools(&self) -> Vec<PoolSummary> {
        self.ask(path::POOLS, &())
    }

    /// All policies.
    #[must_use]
    pub fn policy_summaries(&self) -> Vec<PolicySummary> {
        self.ask(path::POLICIES, &())
    }

    /// What the pod of that name has.
    #[must_use]
    pub fn endpoint(&self, namespace: &str, pod: &str) -> WorkloadEndpointStatus {
        let of = WorkloadEndpointArgs { pod_namespace: namespace.to_owned(), pod_name: pod.to_owned() };
        self.ask(path::WORKLOAD_ENDPOINT, &of)
    }

    /// Asks the agent something. It must answer.
    fn ask<T: DeserializeOwned + Send>(&self, path: &str, query: &(impl Serialize + Sync)) -> T {
        // On a thread of its own: the client blocks, and tests of a cluster are asynchronous.
        let answer = thread::scope(|scope| scope.spawn(|| self.agent().get(path, query, PATIENCE)).join());
        answer.expect("the client works").unwrap_or_else(|error| panic!("{path}: {error}\n{}", self.log()))
    }

    /// What the agent answers at `/v1/runtime/…`, with the status; none while it does not answer.
    #[must_use]
    pub fn health(&self, what: &str) -> Option<(u16, String)> {
        get(&self.address("health")?, &format!("/v1/runtime/{what}"))
    }

    /// The port of metrics; none while the agent listens nowhere.
    #[must_use]
    pub fn metric_port(&self) -> Option<String> {
        Some(self.address("metrics")?.rsplit_once(':')?.1.to_owned())
    }

    /// A metric without labels; none while the agent does not answer.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = get(&self.address("metrics")?, "/metrics")?;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
    }

    /// Waits until the agent says that its SpiderEndpoints tell what its pods hold.
    ///
    /// # Errors
    /// Not within a minute.
    pub fn caught_up(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.metric("spiderpool_endpoints_behind") != Some(0.0) {
            anyhow::ensure!(begun.elapsed() < PATIENCE, "the records of {} are behind: {}", self.name, self.log());
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Where the agent says that it listens.
    fn address(&self, what: &str) -> Option<String> {
        let log = self.log();
        let listening = log.lines().find(|line| line.contains("listening"))?;
        let place = listening.split(&format!("{what}=")).nth(1)?.split_whitespace().next()?;
        let port = place.rsplit_once(':')?.1;
        Some(format!("127.0.0.1:{port}"))
    }
}

fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut connection = TcpStream::connect(address).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).ok()?;
    let mut text = String::new();
    connection.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            // It may have ended by itself.
            let _ = agent.kill();
            let _ = agent.wait();
            clock::forget(agent.id());
        }
    }
}
