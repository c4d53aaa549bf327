//! A block that somebody removed while pods of this node had addresses of it.
//!
//! The pods use them still, so they must not be given to others. As soon as this node sees it, it makes the block again with
//! what it holds there; the API server's store adds what the pool's status tells of other nodes. If another node was faster,
//! what is free in its block is claimed. Whatever it gave away meanwhile is lost, and a person is told.

use std::collections::BTreeMap;
use std::net::IpAddr;

use spiderpool_crd::ipblock::BlockAllocation;
use spiderpool_ip::Block;

use super::entry;
use super::retry;
use super::shared::bounded;
use super::writer::Writer;
use crate::kube::{BlockId, Change, ChangeError, Mark, Origin, StoreError, StoredBlock};

impl Writer {
    /// What this node holds in a block, as it is written there.
    pub(super) fn held_in(&self, block: Block) -> BTreeMap<IpAddr, BlockAllocation> {
        let held = self.shared.memory.lock().held.in_block(&self.pool, block);
        held.iter().map(|held| (held.lease.address, entry::entry(held))).collect()
    }

    /// Makes one try; the failure, if another is to follow after a wait. As long as it has not succeeded nobody's address of
    /// the block is answered.
    pub(super) async fn restore(&mut self, block: Block) -> Option<StoreError> {
        let id = BlockId { pool: self.pool.clone(), block };
        let held = self.held_in(block);
        tracing::warn!(block = %id, addresses = held.len(), "somebody removed the block while pods of this node have addresses of it");
        match self.put_back(&id, &held).await {
            Ok(stored) => {
                self.removed.remove(&block);
                self.shared.memory.lock().move_in(&stored);
                self.read(&stored);
                tell_lost(&stored, &held);
                None
            }
            // The next try reads what others wrote meanwhile.
            Err(ChangeError::Lost) => None,
            Err(ChangeError::Store(StoreError::Gone(_))) => {
                self.removed.remove(&block);
                let forgotten = self.shared.memory.lock().forget_all_in(&self.pool, block);
                self.shared.recorder.note(forgotten);
                self.never_made(block);
                self.pool_is_gone();
                None
            }
            Err(ChangeError::Store(error)) => {
                if !retry::passing(&error) {
                    self.removed.remove(&block);
                }
                self.failed(block, &error)
            }
        }
    }

    /// The block, with all of `held` that nobody else has.
    async fn put_back(
        &self,
        id: &BlockId,
        held: &BTreeMap<IpAddr, BlockAllocation>,
    ) -> Result<StoredBlock, ChangeError> {
        let store = &self.shared.config.blocks;
        let space = (self.shared.config.spaces)(&self.pool);
        let origin = space.as_deref().map(Origin::from).unwrap_or_default();
        match bounded(store.create(id, origin, held)).await {
            Err(StoreError::Exists(_)) => {}
            made => return Ok(made?),
        }
        let Some(stored) = bounded(store.get(id)).await? else { return Err(ChangeError::Lost) };
        let changes: Vec<Change> = held.iter().filter_map(|(&address, to)| claim(&stored, address, to)).collect();
        if changes.is_empty() {
            return Ok(stored);
        }
        let mark = Mark::of(&stored.spec).after(id.block, &changes);
        bounded(store.change(id, &changes, Some(mark))).await
    }
}

fn claim(stored: &StoredBlock, address: IpAddr, to: &BlockAllocation) -> Option<Change> {
    let to = to.clone();
    match stored.spec.allocations.get(&address) {
        None if stored.spec.quarantine.contains_key(&address) => None,
        None => Some(Change::Take { address, to }),
        Some(there) if *there != to && entry::same_nic(there, &to) => {
            Some(Change::Move { address, from: there.clone(), to })
        }
        Some(_) => None,
    }
}

fn tell_lost(stored: &StoredBlock, held: &BTreeMap<IpAddr, BlockAllocation>) {
    for (address, ours) in held {
        if let Some(there) = stored.spec.allocations.get(address).filter(|there| there.pod_uid != ours.pod_uid) {
            tracing::error!(
                pod = ours.pod,
                "{address} of pool {} was given to {} after the block was removed, and both may use it; delete one of the two pods",
                stored.spec.pool,
                there.pod
            );
        }
    }
}
