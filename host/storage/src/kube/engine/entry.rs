//! Between an entry of a block and a row of the ledger.

use std::net::IpAddr;
use std::time::SystemTime;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use spiderpool_crd::ipblock::BlockAllocation;
use spiderpool_ip::Family;

use crate::{Allocation, Holder, Lease, Owner, PoolSpace, Reservation, Want};

/// What is written when `want` of `reservation` gets an address, a free one or one that a pod before it left.
pub(super) fn wanted(reservation: &Reservation, want: &Want, node: &str) -> BlockAllocation {
    let Reservation { holder, container, owner, .. } = reservation;
    BlockAllocation {
        pod: pod_of(holder),
        pod_uid: holder.uid.clone(),
        interface: want.interface.clone(),
        node: node.to_owned(),
        container_id: container.clone(),
        network: want.network.clone(),
        owner: owner_of(owner),
        clean_gateway: want.clean_gateway,
        until: None,
        further: String::new(),
    }
}

/// What is written when what is held follows its pod into the sandbox of `reservation`.
pub(super) fn moved(held: &Allocation, reservation: &Reservation, node: &str) -> BlockAllocation {
    let asked = reservation.wants.iter().find(|want| serves(&held.lease, want) && !want.network.is_empty());
    BlockAllocation {
        node: node.to_owned(),
        container_id: reservation.container.clone(),
        network: asked.map_or(&held.lease.network, |want| &want.network).clone(),
        owner: owner_of(&reservation.owner),
        until: None,
        ..entry(held)
    }
}

/// What is written for `allocation`.
pub(super) fn entry(allocation: &Allocation) -> BlockAllocation {
    let Allocation { holder, node, owner, lease, until, serial: _ } = allocation;
    BlockAllocation {
        pod: pod_of(holder),
        pod_uid: holder.uid.clone(),
        interface: lease.interface.clone(),
        node: node.clone(),
        container_id: lease.container.clone(),
        network: lease.network.clone(),
        owner: owner_of(owner),
        clean_gateway: lease.clean_gateway,
        until: until.and_then(|until| Timestamp::try_from(until).ok()).map(Time),
        further: String::new(),
    }
}

/// What the entry says; the pool adds what it says now. Of a pool that is gone nothing is known but the address.
pub(super) fn allocation(
    entry: &BlockAllocation,
    address: IpAddr,
    pool: &str,
    space: Option<&PoolSpace>,
    serial: u64,
) -> Allocation {
    let (kind, name) = entry.owner.split_once('/').unwrap_or_default();
    let lease = Lease {
        interface: entry.interface.clone(),
        address,
        prefix_length: space.map_or(Family::of(address).bits(), |space| space.subnet.prefix()),
        pool: pool.to_owned(),
        gateway: space.and_then(|space| space.gateway),
        routes: space.map(|space| space.routes.clone()).unwrap_or_default(),
        clean_gateway: entry.clean_gateway,
        container: entry.container_id.clone(),
        network: entry.network.clone(),
    };
    Allocation {
        holder: holder(entry),
        node: entry.node.clone(),
        owner: Owner { kind: kind.to_owned(), name: name.to_owned() },
        lease,
        until: end(entry),
        serial,
    }
}

/// When it is given back.
pub(super) fn end(entry: &BlockAllocation) -> Option<SystemTime> {
    entry.until.as_ref().map(|until| SystemTime::from(until.0))
}

/// Who holds it.
pub(super) fn holder(entry: &BlockAllocation) -> Holder {
    let (namespace, pod) = entry.pod.split_once('/').unwrap_or(("", &entry.pod));
    Holder { namespace: namespace.to_owned(), pod: pod.to_owned(), uid: entry.pod_uid.clone() }
}

/// Whether it tells no more than a pod: it was taken over from `status.allocatedIPs`.
pub(super) fn is_bare(there: &BlockAllocation) -> bool {
    there.interface.is_empty()
}

/// Whether what is written there is of the same NIC of the same pod, in whatever sandbox. A bare entry is of the NIC that has
/// the address.
pub(super) fn same_nic(there: &BlockAllocation, known: &BlockAllocation) -> bool {
    there.pod_uid == known.pod_uid && (there.interface == known.interface || is_bare(there))
}

/// Whether what is written there is of the same NIC of the same pod in the same sandbox, with the same end.
pub(super) fn same_use(there: &BlockAllocation, known: &BlockAllocation) -> bool {
    let same = there.container_id == known.container_id && there.until == known.until;
    same_nic(there, known) && (same || is_bare(there))
}

/// Whether `to` may get what the pod of that uid left: that of its own name, for the NIC.
pub(super) fn left_for(there: &BlockAllocation, uid: &str, to: &BlockAllocation) -> bool {
    there.pod_uid == uid && there.pod == to.pod && (there.interface == to.interface || is_bare(there))
}

/// Whether the lease is what is wanted.
pub(super) fn serves(lease: &Lease, want: &Want) -> bool {
    lease.interface == want.interface && lease.family() == want.family
}

fn pod_of(holder: &Holder) -> String {
    format!("{}/{}", holder.namespace, holder.pod)
}

fn owner_of(owner: &Owner) -> String {
    if owner.kind.is_empty() { String::new() } else { format!("{}/{}", owner.kind, owner.name) }
}
