//! One round of a pool's writer: the calls that the plan asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, stream};
use spiderpool_ip::Block;

use super::pick::View;
use super::plan::{Known, Plan, plan};
use super::replies::Reply;
use super::shared::bounded;
use super::writer::Writer;
use crate::BoxFuture;
use crate::block::Bits;
use crate::kube::{BlockId, Origin, StoreError};

/// How many blocks are read or changed at once.
const AT_ONCE: usize = 16;
impl Writer {
    /// Does one step for every job; the failure, if a call is to be tried again after a wait.
    pub(super) async fn round(&mut self) -> Option<StoreError> {
        if let Some(&block) = self.removed.first() {
            return self.restore(block).await;
        }
        let mut plan = self.plan();
        for (index, outcome) in std::mem::take(&mut plan.outcomes) {
            self.jobs[index].end(Ok(outcome));
        }
        let failed = if plan.marks {
            self.list_marks(None).await
        } else if plan.list {
            self.list_blocks().await
        } else if let Some(near) = self.worth_seeing(&plan) {
            self.list_marks(Some(near)).await
        } else {
            self.calls(plan).await
        };
        self.jobs.retain(|job| !job.ended);
        failed
    }

    fn plan(&mut self) -> Plan {
        let wanted = self.jobs.iter().filter(|job| job.is_open()).count();
        self.expect(wanted);
        let apart = self.apart();
        let mut memory = self.shared.memory.lock();
        let pictures = memory.pictures(&self.pool);
        let is_open = |block: &Block| {
            pictures.get(*block).is_some_and(|seen| seen.mark().is_none_or(|mark| mark.held != Bits(u16::MAX)))
        };
        self.own.retain(is_open);
        let view = View {
            pictures,
            busy: BTreeMap::new(),
            now: (self.shared.config.clock)(),
            liking: *self.shared.liking.lock(),
            wanted: u32::try_from(wanted).unwrap_or(u32::MAX),
            apart,
            own: &self.own,
            made: &self.made,
            cursor: None,
        };
        let spaces = &self.shared.config.spaces;
        let known = Known { pool: &self.pool, spaces, looked: self.looked, stale: &self.stale };
        plan(&mut self.jobs, view, &known)
    }

    async fn list_blocks(&mut self) -> Option<StoreError> {
        match bounded(self.shared.config.blocks.blocks(&self.pool)).await {
            Ok(blocks) => {
                blocks.iter().for_each(|stored| self.read(stored));
                None
            }
            Err(error) => self.all_failed(&error),
        }
    }

    async fn calls(&mut self, plan: Plan) -> Option<StoreError> {
        let shared = Arc::clone(&self.shared);
        let store = &shared.config.blocks;
        let repairs = self.due_repairs(&plan);
        let tries: BTreeMap<_, _> = repairs.iter().map(|(block, (_, tries))| (*block, *tries)).collect();
        let mut batches = plan.batches;
        batches.extend(repairs.into_iter().map(|(block, (batch, _))| (block, batch)));
        let id = |block| BlockId { pool: self.pool.clone(), block };
        let mut calls: Vec<BoxFuture<'_, (Block, Reply)>> = Vec::new();
        for block in plan.reads {
            let id = id(block);
            calls.push(Box::pin(async move { (block, Reply::Read(bounded(store.get(&id)).await)) }));
        }
        for block in plan.creates {
            let (id, batch) = (id(block), batches.remove(&block).unwrap_or_default());
            let first = [batch.takes(), self.held_in(block)].into_iter().flatten().collect();
            calls.push(Box::pin(async move {
                let origin = batch.space.as_deref().map(Origin::from).unwrap_or_default();
                let created = bounded(store.create(&id, origin, &first)).await;
                (block, Reply::Created(batch, created))
            }));
        }
        for (block, batch) in batches {
            let (id, tries) = (id(block), tries.get(&block).copied().unwrap_or_default());
            calls.push(Box::pin(async move {
                let changed = bounded(store.change(&id, &batch.changes, batch.mark)).await;
                (block, Reply::Changed(batch, tries, changed))
            }));
        }
        let replies: Vec<_> = stream::iter(calls).buffered(AT_ONCE).collect().await;
        let mut failed = None;
        for (block, reply) in replies {
            failed = self.reply(block, reply).or(failed);
        }
        failed
    }
}
