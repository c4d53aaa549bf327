//! What requests do to the state. A request that fails leaves it as it was.

use std::sync::Arc;

use super::pick::pick;
use super::state::State;
use crate::block::{Rest, Slot};
use crate::{Allocation, Endpoint, Lease, Quarantine, Release, Reservation, ReserveError, Tried, Want};

/// Serves every want, or none.
pub(super) fn reserve(state: &mut State, reservation: &Reservation) -> Result<Endpoint, ReserveError> {
    let mark = state.mark();
    let outcome = serve_all(state, reservation);
    if outcome.is_err() {
        state.rollback(mark);
    }
    outcome
}

fn serve_all(state: &mut State, reservation: &Reservation) -> Result<Endpoint, ReserveError> {
    let uid = &reservation.holder.uid;
    for want in &reservation.wants {
        let held = state.held_by(uid);
        if !held.iter().any(|allocation| serves(&allocation.lease, want)) {
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
                let allocation = Allocation { holder, node, owner, lease, serial: state.take_serial() };
                state.put(address, Slot::Held(Arc::new(allocation)));
                return Ok(());
            }
        }
    }
    Err(ReserveError::Exhausted { interface: want.interface.clone(), family: want.family, tried })
}

/// What is held already follows the pod into the sandbox that asks now.
fn move_here(state: &mut State, reservation: &Reservation, held: &Arc<Allocation>) {
    let mut moved = held.as_ref().clone();
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
    let Release { uid, interface, container } = release;
    let matches = |lease: &Lease| {
        interface.as_ref().is_none_or(|interface| *interface == lease.interface)
            && container.as_ref().is_none_or(|container| *container == lease.container)
    };
    let freed: Vec<_> = state.held_by(uid).into_iter().filter(|allocation| matches(&allocation.lease)).collect();
    for allocation in &freed {
        state.put(allocation.lease.address, Slot::Free);
    }
    freed.iter().map(|allocation| allocation.lease.clone()).collect()
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
