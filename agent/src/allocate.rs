//! One ADD: what is known → where from → who may serve → in which order → take it.

use std::sync::Arc;
use std::time::Instant;

use spiderpool_runtime::{Decision, PlannedStep};
use spiderpool_storage::{
    Choice, ClusterError, Endpoint, Lease, LedgerError, Pick, Release, Reservation, ReserveError, Tried, Want, Why,
};
use spiderpool_wire::ErrorCode;
use spiderpool_wire::explain::{DemandExplanation, Explanation};
use spiderpool_wire::ipam::{IpamAddArgs, IpamAddResponse};
use tracing::{info, warn};

use crate::agent::Agent;
use crate::answer;
use crate::considered;
use crate::decide::{Refused, cni};
use crate::detection::Detection;
use crate::failure::Failure;
use crate::heir;
use crate::in_flight::Attachment;
use crate::pod::{Asker, Claim};
use crate::routes::{self, PodRoute};
use crate::view::View;

impl Agent {
    /// Gives the pod its addresses: for the interface that is added, and for all others that the pod's annotation lists.
    ///
    /// Runs to its end even when the caller goes away, so that a DEL which comes meanwhile can undo it.
    ///
    /// # Errors
    /// The request is incomplete, a policy says no, every pool is full, or the ledger cannot be written. Nothing is
    /// held afterwards that was not held before.
    pub(crate) async fn allocate(self: Arc<Self>, args: IpamAddArgs) -> Result<IpamAddResponse, Failure> {
        let task = tokio::spawn(async move {
            let started = Instant::now();
            let result = self.try_allocate(&args).await;
            self.metrics.count_allocation(&result, started.elapsed());
            let pod = format!("{}/{}", args.pod_namespace, args.pod_name);
            match &result {
                Ok(response) => {
                    let addresses: Vec<_> =
                        response.ips.iter().map(|ip| format!("{} {}", ip.nic, ip.address)).collect();
                    info!(pod, interface = args.if_name, container = args.container_id, ?addresses, "allocated");
                }
                Err(failure) => {
                    warn!(pod, interface = args.if_name, container = args.container_id, "{}", failure.message)
                }
            }
            result
        });
        task.await.unwrap_or_else(|panic| Err(Failure::new(ErrorCode::Internal, format!("the agent failed: {panic}"))))
    }

    async fn try_allocate(&self, args: &IpamAddArgs) -> Result<IpamAddResponse, Failure> {
        require(args)?;
        let attachment = Attachment { container: args.container_id.clone(), interface: args.if_name.clone() };
        self.lingering.forget(&attachment);
        let add = self.in_flight.begin(attachment);
        let claim = Claim {
            namespace: &args.pod_namespace,
            name: &args.pod_name,
            uid: &args.pod_uid,
            container: &args.container_id,
        };
        let asker = self.surroundings.asker(claim, &self.view().catalog).await?;
        let pod = asker.holder.clone();
        let refused = |failure: &Failure| self.surroundings.refused(&pod, failure);
        let asker = asker.of_machine(&self.kinds);
        // Before anything is taken: routes that cannot be read would make the addresses useless.
        let routes = routes::of(&asker.pod.annotations).inspect_err(refused)?;
        let endpoint = self.reserve(&asker, args).await.inspect_err(refused)?;
        if add.is_void() {
            self.release_attachment(&args.container_id, &args.if_name).await?;
            let message =
                format!("{} of sandbox {} was deleted while its ADD was at work", args.if_name, args.container_id);
            return Err(Failure::new(ErrorCode::Unavailable, message));
        }
        let view = self.view();
        let detection = Detection { config: &self.config, catalog: &view.catalog };
        let mut response = answer::addresses(&endpoint.leases, detection);
        if self.migration(&args.pod_namespace, &asker.pod.owners, &asker.pod.annotations).await.is_some() {
            // The pod that the machine comes from answers for them until it is through.
            response.ips.iter_mut().for_each(|ip| ip.enable_ip_conflict_detection = false);
        }
        for PodRoute { dst, gw } in routes::add(&mut response.routes, &response.ips, routes) {
            // It may be meant for an interface that is added later, and is left out until then.
            let pod = format!("{}/{}", args.pod_namespace, args.pod_name);
            info!(
                pod,
                interface = args.if_name,
                "the pod's route to {dst} has no interface yet whose network holds {gw}"
            );
        }
        Ok(response)
    }

