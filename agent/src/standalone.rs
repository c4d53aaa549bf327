//! The agent of one machine without Kubernetes.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use spiderpool_runtime::types::PodState;
use spiderpool_runtime::{HostConfig, PolicyFolder, PolicyHost};
use spiderpool_storage::catalog::{Catalog, CatalogFolder, Controllers, Pods};
use spiderpool_storage::{BoxFuture, Holder, LocalLedger};
use tracing::{info, warn};

use crate::admission::PolicyAdmission;
use crate::agent::Agent;
use crate::args::StandaloneArgs;
use crate::config::Config;
use crate::departure::{self, Seen};
use crate::failure::Failure;
use crate::gate::Gate;
use crate::in_flight::InFlight;
use crate::lingering::Lingering;
use crate::metrics::Metrics;
use crate::pod::{Asker, Claim};
use crate::serve::{self, Doors, Remedy};
use crate::stateful::Kinds;
use crate::surroundings::Surroundings;
use crate::view;

/// Serves until told to stop.
///
/// # Errors
/// The first thing that keeps the agent from serving.
pub(crate) async fn serve(args: StandaloneArgs) -> anyhow::Result<()> {
    let (config, notes) = args.config_path.as_deref().map(Config::read).transpose()?.unwrap_or_default();
    for note in notes {
        warn!("{note}");
    }
    let gate = Gate::new("the ledger and the policies are being opened");
    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);

    let ledger = Arc::new(LocalLedger::open(&args.data)?);
    let kinds = Kinds::of(&config);
    let host = HostConfig::new(args.builtin.folder(), args.data.join("policies"), args.builtin.compiler());
    let policies = PolicyHost::open(HostConfig { retention: kinds.settings(), ..host })?;
    policies.register_metrics(&mut registry);
    let _folder = PolicyFolder::watch(policies.clone(), &args.policies())?;
    let admission = PolicyAdmission { policies: policies.clone(), ledger: ledger.clone(), config: config.clone() };
    let folder = CatalogFolder::watch(&args.manifests, Arc::new(admission))?;

    serve::close_on_signals(&gate)?;
    let view = view::follow(folder.subscribe(), gate.stop.clone());
    let agent = Arc::new(Agent {
        ledger,
        policies,
        surroundings: Box::new(Machine { pods: folder.pods(), controllers: folder.controllers() }),
        view,
        config,
        node: args.node_name(),
        install_namespace: args.install_namespace.clone(),
        cluster_network: args.cluster_network.clone().filter(|network| !network.is_empty()),
        release_conflicts: args.release_conflict_ips,
        metrics,
        registry,
        in_flight: InFlight::default(),
        lingering: Lingering::default(),
        kinds,
    });
    tokio::spawn(Arc::clone(&agent).follow_lingering(gate.stop.clone()));
    info!(node = agent.node, status = agent.status().reason, "serving");
    gate.open(agent);
    let remedy = Remedy { health: "--health-address", metrics: "--metrics-address" };
    let doors = Doors::listen(args.socket, Some(args.health_address), Some(args.metrics_address), remedy).await?;
    doors.serve(gate).await
}

/// One machine: pods are known as far as there are manifests of them.
struct Machine {
    pods: Arc<dyn Pods>,
    controllers: Arc<dyn Controllers>,
}

impl Surroundings for Machine {
    /// The uid of the request wins over the manifest's, which may be that of an earlier pod of the name. Where neither
    /// tells it, the sandbox stands for the pod.
    fn asker<'a>(&'a self, claim: Claim<'a>, catalog: &'a Catalog) -> BoxFuture<'a, Result<Asker, Failure>> {
        Box::pin(async move {
            let known = self.pods.find(claim.namespace, claim.name, claim.uid).await?.unwrap_or_default();
            let told = known.uid.clone();
            let uid = [claim.uid, &told, claim.container].into_iter().find(|uid| !uid.is_empty()).unwrap_or_default();
            Asker::new(claim, uid, known, catalog)
        })
    }

    /// A manifest tells what somebody wants, not what is: a pod is not alive because it has one.
    fn seen(&self, namespace: &str, name: &str, uid: &str) -> Seen {
        let pod = self.pods.seen(namespace, name, uid);
        let state = pod.as_ref().and_then(|pod| pod.dead).map_or(PodState::Unknown, departure::state_of_dead);
        Seen { pod, state }
    }

    fn controllers(&self) -> &dyn Controllers {
        self.controllers.as_ref()
    }

    /// The log has it, and there is nobody else.
    fn refused(&self, _: &Holder, _: &Failure) {}

    fn trouble(&self) -> Option<String> {
        None
    }
}
