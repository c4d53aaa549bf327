//! Asking the policies, for an ADD and for people.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use spiderpool_netlink::{Namespace, master_addresses};
use spiderpool_runtime::types::RefusalKind;
use spiderpool_runtime::{DecideCause, DecideError, Decision, Question, Room, types};
use spiderpool_storage::{Lease, PoolSpace};
use spiderpool_wire::ErrorCode;
use spiderpool_wire::explain::{ExplainArgs, Explanation, Verdict};
use spiderpool_wire::ipam::IpamAddArgs;
use spiderpool_wire::summary::saturate;

use crate::agent::Agent;
use crate::considered;
use crate::failure::Failure;
use crate::heir::{self, Legacy};
use crate::pod::{Asker, Claim};
use crate::view::View;

/// Why there is no plan, and how far the decision came, if it was taken.
pub(crate) struct Refused {
    pub failure: Failure,
    pub explanation: Option<Box<Explanation>>,
}

impl Agent {
    /// Has the policies decide. `netns` is the path of the pod's network namespace, looked into only when a pool is to
    /// match the interface's parent device. `left` is what a pod before it left and it may get: it counts as room. Before a
    /// pod is refused because pools look full, the ledger looks again.
    pub(crate) async fn decide(
        &self,
        view: &View,
        asker: &Asker,
        cni: types::Cni,
        netns: &str,
        left: &[Lease],
    ) -> Result<Decision, Refused> {
        let first = self.policies.decide(self.question(view, asker, cni.clone(), netns, left)).await;
        let full = match &first {
            Err(DecideError { cause: DecideCause::Refused { kind: RefusalKind::Exhausted, .. }, explanation }) => {
                self.full(explanation, view)
            }
            Err(_) | Ok(_) => Vec::new(),
        };
        let last = if full.is_empty() {
            first
        } else {
            self.ledger.refresh(&full).await.map_err(|error| Refused { failure: error.into(), explanation: None })?;
            self.policies.decide(self.question(view, asker, cni, netns, left)).await
        };
        last.map_err(|error| {
            let more = considered::not_given(asker, &error.explanation, &view.catalog);
            let explanation = Some(error.explanation.clone());
            let mut failure = Failure::from(error);
            failure.message += &more;
            Refused { failure, explanation }
        })
    }

    /// The pools that might serve if they were not full.
    fn full(&self, explanation: &Explanation, view: &View) -> Vec<Arc<PoolSpace>> {
        let candidates = explanation.demands.iter().flat_map(|demand| &demand.candidates);
        let admitted = candidates.filter(|candidate| matches!(candidate.verdict, Verdict::Admitted(_)));
        let names: BTreeSet<&String> = admitted.map(|candidate| &candidate.pool).collect();
        let spaces = names.into_iter().filter_map(|name| view.catalog.pools.get(name)).map(|pool| &pool.space);
        spaces.filter(|space| self.ledger.usage(space).free == 0).map(Arc::clone).collect()
    }

    fn question(&self, view: &View, asker: &Asker, cni: types::Cni, netns: &str, left: &[Lease]) -> Question {
        let left: Vec<String> = left.iter().map(|lease| lease.pool.clone()).collect();
        let catalog = Arc::clone(&view.catalog);
        let ledger = Arc::clone(&self.ledger);
        let netns = netns.to_owned();
        Question {
            context: self.context(&view.catalog, asker.pod.clone(), asker.namespace.clone()),
            cni,
            pools: Arc::clone(&view.pools),
            room: Box::new(move |pool| {
                catalog.pools.get(pool).map_or(Room { total: 0, free: 0 }, |pool| Room {
                    total: saturate(pool.space.usable.count()),
                    free: saturate(ledger.usage(&pool.space).free)
                        .saturating_add(left.iter().filter(|left| **left == pool.space.name).count() as u64),
                })
            }),
            masters: Box::new(move |nic| parent_addresses(&netns, nic)),
        }
    }

    /// What would be decided for a pod now; nothing is reserved.
    ///
    /// # Errors
    /// The pod is being deleted. A pod that would be refused is an explanation with a refusal.
    pub(crate) async fn explain(&self, args: ExplainArgs) -> Result<Explanation, Failure> {
        let view = self.view();
        let claim = Claim { namespace: &args.pod_namespace, name: &args.pod_name, uid: "", container: "" };
        let asker = self.surroundings.asker(claim, &view.catalog).await?.of_machine(&self.kinds);
        let held = self.ledger.held_by(&asker.holder.uid).await?.map(|held| held.leases).unwrap_or_default();
        let legacy = if held.is_empty() { self.legacy(&asker).await? } else { Legacy::default() };
        let nic = args.if_name.clone();
        let cni = types::Cni {
            interface_name: args.if_name,
            default_ipv4_pools: Vec::new(),
            default_ipv6_pools: Vec::new(),
            clean_gateway: false,
            match_master_subnet: false,
        };
        let mut explanation = match self.policies.decide(self.question(&view, &asker, cni, "", legacy.leases())).await {
            Ok(decision) => decision.explanation,
            Err(error) => *error.explanation,
        };
        explanation.kept = legacy.kept(&asker, &explanation);
        explanation.kept.extend(held.iter().map(|lease| heir::kept(lease, None)));
        // What a pod has it gets again, whatever would be decided about another one.
        if held.iter().any(|lease| lease.interface == nic) || legacy.instead(&asker, (&nic, ""), &explanation).is_some()
        {
            explanation.refusal = None;
        }
        Ok(explanation)
    }
}

fn parent_addresses(netns: &str, nic: &str) -> Result<Vec<IpAddr>, String> {
    let namespace = Namespace::open(Path::new(netns)).map_err(|error| error.to_string())?;
    let addresses = master_addresses(&namespace, nic).map_err(|error| error.to_string())?;
    Ok(addresses.into_iter().map(|address| address.address).collect())
}

/// What an ADD says of the CNI configuration.
pub(crate) fn cni(args: &IpamAddArgs) -> types::Cni {
    types::Cni {
        interface_name: args.if_name.clone(),
        default_ipv4_pools: args.default_ipv4_pools.clone(),
        default_ipv6_pools: args.default_ipv6_pools.clone(),
        clean_gateway: args.clean_gateway,
        match_master_subnet: args.match_master_subnet,
    }
}

impl From<DecideError> for Failure {
    fn from(error: DecideError) -> Self {
        // The other causes name all pools themselves.
        let rest = match &error.cause {
            DecideCause::Refused { kind: RefusalKind::Exhausted, .. } => {
                considered::not_tried(&error.explanation.demands)
            }
            _ => String::new(),
        };
        let code = match &error.cause {
            DecideCause::PolicyFailed { .. } | DecideCause::Host(_) => ErrorCode::Internal,
            DecideCause::Refused { kind: RefusalKind::Exhausted, .. } => ErrorCode::Exhausted,
            DecideCause::Refused { .. }
            | DecideCause::UnknownPool { .. }
            | DecideCause::NoCandidates(_)
            | DecideCause::AllRefused { .. }
            | DecideCause::Master { .. } => ErrorCode::Refused,
        };
        Self::new(code, format!("{error}{rest}"))
    }
}
