//! The agent of a cluster's node: objects and addresses live in the API server.
//!
//! ```text
//! conf.yml, environment ─→ listen ─→ policies ─→ API server ─→ catalog ─→ ledger ─→ serve ─→ stop: answer, drain
//!                             └── whoever asks meanwhile waits a little, then hears what the agent waits for ──┘
//! ```
//!
//! The agent's role needs, beside what the catalog and the ledger need (`spiderpool_storage::kube`): `create` and `patch`
//! for `events` of the group `events.k8s.io`, `get` for the path `/readyz`, and `get` for the controllers whose pods keep
//! addresses: `statefulsets`; of KubeVirt `virtualmachineinstances`, `virtualmachines` and
//! `virtualmachineinstancemigrations`; what `statefulControllers` lists. What it may not get counts as unknown.

mod api_server;
mod backlog;
mod cluster;
mod policies;

use std::env;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use prometheus_client::registry::Registry;
use spiderpool_runtime::{HostConfig, PolicyHost};
use spiderpool_storage::kube::{
    ClusterBlocks, ClusterCatalog, ClusterEndpoints, ClusterNodes, KubeLedger, KubeLedgerConfig, Spaces,
};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use self::api_server::ApiServer;
use self::backlog::Backlog;
use self::cluster::Cluster;
use crate::agent::Agent;
use crate::args::DaemonArgs;
use crate::config::Config;
use crate::environment::Environment;
use crate::events::Events;
use crate::gate::Gate;
use crate::in_flight::InFlight;
use crate::lingering::Lingering;
use crate::metrics::Metrics;
use crate::serve::{self, Doors, Remedy};
use crate::stateful::Kinds;
use crate::{sysctl, view};

/// How long records of endpoints that are behind may hold up the agent's end. What is left is made good by the next
/// agent of the node.
const DRAIN: Duration = Duration::from_secs(10);

/// The pause before something is tried again that does not work at the start.
const PAUSE: Duration = Duration::from_secs(2);

/// Serves until told to stop.
///
/// # Errors
/// A setting is wrong, or something of this node's is missing. An API server that is away is waited for.
pub(crate) async fn serve(args: DaemonArgs) -> anyhow::Result<()> {
    let environment = Environment::read(|name| env::var(name).ok())?;
    let (config, notes) = Config::read(&args.config_path())?;
    for note in notes.iter().chain(&environment.notes) {
        warn!("{note}");
    }
    if args.ipam_config_dir.is_some() {
        warn!("--ipam-config-dir has no effect: CNI configurations are read by the plugins");
    }
    if config.tune_sysctl_config {
        for trouble in sysctl::tune(Path::new(sysctl::ROOT)) {
            warn!("{trouble}");
        }
    }
    let gate = Gate::new("policies are being loaded");
    serve::close_on_signals(&gate)?;
    let place = |port: Option<u16>| port.map(everywhere);
    let remedy = Remedy { health: "SPIDERPOOL_HEALTH_PORT", metrics: "SPIDERPOOL_METRIC_HTTP_PORT" };
    let (health, metrics) = (place(environment.health_port), place(environment.metric_port));
    let doors = Doors::listen(config.socket(), health, metrics, remedy).await?;
    let answering = tokio::spawn(doors.serve(Arc::clone(&gate)));

    let opened = gate.stop.run_until_cancelled(open(args, environment, config, &gate)).await;
    if let Some(Err(_)) = &opened {
        gate.close("an error");
    }
    let served = answering.await.context("serve").flatten();
    if let Some(ledger) = opened.transpose()?
        && !ledger.close(DRAIN).await
    {
        warn!("records of {} endpoints are behind; the next agent makes them good", ledger.backlog());
    }
    served
}

