//! What the picture of a block means for those who want something of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use spiderpool_crd::SpiderIPBlockSpec;
use spiderpool_ip::Block;
use tokio::time::Instant;

use super::job::{Outcome, Work};
use super::picture::usable;
use super::writer::Writer;
use crate::kube::{Mark, StoredBlock};

impl Writer {
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
    pub(super) fn settle(&mut self, stored: &StoredBlock) {
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
                if memory.held.is_of(&uid, &self.pool, address) { Some(Outcome::Freed) } else { job.look(stored, now) };
            if let Some(outcome) = over {
                memory.doubts.settle(&self.pool, address, &uid);
                job.end(Ok(outcome));
            }
        }
    }

    pub(super) fn absent(&mut self, block: Block) {
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

    pub(super) fn keep(&mut self, stored: &StoredBlock, expected: &BTreeSet<IpAddr>) {
        self.made.remove(&stored.spec.block);
        let news = self.shared.memory.lock().see(stored, expected, Instant::now());
        self.shared.recorder.note(news.surprised);
        if news.is_removed {
            self.removed.insert(stored.spec.block);
        }
    }

    /// Whether somebody wants an address of a block that has none.
    pub(super) fn is_full(&self, stored: &StoredBlock) -> bool {
        let held = Mark::of(&stored.spec).held;
        self.jobs.iter().filter(|job| !job.ended).any(|job| match &job.work {
            Work::Take(take) => usable(&take.space, stored.spec.block).minus(held).is_empty(),
            _ => false,
        })
    }
}
