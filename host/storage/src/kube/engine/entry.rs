//! Between an entry of a block and a row of the ledger.

use std::net::IpAddr;

use spiderpool_crd::ipblock::BlockAllocation;
use spiderpool_ip::Family;

use crate::{Allocation, Holder, Lease, Owner, PoolSpace, Reservation, Want};

/// What is written when `want` of `reservation` gets an address.
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
        ..entry(held)
    }
}

/// What is written for `allocation`.
pub(super) fn entry(allocation: &Allocation) -> BlockAllocation {
    let Allocation { holder, node, owner, lease, serial: _ } = allocation;
    BlockAllocation {
        pod: pod_of(holder),
        pod_uid: holder.uid.clone(),
        interface: lease.interface.clone(),
        node: node.clone(),
        container_id: lease.container.clone(),
        network: lease.network.clone(),
        owner: owner_of(owner),
        clean_gateway: lease.clean_gateway,
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
        serial,
    }
}

/// Who holds it.
pub(super) fn holder(entry: &BlockAllocation) -> Holder {
    let (namespace, pod) = entry.pod.split_once('/').unwrap_or(("", &entry.pod));
    Holder { namespace: namespace.to_owned(), pod: pod.to_owned(), uid: entry.pod_uid.clone() }
}

/// Whether both are of one NIC of one pod, in whatever sandbox.
pub(super) fn same_nic(one: &BlockAllocation, other: &BlockAllocation) -> bool {
    one.pod_uid == other.pod_uid && one.interface == other.interface
}

/// Whether both are of one NIC of one pod in one sandbox: what the store compares.
pub(super) fn same_use(one: &BlockAllocation, other: &BlockAllocation) -> bool {
    same_nic(one, other) && one.container_id == other.container_id
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
