//! One server process: started, watched, hurt and measured.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

use crate::usage::Usage;
use crate::{spawner, tools};

/// How long a server may take to be ready; a limit, not an expectation: three seconds are usual.
const PATIENCE: Duration = Duration::from_secs(90);

/// How a server is asked whether it is ready.
pub(crate) enum Readiness {
    /// HTTP without TLS over a socket: etcd.
    Socket(PathBuf),
    /// The API server, as a client.
    Api(Box<kube::Config>),
}

/// A server of a cluster.
pub struct Server {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    readiness: Readiness,
    child: Mutex<Option<Child>>,
}

impl Server {
    pub(crate) fn new(name: &'static str, arguments: Vec<String>, folder: &Path, readiness: Readiness) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        Ok(Self { name, program: tools::program(name)?, arguments, log, readiness, child: Mutex::new(None) })
    }

    /// Kills it as `kill -9` does, and waits until it is gone. One that does not run stays so.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn kill(&self) -> Result<()> {
        let Some(mut child) = self.child().take() else { return Ok(()) };
        child.kill().and_then(|()| child.wait()).with_context(|| format!("cannot kill {}", self.name))?;
        Ok(())
    }

    /// Starts it, after killing it if it runs, with the data and the address it had; waits until it says that it is ready.
    ///
    /// # Errors
    /// It ends instead, or does not become ready; with the end of its log.
    pub async fn restart(&self) -> Result<()> {
        self.kill()?;
        self.spawn()?;
        self.ready().await
    }

    /// Waits until it says that it is ready. The API server is, when it can also read and write etcd.
    ///
    /// # Errors
    /// It ends instead, or takes more than a minute and a half; with the end of its log.
    pub async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Err(unready) = timeout(Duration::from_secs(2), self.readiness.ask())
                .await
                .unwrap_or_else(|_| Err(anyhow!("no answer for two seconds")))
            else {
                return Ok(());
            };
            let ended = match self.child().as_mut() {
                Some(child) => child.try_wait().with_context(|| format!("cannot look after {}", self.name))?,
                None => bail!("{} does not run: it was killed", self.name),
            };
            if let Some(status) = ended {
                bail!("{} has ended ({status}); the end of its log:\n{}", self.name, self.end_of_log());
            }
            if Instant::now() > deadline {
                let log = self.end_of_log();
                bail!("{} is not ready after {PATIENCE:?}: {unready:#}; the end of its log:\n{log}", self.name);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops it (SIGSTOP): connections stay and nothing is answered, until [`resume`](Self::resume).
    ///
    /// # Errors
    /// It does not run.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets a paused one go on.
    ///
    /// # Errors
    /// It does not run.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// What it has used since it was last started.
    ///
    /// # Errors
    /// It does not run.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid()?)
    }

    /// Its process.
    ///
    /// # Errors
    /// It does not run.
    pub fn pid(&self) -> Result<Pid> {
        let child = self.child();
        let child = child.as_ref().with_context(|| format!("{} does not run: it was killed", self.name))?;
        Ok(Pid::from_raw(i32::try_from(child.id())?))
    }

    /// The file it writes its log to, over all its starts.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    pub(crate) fn spawn(&self) -> Result<()> {
        let open = || File::options().create(true).append(true).open(&self.log);
        let log = open().with_context(|| format!("cannot write {}", self.log.display()))?;
        let mut command = spawner::tied(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = spawner::spawn(command).with_context(|| {
            format!("cannot start {} by way of setpriv; on Debian: apt-get install util-linux", self.name)
        })?;
        *self.child() = Some(child);
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.pid()?, signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end_of_log(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines = log.lines().collect::<Vec<_>>();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It dies with this process at the latest.
        let _ = self.kill();
    }
}

impl Readiness {
    async fn ask(&self) -> Result<()> {
        match self {
            Self::Socket(path) => {
                let mut stream = UnixStream::connect(path).await?;
                stream.write_all(b"GET /readyz HTTP/1.0\r\nHost: etcd\r\n\r\n").await?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await?;
                let first = answer.lines().next().unwrap_or_default();
                if first.contains(" 200 ") { Ok(()) } else { bail!("it answers {first:?}") }
            }
            Self::Api(config) => {
                // One without retries: a server that starts says 503 for a while, and a retry waits longer than needed.
                let mut config = config.as_ref().clone();
                config.default_retry = false;
                let client = kube::Client::try_from(config)?;
                client.request_text(http::Request::get("/readyz").body(Vec::new())?).await?;
                Ok(())
            }
        }
    }
}
