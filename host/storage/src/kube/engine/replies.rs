//! What the store's replies mean.

use spiderpool_ip::Block;
use tokio::time::Instant;

use super::doubts::Doubt;
use super::entry;
use super::job::{Job, Outcome, Take, Work};
use super::plan::Batch;
use super::retry::{self, LANDING};
use super::writer::Writer;
use crate::Why;
use crate::kube::{ChangeError, StoreError, StoredBlock};

/// What the call for a block came to.
pub(super) enum Reply {
    Read(Result<Option<StoredBlock>, StoreError>),
    Created(Batch, Result<StoredBlock, StoreError>),
    Changed(Batch, u8, Result<StoredBlock, ChangeError>),
}

impl Writer {
    /// Does what one asks for; the failure, if a call is to be tried again after a wait.
    pub(super) fn reply(&mut self, block: Block, reply: Reply) -> Option<StoreError> {
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
                memory.doubts.settle(&self.pool, *address, &from.pod_uid);
                memory.held.prefer(&from.pod_uid);
                drop(memory);
                self.shared.recorder.note([entry::holder(from).into()]);
            }
            let outcome = job.done();
            job.end(Ok(outcome));
        }
        self.settle(stored);
        self.mend_mark(batch, tries, stored);
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
            self.shared.memory.lock().doubts.insert(&self.pool, address, doubt);
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
