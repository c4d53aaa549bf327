//! The one task that knows everything and decides what is written. Writes run beside it, a few at a time.

use std::future;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, FuturesUnordered};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use spiderpool_crd::SpiderIPPool;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::act::{self, ActError};
use crate::metrics::Metrics;
use crate::schedule::{Ended, Schedule};
use crate::step;
use crate::view::{Meaning, View};
use crate::watched::WatchedBlock;

/// Writes at one time.
const WRITERS: usize = 16;
/// Blocks in one answer: a full block has some 90 KB.
const PAGE: u32 = 50;

type Watch<K> = BoxStream<'static, Result<Event<K>, watcher::Error>>;

/// Keeps pools' status and finalizers.
pub(crate) struct Keeper {
    client: Client,
    limit: u32,
    metrics: Metrics,
    ready: watch::Sender<bool>,
    view: View,
    schedule: Schedule,
    /// Begins when all pools are known.
    blocks: Watch<WatchedBlock>,
    writes: FuturesUnordered<BoxFuture<'static, Written>>,
}

/// A write that has ended.
struct Written {
    pool: String,
    /// The version of the pool that it was made from.
    base: String,
    since: Instant,
    begun: Instant,
    result: Result<SpiderIPPool, ActError>,
}

impl Keeper {
    /// A keeper that lists the holders of pools that have at most `limit`, and tells `ready` when it has read all.
    pub(crate) fn new(client: Client, limit: u32, metrics: Metrics, ready: watch::Sender<bool>) -> Self {
        Self {
            client,
            limit,
            metrics,
            ready,
            view: View::new(limit),
            schedule: Schedule::default(),
            blocks: stream::pending().boxed(),
            writes: FuturesUnordered::new(),
        }
    }

    /// Keeps, until `stop`. Writes that have begun then are waited for.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut pools = watcher(Api::<SpiderIPPool>::all(self.client.clone()), watcher::Config::default())
            .default_backoff()
            .boxed();
        loop {
            let due = self.next_due();
            tokio::select! {
                () = stop.cancelled() => break,
                Some(event) = pools.next() => self.saw_pool(event),
                Some(event) = self.blocks.next() => self.saw_block(event),
                Some(written) = self.writes.next() => self.wrote(written),
                () = due => {}
            }
            self.begin_writes();
        }
        while let Some(written) = self.writes.next().await {
            self.wrote(written);
        }
    }

    /// Done when a write can begin.
    fn next_due(&self) -> BoxFuture<'static, ()> {
        match self.schedule.next_due() {
            Some(at) if *self.ready.borrow() && self.writes.len() < WRITERS => Box::pin(sleep_until(at)),
            _ => Box::pin(future::pending()),
        }
    }

    fn watch_blocks(&mut self) {
        let config = watcher::Config::default().page_size(PAGE);
        self.blocks = watcher(Api::all(self.client.clone()), config).default_backoff().boxed();
    }

    fn saw_pool(&mut self, event: Result<Event<SpiderIPPool>, watcher::Error>) {
        let first_list = !*self.ready.borrow();
        match event {
            Ok(event) => {
                let meaning = self.view.pool_event(event);
                if meaning.listed && first_list {
                    self.watch_blocks();
                }
                self.note(meaning);
            }
            Err(error) => warn!("pools cannot be watched, trying again: {error}"),
        }
    }

    fn saw_block(&mut self, event: Result<Event<WatchedBlock>, watcher::Error>) {
        match event {
            Ok(event) => {
                let meaning = self.view.block_event(event);
                if meaning.listed && !self.ready.send_replace(true) {
                    let (pools, blocks) = self.view.sizes();
                    info!(pools, blocks, "all pools and blocks have been read");
                }
                if meaning.reread_blocks {
                    self.watch_blocks();
                }
                self.note(meaning);
            }
            Err(error) => warn!("blocks cannot be watched, trying again: {error}"),
        }
    }

    fn note(&mut self, meaning: Meaning) {
        let now = Instant::now();
        meaning.changed.iter().for_each(|pool| self.schedule.changed(pool, now));
        meaning.gone.iter().for_each(|pool| self.schedule.forget(pool));
        let (pools, blocks) = self.view.sizes();
        self.metrics.pools.set(i64::try_from(pools).unwrap_or(i64::MAX));
        self.metrics.blocks.set(i64::try_from(blocks).unwrap_or(i64::MAX));
    }

    fn begin_writes(&mut self) {
        let now = Instant::now();
        while *self.ready.borrow() && self.writes.len() < WRITERS {
            let Some((name, since)) = self.schedule.take(now) else { break };
            // A block may be there before its pool is told.
            let Some(pool) = self.view.pool(&name) else {
                self.schedule.forget(&name);
                continue;
            };
            let (step, problem) = step::next(&name, pool, self.view.blocks(&name), self.limit);
            if let Some(problem) = problem {
                warn!(pool = name, "{problem}; it is left as it is");
            }
            let Some(step) = step else {
                self.schedule.was_current(&name, now);
                continue;
            };
            debug!(pool = name, ?step, "writing");
            let (client, base) = (self.client.clone(), pool.version.clone());
            self.writes.push(Box::pin(async move {
                let result = act::carry_out(client, &name, step).await;
                Written { pool: name, base, since, begun: now, result }
            }));
        }
    }

    fn wrote(&mut self, written: Written) {
        let Written { pool, base, since, begun, result } = written;
        let now = Instant::now();
        let how = match result {
            Ok(object) => {
                self.metrics.wrote(now - since);
                self.view.written(&base, &object);
                // What is left to do for it.
                self.schedule.changed(&pool, now);
                Ended::Done
            }
            // The watch will tell.
            Err(ActError::Gone) => Ended::Done,
            Err(ActError::Stale) => {
                self.metrics.stale.inc();
                Ended::Again
            }
            Err(error @ (ActError::Refused(_) | ActError::Left(_) | ActError::Silent)) => {
                self.metrics.failures.inc();
                warn!(pool, "cannot write the pool, trying again: {error}");
                Ended::Failed
            }
        };
        self.schedule.ended(&pool, since, begun, now, how);
    }
}
