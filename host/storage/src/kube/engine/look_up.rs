//! Requests that change nothing: what is held elsewhere, and how full pools are.

use std::sync::Arc;

use futures::future::join_all;
use tokio::time::Instant;

use super::adopt::claims;
use super::job::Work;
use super::retry::BUDGET;
use super::shared::Shared;
use super::{entry, inherit};
use crate::{Allocation, Endpoint, LedgerError, PoolSpace};

/// See [`Ledger::recorded`](crate::Ledger::recorded). What this node knows by itself needs no record.
pub(super) async fn recorded(
    shared: Arc<Shared>,
    namespace: String,
    pod: String,
) -> Result<Option<Endpoint>, LedgerError> {
    let known = shared.memory.lock().held.endpoint(&namespace, &pod);
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
