mod ask;
mod change;
mod engine;
mod objects;
mod turn;

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use spiderpool_cluster::{spawn, tied};
use spiderpool_cni_plugin::agent::Method;
use spiderpool_wire::path;
use tempfile::TempDir;

use crate::Dist;
use crate::compiled::Compiled;

pub use self::engine::Engine;
pub(crate) use self::objects::Objects;
use self::turn::Turn;

/// Requests of tests take at most this long; it is a limit, not an expectation.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How an agent is started.
#[derive(Clone, Debug, Default)]
pub struct HostOptions {
    /// Where objects and addresses are kept.
    pub engine: Engine,
    /// `conf.yml`.
    pub conf: String,
    /// The folder of the ledger; one in the host's own folder when absent.
    pub data: Option<PathBuf>,
    /// The node's name; `node1` when empty.
    pub node: String,
    /// Further environment variables of the agent.
    pub environment: Vec<(&'static str, &'static str)>,
}

impl HostOptions {
    /// The usual, on this engine.
    #[must_use]
    pub fn on(engine: Engine) -> Self {
        Self { engine, ..Self::default() }
    }
}

/// A machine with an agent. On a cluster it is the only node; the objects of another one are gone.
pub struct Host {
    /// The installation.
    pub dist: Dist,
    options: HostOptions,
    folder: TempDir,
    agent: Option<Child>,
    /// On a cluster, what the API server has.
    objects: Option<Arc<Objects>>,
    // Last: the next machine's turn begins when the agent is gone.
    _turn: Option<Turn>,
}

impl Host {
    /// A machine without Kubernetes, with these manifests and its agent running.
    #[must_use]
    pub fn with(manifests: &str) -> Self {
        Self::on(Engine::Local, manifests)
    }

    /// The same on this engine.
    #[must_use]
    pub fn on(engine: Engine, manifests: &str) -> Self {
        Self::start(manifests, HostOptions::on(engine))
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
    /// Its folder cannot be made, or there is no cluster.
    #[must_use]
    pub fn stopped(manifests: &str, options: HostOptions) -> Self {
        let folder = tempfile::Builder::new().prefix("spiderpool-test.").tempdir().expect("a temporary folder");
        fs::create_dir_all(folder.path().join("manifests/policies")).expect("folders");
        let turn = (options.engine == Engine::Kube).then(Turn::wait);
        let objects = turn.is_some().then(|| Arc::new(Objects::begin(options.node())));
        let host = Self { dist: Dist::find(), options, folder, agent: None, objects, _turn: turn };
        let conf = format!("ipamUnixSocketPath: {}\nenableIPv4: true\n{}", host.socket().display(), host.options.conf);
        fs::write(host.path("conf.yml"), conf).expect("conf.yml");
        host.write("manifests.yaml", manifests);
        if let Some(compiled) = Compiled::kept().filter(|_| host.options.data.is_none()) {
            compiled.write(&host.cache());
        }
        host
    }

    /// The objects of the API server, if there is one.
    pub(crate) fn objects(&self) -> Option<Arc<Objects>> {
        self.objects.clone()
    }

    /// Starts the agent and waits until it serves.
    ///
    /// # Panics
    /// It ends instead, or takes too long.
    pub fn run(&mut self) {
        self.spawn();
        let begun = Instant::now();
        while !self.serves() {
            let ended = self.agent.as_mut().and_then(|agent| agent.try_wait().expect("wait"));
            assert!(ended.is_none(), "the agent ended: {}", self.log());
            assert!(begun.elapsed() < PATIENCE, "the agent does not serve: {}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
        if self.options.data.is_none() {
            Compiled::keep(&self.cache());
        }
    }

    /// Starts the agent, and does not wait.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn spawn(&mut self) {
        let log = File::options().create(true).append(true).open(self.path("agent.log")).expect("a log");
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

    /// Whether the agent answers. One on a cluster listens before it knows what to say.
    fn serves(&self) -> bool {
        UnixStream::connect(self.socket()).is_ok()
            && self.agent().tell(&Method::GET, path::HEALTHY, &(), PATIENCE).is_ok()
    }

    fn command(&self) -> Command {
        let mut command = tied(self.dist.bin("spiderpool-agent"));
        self.options.engine.arguments(self, &mut command);
        command.args(["--log-format", "text", "--config-path"]).arg(self.path("conf.yml"));
        command.envs(self.options.environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null());
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

    /// The folder of the ledger.
    fn data(&self) -> PathBuf {
        self.options.data.clone().unwrap_or_else(|| self.path("data"))
    }

    /// The folder of compiled policies.
    fn cache(&self) -> PathBuf {
        self.data().join("policies")
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
