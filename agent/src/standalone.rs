//! The agent of one machine without Kubernetes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use prometheus_client::registry::Registry;
use spiderpool_runtime::{HostConfig, PolicyFolder, PolicyHost, PoolIndex};
use spiderpool_storage::LocalLedger;
use spiderpool_storage::catalog::{Catalog, CatalogFolder};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::admission::PolicyAdmission;
use crate::agent::{Agent, View};
use crate::args::StandaloneArgs;
use crate::config::Config;
use crate::in_flight::InFlight;
use crate::metrics::Metrics;
use crate::{observe, server};

/// How long requests that have begun may take after the agent was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// The first thing that keeps the agent from serving.
pub(crate) fn run(args: StandaloneArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start threads")?;
    let result = runtime.block_on(serve(args));
    runtime.shutdown_timeout(GRACE);
    result
}

async fn serve(args: StandaloneArgs) -> anyhow::Result<()> {
    let config = args.config_path.as_deref().map(Config::read).transpose()?.unwrap_or_default();
    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);

    let ledger = Arc::new(LocalLedger::open(&args.data)?);
    let policies =
        PolicyHost::open(HostConfig::new(args.builtin_policies(), args.data.join("policies"), args.policy_compiler()))?;
    policies.register_metrics(&mut registry);
    let _folder = PolicyFolder::watch(policies.clone(), &args.policies())?;
    let admission = PolicyAdmission { policies: policies.clone(), ledger: ledger.clone(), config: config.clone() };
    let folder = CatalogFolder::watch(&args.manifests, Arc::new(admission))?;

    // Before anybody is answered: until the handlers are there, a signal ends the process in the middle of its work.
    let asked_to_stop = asked_to_stop()?;
    let stop = CancellationToken::new();
    let view = follow(folder.subscribe(), stop.clone());
    let agent = Arc::new(Agent {
        ledger,
        policies,
        view,
        config,
        node: args.node_name(),
        install_namespace: args.install_namespace.clone(),
        cluster_network: args.cluster_network.clone().filter(|network| !network.is_empty()),
        metrics,
        in_flight: InFlight::default(),
    });

    let health = observe::listen(args.health_address, "--health-address").await?;
    let metrics = observe::listen(args.metrics_address, "--metrics-address").await?;
    let socket = server::bind(&args.socket)?;
    info!(
        socket = %args.socket.display(),
        health = %health.local_addr()?,
        metrics = %metrics.local_addr()?,
        node = agent.node,
        status = agent.status().reason,
        "serving"
    );

    let stopped = || stop.clone().cancelled_owned();
    let served = tokio::try_join!(
        server::serve(Arc::clone(&agent), socket, stopped()),
        observe::serve_health(health, Arc::clone(&agent), stopped()),
        observe::serve_metrics(metrics, Arc::new(registry), stopped()),
        async {
            asked_to_stop.await;
            info!("stopping: requests that have begun are answered");
            stop.cancel();
            Ok(())
        },
    );
    // Nobody listens any more; a socket left behind would make plugins wait for an answer.
    let _ = std::fs::remove_file(&args.socket);
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

/// Turns each catalog into a view, and says what is wrong with manifests.
fn follow(mut catalogs: watch::Receiver<Arc<Catalog>>, stop: CancellationToken) -> watch::Receiver<Arc<View>> {
    let first = view(&catalogs.borrow_and_update());
    let (sender, receiver) = watch::channel(first);
    tokio::spawn(async move {
        while let Some(Ok(())) = stop.run_until_cancelled(catalogs.changed()).await {
            let next = view(&catalogs.borrow_and_update());
            sender.send_replace(next);
        }
    });
    receiver
}

fn view(catalog: &Arc<Catalog>) -> Arc<View> {
    for problem in &catalog.problems {
        warn!("{problem}");
    }
    info!(pools = catalog.pools.len(), problems = catalog.problems.len(), "manifests read");
    let pools = catalog.pools.values().map(|pool| (&*pool.object, pool.space.usable.clone()));
    Arc::new(View { catalog: Arc::clone(catalog), pools: Arc::new(PoolIndex::new(pools)) })
}
