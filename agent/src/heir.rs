//! A pod that comes in place of another: what that one left, and what of it the pod gets.
//!
//! The pools that may be meant for the pod now are what counts, not whether they may serve it: a pool that was disabled since,
//! or is full with these very addresses, gives nothing new, but what is the pod's already stays so. What lies in other pools is
//! given back.

use std::net::IpAddr;

use spiderpool_crd::keys::{ANNOTATION_IP_ADDRESSES, ANNOTATION_RETAIN};
use spiderpool_runtime::Fate;
use spiderpool_runtime::types::Event;
use spiderpool_storage::{Endpoint, Holder, Lease, Pick, Want};
use spiderpool_wire::explain::{Explanation, KeptAddress};
use tracing::{info, warn};

use crate::agent::Agent;
use crate::failure::Failure;
use crate::pod::Asker;

/// What a pod before this one left.
#[derive(Debug, Default)]
pub(crate) struct Legacy {
    /// Who that was.
    holder: Option<Holder>,
    /// What it left.
    leases: Vec<Lease>,
    /// Whether the pod gets it.
    is_kept: bool,
    /// Whether nobody else gives it back.
    is_stateful: bool,
}

impl Agent {
    /// Whether another pod may come in the pod's place, and want what it has.
    pub(crate) fn comes_back(&self, asker: &Asker) -> bool {
        let retains = || asker.pod.annotations.iter().any(|(key, _)| key == ANNOTATION_RETAIN);
        self.kinds.include_any(&asker.pod.owners) || retains()
    }

    /// What a pod before this one left. The cluster is asked only where that can be: pods of most controllers do not come
    /// back under their names.
    pub(crate) async fn legacy(&self, asker: &Asker) -> Result<Legacy, Failure> {
        let Holder { namespace, pod, uid } = &asker.holder;
        let is_stateful = self.kinds.include_any(&asker.pod.owners);
        let left = match self.ledger.endpoint(namespace, pod).await? {
            None if self.comes_back(asker) => self.ledger.recorded(namespace, pod).await?,
            known => known,
        };
        let Some(Endpoint { holder, owner, leases, .. }) = left.filter(|left| left.holder.uid != *uid) else {
            return Ok(Legacy::default());
        };
        let answer = self.fate(&holder, &owner, Event::Returned(asker.pod.clone())).await;
        answer.tell(&holder);
        let is_stateful = is_stateful || self.kinds.version_of(&owner.kind).is_some();
        Ok(Legacy { holder: Some(holder), leases, is_kept: answer.fate != Fate::Release, is_stateful })
    }

    /// Gives back what the pod before left and `served` did not get, where no DEL does.
    pub(crate) async fn settle(&self, legacy: Legacy, served: &Endpoint) {
        let Legacy { holder: Some(holder), mut leases, is_stateful: true, .. } = legacy else { return };
        leases.retain(|lease| served.leases.iter().all(|had| had.address != lease.address));
        if leases.is_empty() {
            return;
        }
        match self.ledger.reclaim(holder.clone(), leases).await {
            Ok(given) => given.iter().for_each(|lease| {
                info!(address = %lease.address, pool = lease.pool, interface = lease.interface, before = %holder,
                    "released: the pod that came in its place does not get it");
            }),
            Err(error) => warn!(before = %holder, "what a pod left is not given back: {error}"),
        }
    }
}

impl Legacy {
    /// What the pod may get.
    pub(crate) fn leases(&self) -> &[Lease] {
        if self.is_kept { &self.leases } else { &[] }
    }

    /// What the pod would get of it, by what is decided for it now.
    pub(crate) fn kept(&self, asker: &Asker, explanation: &Explanation) -> Vec<KeptAddress> {
        let is_meant = |lease: &&Lease| is_candidate(lease, explanation);
        // A pod whose UID nobody knows may be the one that left it.
        let from = self.holder.as_ref().filter(|_| !asker.holder.uid.is_empty()).map(|holder| holder.uid.clone());
        self.leases().iter().filter(is_meant).map(|lease| kept(lease, from.clone())).collect()
    }

    /// Has wants served by what was left, where its pool is meant for the pod now, and adds wants for interfaces that are not
    /// added yet: their turn comes when nobody knows any more what was left for them.
    pub(crate) fn pass_on(&self, wants: &mut Vec<Want>, explanation: &Explanation) {
        for want in wants.iter_mut() {
            let is_meant = |lease: &&Lease| {
                serves(lease, want) && is_candidate(lease, explanation) && is_exact(lease.address, want)
            };
            want.inherits = self.leases().iter().filter(is_meant).map(|lease| lease.pool.clone()).collect();
        }
        let others = |lease: &&Lease| wants.iter().all(|want| want.interface != lease.interface);
        let ahead: Vec<Want> = self.leases().iter().filter(others).map(|lease| inherited(lease, "")).collect();
        wants.extend(ahead);
    }

    /// The wants of a pod that is refused anything new, where all that it is to have was left for it.
    pub(crate) fn instead(
        &self,
        asker: &Asker,
        (nic, network): (&str, &str),
        explanation: &Explanation,
    ) -> Option<Vec<Want>> {
        // Which of the addresses that a pod asks for by itself it would get, only a plan says.
        if asker.pod.annotations.iter().any(|(key, _)| key == ANNOTATION_IP_ADDRESSES) {
            return None;
        }
        let mut wants = Vec::new();
        for demand in explanation.demands.iter().filter(|demand| !demand.candidates.is_empty()) {
            let lease = self.leases().iter().find(|lease| {
                lease.interface == demand.interface
                    && lease.family() == demand.family
                    && is_candidate(lease, explanation)
            })?;
            wants.push(inherited(lease, if lease.interface == nic { network } else { "" }));
        }
        wants.iter().any(|want| want.interface == nic).then_some(wants)
    }
}

/// The lease, for people.
pub(crate) fn kept(lease: &Lease, from: Option<String>) -> KeptAddress {
    KeptAddress { interface: lease.interface.clone(), address: lease.address, pool: lease.pool.clone(), from }
}

/// What was left, and nothing else.
fn inherited(lease: &Lease, network: &str) -> Want {
    Want {
        interface: lease.interface.clone(),
        family: lease.family(),
        network: network.to_owned(),
        clean_gateway: lease.clean_gateway,
        inherits: vec![lease.pool.clone()],
        choices: Vec::new(),
    }
}

/// Whether the lease is for the NIC and family of the want.
fn serves(lease: &Lease, want: &Want) -> bool {
    lease.interface == want.interface && lease.family() == want.family
}

/// Whether the lease's pool is meant for the pod: one of those that its sources name, whatever was decided about it.
pub(crate) fn is_candidate(lease: &Lease, explanation: &Explanation) -> bool {
    let mut demands = explanation.demands.iter();
    let demand = demands.find(|demand| demand.interface == lease.interface && demand.family == lease.family());
    demand.is_some_and(|demand| demand.candidates.iter().any(|candidate| candidate.pool == lease.pool))
}

/// Whether the address is one of those that the pod asks for, if it asks for any.
fn is_exact(address: IpAddr, want: &Want) -> bool {
    let mut exact = want.choices.iter().filter_map(|choice| match &choice.pick {
        Pick::Exactly(addresses) => Some(addresses),
        Pick::Lowest | Pick::Spread(_) | Pick::Sticky(_) => None,
    });
    let mut asked = false;
    let found = exact.any(|addresses| {
        asked = true;
        addresses.contains(&address)
    });
    found || !asked
}
