//! The program, as it is started in a cluster.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{sleep, timeout};

/// A running daemon; it ends with the test.
pub(crate) struct Daemon {
    child: Child,
    health: String,
    metrics: String,
}

impl Daemon {
    /// Starts it, and waits until it has read everything.
    pub(crate) async fn start(kubeconfig: &Path, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_spiderpool-controller"))
            .args(["daemon", "--bind-address=127.0.0.1", "--health-port=0", "--metric-port=0"])
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start spiderpool-controller")?;
        let mut log = BufReader::new(child.stderr.take().context("no log")?).lines();
        let serving = line(&mut log, "serving").await?;
        let address = |key: &str| serving[key].as_str().map(str::to_owned).with_context(|| format!("{serving}"));
        let (health, metrics) = (address("health")?, address("metrics")?);
        line(&mut log, "all pools and blocks have been read").await?;
        // Whoever does not read lets it wait.
        tokio::spawn(async move {
            while let Ok(Some(line)) = log.next_line().await {
                #[expect(clippy::print_stderr, reason = "shown where a test fails")]
                {
                    eprintln!("{line}");
                }
            }
        });
        Ok(Self { child, health, metrics })
    }

    /// What it answers to a probe.
    pub(crate) async fn health(&self, endpoint: &str) -> Result<String> {
        get(&self.health, &format!("/v1/runtime/{endpoint}")).await
    }

    /// All metrics.
    pub(crate) async fn metrics(&self) -> Result<String> {
        get(&self.metrics, "/metrics").await
    }

    /// One metric.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64> {
        let text = self.metrics().await?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.with_context(|| format!("no {name} in\n{text}"))?.parse().context("no number")
    }

    /// Waits until a metric has a value.
    pub(crate) async fn until_metric(&self, patience: Duration, name: &str, value: f64) -> Result<()> {
        let equal = async {
            while self.metric(name).await? != value {
                sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        timeout(patience, equal).await.with_context(|| format!("{name} is not {value} after {patience:?}"))?
    }

    /// Asks it to stop, as Kubernetes does, and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let id = self.child.id().context("it has ended by itself")?;
        kill(Pid::from_raw(i32::try_from(id)?), Signal::SIGTERM)?;
        let status = timeout(Duration::from_secs(15), self.child.wait()).await.context("it does not stop")??;
        ensure!(status.success(), "{status}");
        Ok(())
    }
}

async fn line(log: &mut Lines<BufReader<ChildStderr>>, message: &str) -> Result<serde_json::Value> {
    let find = async {
        while let Some(line) = log.next_line().await? {
            let line: serde_json::Value = serde_json::from_str(&line).with_context(|| line.clone())?;
            if line["message"] == message {
                return Ok(line);
            }
        }
        anyhow::bail!("it ended before it said {message:?}")
    };
    timeout(Duration::from_secs(60), find).await.with_context(|| format!("it did not say {message:?}"))?
}

async fn get(address: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