    /// Takes what the pod is to have: what it has, what a pod before it left to it, or what the policies choose.
    async fn reserve(&self, asker: &Asker, args: &IpamAddArgs) -> Result<Endpoint, Failure> {
        let view = self.view();
        if let Some(wants) = self.held(asker, args, &view).await? {
            match self.take(asker, args, wants).await {
                // The DEL of an older sandbox has freed it meanwhile: this is a pod that holds nothing.
                Err(ReserveError::Exhausted { .. }) => {}
                answer => return answer.map_err(|error| refused(error, None)),
            }
        }
        let legacy = self.legacy(asker).await?;
        let decided = self.decide(&view, asker, cni(args), &args.net_namespace, legacy.leases()).await;
        let (mut wants, explanation) = match decided {
            // Pools that went away since the question are passed over.
            Ok(Decision { steps, explanation }) => (wants(steps, args, &self.view())?, explanation),
            Err(Refused { failure, explanation }) => {
                let instead = explanation
                    .and_then(|found| Some((legacy.instead(asker, (&args.if_name, &args.network), &found)?, *found)));
                instead.ok_or(failure)?
            }
        };
        let asked = wants.len();
        legacy.pass_on(&mut wants, &explanation);
        let mut served = self.take(asker, args, wants.clone()).await;
        if let Err(ReserveError::Exhausted { interface, .. }) = &served
            && wants.drain(asked..).any(|ahead| ahead.interface == *interface)
        {
            // Somebody has what was left for an interface that is not added yet.
            served = self.take(asker, args, wants).await;
        }
        let served = served.map_err(|error| refused(error, Some(&explanation)))?;
        self.settle(legacy, &served).await;
        Ok(served)
    }

    async fn take(&self, asker: &Asker, args: &IpamAddArgs, wants: Vec<Want>) -> Result<Endpoint, ReserveError> {
        let reservation = Reservation {
            holder: asker.holder.clone(),
            node: self.node.clone(),
            container: args.container_id.clone(),
            owner: asker.owner.clone(),
            comes_back: self.comes_back(asker),
            wants,
        };
        self.ledger.reserve(reservation).await
    }

    /// What the pod already holds for the interface, as wants: a repeated ADD, or one that an earlier ADD served ahead.
    async fn held(&self, asker: &Asker, args: &IpamAddArgs, view: &View) -> Result<Option<Vec<Want>>, Failure> {
        let endpoint = self.ledger.held_by(&asker.holder.uid).await?;
        let mut leases: Vec<Lease> = endpoint.into_iter().flat_map(|Endpoint { leases, .. }| leases).collect();
        leases.retain(|lease| lease.interface == args.if_name);
        let ahead = leases.iter().any(|lease| lease.network.is_empty());
        if ahead && self.kinds.include_any(&asker.pod.owners) && !self.is_meant(asker, args, view, &leases).await {
            let interface = Some(args.if_name.clone());
            let uid = asker.holder.uid.clone();
            self.ledger.release(Release { uid, interface, container: None }).await?;
            return Ok(None);
        }
        let wants = leases.into_iter().map(|lease| Want {
            interface: args.if_name.clone(),
            family: lease.family(),
            network: args.network.clone(),
            clean_gateway: lease.clean_gateway,
            inherits: Vec::new(),
            choices: Vec::new(),
        });
        let wants: Vec<Want> = wants.collect();
        Ok((!wants.is_empty()).then_some(wants))
    }

