//! What requests do to the state. A request that fails leaves it as it was.

use std::sync::Arc;
use std::time::SystemTime;

use super::pick::pick;
use super::state::State;
use crate::block::{Rest, Slot};
use crate::{Allocation, Endpoint, Holder, Lease, Quarantine, Release, Reservation, ReserveError, Tried, Want};

/// Serves every want, or none. What is inherited was taken before number `known`.
pub(super) fn reserve(state: &mut State, reservation: &Reservation, known: u64) -> Result<Endpoint, ReserveError> {
    let mark = state.mark();
    let outcome = serve_all(state, reservation, known);
    if outcome.is_err() {
        state.rollback(mark);
    }
    outcome
}

fn serve_all(state: &mut State, reservation: &Reservation, known: u64) -> Result<Endpoint, ReserveError> {
    let uid = &reservation.holder.uid;
    for want in &reservation.wants {
        let held = state.held_by(uid);
        if !held.iter().any(|allocation| serves(&allocation.lease, want)) && !inherit(state, reservation, want, known) {
            take(state, reservation, want)?;
        }
    }
    for allocation in state.held_by(uid) {
        move_here(state, reservation, &allocation);
    }
    let held = state.held_by(uid);
    let nothing = || ReserveError::Nothing(reservation.holder.clone());
    Endpoint::from_allocations(held.iter().map(AsRef::as_ref)).ok_or_else(nothing)
}

fn serves(lease: &Lease, want: &Want) -> bool {
    lease.interface == want.interface && lease.family() == want.family
}

/// Makes what the last predecessor has for the want the holder's; whether there was such.
fn inherit(state: &mut State, reservation: &Reservation, want: &Want, known: u64) -> bool {
    let Reservation { holder, node, owner, container, .. } = reservation;
    let mut left = state.held_by_name(&holder.namespace, &holder.pod);
    left.retain(|left| left.holder.uid != holder.uid && left.serial < known && serves(&left.lease, want));
    left.retain(|left| want.inherits.contains(&left.lease.pool));
    let Some(left) = left.pop() else { return false };
    let (container, network, clean_gateway) = (container.clone(), want.network.clone(), want.clean_gateway);
    let lease = Lease { container, network, clean_gateway, ..left.lease.clone() };
    let (holder, node, owner) = (holder.clone(), node.clone(), owner.clone());
    let inherited = Allocation { holder, node, owner, lease, until: None, serial: state.take_serial() };
    state.put(inherited.lease.address, Slot::Held(Arc::new(inherited)));
    true
}

fn take(state: &mut State, reservation: &Reservation, want: &Want) -> Result<(), ReserveError> {
    let mut tried = Vec::new();
    for choice in &want.choices {
        let space = &choice.space;
        match pick(state, want.family, choice) {
            Err(why) => tried.push(Tried { pool: space.name.clone(), why }),
            Ok(address) => {
                let lease = Lease {
                    interface: want.interface.clone(),
                    address,
                    prefix_length: space.subnet.prefix(),
                    pool: space.name.clone(),
                    gateway: space.gateway,
                    routes: space.routes.clone(),
                    clean_gateway: want.clean_gateway,
                    container: reservation.container.clone(),
                    network: want.network.clone(),
                };
                let Reservation { holder, node, owner, .. } = reservation.clone();
                let allocation = Allocation { holder, node, owner, lease, until: None, serial: state.take_serial() };
                state.put(address, Slot::Held(Arc::new(allocation)));
                return Ok(());
            }
        }
    }
    Err(ReserveError::Exhausted { interface: want.interface.clone(), family: want.family, tried })
}

/// What is held already follows the pod into the sandbox that asks now.
fn move_here(state: &mut State, reservation: &Reservation, held: &Arc<Allocation>) {
    let mut moved = Allocation { until: None, ..held.as_ref().clone() };
    moved.node.clone_from(&reservation.node);
    moved.owner.clone_from(&reservation.owner);
    moved.lease.container.clone_from(&reservation.container);
    let asked = reservation.wants.iter().find(|want| serves(&held.lease, want) && !want.network.is_empty());
    if let Some(want) = asked {
        moved.lease.network.clone_from(&want.network);
    }
    if moved != **held {
        state.put(held.lease.address, Slot::Held(Arc::new(moved)));
    }
}

/// Frees what matches.
pub(super) fn release(state: &mut State, release: &Release) -> Vec<Lease> {
    change(state, release, |_| Slot::Free)
}

/// Has what matches end at `until`.
pub(super) fn retain(state: &mut State, kept: &Release, until: SystemTime) -> Vec<Lease> {
    change(state, kept, |held| Slot::Held(Arc::new(Allocation { until: Some(until), ..held.clone() })))
}

/// Frees what of `leases` is still the holder's.
pub(super) fn reclaim(state: &mut State, gone: &Holder, leases: &[Lease]) -> Vec<Lease> {
    let mut held = state.held_by(&gone.uid);
    held.retain(|held| leases.iter().any(|lease| lease.address == held.lease.address));
    for held in &held {
        state.put(held.lease.address, Slot::Free);
    }
    held.iter().map(|held| held.lease.clone()).collect()
}

fn change(state: &mut State, meant: &Release, into: impl Fn(&Allocation) -> Slot) -> Vec<Lease> {
    let mut held = state.held_by(&meant.uid);
    held.retain(|held| meant.means(&held.lease));
    for held in &held {
        state.put(held.lease.address, into(held));
    }
    held.iter().map(|held| held.lease.clone()).collect()
}

/// Takes addresses from their holder. A free address rests as well: a repeated request finds it so.
pub(super) fn quarantine(state: &mut State, quarantine: &Quarantine) -> Vec<Lease> {
    let Quarantine { uid, addresses, until, reason } = quarantine;
    let rest = Arc::new(Rest { until: *until, reason: reason.clone() });
    let mut lost = Vec::new();
    for &address in addresses {
        match state.get(address) {
            Slot::Held(allocation) if allocation.holder.uid == *uid => lost.push(allocation.lease.clone()),
            Slot::Held(_) => continue,
            Slot::Free | Slot::Quarantined(_) => {}
        }
        state.put(address, Slot::Quarantined(Arc::clone(&rest)));
    }
    lost
}
