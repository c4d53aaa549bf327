//! Asking the policy who keeps addresses: what is known of their holder, what its controllers are now, what happened.
//!
//! Looking costs requests, so each of those controllers alone is looked at whose pods come back under their names ([`Kinds`]),
//! and for so long only that a DEL stays quick. What is not known is told to the policy as unknown, and asked again later.
//! Of the others the topmost is looked up in a list that is made now and then; what is not known of it keeps nothing.
//!
//! [`Kinds`]: crate::stateful::Kinds

use std::time::Duration;

use futures::future::join_all;
use spiderpool_crd::keys::ANNOTATION_KUBEVIRT_MIGRATION;
use spiderpool_runtime::types::{self, Event, Finding, LookedUp, PodState};
use spiderpool_runtime::{Departure, Fate};
use spiderpool_storage::catalog::{self, Dead, FoundController, KnownPod, WantedOrdinals};
use spiderpool_storage::{Holder, Owner};
use tokio::time::timeout;
use tracing::{debug, info};

use crate::agent::Agent;
use crate::lingering::Because;
use crate::pod;
use crate::stateful::{INSTANCE, MACHINE, is_stateless, reference, version_of_stateless};

/// How long looking for controllers may take: a DEL must not wait for an API server that is away.
const LOOK: Duration = Duration::from_secs(3);

/// Why nobody looks for a controller.
const NOT_LOOKED_FOR: &str = "pods of this kind do not come back under their names";

/// What is known of a pod without asking anybody, and of its state.
pub(crate) struct Seen {
    /// The pod; none when it is not known.
    pub pod: Option<KnownPod>,
    /// How it is.
    pub state: PodState,
}

/// What becomes of addresses.
pub(crate) struct Answer {
    /// What the policy says.
    pub fate: Fate,
    /// Why, in a sentence for people.
    pub message: String,
    /// When it is kept: what may change that soon, without anybody's asking again.
    pub because: Option<Because>,
    /// What happened, in a few words.
    event: String,
}

impl Answer {
    /// Tells the log.
    pub(crate) fn tell(&self, holder: &Holder) {
        let Self { fate, message, event, .. } = self;
        match fate {
            Fate::Release => debug!(pod = %holder, event, "addresses are not kept: {message}"),
            Fate::Keep => info!(pod = %holder, event, "addresses are kept: {message}"),
            Fate::ReleaseAfter(time) => info!(pod = %holder, event, ?time, "addresses are kept: {message}"),
        }
    }
}

/// The state of a pod that does not live any more.
pub(crate) fn state_of_dead(dead: Dead) -> PodState {
    match dead {
        Dead::Deleting => PodState::Terminating,
        Dead::Succeeded | Dead::Failed | Dead::Evicted => PodState::Finished,
        Dead::Deleted => PodState::Gone,
    }
}

impl Agent {
    /// Has the policy decide about the addresses of a holder.
    pub(crate) async fn fate(&self, holder: &Holder, owner: &Owner, event: Event) -> Answer {
        let told = match &event {
            Event::Removed(nic) => format!("removed {nic}"),
            Event::Gone => "gone".to_owned(),
            Event::Returned(next) => format!("returned as {}", next.uid),
            Event::Conflict(_) => "conflict".to_owned(),
            Event::Other(word) => word.clone(),
        };
        let (facts, unseen) = self.facts(holder, owner, &event).await;
        let alive = facts.state == PodState::Alive;
        let (fate, message, because) = match self.policies.retain(Departure { holder: facts, event }).await {
            Ok(retention) => {
                let failed = retention.failure.is_some();
                let because = if alive { Some(Because::Alive) } else { (unseen || failed).then_some(Because::Unseen) };
                (retention.fate, retention.message, because)
            }
            Err(error) => (Fate::Keep, error.to_string(), Some(Because::Unseen)),
        };
        Answer { fate, message, because, event: told }
    }

    /// What there is to know of a holder, and whether something of it could not be looked at.
    async fn facts(&self, holder: &Holder, owner: &Owner, event: &Event) -> (types::Holder, bool) {
        let catalog = &self.view().catalog;
        let Holder { namespace, pod: name, uid } = holder;
        let Seen { pod, state } = self.surroundings.seen(namespace, name, uid);
        let state = match (state, event) {
            // No two pods of a name are there at once; a machine's have names of their own.
            (PodState::Unknown, Event::Returned(_)) if owner.kind != INSTANCE => PodState::Gone,
            (state, _) => state,
        };
        let known = pod.unwrap_or_default();
        let owners: Vec<types::Owner> = match event {
            _ if !known.owners.is_empty() => known.owners.iter().cloned().map(pod::owner).collect(),
            Event::Returned(next) if pod::top(&next.owners, name) == *owner => next.owners.clone(),
            _ => self.remembered(owner, name),
        };
        let annotations: types::Pairs = known.annotations.into_iter().collect();
        let migrating = match event {
            Event::Returned(next) => &next.annotations,
            _ => &annotations,
        };
        let migration = self.migration(namespace, &owners, migrating);
        let ((owners, unseen), migration) = futures::join!(self.look_up(namespace, &owners), migration);
        let pod = types::Pod {
            namespace: namespace.clone(),
            name: name.clone(),
            uid: uid.clone(),
            labels: spiderpool_runtime::conv::labels(Some(&known.labels)),
            annotations,
            owners: owners.iter().map(|looked_up| looked_up.owner.clone()).collect(),
        };
        let context = self.context(catalog, pod, pod::namespace(namespace, catalog));
        (types::Holder { context, state, owners, migration, extra: Vec::new() }, unseen)
    }

