//! Giving addresses back: one attachment (DEL), what somebody else uses (conflict), what no attachment needs (GC).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use spiderpool_runtime::types::Event;
use spiderpool_runtime::{Fate, conv};
use spiderpool_storage::{Allocation, Endpoint, Holder, Owner, Quarantine, Release};
use spiderpool_wire::ErrorCode;
use spiderpool_wire::ipam::{IpamBatchDelArgs, IpamDelArgs};
use spiderpool_wire::upkeep::{Attachment as WireAttachment, IpamGcArgs, IpamGcResponse};
use tracing::info;

use crate::agent::Agent;
use crate::failure::Failure;
use crate::in_flight::Attachment;

/// What a DEL found.
pub(crate) struct Released {
    /// Whether anything was held.
    was_held: bool,
    /// How many addresses are free now.
    freed: u64,
}

impl Agent {
    /// Frees what one interface of one sandbox holds, unless it stays with the pod. Nothing held is success.
    ///
    /// The sandbox is what matters, not the pod: it is known whatever happened to the pod, and an address that moved on
    /// to a newer sandbox is not touched.
    ///
    /// # Errors
    /// The request lacks the sandbox or the interface, or the ledger cannot be written.
    pub(crate) async fn release(&self, args: IpamDelArgs) -> Result<(), Failure> {
        let started = Instant::now();
        let attachment = Attachment { container: args.container_id, interface: args.if_name };
        let pod = Holder { namespace: args.pod_namespace, pod: args.pod_name, uid: args.pod_uid };
        self.lingering.forget(&attachment);
        let result = self.release_of(&attachment, &pod).await;
        self.metrics.release.count(&result, started.elapsed());
        result
    }

    /// Frees what one interface of one sandbox of a pod holds, unless it stays with the pod.
    pub(crate) async fn release_of(&self, attachment: &Attachment, pod: &Holder) -> Result<(), Failure> {
        match self.release_attachment(&attachment.container, &attachment.interface).await? {
            Released { was_held: true, .. } => Ok(()),
            Released { was_held: false, .. } => self.release_taken_over(attachment, pod).await,
        }
    }

    /// Frees what the pod's interface got from Spiderpool, which did not write down for which sandbox: the first DEL that
    /// comes is that sandbox's, because a new sandbox would have asked and be written down.
    async fn release_taken_over(&self, attachment: &Attachment, pod: &Holder) -> Result<(), Failure> {
        // By its uid if that is told: the next pod of the name may be served already.
        let endpoint = match pod.uid.as_str() {
            "" => self.ledger.endpoint(&pod.namespace, &pod.pod).await?,
            uid => self.ledger.held_by(uid).await?,
        };
        let Some(Endpoint { holder, owner, leases, .. }) = endpoint else { return Ok(()) };
        if leases.iter().any(|lease| lease.container.is_empty() && lease.interface == attachment.interface) {
            self.part(&holder, &owner, attachment, "").await?;
        }
        Ok(())
    }

    /// Frees what one interface holds, and, when that was the sandbox's last, what was reserved ahead for interfaces
    /// that never came.
    pub(crate) async fn release_attachment(&self, container: &str, interface: &str) -> Result<Released, Failure> {
        if container.is_empty() || interface.is_empty() {
            let missing = if container.is_empty() { "containerID" } else { "ifName" };
            return Err(Failure::new(ErrorCode::BadRequest, format!("the request lacks {missing}")));
        }
        let attachment = Attachment { container: container.into(), interface: interface.into() };
        self.in_flight.delete(&attachment);
        let held = self.ledger.held_by_container(container, Some(interface)).await?;
        let was_held = !held.is_empty();
        let mut freed = self.part_all(container, &held).await?;
        let mut left = self.ledger.held_by_container(container, None).await?;
        left.retain(|allocation| allocation.until.is_none() && allocation.lease.interface != interface);
        if left.iter().all(|allocation| allocation.lease.network.is_empty()) {
            freed += self.part_all(container, &left).await?;
        }
        Ok(Released { was_held, freed })
    }

    /// Frees or keeps what a sandbox holds, interface by interface. What has an end already keeps that one.
    async fn part_all(&self, container: &str, held: &[Arc<Allocation>]) -> Result<u64, Failure> {
        let mut parting = BTreeMap::new();
        for allocation in held.iter().filter(|allocation| allocation.until.is_none()) {
            let Allocation { holder, owner, lease, .. } = allocation.as_ref();
            parting.insert((&holder.uid, &lease.interface), (holder, owner));
        }
        let mut freed = 0;
        for ((_, interface), (holder, owner)) in parting {
            let attachment = Attachment { container: container.into(), interface: interface.clone() };
            freed += self.part(holder, owner, &attachment, container).await?;
        }
        Ok(freed)
    }

