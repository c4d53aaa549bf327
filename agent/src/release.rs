//! Giving addresses back: one attachment (DEL), what somebody else uses (conflict), what no attachment needs (GC).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use spiderpool_storage::{Allocation, Endpoint, Quarantine, Release};
use spiderpool_wire::ErrorCode;
use spiderpool_wire::ipam::{IpamBatchDelArgs, IpamDelArgs};
use spiderpool_wire::upkeep::{Attachment as WireAttachment, IpamGcArgs, IpamGcResponse};
use tracing::info;

use crate::agent::Agent;
use crate::failure::Failure;
use crate::in_flight::Attachment;

impl Agent {
    /// Frees what one interface of one sandbox holds. Nothing held is success.
    ///
    /// The sandbox is what matters, not the pod: it is known whatever happened to the pod, and an address that moved on
    /// to a newer sandbox is not touched.
    ///
    /// # Errors
    /// The request lacks the sandbox or the interface, or the ledger cannot be written.
    pub(crate) async fn release(&self, args: IpamDelArgs) -> Result<(), Failure> {
        let started = Instant::now();
        let result = match self.release_attachment(&args.container_id, &args.if_name).await {
            Ok(0) => self.release_taken_over(&args).await,
            other => other.map(drop),
        };
        self.metrics.release.count(&result, started.elapsed());
        result
    }

    /// Frees what the pod's interface got from Spiderpool, which did not write down for which sandbox: the first DEL that
    /// comes is that sandbox's, because a new sandbox would have asked and be written down.
    async fn release_taken_over(&self, args: &IpamDelArgs) -> Result<(), Failure> {
        // By its uid if that is told: the next pod of the name may be served already.
        let endpoint = match args.pod_uid.as_str() {
            "" => self.ledger.endpoint(&args.pod_namespace, &args.pod_name).await?,
            uid => self.ledger.held_by(uid).await?,
        };
        let Some(Endpoint { holder, leases, .. }) = endpoint else { return Ok(()) };
        if leases.iter().any(|lease| lease.container.is_empty() && lease.interface == args.if_name) {
            let interface = Some(args.if_name.clone());
            let release = Release { uid: holder.uid, interface, container: Some(String::new()) };
            for lease in self.ledger.release(release).await? {
                info!(address = %lease.address, pool = lease.pool, pod = args.pod_name, "released what was taken over");
            }
        }
        Ok(())
    }

    /// Frees what one interface holds, and, when that was the sandbox's last, what was reserved ahead for interfaces
    /// that never came. Says how many addresses that was.
    pub(crate) async fn release_attachment(&self, container: &str, interface: &str) -> Result<u64, Failure> {
        if container.is_empty() || interface.is_empty() {
            let missing = if container.is_empty() { "containerID" } else { "ifName" };
            return Err(Failure::new(ErrorCode::BadRequest, format!("the request lacks {missing}")));
        }
        self.in_flight.delete(&Attachment { container: container.into(), interface: interface.into() });
        let mut count =
            self.release_held(container, self.ledger.held_by_container(container, Some(interface)).await?).await?;
        let left = self.ledger.held_by_container(container, None).await?;
        if left.iter().all(|allocation| allocation.lease.network.is_empty()) {
            count += self.release_held(container, left).await?;
        }
        Ok(count)
    }

    async fn release_held(&self, container: &str, held: Vec<Arc<Allocation>>) -> Result<u64, Failure> {
        let holders: BTreeSet<(&str, &str)> =
            held.iter().map(|allocation| (&*allocation.holder.uid, &*allocation.lease.interface)).collect();
        let mut count = 0;
        for (uid, interface) in holders {
            let release =
                Release { uid: uid.into(), interface: Some(interface.into()), container: Some(container.into()) };
            for lease in self.ledger.release(release).await? {
                count += 1;
                info!(address = %lease.address, pool = lease.pool, interface, uid, container, "released");
            }
        }
        Ok(count)
    }

    /// Takes addresses that another host answers for from the pod and keeps them back for a while. Without conflicts,
    /// frees all that the sandbox holds.
    ///
    /// # Errors
    /// The request lacks the sandbox, releasing conflicting addresses is switched off, or the ledger cannot be written.
    pub(crate) async fn release_conflicting(&self, args: IpamBatchDelArgs) -> Result<(), Failure> {
        if args.container_id.is_empty() {
            return Err(Failure::new(ErrorCode::BadRequest, "the request lacks containerID"));
        }
        if args.is_release_conflict_ips && !self.release_conflicts {
            let message =
                "forbid releasing IPs for stateless workload: SPIDERPOOL_ENABLED_RELEASE_CONFLICT_IPS is false";
            return Err(Failure::new(ErrorCode::ForbiddenStateless, message));
        }
        let held = self.ledger.held_by_container(&args.container_id, None).await?;
        if args.conflicts.is_empty() {
            return self.release_held(&args.container_id, held).await.map(drop);
        }
        let until = SystemTime::now() + Duration::from_secs(self.config.conflict_quarantine_seconds);
        for conflict in &args.conflicts {
            let holder = held.iter().find(|allocation| allocation.lease.address == conflict.address);
            let Some(holder) = holder.map(|allocation| &allocation.holder) else { continue };
            let reason = format!("answered by {}", conflict.mac);
            let quarantine = Quarantine {
                uid: holder.uid.clone(),
                addresses: vec![conflict.address],
                until,
                reason: reason.clone(),
            };
            self.ledger.quarantine(quarantine).await?;
            self.metrics.conflicts.inc();
            info!(address = %conflict.address, mac = conflict.mac, pod = %holder, "conflict: in quarantine");
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
            released += self.release_attachment(&attachment.container_id, &attachment.if_name).await?;
        }
        Ok(IpamGcResponse { released })
    }
}
