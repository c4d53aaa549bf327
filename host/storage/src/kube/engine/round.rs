//! One round of a pool's writer: the calls that the plan asks for, and what their replies mean.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use spiderpool_crd::SpiderIPBlockSpec;
use spiderpool_ip::Block;
use tokio::time::Instant;

use super::entry;
use super::job::{Job, Outcome, Take, Work};
use super::memory::Doubt;
use super::pick::View;
use super::picture::usable;
use super::plan::{Batch, Known, Plan, plan};
use super::retry::{self, LANDING};
use super::shared::bounded;
use super::writer::Writer;
use crate::block::Bits;
use crate::kube::{BlockId, ChangeError, Mark, Origin, StoreError, StoredBlock};
use crate::{BoxFuture, PoolSpace, Why};

/// How many blocks are read or changed at once.
const AT_ONCE: usize = 16;
/// How often a mark is put right after one change: a try fails only if another writer was in between.
const REPAIRS: u8 = 3;
/// How long a mark may be wrong before it is put right. Where much happens the next change does that at no cost.
const MEND: Duration = Duration::from_secs(2);

/// A mark to be put right.
pub(super) struct Repair {
    space: Arc<PoolSpace>,
    tries: u8,
    pub(super) due: Instant,
}

/// What the call for a block came to.
enum Reply {
    Read(Result<Option<StoredBlock>, StoreError>),
    Created(Batch, Result<StoredBlock, StoreError>),
    Changed(Batch, u8, Result<StoredBlock, ChangeError>),
}

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

    // === Calls ===

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

    /// The marks that are to be put right now, of blocks with which the plan does nothing else.
    fn due_repairs(&mut self, plan: &Plan) -> BTreeMap<Block, (Batch, u8)> {
        let now = Instant::now();
        let is_due = |block: &Block, repair: &mut Repair| {
            repair.due <= now && !plan.reads.contains(block) && !plan.batches.contains_key(block)
        };
        let due: Vec<_> = self.repairs.extract_if(.., is_due).collect();
        let mut memory = self.shared.memory.lock();
        let pictures = memory.pictures(&self.pool);
        let batch = |(block, Repair { space, tries, .. })| {
            // Of a block that was only listed since, the label is somebody's later one.
            let mark = pictures.get(block)?.picture()?.mark();
            Some((block, (Batch { mark: Some(mark), space: Some(space), ..Batch::default() }, tries)))
        };
        due.into_iter().filter_map(batch).collect()
    }

    // === Replies ===

    fn reply(&mut self, block: Block, reply: Reply) -> Option<StoreError> {
        match reply {
            Reply::Read(Ok(Some(stored))) => {
                self.read(&stored);
                if self.is_full(&stored) {
                    self.look_again(block);
                }
            }
            Reply::Read(Ok(None)) => self.absent(block),
            Reply::Read(Err(error)) => return self.failed(block, &error),
            Reply::Created(batch, Ok(stored)) => {
                self.own.insert(block);
                self.read(&stored);
                self.mend_mark(&batch, 0, &stored);
            }
            Reply::Created(batch, Err(StoreError::Exists(_))) => {
                let is_share = self.is_of_share(&batch, block);
                if self.is_unknown(&batch) {
                    // It may be this writer's, of the call whose outcome nobody knew.
                    self.stale.insert(block);
                } else if is_share {
                    // What of it is of this node's share is likely to be left, and is taken without reading it.
                    self.made.insert(block, true);
                } else {
                    // Whoever made it needs it.
                    self.shared.memory.lock().pictures(&self.pool).meet(block);
                }
                // Where others were to be expected they have made more than this one. A node that met them unawares finds a block
                // of its own liking likely to be nobody's yet, as where there are many more than anybody made.
                if self.apart().is_some() && !is_share && !self.is_roomy(&batch) {
                    self.look_again(block);
                }
                self.lost();
            }
            Reply::Created(_, Err(StoreError::Gone(_))) => self.pool_is_gone(),
            Reply::Created(batch, Err(error)) => {
                // Should it have been made, reading says so, and if not, that too.
                if matches!(error, StoreError::Unknown(_)) {
                    self.doubt(block, &batch);
                }
                return self.failed(block, &error);
            }
            Reply::Changed(batch, tries, Ok(stored)) => self.changed(&batch, tries, &stored),
            Reply::Changed(batch, _, Err(ChangeError::Lost)) => {
                let elsewhere = |job: &Job| !job.unknown && job.is_open();
                if !self.is_of_share(&batch, block) && batch.jobs.iter().all(|&index| elsewhere(&self.jobs[index])) {
                    // Nobody needs this block more than another: what others have come to in all of them is worth more.
                    self.shared.memory.lock().pictures(&self.pool).doubt(block);
                    self.look_again(block);
                } else {
                    self.stale.insert(block);
                }
                if batch.jobs.iter().any(|&index| matches!(self.jobs[index].work, Work::Take(_))) {
                    self.lost();
                }
            }
            Reply::Changed(batch, _, Err(ChangeError::Store(error))) => return self.not_changed(block, &batch, error),
        }
        None
    }

    /// Whether nobody knows what became of an earlier call for one of its jobs.
    fn is_unknown(&self, batch: &Batch) -> bool {
        batch.jobs.iter().any(|&index| self.jobs[index].unknown)
    }

    fn changed(&mut self, batch: &Batch, tries: u8, stored: &StoredBlock) {
        self.repairs.remove(&stored.spec.block);
        self.keep(stored, &batch.addresses);
        for &index in &batch.jobs {
            let job = &mut self.jobs[index];
            if let (None, Work::Free { address, from } | Work::Move { address, from, .. }) = (&job.reply, &job.work) {
                let mut memory = self.shared.memory.lock();
                memory.settled(&self.pool, *address, &from.pod_uid);
                memory.prefer(&from.pod_uid);
                drop(memory);
                self.shared.recorder.note(&[entry::pod_ref(from)]);
            }
            let outcome = job.done();
            job.end(Ok(outcome));
        }
        self.settle(stored);
        self.mend_mark(batch, tries, stored);
    }

    /// Whether somebody wants an address of a block that has none.
    fn is_full(&self, stored: &StoredBlock) -> bool {
        let held = Mark::of(&stored.spec).held;
        self.jobs.iter().filter(|job| !job.ended).any(|job| match &job.work {
            Work::Take(take) => usable(&take.space, stored.spec.block).minus(held).is_empty(),
            _ => false,
        })
    }

    /// Has a label put right that keeps others away from room, or sends them where there is none: another writer was at work
    /// there, too.
    fn mend_mark(&mut self, batch: &Batch, tries: u8, stored: &StoredBlock) {
        let Some(space) = &batch.space else { return };
        let (said, mark) = (stored.mark.unwrap_or_default(), Mark::of(&stored.spec));
        let usable = usable(space, stored.spec.block);
        let hides_room = !usable.and(said.held).minus(mark.held).is_empty();
        let promises_room = usable.minus(mark.held).is_empty() && !usable.minus(said.held).is_empty();
        let is_left_behind = batch.mark.is_none() && said != mark;
        if (hides_room || promises_room || is_left_behind) && tries < REPAIRS {
            let repair = Repair { space: Arc::clone(space), tries: tries + 1, due: Instant::now() + MEND };
            self.repairs.insert(stored.spec.block, repair);
        }
    }

    fn not_changed(&mut self, block: Block, batch: &Batch, error: StoreError) -> Option<StoreError> {
        match error {
            StoreError::Gone(_) | StoreError::Exists(_) => {
                let is_seen = self.shared.memory.lock().pictures(&self.pool).get(block).is_some();
                if is_seen || self.is_unknown(batch) {
                    self.stale.insert(block);
                } else {
                    // It was taken to be another's work.
                    self.made.insert(block, false);
                }
                return None;
            }
            StoreError::Refused(_) => {
                for &index in &batch.jobs {
                    let what = self.what(&self.jobs[index]);
                    let job = &mut self.jobs[index];
                    if batch.jobs.len() == 1 {
                        job.end(Err(retry::failed(what, &error)));
                    }
                    job.alone = true;
                }
                return None;
            }
            StoreError::Unknown(_) => self.doubt(block, batch),
            StoreError::Throttled { .. } | StoreError::Unreachable(_) => {}
        }
        for &index in &batch.jobs {
            self.jobs[index].cause = Some(error.clone());
        }
        Some(error)
    }

    /// The changes of a block may have been made, or be made later.
    fn doubt(&mut self, block: Block, batch: &Batch) {
        self.stale.insert(block);
        let due = Instant::now() + LANDING;
        for &index in &batch.jobs {
            let job = &mut self.jobs[index];
            job.unknown = true;
            let (address, to, before) = match &mut job.work {
                Work::Take(Take { tried: Some(address), to, pinned, .. }) => {
                    // Until the block was read: another address besides would keep both until no request can land.
                    *pinned = true;
                    (*address, to, None)
                }
                // Without it, the address was the pod's already.
                Work::Inherit { address, to, left: Some(left), .. } => (*address, to, Some(&**left)),
                _ => continue,
            };
            let doubt = Doubt { to: to.clone(), before: before.cloned(), due };
            self.shared.memory.lock().doubt(&self.pool, address, doubt);
        }
    }

    /// A block was read: what does that mean for the jobs that want something of it?
    pub(super) fn read(&mut self, stored: &StoredBlock) {
        let block = stored.spec.block;
        self.stale.remove(&block);
        if self.shared.memory.lock().misses(stored) {
            self.removed.insert(block);
            return;
        }
        let mut expected = BTreeSet::new();
        let mut outcomes = Vec::new();
        let now = (self.shared.config.clock)();
        for (index, job) in self.jobs.iter_mut().enumerate() {
            if job.ended || job.reply.is_none() || !job.is_in(block) {
                continue;
            }
            let address = job.address();
            let outcome = job.look(stored, now);
            // Only what a job has found to be its own: an entry that another job met may be one that came too late.
            let own = match &outcome {
                Some(outcome) => matches!(outcome, Outcome::Held(_) | Outcome::Inherited(_)),
                None => {
                    matches!(job.work, Work::Move { .. } | Work::Inherit { .. } | Work::Keep { .. } | Work::Free { .. })
                }
            };
            expected.extend(address.filter(|_| own));
            outcomes.extend(outcome.map(|outcome| (index, outcome)));
        }
        self.keep(stored, &expected);
        for (index, outcome) in outcomes {
            self.jobs[index].end(Ok(outcome));
        }
        self.settle(stored);
    }

    /// Doubts come last: what a request has found to be its own is none any more.
    fn settle(&mut self, stored: &StoredBlock) {
        let now = (self.shared.config.clock)();
        let mut memory = self.shared.memory.lock();
        for job in self.jobs.iter_mut().filter(|job| job.reply.is_none() && !job.ended) {
            let (Work::Settle { address, to: from, .. }
            | Work::Move { address, from, .. }
            | Work::Free { address, from }) = &job.work
            else {
                continue;
            };
            if !stored.spec.block.contains(*address) {
                continue;
            }
            let (address, uid) = (*address, from.pod_uid.clone());
            let over =
                if memory.holds(&self.pool, address, &uid) { Some(Outcome::Freed) } else { job.look(stored, now) };
            if let Some(outcome) = over {
                memory.settled(&self.pool, address, &uid);
                job.end(Ok(outcome));
            }
        }
    }

    fn absent(&mut self, block: Block) {
        self.shared.memory.lock().pictures(&self.pool).remove(block);
        if self.held_in(block).is_empty() {
            self.never_made(block);
        } else {
            self.removed.insert(block);
        }
    }

    /// Nobody holds anything in the block.
    pub(super) fn never_made(&mut self, block: Block) {
        let spec = SpiderIPBlockSpec {
            pool: self.pool.clone(),
            block,
            allocations: BTreeMap::new(),
            quarantine: BTreeMap::new(),
        };
        self.read(&StoredBlock { uid: String::new(), version: String::new(), spec, mark: None });
        self.shared.memory.lock().pictures(&self.pool).remove(block);
        self.made.insert(block, false);
    }

    fn keep(&mut self, stored: &StoredBlock, expected: &BTreeSet<std::net::IpAddr>) {
        self.made.remove(&stored.spec.block);
        let news = self.shared.memory.lock().see(stored, expected, Instant::now());
        self.shared.recorder.note(&news.surprised);
        if news.is_removed {
            self.removed.insert(stored.spec.block);
        }
    }

    /// Blocks cannot be made any more: nothing can be taken from this pool.
    pub(super) fn pool_is_gone(&mut self) {
        for job in self.jobs.iter_mut().filter(|job| matches!(job.work, Work::Take(_))) {
            job.end(Ok(Outcome::NoRoom(Why::Gone)));
        }
    }

    /// The call for a block failed: whoever wants something of it may be told why in the end.
    pub(super) fn failed(&mut self, block: Block, error: &StoreError) -> Option<StoreError> {
        let passing = retry::passing(error);
        for index in 0..self.jobs.len() {
            let job = &self.jobs[index];
            if job.ended || !(job.is_in(block) || job.address().is_none()) {
                continue;
            }
            self.fail(index, error, passing);
        }
        if !passing {
            self.stale.remove(&block);
        }
        Some(error.clone())
    }

    pub(super) fn all_failed(&mut self, error: &StoreError) -> Option<StoreError> {
        (0..self.jobs.len()).for_each(|index| self.fail(index, error, retry::passing(error)));
        Some(error.clone())
    }

    fn fail(&mut self, index: usize, error: &StoreError, passing: bool) {
        let what = self.what(&self.jobs[index]);
        let job: &mut Job = &mut self.jobs[index];
        job.cause = Some(error.clone());
        if !passing {
            job.end(Err(retry::failed(what, error)));
        }
    }
}
