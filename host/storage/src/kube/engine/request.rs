//! What a request is made of: jobs for the writers of pools, all or nothing.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use futures::future::join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use spiderpool_crd::ipblock;
use tokio::time::Instant;

use super::entry::{self, serves};
use super::job::{Outcome, Take, Work};
use super::memory::pod_ref;
use super::pick::other_family;
use super::retry::BUDGET;
use super::shared::Shared;
use crate::kube::PodRef;
use crate::{
    Allocation, Endpoint, Lease, LedgerError, PoolSpace, Quarantine, Release, Reservation, ReserveError, Tried, Want,
};

/// How often what turned out not to be held is taken anew. More than once happens only if somebody edits blocks meanwhile.
const ROUNDS: usize = 4;

/// See [`Ledger::reserve`](crate::Ledger::reserve).
pub(super) async fn reserve(shared: Arc<Shared>, reservation: Reservation) -> Result<Endpoint, ReserveError> {
    let deadline = Instant::now() + BUDGET;
    shared.recorder.room(deadline).await?;
    let turn = shared.turns.of(&reservation.holder.uid).await;
    let mut taken = Vec::new();
    let outcome = serve(&shared, &reservation, deadline, &mut taken).await;
    if outcome.is_err() {
        undo(&shared, &taken).await;
    }
    let Reservation { holder, .. } = &reservation;
    let pod = PodRef { namespace: holder.namespace.clone(), name: holder.pod.clone(), uid: holder.uid.clone() };
    shared.recorder.note(&[pod]);
    drop(turn);
    outcome
}

async fn serve(
    shared: &Arc<Shared>,
    reservation: &Reservation,
    deadline: Instant,
    taken: &mut Vec<(String, IpAddr)>,
) -> Result<Endpoint, ReserveError> {
    let uid = &reservation.holder.uid;
    for _ in 0..ROUNDS {
        for want in &reservation.wants {
            let held = shared.memory.lock().held_by(uid);
            if !held.iter().any(|allocation| serves(&allocation.lease, want)) {
                taken.push(take(shared, reservation, want, deadline).await?);
            }
        }
        drop_twins(shared, reservation, deadline).await?;
        if move_here(shared, reservation, deadline, taken).await? {
            break;
        }
    }
    let mut held = shared.memory.lock().held_by(uid);
    let twins = twins(&held, &reservation.container);
    held.retain(|held| !twins.contains(&held.lease.address));
    let nothing = || ReserveError::Nothing(reservation.holder.clone());
    Endpoint::from_allocations(held.iter().map(AsRef::as_ref)).ok_or_else(nothing)
}

/// The addresses of NICs that have another one of the family as well: what a run of the agent asked for that died before it
/// knew the outcome. The one of this sandbox, or else the first, is the NIC's.
fn twins(held: &[Arc<Allocation>], container: &str) -> BTreeSet<IpAddr> {
    let nic = |one: &Lease, other: &Lease| one.interface == other.interface && one.family() == other.family();
    let twin = |lease: &Lease| {
        let mut alike = held.iter().map(|held| &held.lease).filter(|other| nic(other, lease));
        let first = alike.clone().next();
        alike.find(|other| other.container == container).or(first).is_some_and(|own| own.address != lease.address)
    };
    held.iter().map(|held| &held.lease).filter(|lease| twin(lease)).map(|lease| lease.address).collect()
}

/// Gives back what belongs to a sandbox that is no more. What belongs to this one stays with the pod until it goes: it
/// cannot be told which of the two was answered.
async fn drop_twins(shared: &Arc<Shared>, reservation: &Reservation, deadline: Instant) -> Result<(), LedgerError> {
    let mut held = shared.memory.lock().held_by(&reservation.holder.uid);
    let twins = twins(&held, &reservation.container);
    held.retain(|held| twins.contains(&held.lease.address) && held.lease.container != reservation.container);
    free(shared, &held, deadline).await.map(drop)
}

async fn take(
    shared: &Arc<Shared>,
    reservation: &Reservation,
    want: &Want,
    deadline: Instant,
) -> Result<(String, IpAddr), ReserveError> {
    let mut tried = Vec::new();
    for choice in &want.choices {
        let pool = &choice.space.name;
        let outcome = match other_family(&choice.space, want.family) {
            Some(why) => Outcome::NoRoom(why),
            None => {
                let to = entry::wanted(reservation, want, &shared.config.node);
                let doubted = shared.memory.lock().doubted(pool, &to);
                let again = doubted.filter(|&address| choice.space.usable.contains(address));
                let take = Take {
                    space: Arc::clone(&choice.space),
                    pick: choice.pick.clone(),
                    to,
                    tried: again,
                    pinned: again.is_some(),
                    explain: None,
                };
                shared.job(pool, Work::Take(take), deadline).await?
            }
        };
        match outcome {
            Outcome::Held(address) => return Ok((pool.clone(), address)),
            Outcome::NoRoom(why) => tried.push(Tried { pool: pool.clone(), why }),
            Outcome::Freed | Outcome::Rested | Outcome::NotHeld(_) | Outcome::Fresh => {}
        }
    }
    Err(ReserveError::Exhausted { interface: want.interface.clone(), family: want.family, tried })
}

/// What is held already follows the pod into the sandbox that asks now, which is also how the API server confirms that it
/// is held. `false` when something was not.
async fn move_here(
    shared: &Arc<Shared>,
    reservation: &Reservation,
    deadline: Instant,
    taken: &[(String, IpAddr)],
) -> Result<bool, LedgerError> {
    let held = shared.memory.lock().held_by(&reservation.holder.uid);
    let before = held
        .iter()
        .filter(|held| !taken.iter().any(|(pool, address)| *pool == held.lease.pool && *address == held.lease.address));
    let moves = before.map(|held| {
        let to = entry::moved(held, reservation, &shared.config.node);
        let work = Work::Move { address: held.lease.address, from: entry::entry(held), to };
        shared.job(&held.lease.pool, work, deadline)
    });
    let mut all = true;
    for outcome in join_all(moves).await {
        all &= matches!(outcome?, Outcome::Held(_));
    }
    Ok(all)
}