    /// The controller that the ledger tells of.
    fn remembered(&self, Owner { kind, name }: &Owner, pod: &str) -> Vec<types::Owner> {
        if kind.is_empty() || kind == "Pod" && name == pod {
            return Vec::new();
        }
        let api_version =
            self.kinds.version_of(kind).or_else(|| version_of_stateless(kind)).unwrap_or_default().to_owned();
        vec![types::Owner { api_version, kind: kind.clone(), name: name.clone(), uid: String::new() }]
    }

    /// The live migration that the pod is the target of.
    pub(crate) async fn migration(
        &self,
        namespace: &str,
        owners: &[types::Owner],
        annotations: &types::Pairs,
    ) -> Option<String> {
        let (_, name) = annotations.iter().find(|(key, _)| key == ANNOTATION_KUBEVIRT_MIGRATION)?;
        self.kinds.machine(owners)?;
        let api_version = owners.iter().find(|owner| owner.kind == INSTANCE)?.api_version.clone();
        let kind = "VirtualMachineInstanceMigration".to_owned();
        let owner = types::Owner { api_version, kind, name: name.clone(), uid: String::new() };
        // Who cannot be asked does not deny it.
        (self.find(namespace, &owner).await != catalog::Finding::Missing).then(|| name.clone())
    }

    /// What the controllers are now; above the instance of a virtual machine is the machine. Also whether one could not be
    /// looked at.
    async fn look_up(&self, namespace: &str, owners: &[types::Owner]) -> (Vec<LookedUp>, bool) {
        let last = owners.len().saturating_sub(1);
        let findings = owners.iter().enumerate().map(|(place, owner)| self.look(namespace, owner, place == last));
        let findings = join_all(findings).await;
        let mut looked_up: Vec<LookedUp> = Vec::new();
        let mut unseen = false;
        for (owner, finding) in owners.iter().cloned().zip(findings) {
            let Some(finding) = finding else {
                looked_up.push(LookedUp { owner, now: Finding::Unknown(NOT_LOOKED_FOR.to_owned()) });
                continue;
            };
            unseen |= matches!(finding, catalog::Finding::Unknown(_)) && !is_stateless(&owner);
            let machine = self.above(namespace, &owner, &finding).await;
            looked_up.push(LookedUp { owner, now: told(finding) });
            if let Some((machine, finding)) = machine {
                unseen |= matches!(finding, catalog::Finding::Unknown(_));
                looked_up.push(LookedUp { owner: machine, now: told(finding) });
            }
        }
        (looked_up, unseen)
    }

    async fn look(&self, namespace: &str, owner: &types::Owner, is_topmost: bool) -> Option<catalog::Finding> {
        if self.kinds.include(&owner.api_version, &owner.kind) {
            return Some(self.find(namespace, owner).await);
        }
        if !is_topmost || !is_stateless(owner) {
            return None;
        }
        let owner = reference(owner);
        Some(in_time(self.surroundings.controllers().find_lately(namespace, &owner)).await)
    }

    async fn find(&self, namespace: &str, owner: &types::Owner) -> catalog::Finding {
        let owner = reference(owner);
        in_time(self.surroundings.controllers().find(namespace, &owner)).await
    }

    /// The virtual machine above an instance. KubeVirt calls both alike, which tells it when the instance is gone.
    async fn above(
        &self,
        namespace: &str,
        instance: &types::Owner,
        finding: &catalog::Finding,
    ) -> Option<(types::Owner, catalog::Finding)> {
        if instance.kind != INSTANCE || self.kinds.machine(std::slice::from_ref(instance)).is_none() {
            return None;
        }
        let by_name = || types::Owner { kind: MACHINE.to_owned(), uid: String::new(), ..instance.clone() };
        let machine = match finding {
            catalog::Finding::Found(found) => pod::owner(found.controller.clone()?),
            catalog::Finding::Missing => by_name(),
            catalog::Finding::Unknown(_) => return None,
        };
        if machine.kind != MACHINE {
            return None;
        }
        let found = self.find(namespace, &machine).await;
        // Without an instance nobody says that there ever was a machine.
        (found != catalog::Finding::Missing || !machine.uid.is_empty()).then_some((machine, found))
    }
}

async fn in_time(finding: impl Future<Output = catalog::Finding>) -> catalog::Finding {
    let found = timeout(LOOK, finding).await;
    found.unwrap_or_else(|_| catalog::Finding::Unknown(format!("no answer within {LOOK:?}")))
}

fn told(finding: catalog::Finding) -> Finding {
    match finding {
        catalog::Finding::Found(found) => {
            let FoundController { uid, terminating, annotations, ordinals, controller: _ } = *found;
            let ordinals = ordinals.map(|WantedOrdinals { start, replicas }| types::Ordinals { start, replicas });
            let annotations = annotations.into_iter().collect();
            Finding::Found(types::FoundOwner { uid, terminating, annotations, ordinals, extra: Vec::new() })
        }
        catalog::Finding::Missing => Finding::Missing,
        catalog::Finding::Unknown(why) => Finding::Unknown(why),
    }
}
