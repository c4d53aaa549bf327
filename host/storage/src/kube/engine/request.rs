//! What a request is made of: jobs for the writers of pools, all or nothing.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use futures::future::{join, join_all};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use spiderpool_crd::ipblock::{self, BlockAllocation};
use tokio::time::Instant;

use super::adopt::claims;
use super::entry::{self, serves};
use super::inherit::{self, Inheritance};
use super::job::{Outcome, Take, Work};
use super::memory::pod_ref;
use super::pick::other_family;
use super::retry::BUDGET;
use super::shared::Shared;
use crate::kube::PodRef;
use crate::{
    Allocation, Endpoint, Holder, Lease, LedgerError, PoolSpace, Quarantine, Release, Reservation, ReserveError, Tried,
    Want,
};

/// How often what turned out not to be held is taken anew. More than once happens only if somebody edits blocks meanwhile.
const ROUNDS: usize = 4;

/// What a request has changed, should it have to be undone.
#[derive(Debug)]
pub(super) enum Taken {
    /// The address was free.
    Free { pool: String, address: IpAddr },
    /// It was a predecessor's, and this was written there; none: it was the pod's already, by a request of unknown outcome.
    Inherited { pool: String, address: IpAddr, before: Option<Box<BlockAllocation>> },
}

impl Taken {
    fn is(&self, lease: &Lease) -> bool {
        let (Self::Free { pool, address } | Self::Inherited { pool, address, .. }) = self;
        *pool == lease.pool && *address == lease.address
    }
}

/// See [`Ledger::reserve`](crate::Ledger::reserve).
pub(super) async fn reserve(
    shared: Arc<Shared>,
    reservation: Reservation,
    inheritance: Inheritance,
) -> Result<Endpoint, ReserveError> {
    let deadline = Instant::now() + BUDGET;
    shared.recorder.room(deadline).await?;
    let turn = shared.turns.of(&reservation.holder.uid).await;
    let mut taken = Vec::new();
    let outcome = serve(&shared, &reservation, inheritance, deadline, &mut taken).await;
    if outcome.is_err() {
        undo(&shared, &reservation.holder.uid, taken).await;
    }
    let Reservation { holder, .. } = &reservation;
    let pod = PodRef { namespace: holder.namespace.clone(), name: holder.pod.clone(), uid: holder.uid.clone() };
    if outcome.is_ok() && shared.memory.lock().doubts.are_about(&pod.uid) {
        // Should this agent die, and what was asked for in vain be done late, only the record says which was answered.
        shared.recorder.note_first(pod.clone());
        shared.recorder.written(&pod, deadline).await;
    } else if reservation.comes_back {
        shared.recorder.note_first(pod);
    } else {
        shared.recorder.note(&[pod]);
    }
    drop(turn);
    outcome
}

async fn serve(
    shared: &Arc<Shared>,
    reservation: &Reservation,
    mut inheritance: Inheritance,
    deadline: Instant,
    taken: &mut Vec<Taken>,
) -> Result<Endpoint, ReserveError> {
    let uid = &reservation.holder.uid;
    for _ in 0..ROUNDS {
        for want in &reservation.wants {
            let held = shared.memory.lock().held_by(uid);
            if held.iter().any(|allocation| serves(&allocation.lease, want)) {
                continue;
            }
            taken.push(match inheritance.serve(shared, reservation, want, deadline).await? {
                Some(inherited) => inherited,
                None => take(shared, reservation, want, deadline).await?,
            });
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
    end(shared, &held, None, deadline).await.map(drop)
}

async fn take(
    shared: &Arc<Shared>,
    reservation: &Reservation,
    want: &Want,
    deadline: Instant,
) -> Result<Taken, ReserveError> {
    let mut tried = Vec::new();
    for choice in &want.choices {
        let pool = &choice.space.name;
        let outcome = match other_family(&choice.space, want.family) {
            Some(why) => Outcome::NoRoom(why),
            None => {
                let to = entry::wanted(reservation, want, &shared.config.node);
                let doubted = shared.memory.lock().doubts.taken(pool, &to);
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
            Outcome::Held(address) => return Ok(Taken::Free { pool: pool.clone(), address }),
            Outcome::NoRoom(why) => tried.push(Tried { pool: pool.clone(), why }),
            Outcome::Inherited(_) | Outcome::Freed | Outcome::Rested | Outcome::NotHeld(_) | Outcome::Fresh => {}
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
    taken: &[Taken],
) -> Result<bool, LedgerError> {
    let held = shared.memory.lock().held_by(&reservation.holder.uid);
    let before = held.iter().filter(|held| !taken.iter().any(|taken| taken.is(&held.lease)));
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

/// Gives back what a request took that cannot be served as a whole, to whoever had it before. What cannot be given back stays
/// held, and is found by a retry or given back with the pod.
async fn undo(shared: &Arc<Shared>, uid: &str, taken: Vec<Taken>) {
    if taken.is_empty() {
        return;
    }
    let deadline = Instant::now() + BUDGET;
    let held = shared.memory.lock().held_by(uid);
    let (mut fresh, mut returns) = (Vec::new(), Vec::new());
    for held in held {
        match taken.iter().find(|taken| taken.is(&held.lease)) {
            Some(Taken::Free { .. }) => fresh.push(held),
            Some(Taken::Inherited { address, before: Some(before), .. }) => {
                let work = Work::Move { address: *address, from: entry::entry(&held), to: before.as_ref().clone() };
                returns.push(async move { shared.job(&held.lease.pool, work, deadline).await });
            }
            Some(Taken::Inherited { before: None, .. }) | None => {}
        }
    }
    let (freed, returned) = join(end(shared, &fresh, None, deadline), join_all(returns)).await;
    let returned = returned.into_iter().try_for_each(|outcome| outcome.map(drop));
    if let Err(error) = freed.and(returned) {
        tracing::warn!(%error, "addresses of a failed request were not given back; they are with the pod");
    }
    // What the predecessor has again is not newer than what the pod had before.
    shared.memory.lock().prefer(uid);
}

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
    let Holder { namespace, pod, uid } = gone;
    shared.recorder.note(&[PodRef { namespace, name: pod, uid }]);
    drop(turn);
    let mut given = Vec::new();
    for (lease, outcome) in leases.into_iter().zip(outcomes) {
        if outcome? == Outcome::Freed {
            given.push(lease);
        }
    }
    Ok(given)
}

/// See [`Ledger::recorded`](crate::Ledger::recorded). What this node knows by itself needs no record.
pub(super) async fn recorded(
    shared: Arc<Shared>,
    namespace: String,
    pod: String,
) -> Result<Option<Endpoint>, LedgerError> {
    let known = shared.memory.lock().endpoint(&namespace, &pod);
    if known.is_some() {
        return Ok(known);
    }
    let recorded = inherit::recorded(&shared, &namespace, &pod).await?;
    let spaces = &shared.config.spaces;
    let allocations: Vec<Allocation> = recorded
        .iter()
        .flat_map(claims)
        .zip(0..)
        .map(|((pool, claim), n)| entry::allocation(&claim.record, claim.address, &pool, spaces(&pool).as_deref(), n))
        .collect();
    Ok(Endpoint::from_allocations(&allocations))
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
        let mut held = shared.memory.lock().held_by(&meant.uid);
        held.retain(|held| meant.means(&held.lease) && !given.contains(&held.lease));
        if held.is_empty() {
            break;
        }
        let more = end(shared, &held, until, deadline).await;
        shared.recorder.note(&held.iter().map(|held| pod_ref(held)).collect::<Vec<_>>());
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
