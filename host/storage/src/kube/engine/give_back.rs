//! Requests that give addresses back: at once, at a moment, or only after a rest.

use std::sync::Arc;
use std::time::SystemTime;

use futures::future::join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use spiderpool_crd::ipblock::{self, BlockAllocation};
use tokio::time::Instant;

use super::entry;
use super::job::{Outcome, Work};
use super::retry::{BUDGET, ROUNDS};
use super::shared::Shared;
use crate::{Allocation, Holder, Lease, LedgerError, Quarantine, Release};

/// See [`Ledger::release`](crate::Ledger::release).
pub(super) async fn release(shared: Arc<Shared>, release: Release) -> Result<Vec<Lease>, LedgerError> {
    give_back(&shared, &release, None).await
}

/// See [`Ledger::reclaim`](crate::Ledger::reclaim).
pub(super) async fn reclaim(shared: Arc<Shared>, gone: Holder, leases: Vec<Lease>) -> Result<Vec<Lease>, LedgerError> {
    let deadline = Instant::now() + BUDGET;
    let turn = shared.turns.of(&gone.uid).await;
    let jobs = leases.iter().map(|lease| {
        let work = Work::Reclaim { address: lease.address, gone: gone.clone() };
        shared.job(&lease.pool, work, deadline)
    });
    let outcomes = join_all(jobs).await;
    shared.recorder.note([gone.into()]);
    drop(turn);
    let mut given = Vec::new();
    for (lease, outcome) in leases.into_iter().zip(outcomes) {
        if outcome? == Outcome::Freed {
            given.push(lease);
        }
    }
    Ok(given)
}

/// See [`Ledger::retain`](crate::Ledger::retain).
pub(super) async fn retain(shared: Arc<Shared>, kept: Release, until: SystemTime) -> Result<Vec<Lease>, LedgerError> {
    let until = whole_seconds(until)?;
    let kept = give_back(&shared, &kept, Some(&until)).await;
    shared.ends.notify_one();
    kept
}

/// Frees what is meant, now or when the end has come.
async fn give_back(shared: &Arc<Shared>, meant: &Release, until: Option<&Time>) -> Result<Vec<Lease>, LedgerError> {
    let deadline = Instant::now() + BUDGET;
    let _turn = shared.turns.of(&meant.uid).await;
    let mut given: Vec<Lease> = Vec::new();
    // Again only if a block says that a NIC is in another sandbox than was remembered.
    for _ in 0..ROUNDS {
        let mut held = shared.memory.lock().held.of(&meant.uid).to_vec();
        held.retain(|held| meant.means(&held.lease) && !given.contains(&held.lease));
        if held.is_empty() {
            break;
        }
        let more = end(shared, &held, until, deadline).await;
        shared.recorder.note(held.iter().map(|held| held.holder.clone().into()));
        given.extend(more?);
    }
    Ok(given)
}

/// Gives back all that can be given back, now or when the end has come; the first error otherwise.
pub(super) async fn end(
    shared: &Arc<Shared>,
    held: &[Arc<Allocation>],
    until: Option<&Time>,
    deadline: Instant,
) -> Result<Vec<Lease>, LedgerError> {
    let jobs = held.iter().map(|held| {
        let (address, from) = (held.lease.address, entry::entry(held));
        let work = match until {
            None => Work::Free { address, from },
            Some(until) => {
                let to = BlockAllocation { until: Some(until.clone()), ..from.clone() };
                Work::Keep { address, from, to }
            }
        };
        shared.job(&held.lease.pool, work, deadline)
    });
    let mut given = Vec::new();
    let mut failed = Ok(());
    for (held, outcome) in held.iter().zip(join_all(jobs).await) {
        match outcome {
            Ok(Outcome::Freed | Outcome::Held(_)) => given.push(held.lease.clone()),
            Ok(_) => {}
            Err(error) => failed = failed.and(Err(error)),
        }
    }
    failed.map(|()| given)
}

/// See [`Ledger::quarantine`](crate::Ledger::quarantine).
pub(super) async fn quarantine(shared: Arc<Shared>, quarantine: Quarantine) -> Result<Vec<Lease>, LedgerError> {
    let deadline = Instant::now() + BUDGET;
    let turn = shared.turns.of(&quarantine.uid).await;
    let rest = ipblock::Quarantine { until: whole_seconds(quarantine.until)?, reason: quarantine.reason.clone() };
    let held = shared.memory.lock().held.of(&quarantine.uid).to_vec();
    let mut lost = Vec::new();
    for &address in &quarantine.addresses {
        let mine: Vec<_> = held.iter().filter(|held| held.lease.address == address).collect();
        let rests = |from| Work::Rest { address, from, rest: rest.clone() };
        for held in &mine {
            let work = rests(Some(entry::entry(held)));
            if shared.job(&held.lease.pool, work, deadline).await? == Outcome::Rested {
                lost.push(held.lease.clone());
            }
        }
        if mine.is_empty() {
            let pools = shared.memory.lock().pools_around(address);
            for pool in pools {
                shared.job(&pool, rests(None), deadline).await?;
            }
        }
    }
    shared.recorder.note(held.iter().map(|held| held.holder.clone().into()));
    drop(turn);
    Ok(lost)
}

/// Blocks are written with whole seconds, and what is written is compared later. Rounded up.
fn whole_seconds(until: SystemTime) -> Result<Time, LedgerError> {
    let moment = Timestamp::try_from(until).ok();
    let second = moment.map(|moment| moment.as_second() + i64::from(moment.subsec_nanosecond() > 0));
    let whole = second.and_then(|second| Timestamp::from_second(second).ok());
    whole.map(Time).ok_or_else(|| {
        let error = crate::ClusterError {
            what: "keep addresses from being given".to_owned(),
            cause: format!("{until:?} is not a moment that can be written down"),
            remedy: "set the clock, or keep them for a shorter time",
            retry: false,
        };
        error.into()
    })
}
