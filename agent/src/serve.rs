//! Answering until told to stop: the same for every kind of agent.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::gate::Gate;
use crate::{observe, server};

/// How long requests that have begun may take after the agent was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Where the agent can be asked.
pub(crate) struct Doors {
    path: PathBuf,
    socket: UnixListener,
    health: Option<TcpListener>,
    metrics: Option<TcpListener>,
}

impl Doors {
    /// Listens everywhere, and says where in the log.
    ///
    /// # Errors
    /// A place is taken, or cannot be listened on.
    pub(crate) async fn listen(
        path: PathBuf,
        health: Option<SocketAddr>,
        metrics: Option<SocketAddr>,
        remedy: Remedy,
    ) -> anyhow::Result<Self> {
        let health = listen(health, remedy.health).await?;
        let metrics = listen(metrics, remedy.metrics).await?;
        let socket = server::bind(&path)?;
        let place = |listener: &Option<TcpListener>| match listener.as_ref().map(TcpListener::local_addr) {
            Some(Ok(address)) => address.to_string(),
            Some(Err(_)) | None => "nowhere".to_owned(),
        };
        info!(socket = %path.display(), health = %place(&health), metrics = %place(&metrics), "listening");
        Ok(Self { path, socket, health, metrics })
    }

    /// Serves until the gate is closed, then answers what has begun. The gate is closed afterwards in any case.
    ///
    /// # Errors
    /// A listener fails.
    pub(crate) async fn serve(self, gate: Arc<Gate>) -> anyhow::Result<()> {
        let Self { path, socket, health, metrics } = self;
        let stopped = || gate.stop.clone().cancelled_owned();
        let all = async {
            tokio::try_join!(
                server::serve(Arc::clone(&gate), socket, stopped()),
                observe::serve_health(health, Arc::clone(&gate), stopped()),
                observe::serve_metrics(metrics, Arc::clone(&gate), stopped()),
            )
        };
        let overdue = async {
            gate.stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        let served = tokio::select! {
            served = all => served.map(drop).context("serve"),
            () = overdue => {
                warn!("requests that began {GRACE:?} ago are given up");
                Ok(())
            }
        };
        gate.stop.cancel();
        // Nobody listens any more; a socket left behind would make plugins wait for an answer.
        let _ = std::fs::remove_file(&path);
        served
    }
}

/// What somebody changes who finds a port taken.
pub(crate) struct Remedy {
    /// For the port of health.
    pub health: &'static str,
    /// For the port of metrics.
    pub metrics: &'static str,
}

async fn listen(address: Option<SocketAddr>, remedy: &str) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    listener.map(Some).with_context(|| format!("cannot listen on {address}; give another with {remedy}"))
}

/// Runs an agent to its end.
///
/// # Errors
/// The agent's own, or there are no threads.
pub(crate) fn run(agent: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start threads")?;
    let result = runtime.block_on(agent);
    runtime.shutdown_timeout(GRACE);
    result
}

/// Closes the gate on SIGTERM and SIGINT from now on. Until then, a signal ends the process in the middle of its work.
///
/// # Errors
/// The system gives no handlers.
pub(crate) fn close_on_signals(gate: &Arc<Gate>) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let gate = Arc::clone(gate);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => gate.close("SIGTERM"),
            _ = interrupt.recv() => gate.close("SIGINT"),
        }
    });
    Ok(())
}
