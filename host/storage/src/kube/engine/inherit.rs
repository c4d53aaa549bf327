//! What a pod gets from the one of its name before it.
//!
//! Where that may be is known from a doubt of an earlier try, from memory, and, if it was on another node, from its record,
//! which is asked for once and only when a want is left. Whether it still is the predecessor's, only the block says: it is
//! moved from one uid to the other in one change, which fails when somebody else was faster.

use std::net::IpAddr;
use std::sync::Arc;

use spiderpool_crd::ipblock::BlockAllocation;
use spiderpool_ip::Family;
use tokio::time::Instant;

use super::adopt::{Claim, claims};
use super::entry::{self, serves};
use super::job::{Outcome, Work};
use super::reserve::Taken;
use super::shared::Shared;
use crate::kube::RecordedEndpoint;
use crate::{Allocation, LedgerError, Reservation, Want};

/// What one reservation may inherit.
pub(super) struct Inheritance {
    /// What this node holds for other pods of the name, known when the reservation came; the latest first. Who was served
    /// since is no predecessor.
    known: Vec<Arc<Allocation>>,
    record: Record,
}

/// What the record of the name tells, with the pool of each address.
enum Record {
    /// Nothing is inherited, and nobody asks.
    Never,
    Unread,
    Read(Vec<(String, Claim)>),
}

impl Inheritance {
    /// For a reservation that comes now.
    pub(super) fn begin(shared: &Shared, reservation: &Reservation) -> Self {
        if reservation.wants.iter().all(|want| want.inherits.is_empty()) {
            return Self { known: Vec::new(), record: Record::Never };
        }
        let known = shared.memory.lock().held.left_by_others(&reservation.holder);
        Self { known, record: Record::Unread }
    }

    /// Has `want` served by what was left for it, if anything was.
    pub(super) async fn serve(
        &mut self,
        shared: &Arc<Shared>,
        reservation: &Reservation,
        want: &Want,
        deadline: Instant,
    ) -> Result<Option<Taken>, LedgerError> {
        if want.inherits.is_empty() {
            return Ok(None);
        }
        let Reservation { holder, .. } = reservation;
        let node = &shared.config.node;
        let to = entry::wanted(reservation, want, node);

        let doubted = shared.memory.lock().doubts.inherited(&to, want.family);
        if let Some((pool, address, left)) = doubted.filter(|(pool, ..)| want.inherits.contains(pool)) {
            let (uid, to) = (left.pod_uid.clone(), to.clone());
            let work = Work::Inherit { address, uid, from: None, left: Some(Box::new(left)), to };
            if let Some(taken) = inherit(shared, pool, address, work, deadline).await? {
                return Ok(Some(taken));
            }
        }
        let may = |held: &&Arc<Allocation>| serves(&held.lease, want) && want.inherits.contains(&held.lease.pool);
        for held in self.known.iter().filter(may) {
            let (pool, address, left) = (held.lease.pool.clone(), held.lease.address, entry::entry(held));
            let (uid, to) = (left.pod_uid.clone(), to.clone());
            let work = Work::Inherit { address, uid, from: Some(left.clone()), left: Some(Box::new(left)), to };
            if let Some(taken) = inherit(shared, pool, address, work, deadline).await? {
                return Ok(Some(taken));
            }
        }
        if matches!(self.record, Record::Unread) {
            let recorded = recorded(shared, &holder.namespace, &holder.pod).await?;
            self.record = Record::Read(recorded.iter().flat_map(claims).collect());
        }
        let Record::Read(claims) = &self.record else { return Ok(None) };
        for (pool, Claim { address, record }) in claims {
            let BlockAllocation { pod_uid, interface, .. } = record;
            let asked =
                *interface == want.interface && Family::of(*address) == want.family && want.inherits.contains(pool);
            // What this node holds, it has looked at; or a pod got it that was served since.
            if !asked || *pod_uid == holder.uid || shared.memory.lock().held.is_of(pod_uid, pool, *address) {
                continue;
            }
            let (uid, to) = (pod_uid.clone(), to.clone());
            let work = Work::Inherit { address: *address, uid, from: None, left: None, to };
            if let Some(taken) = inherit(shared, pool.clone(), *address, work, deadline).await? {
                return Ok(Some(taken));
            }
        }
        Ok(None)
    }
}

async fn inherit(
    shared: &Arc<Shared>,
    pool: String,
    address: IpAddr,
    work: Work,
    deadline: Instant,
) -> Result<Option<Taken>, LedgerError> {
    match shared.job(&pool, work, deadline).await? {
        Outcome::Inherited(before) => Ok(Some(Taken::Inherited { pool, address, before })),
        _ => Ok(None),
    }
}

/// The record of a pod's name. One that cannot be read keeps nobody from starting.
pub(super) async fn recorded(
    shared: &Shared,
    namespace: &str,
    pod: &str,
) -> Result<Option<RecordedEndpoint>, LedgerError> {
    let what = format!("read SpiderEndpoint {namespace}/{pod}");
    match shared.retried(&what, || shared.config.endpoints.get(namespace, pod)).await {
        Err(LedgerError::Cluster(error)) if !error.retry => {
            tracing::warn!(%error, "nothing is inherited from another node");
            Ok(None)
        }
        other => other,
    }
}
