//! A request for addresses: jobs for the writers of pools, all or nothing.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use futures::future::{join, join_all};
use spiderpool_crd::ipblock::BlockAllocation;
use tokio::time::Instant;

use super::entry::{self, serves};
use super::give_back::end;
use super::inherit::Inheritance;
use super::job::{Outcome, Take, Work};
use super::pick::other_family;
use super::retry::{BUDGET, ROUNDS};
use super::shared::Shared;
use crate::kube::PodRef;
use crate::{Allocation, Endpoint, Lease, LedgerError, Reservation, ReserveError, Tried, Want};

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
    let pod = PodRef::from(reservation.holder);
    if outcome.is_ok() && shared.memory.lock().doubts.are_about(&pod.uid) {
        // Should this agent die, and what was asked for in vain be done late, only the record says which was answered.
        shared.recorder.note_first(pod.clone());
        shared.recorder.written(&pod, deadline).await;
    } else if reservation.comes_back {
        shared.recorder.note_first(pod);
    } else {
        shared.recorder.note([pod]);
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
            if shared.memory.lock().held.of(uid).iter().any(|allocation| serves(&allocation.lease, want)) {
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
    let mut held = shared.memory.lock().held.of(uid).to_vec();
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
    let mut held = shared.memory.lock().held.of(&reservation.holder.uid).to_vec();
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
    let held = shared.memory.lock().held.of(&reservation.holder.uid).to_vec();
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
    let held = shared.memory.lock().held.of(uid).to_vec();
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
    shared.memory.lock().held.prefer(uid);
}
