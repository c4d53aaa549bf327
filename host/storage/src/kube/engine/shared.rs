//! What requests, writers and the recorder share.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::KubeLedgerConfig;
use super::adopt::adopt;
use super::job::{Job, Outcome, Work};
use super::memory::Memory;
use super::recorder::Recorder;
use super::retry::{self, BUDGET, CALL, Chance};
use super::share::Liking;
use super::turns::Turns;
use super::writer::Writer;
use crate::kube::StoreError;
use crate::{LedgerError, LedgerError::Closed};

/// How many requests may run or wait, and how many jobs may wait for one pool. Whoever comes then is told that the ledger is
/// busy.
pub(super) const WAITING: usize = 1024;
/// How often it is looked whether everything has ended.
const PATIENCE: Duration = Duration::from_millis(10);

pub(super) struct Shared {
    pub(super) config: KubeLedgerConfig,
    pub(super) liking: Mutex<Liking>,
    pub(super) memory: Mutex<Memory>,
    pub(super) turns: Arc<Turns>,
    pub(super) chance: Chance,
    pub(super) recorder: Arc<Recorder>,
    /// An address has got an end, perhaps the next one.
    pub(super) ends: Notify,
    pub(super) writers: Mutex<BTreeMap<String, mpsc::Sender<Job>>>,
    traffic: Arc<Traffic>,
    closed: AtomicBool,
    stopped: CancellationToken,
}

/// Who asks.
struct Traffic {
    running: AtomicUsize,
    /// When a request ended last.
    last: Mutex<Option<Instant>>,
}

/// A request that runs. Dropping it ends it.
pub(super) struct Running(Arc<Traffic>);

impl Drop for Running {
    fn drop(&mut self) {
        *self.0.last.lock() = Some(Instant::now());
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Shared {
    /// Reads what the node holds and starts the recorder.
    pub(super) async fn open(config: KubeLedgerConfig) -> Result<Arc<Self>, LedgerError> {
        let chance = Chance::new(config.seed);
        let begun = Instant::now();
        let mut blocks = retried(&chance, "read all blocks of addresses", || config.blocks.all_blocks()).await?;
        let recorded = || config.endpoints.of_node(&config.node);
        let recorded = retried(&chance, "read the endpoints of this node", recorded).await?;
        adopt(&*config.blocks, &chance, &recorded, &mut blocks).await?;
        let mut memory = Memory::new(config.node.clone(), Arc::clone(&config.spaces));
        memory.start(&blocks, &recorded, begun);
        let recorder = Arc::new(Recorder::new(Arc::clone(&config.endpoints), config.seed));
        let shared = Arc::new(Self {
            liking: Mutex::new(Liking::of(&config.node)),
            config,
            memory: Mutex::new(memory),
            turns: Arc::default(),
            chance,
            recorder: Arc::clone(&recorder),
            ends: Notify::new(),
            writers: Mutex::default(),
            traffic: Arc::new(Traffic { running: AtomicUsize::new(0), last: Mutex::new(None) }),
            closed: AtomicBool::new(false),
            stopped: CancellationToken::new(),
        });
        recorder.start(recorded, &shared.memory.lock());
        shared.spawn(super::recorder::run(Arc::clone(&shared)));
        shared.spawn(super::expiry::run(Arc::clone(&shared)));
        shared.spawn(super::rank::run(Arc::clone(&shared)));
        Ok(shared)
    }

    /// Makes room for a request.
    pub(super) fn begin(&self) -> Result<Running, LedgerError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Closed);
        }
        let running = Running(Arc::clone(&self.traffic));
        if self.traffic.running.fetch_add(1, Ordering::AcqRel) >= WAITING {
            return Err(LedgerError::Busy { waiting: WAITING });
        }
        Ok(running)
    }

    /// For how long nobody has been waiting for an answer; for ever, once nobody can ask any more.
    pub(super) fn quiet(&self) -> Duration {
        if self.closed.load(Ordering::Acquire) {
            return Duration::MAX;
        }
        if self.traffic.running.load(Ordering::Acquire) > 0 {
            return Duration::ZERO;
        }
        self.traffic.last.lock().map_or(Duration::MAX, |last| last.elapsed())
    }

    /// Runs until it is done or the ledger is dropped.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stopped = self.stopped.clone();
        tokio::spawn(async move {
            stopped.run_until_cancelled(work).await;
        });
    }

    pub(super) fn stop(&self) {
        self.closed.store(true, Ordering::Release);
        self.stopped.cancel();
    }

    pub(super) async fn close(&self, patience: Duration) -> bool {
        self.closed.store(true, Ordering::Release);
        self.recorder.hurry();
        let ended = || self.traffic.running.load(Ordering::Acquire) == 0 && self.recorder.backlog() == 0;
        let deadline = Instant::now() + patience;
        while !ended() && Instant::now() < deadline {
            tokio::time::sleep(PATIENCE).await;
        }
        let ended = ended();
        self.stop();
        ended
    }

    /// Has the pool's writer do it.
    pub(super) async fn job(
        self: &Arc<Self>,
        pool: &str,
        work: Work,
        deadline: Instant,
    ) -> Result<Outcome, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let mut job = Job::new(work, Instant::now(), deadline);
        job.reply = Some(reply);
        self.queue(pool, job)?;
        Ok(answer.await.map_err(|_| Closed)??)
    }

    /// Under the lock of the writers, so that none ends between being found and being asked.
    fn queue(self: &Arc<Self>, pool: &str, job: Job) -> Result<(), LedgerError> {
        let mut writers = self.writers.lock();
        if !writers.contains_key(pool) {
            let (jobs, waiting) = mpsc::channel(WAITING);
            writers.insert(pool.to_owned(), jobs);
            self.spawn(Writer::new(Arc::clone(self), pool.to_owned(), waiting).run());
        }
        match writers.get(pool) {
            Some(jobs) => jobs.try_send(job).map_err(|error| match error {
                TrySendError::Full(_) => LedgerError::Busy { waiting: WAITING },
                // The ledger was stopped, and this request is about to be.
                TrySendError::Closed(_) => Closed,
            }),
            None => Err(Closed),
        }
    }

    /// Repeats a call until it succeeds, cannot succeed, or the time is up.
    pub(super) async fn retried<'a, T>(
        &self,
        what: &str,
        call: impl FnMut() -> crate::BoxFuture<'a, Result<T, StoreError>>,
    ) -> Result<T, LedgerError> {
        retried(&self.chance, what, call).await
    }
}

pub(super) async fn retried<'a, T>(
    chance: &Chance,
    what: &str,
    mut call: impl FnMut() -> crate::BoxFuture<'a, Result<T, StoreError>>,
) -> Result<T, LedgerError> {
    let deadline = Instant::now() + BUDGET;
    let mut attempt = 0;
    loop {
        let error = match bounded(call()).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let wait = chance.wait(attempt, &error);
        if !retry::passing(&error) || Instant::now() + wait >= deadline {
            return Err(retry::failed(what.to_owned(), &error).into());
        }
        tracing::warn!(%error, what, "the API server failed; trying again");
        tokio::time::sleep(wait).await;
        attempt += 1;
    }
}

/// A call that takes too long has an unknown outcome.
pub(super) async fn bounded<T, E: From<StoreError>>(call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    tokio::time::timeout(CALL, call)
        .await
        .unwrap_or_else(|_| Err(StoreError::Unknown(format!("no answer within {} seconds", CALL.as_secs())).into()))
}
