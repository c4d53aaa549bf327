//! The one task that changes a pool's blocks: group commit.
//!
//! ```text
//! jobs → gather → plan: an address for each → one change per block, all blocks at once → look at the replies → answer
//!          ↑                                                                                    │
//!          └──────────────── what is not done yet, after a wait if the store failed ←───────────┘
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use spiderpool_ip::Block;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::doubts::Doubt;
use super::job::{Job, Work};
use super::mend::Repair;
use super::others::CROWD;
use super::retry::{self, BUDGET};
use super::shared::Shared;

/// The most jobs that are looked at together.
const GROUP: usize = 256;
/// How long a writer that had several to serve waits for as many to come again, at most: a write costs the API server as
/// much for one as for all of them, and in a storm it is the API server that everybody waits for. It waits no longer than its
/// last calls took.
const GATHER: Duration = Duration::from_millis(60);
/// How long a writer that has served nobody yet waits for others, where a crowd is about to ask. Then it knows how many come
/// together.
const MUSTER: Duration = Duration::from_millis(100);
/// The largest crowd that is waited for as a whole: what one block has room for.
const WHOLE: usize = Block::SIZE as usize;
/// For how long. It is over as soon as all have come: that takes long only where cores are too busy to start them, and nobody
/// is served sooner by more writes then.
const MUSTER_WHOLE: Duration = Duration::from_millis(1500);
/// How long a writer waits for more to do before it ends.
const IDLE: Duration = Duration::from_secs(60);
/// How many rounds may pass without an answer before they are slowed: reading what must be read takes some.
const STUCK: u32 = 6;
/// How far they are slowed, as a number of tries: to 40 to 80 ms. Others are faster then, and will have had enough soon.
const SLOWEST: u32 = 3;

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) pool: String,
    pub(super) waiting: mpsc::Receiver<Job>,
    pub(super) jobs: Vec<Job>,
    /// When the latest list of all blocks was begun; none: there was none since the ledger was opened.
    pub(super) looked: Option<Instant>,
    /// When the list of the blocks of a neighbourhood was begun, by its first.
    pub(super) looked_near: BTreeMap<Block, Instant>,
    /// Neighbourhoods that are worth a look, by their first block.
    pub(super) worth_a_look: BTreeSet<Block>,
    /// Blocks whose picture is known to be wrong.
    pub(super) stale: BTreeSet<Block>,
    /// Blocks that somebody removed while this node held addresses of them.
    pub(super) removed: BTreeSet<Block>,
    pub(super) repairs: BTreeMap<Block, Repair>,
    /// Until when this writer stays away from the addresses that others take.
    pub(super) apart_until: Option<Instant>,
    /// The lowest block that had room when it began to.
    pub(super) apart_from: Option<Block>,
    /// How often others were faster.
    pub(super) losses: u64,
    /// Blocks that this writer made: nobody takes from these as long as there are others.
    pub(super) own: BTreeSet<Block>,
    /// Whether blocks that were not seen were made, as the last calls for them said.
    pub(super) made: BTreeMap<Block, bool>,
    /// How many rounds in a row had a call that failed, and how many did not end a job.
    failures: u32,
    rounds: u32,
    /// How many jobs the last round had, with those that came meanwhile: without the latter, those who ask together would take
    /// turns in two groups for ever.
    together: usize,
    /// How long it took, if there was one.
    took: Option<Duration>,
    /// Whether it waits for a whole crowd: none was too large for that until now, and none was waited for in vain.
    whole: bool,
}

/// How long a round waits for more to do.
struct Wait {
    /// For so many altogether.
    jobs: usize,
    within: Duration,
    /// Whether that is a whole crowd, of which only those count that take an address.
    whole: bool,
}