    /// Whether what was inherited for an interface before it was added is of pools that are meant for it, now that it is.
    async fn is_meant(&self, asker: &Asker, args: &IpamAddArgs, view: &View, leases: &[Lease]) -> bool {
        let decided = self.decide(view, asker, cni(args), &args.net_namespace, leases).await;
        let explanation = match decided {
            Ok(Decision { explanation, .. }) => Some(explanation),
            Err(Refused { explanation, .. }) => explanation.map(|found| *found),
        };
        // Without a decision nothing says that they are not.
        explanation.is_none_or(|found| {
            found.demands.is_empty() || leases.iter().all(|lease| heir::is_candidate(lease, &found))
        })
    }
}

fn require(args: &IpamAddArgs) -> Result<(), Failure> {
    let fields = [
        ("containerID", &args.container_id),
        ("ifName", &args.if_name),
        ("podNamespace", &args.pod_namespace),
        ("podName", &args.pod_name),
    ];
    let missing: Vec<&str> = fields.into_iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(ErrorCode::BadRequest, format!("the request lacks {}", missing.join(", "))))
}

/// A plan as the ledger takes it.
fn wants(steps: Vec<PlannedStep>, args: &IpamAddArgs, view: &View) -> Result<Vec<Want>, Failure> {
    let wants: Vec<Want> = steps.into_iter().map(|step| want(step, args, view)).collect();
    if wants.iter().any(|want| want.interface == args.if_name) {
        return Ok(wants);
    }
    let message = format!("no pool is chosen for the interface {}, which is added now; list it as well", args.if_name);
    Err(Failure::new(ErrorCode::Refused, message))
}

fn want(step: PlannedStep, args: &IpamAddArgs, view: &View) -> Want {
    let PlannedStep { nic, family, clean_gateway, choices, origin: _ } = step;
    // Pools that went away since the decision are passed over.
    let choices = choices.into_iter().filter_map(|(pool, pick)| {
        let space = Arc::clone(&view.catalog.pools.get(&pool)?.space);
        Some(Choice { space, pick: native(pick) })
    });
    let network = if nic == args.if_name { args.network.clone() } else { String::new() };
    Want { choices: choices.collect(), interface: nic, family, network, clean_gateway, inherits: Vec::new() }
}

fn native(pick: spiderpool_runtime::Pick) -> Pick {
    match pick {
        spiderpool_runtime::Pick::Lowest => Pick::Lowest,
        spiderpool_runtime::Pick::Spread => Pick::Spread(fastrand::u64(..)),
        spiderpool_runtime::Pick::Sticky(key) => Pick::Sticky(key),
        spiderpool_runtime::Pick::Exactly(addresses) => Pick::Exactly(addresses),
    }
}

/// What the ledger refused, with the pools that the decision left out beforehand.
fn refused(error: ReserveError, explanation: Option<&Explanation>) -> Failure {
    let sentence = error.to_string();
    match error {
        ReserveError::Exhausted { interface, family, tried } => {
            let is_of = |demand: &&DemandExplanation| demand.interface == interface && demand.family == family;
            let demands = explanation.into_iter().flat_map(|explanation| &explanation.demands).filter(is_of);
            let rest = considered::not_tried(demands);
            let is_one = |tried: &Tried| matches!(tried.why, Why::Taken { .. } | Why::Quarantined { .. });
            let (what, remedy) = if !tried.is_empty() && tried.iter().all(is_one) {
                ("the IP address that is asked for is not free", "ask for another one, or wait until it is given back")
            } else {
                let remedy = "add addresses to spec.ips of a pool, or another pool to the pod's list";
                ("all IP addresses used out", remedy)
            };
            Failure::new(ErrorCode::Exhausted, format!("{what}: {sentence}; {remedy}{rest}"))
        }
        ReserveError::Nothing(_) => Failure::new(ErrorCode::Refused, sentence),
        ReserveError::Ledger(error) => error.into(),
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        let code = match error {
            LedgerError::Busy { .. } | LedgerError::Closed => ErrorCode::Unavailable,
            LedgerError::Cluster(ClusterError { retry: true, .. }) => ErrorCode::Unavailable,
            LedgerError::Cluster(ClusterError { retry: false, .. }) | LedgerError::Storage(_) => ErrorCode::Internal,
        };
        Self::new(code, error.to_string())
    }
}
