//! The daemon: what it is put together from, and how it stops.

use std::future::Future;
use std::sync::Arc;

use anyhow::Context;
use kube::{Client, Config};
use prometheus_client::registry::Registry;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::args::DaemonArgs;
use crate::keeper::Keeper;
use crate::metrics::Metrics;
use crate::observe;

/// Runs until the process is asked to stop.
///
/// # Errors
/// The API server is not named anywhere, or a port is taken.
pub(crate) fn run(args: DaemonArgs) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("cannot start")?;
    runtime.block_on(serve(args))
}

async fn serve(args: DaemonArgs) -> anyhow::Result<()> {
    let asked_to_stop = asked_to_stop().context("cannot wait for signals")?;
    let config = Config::infer().await.context(
        "no API server is known; set KUBECONFIG to a kubeconfig file, or run in a pod with a service account",
    )?;
    let server = config.cluster_url.to_string();
    let client = Client::try_from(config).context("cannot make a client of the API server")?;

    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);
    let (ready, is_ready) = watch::channel(false);
    let keeper = Keeper::new(client, args.max_allocated_ips, metrics, ready);

    let health = observe::listen(args.bind_address, args.health_port, "--health-port").await?;
    let metrics = observe::listen(args.bind_address, args.metric_port, "--metric-port").await?;
    info!(server, health = %health.local_addr()?, metrics = %metrics.local_addr()?, "serving");

    let stop = CancellationToken::new();
    let stopped = || stop.clone().cancelled_owned();
    let served = tokio::try_join!(
        observe::serve_health(health, is_ready, stopped()),
        observe::serve_metrics(metrics, Arc::new(registry), stopped()),
        async {
            keeper.run(stop.clone()).await;
            Ok(())
        },
        async {
            asked_to_stop.await;
            info!("stopping: writes that have begun are finished");
            stop.cancel();
            Ok(())
        },
    );
    served.map(drop).context("serve")
}

/// Waits for SIGTERM or SIGINT, from now on.
fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
    })
}