impl Wait {
    fn is_over(&self, jobs: &[Job]) -> bool {
        jobs.iter().filter(|job| !self.whole || job.is_open()).count() >= self.jobs
    }
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, pool: String, waiting: mpsc::Receiver<Job>) -> Self {
        let looked = shared.memory.lock().looked(&pool);
        Self {
            shared,
            pool,
            waiting,
            jobs: Vec::new(),
            looked,
            looked_near: BTreeMap::new(),
            worth_a_look: BTreeSet::new(),
            stale: BTreeSet::new(),
            removed: BTreeSet::new(),
            repairs: BTreeMap::new(),
            apart_until: None,
            apart_from: None,
            losses: 0,
            own: BTreeSet::new(),
            made: BTreeMap::new(),
            failures: 0,
            rounds: 0,
            together: 0,
            took: None,
            whole: true,
        }
    }

    /// Works until there was nothing to do for a while.
    pub(super) async fn run(mut self) {
        while self.gather().await {
            self.give_up();
            let before = self.jobs.len();
            let begun = Instant::now();
            let failed = self.round().await;
            self.took = Some(begun.elapsed());
            self.failures = if failed.is_some() { self.failures + 1 } else { 0 };
            self.together = before + self.waiting.len();
            self.rounds = if self.jobs.len() < before { 0 } else { self.rounds + 1 };
            if let Some(error) = failed {
                self.pause(self.shared.chance.wait(self.failures - 1, &error)).await;
            } else if self.rounds > STUCK {
                self.pause(self.shared.chance.backoff((self.rounds - STUCK).min(SLOWEST))).await;
            }
        }
    }

    /// Takes what waits. `false`: nothing did for long, and nobody finds this writer any more.
    async fn gather(&mut self) -> bool {
        if self.jobs.is_empty() && self.removed.is_empty() {
            let doubt = self.shared.memory.lock().doubts.next_due(&self.pool);
            let due = doubt.into_iter().chain(self.repairs.values().map(|repair| repair.due)).min();
            let until = due.unwrap_or_else(|| Instant::now() + IDLE);
            match tokio::time::timeout_at(until, self.waiting.recv()).await {
                Ok(Some(job)) => self.jobs.push(job),
                Ok(None) => return false,
                Err(_) if due.is_none() => {
                    let mut writers = self.shared.writers.lock();
                    if self.waiting.is_empty() {
                        writers.remove(&self.pool);
                        return false;
                    }
                }
                Err(_) => {}
            }
        }
        let wait = self.waits_for();
        let until = Instant::now() + wait.within;
        while self.jobs.len() < GROUP {
            let more = match self.waiting.try_recv() {
                Ok(job) => Some(job),
                Err(_) if wait.is_over(&self.jobs) => None,
                Err(_) => tokio::time::timeout_at(until, self.waiting.recv()).await.unwrap_or_default(),
            };
            let Some(job) = more else { break };
            self.jobs.push(job);
        }
        self.whole &= !wait.whole || wait.is_over(&self.jobs);
        let now = Instant::now();
        for (address, Doubt { to, before, .. }) in self.shared.memory.lock().doubts.take_due(&self.pool, now) {
            self.jobs.push(Job::new(Work::Settle { address, to, before }, now, now + BUDGET));
        }
        true
    }

    /// For how many jobs the next round waits, and for how long. After a crowd that is too large for it, never again for a whole
    /// one.
    fn waits_for(&mut self) -> Wait {
        let may_muster = self.whole || self.took.is_none();
        let crowd = if may_muster && self.jobs.iter().any(Job::is_open) { self.crowd() } else { 0 };
        self.whole &= crowd <= WHOLE;
        let whole = self.whole && crowd >= CROWD;
        if whole {
            tracing::debug!(pool = self.pool, pods = crowd, "waiting for all that are about to start");
        }
        let (jobs, within) = match self.took {
            _ if whole => (crowd, MUSTER_WHOLE),
            Some(took) => (self.together, GATHER.min(took)),
            None if crowd >= CROWD => (CROWD, MUSTER),
            None => (0, Duration::ZERO),
        };
        Wait { jobs, within, whole }
    }

    /// Answers those whose time is up.
    fn give_up(&mut self) {
        let now = Instant::now();
        for mut job in std::mem::take(&mut self.jobs) {
            if now < job.deadline {
                self.jobs.push(job);
                continue;
            }
            let what = self.what(&job);
            let error = match &job.cause {
                Some(cause) => retry::failed(what, cause),
                None => retry::outrun(what),
            };
            // A doubt that nobody asked about is still remembered, and comes again.
            job.end(Err(error));
        }
    }

    pub(super) fn what(&self, job: &Job) -> String {
        let pool = &self.pool;
        match (&job.work, job.address()) {
            (Work::Take(_), _) => format!("take an address of pool {pool}"),
            (Work::Free { .. } | Work::Settle { .. }, Some(address)) => format!("free {address} of pool {pool}"),
            (_, Some(address)) => format!("change the holder of {address} of pool {pool}"),
            (_, None) => format!("read the blocks of pool {pool}"),
        }
    }

    /// Waits before the next try, not longer than the first job has time.
    async fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let first = self.jobs.iter().map(|job| job.deadline).min();
        tokio::time::sleep_until(first.map_or(until, |first| first.min(until))).await;
    }
}