/// Gives back what a request took that cannot be served as a whole. What cannot be given back stays held, and is found by a
/// retry or given back with the pod.
async fn undo(shared: &Arc<Shared>, taken: &[(String, IpAddr)]) {
    let deadline = Instant::now() + BUDGET;
    let mut held = shared.memory.lock().allocations();
    held.retain(|held| taken.iter().any(|(pool, address)| *pool == held.lease.pool && *address == held.lease.address));
    if let Err(error) = free(shared, &held, deadline).await {
        tracing::warn!(%error, "addresses of a failed request were not given back; they are with the pod");
    }
}

/// See [`Ledger::release`](crate::Ledger::release).
pub(super) async fn release(shared: Arc<Shared>, release: Release) -> Result<Vec<Lease>, LedgerError> {
    let deadline = Instant::now() + BUDGET;
    let turn = shared.turns.of(&release.uid).await;
    let matches = |lease: &Lease| {
        release.interface.as_ref().is_none_or(|interface| *interface == lease.interface)
            && release.container.as_ref().is_none_or(|container| *container == lease.container)
    };
    let mut freed = Vec::new();
    let mut outcome = Ok(());
    // Again only if a block says that a NIC is in another sandbox than was remembered.
    for _ in 0..ROUNDS {
        let mut held = shared.memory.lock().held_by(&release.uid);
        held.retain(|held| matches(&held.lease));
        if held.is_empty() {
            break;
        }
        match free(&shared, &held, deadline).await {
            Ok(more) => freed.extend(more),
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
        shared.recorder.note(&held.iter().map(|held| pod_ref(held)).collect::<Vec<_>>());
    }
    drop(turn);
    outcome.map(|()| freed)
}

/// Frees all that can be freed; the first error otherwise.
async fn free(shared: &Arc<Shared>, held: &[Arc<Allocation>], deadline: Instant) -> Result<Vec<Lease>, LedgerError> {
    let jobs = held.iter().map(|held| {
        let work = Work::Free { address: held.lease.address, from: entry::entry(held) };
        shared.job(&held.lease.pool, work, deadline)
    });
    let mut freed = Vec::new();
    let mut failed = Ok(());
    for (held, outcome) in held.iter().zip(join_all(jobs).await) {
        match outcome {
            Ok(Outcome::Freed) => freed.push(held.lease.clone()),
            Ok(_) => {}
            Err(error) => failed = failed.and(Err(error)),
        }
    }
    failed.map(|()| freed)
}

/// See [`Ledger::quarantine`](crate::Ledger::quarantine).
pub(super) async fn quarantine(shared: Arc<Shared>, quarantine: Quarantine) -> Result<Vec<Lease>, LedgerError> {
    let deadline = Instant::now() + BUDGET;
    let turn = shared.turns.of(&quarantine.uid).await;
    let rest = ipblock::Quarantine { until: whole_seconds(&quarantine)?, reason: quarantine.reason.clone() };
    let held = shared.memory.lock().held_by(&quarantine.uid);
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
    let pods: BTreeSet<PodRef> = held.iter().map(|held| pod_ref(held)).collect();
    shared.recorder.note(&pods.into_iter().collect::<Vec<_>>());
    drop(turn);
    Ok(lost)
}

/// Blocks are written with whole seconds, and what is written is compared later. Rounded up.
fn whole_seconds(quarantine: &Quarantine) -> Result<Time, LedgerError> {
    let until = Timestamp::try_from(quarantine.until).ok();
    let second = until.map(|until| until.as_second() + i64::from(until.subsec_nanosecond() > 0));
    let whole = second.and_then(|second| Timestamp::from_second(second).ok());
    whole.map(Time).ok_or_else(|| {
        let error = crate::ClusterError {
            what: "quarantine addresses".to_owned(),
            cause: format!("{:?} is not a moment that can be written down", quarantine.until),
            remedy: "set the clock, or quarantine for a shorter time",
            retry: false,
        };
        error.into()
    })
}

/// Everything that is held in one pool, on all nodes.
pub(super) async fn allocations(shared: Arc<Shared>, pool: String) -> Result<Vec<Arc<Allocation>>, LedgerError> {
    let what = format!("read the blocks of pool {pool}");
    let blocks = shared.retried(&what, || shared.config.blocks.blocks(&pool)).await?;
    let space = (shared.config.spaces)(&pool);
    let entries = blocks.iter().flat_map(|stored| &stored.spec.allocations);
    let mut all: Vec<_> = entries.map(|(&address, there)| (address, there)).collect();
    all.sort_by_key(|(address, _)| *address);
    let rows = all.into_iter().zip(0..);
    Ok(rows
        .map(|((address, there), n)| Arc::new(entry::allocation(there, address, &pool, space.as_deref(), n)))
        .collect())
}

/// See [`Ledger::refresh`](crate::Ledger::refresh).
pub(super) async fn refresh(shared: Arc<Shared>, pools: Vec<Arc<PoolSpace>>) -> Result<(), LedgerError> {
    let deadline = Instant::now() + BUDGET;
    let jobs = pools.iter().map(|space| shared.job(&space.name, Work::Refresh { space: Arc::clone(space) }, deadline));
    join_all(jobs).await.into_iter().try_for_each(|outcome| outcome.map(drop))
}