    /// Frees or keeps what an interface of a sandbox holds, written down for `container`, as the policy says. How many
    /// addresses are free now.
    async fn part(
        &self,
        holder: &Holder,
        owner: &Owner,
        attachment: &Attachment,
        container: &str,
    ) -> Result<u64, Failure> {
        let interface = &attachment.interface;
        let answer = self.fate(holder, owner, Event::Removed(interface.clone())).await;
        let meant = Release {
            uid: holder.uid.clone(),
            interface: Some(interface.clone()),
            container: Some(container.to_owned()),
        };
        // Who asks again and hears the same has nothing new to tell.
        let was_left = self.lingering.has(attachment);
        if !(was_left && answer.fate == Fate::Keep) {
            answer.tell(holder);
        }
        match answer.fate {
            Fate::Keep => {
                self.metrics.kept.inc_by(u64::from(!was_left));
                if let Some(because) = answer.because {
                    self.lingering.note(attachment.clone(), holder, because);
                }
                Ok(0)
            }
            Fate::ReleaseAfter(time) if !time.is_zero() => {
                self.metrics.kept.inc_by(u64::from(!was_left));
                self.ledger.retain(meant, SystemTime::now() + time).await?;
                Ok(0)
            }
            Fate::Release | Fate::ReleaseAfter(_) => {
                let freed = self.ledger.release(meant).await?;
                for lease in &freed {
                    info!(address = %lease.address, pool = lease.pool, interface, pod = %holder, container, "released");
                }
                Ok(freed.len() as u64)
            }
        }
    }

    /// Takes addresses that another host answers for from the pod and keeps them back for a while, unless it keeps what it
    /// has. Without conflicts, frees all that the sandbox holds.
    ///
    /// # Errors
    /// The request lacks the sandbox, the pod keeps the addresses, or the ledger cannot be written.
    pub(crate) async fn release_conflicting(&self, args: IpamBatchDelArgs) -> Result<(), Failure> {
        let container = &args.container_id;
        if container.is_empty() {
            return Err(Failure::new(ErrorCode::BadRequest, "the request lacks containerID"));
        }
        if args.is_release_conflict_ips && !self.release_conflicts {
            let message =
                "forbid releasing IPs for stateless workload: SPIDERPOOL_ENABLED_RELEASE_CONFLICT_IPS is false";
            return Err(Failure::new(ErrorCode::ForbiddenStateless, message));
        }
        let held = self.ledger.held_by_container(container, None).await?;
        if args.conflicts.is_empty() {
            return self.part_all(container, &held).await.map(drop);
        }
        let conflict = |allocation: &Allocation| {
            args.conflicts.iter().find(|conflict| conflict.address == allocation.lease.address)
        };
        let contested: Vec<_> = held.iter().filter_map(|held| Some((held, conflict(held)?))).collect();
        let Some((first, _)) = contested.first() else { return Ok(()) };
        let addresses = contested.iter().map(|(held, _)| conv::address(held.lease.address)).collect();
        let answer = self.fate(&first.holder, &first.owner, Event::Conflict(addresses)).await;
        answer.tell(&first.holder);
        if answer.fate != Fate::Release {
            let message = format!("forbid releasing IPs for stateful workload: {}", answer.message);
            return Err(Failure::new(ErrorCode::ForbiddenStateful, message));
        }
        let until = SystemTime::now() + Duration::from_secs(self.config.conflict_quarantine_seconds);
        for (allocation, conflict) in contested {
            let Allocation { holder, lease, .. } = allocation.as_ref();
            let reason = format!("answered by {}", conflict.mac);
            let addresses = vec![lease.address];
            self.ledger.quarantine(Quarantine { uid: holder.uid.clone(), addresses, until, reason }).await?;
            self.metrics.conflicts.inc();
            info!(address = %lease.address, mac = conflict.mac, pod = %holder, "conflict: in quarantine");
            // The other family's too: an interface is served as a whole.
            let (uid, interface) = (holder.uid.clone(), Some(lease.interface.clone()));
            self.ledger.release(Release { uid, interface, container: Some(container.clone()) }).await?;
        }
        Ok(())
    }

    /// Frees what a network's attachments held that are not among the valid ones.
    ///
    /// # Errors
    /// The request names no network, or the ledger cannot be written.
    pub(crate) async fn collect(&self, args: IpamGcArgs) -> Result<IpamGcResponse, Failure> {
        if args.network.is_empty() {
            return Err(Failure::new(
                ErrorCode::BadRequest,
                "the request names no network: whose attachments are valid?",
            ));
        }
        let valid: BTreeSet<WireAttachment> = args.valid_attachments.into_iter().collect();
        let mut stale = BTreeSet::new();
        for allocation in self.ledger.allocations(None).await? {
            let lease = &allocation.lease;
            let attachment = WireAttachment { container_id: lease.container.clone(), if_name: lease.interface.clone() };
            if lease.network == args.network && !valid.contains(&attachment) {
                stale.insert(attachment);
            }
        }
        let mut released = 0;
        for attachment in stale {
            released += self.release_attachment(&attachment.container_id, &attachment.if_name).await?.freed;
        }
        Ok(IpamGcResponse { released })
    }
}