/// Makes the agent and has it answer.
async fn open(
    args: DaemonArgs,
    environment: Environment,
    config: Config,
    gate: &Arc<Gate>,
) -> anyhow::Result<Arc<KubeLedger>> {
    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);
    let server = ApiServer::find().await?;
    let folder = args.policies();
    let (cache, builtin) = (args.policy_cache, args.builtin);
    let kinds = Kinds::of(&config);
    let host = HostConfig::new(builtin.folder(), cache, builtin.compiler());
    let host = HostConfig { retention: kinds.settings(), ..host };
    let load = move || PolicyHost::open(host);
    let policies = tokio::task::spawn_blocking(load).await.context("load policies")??;
    policies.register_metrics(&mut registry);

    server.wait(gate).await;
    let catalog = ClusterCatalog::watch(server.client.clone(), &environment.node);
    ready(&catalog, gate).await;
    policies::follow(policies.clone(), catalog.subscribe(), folder, gate.stop.clone()).await;
    let ledger = Arc::new(ledger(&server, &catalog, &environment.node, gate).await);
    registry.register_collector(Box::new(Backlog(Arc::downgrade(&ledger))));
    server.watch(gate.stop.clone());

    let events = Events::start(server.client.clone(), &environment.node, metrics.omitted_events.clone());
    let agent = Arc::new(Agent {
        ledger: ledger.clone(),
        policies,
        view: view::follow(catalog.subscribe(), gate.stop.clone()),
        surroundings: Box::new(Cluster {
            pods: catalog.pods(),
            controllers: catalog.controllers(),
            catalog,
            server,
            events,
            node: environment.node.clone(),
        }),
        config,
        node: environment.node,
        install_namespace: environment.namespace,
        cluster_network: environment.cluster_network,
        release_conflicts: environment.release_conflicts,
        metrics,
        registry,
        in_flight: InFlight::default(),
        lingering: Lingering::default(),
        kinds,
    });
    tokio::spawn(Arc::clone(&agent).follow_lingering(gate.stop.clone()));
    info!(node = agent.node, pod = environment.pod, status = agent.status().reason, "serving");
    gate.open(agent);
    Ok(ledger)
}

/// Waits until every kind of object was read once, and says what is in the way.
async fn ready(catalog: &ClusterCatalog, gate: &Gate) {
    let mut said = None;
    while timeout(PAUSE, catalog.ready()).await.is_err() {
        let failing = catalog.freshness().failing.unwrap_or_else(|| "they are many, or come slowly".to_owned());
        let doing = format!("objects are being read from the API server: {failing}");
        gate.waits(doing.clone());
        if said.as_ref() != Some(&doing) {
            warn!("{doing}");
            said = Some(doing);
        }
    }
}

/// Opens the ledger, again and again until it is open.
async fn ledger(server: &ApiServer, catalog: &ClusterCatalog, node: &str, gate: &Gate) -> KubeLedger {
    let blocks = Arc::new(ClusterBlocks::new(server.client.clone()));
    let endpoints = Arc::new(ClusterEndpoints::new(server.client.clone()));
    let catalogs = catalog.subscribe();
    let spaces: Spaces = Arc::new(move |name| Some(Arc::clone(&catalogs.borrow().pools.get(name)?.space)));
    let catalogs = catalog.subscribe();
    let config = KubeLedgerConfig {
        nodes: Some(Arc::new(ClusterNodes::new(server.client.clone()))),
        pending: Arc::new(move || catalogs.borrow().pending(SystemTime::now())),
        ..KubeLedgerConfig::new(node.to_owned(), blocks, endpoints, spaces)
    };
    loop {
        match KubeLedger::open(config.clone()).await {
            Ok(ledger) => return ledger,
            Err(error) => {
                warn!("{error}");
                gate.waits(error.to_string());
                sleep(PAUSE).await;
            }
        }
    }
}

/// All addresses of this machine, of both families where the kernel has IPv6: probes come from the kubelet, and metrics
/// are collected from elsewhere.
fn everywhere(port: u16) -> SocketAddr {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)) {
        Ok(_) => (Ipv6Addr::UNSPECIFIED, port).into(),
        Err(_) => (Ipv4Addr::UNSPECIFIED, port).into(),
    }
}
