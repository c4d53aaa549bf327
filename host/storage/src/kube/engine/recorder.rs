//! Keeps the SpiderEndpoint records equal to what the pods of this node hold, behind the replies.
//!
//! Of every pod only the latest state counts: what came and went before it was written costs nothing. A failed write is
//! repeated without end. A write of unknown outcome could be done late, over a newer one: the record is written once more
//! when that can no longer happen.

mod records;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use spiderpool_crd::SpiderEndpoint;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::records::{Name, Records, Step, at_once};
use super::memory::Memory;
use super::retry::Chance;
use super::shared::{Shared, WAITING, bounded};
use crate::LedgerError;
use crate::kube::{EndpointStore, PodRef, RecordedEndpoint, StoreError};

/// How many records are written at once: each needs a connection of its own, and making one costs the API server as much as
/// writing.
const AT_ONCE: usize = 4;
/// How many pods may be behind before reservations wait.
const BACKLOG: usize = 512;
/// After how many failures of one record it is told, each time.
const ATTEMPTS: u32 = 12;

pub(super) struct Recorder {
    store: Arc<dyn EndpointStore>,
    chance: Chance,
    records: Mutex<Records>,
    /// Something is to be done.
    work: Notify,
    /// Something was done.
    done: Notify,
}

impl Recorder {
    pub(super) fn new(store: Arc<dyn EndpointStore>, seed: u64) -> Self {
        let records = Mutex::default();
        Self { store, chance: Chance::new(seed.rotate_left(32)), records, work: Notify::new(), done: Notify::new() }
    }

    /// Compares what is recorded with what is held, and queues the difference.
    pub(super) fn start(&self, recorded: Vec<RecordedEndpoint>, memory: &Memory) {
        let mut pods: BTreeSet<PodRef> = memory.held.all().iter().map(|held| held.holder.clone().into()).collect();
        {
            let mut records = self.records.lock();
            for stored in recorded {
                let held = memory.held.endpoint(&stored.pod.namespace, &stored.pod.name);
                let right = held.filter(|held| SpiderEndpoint::from(held).status.as_ref() == Some(&stored.status));
                records.found(&stored.pod, right);
                pods.insert(stored.pod);
            }
        }
        self.note(pods);
    }

    /// What these pods hold may have changed.
    pub(super) fn note(&self, pods: impl IntoIterator<Item = PodRef>) {
        self.note_at(pods, Instant::now());
    }

    /// The same for a record that nothing is to delay.
    pub(super) fn note_first(&self, pod: PodRef) {
        self.note_at([pod], at_once(Instant::now()));
    }

    fn note_at(&self, pods: impl IntoIterator<Item = PodRef>, at: Instant) {
        let mut pods = pods.into_iter().peekable();
        if pods.peek().is_none() {
            return;
        }
        let mut records = self.records.lock();
        for PodRef { namespace, name, .. } in pods {
            records.queue(&(namespace, name), at);
        }
        drop(records);
        self.work.notify_one();
    }

    /// Has it looked anew whether records still wait.
    pub(super) fn hurry(&self) {
        self.work.notify_one();
    }

    /// Waits until the pod's record says what it holds, or until the deadline.
    pub(super) async fn written(&self, pod: &PodRef, deadline: Instant) {
        let name = (pod.namespace.clone(), pod.name.clone());
        loop {
            let done = self.done.notified();
            let is_behind = self.records.lock().is_behind(&name);
            if !is_behind || tokio::time::timeout_at(deadline, done).await.is_err() {
                return;
            }
        }
    }

    pub(super) fn backlog(&self) -> usize {
        self.records.lock().behind()
    }

    /// Waits until the records are not too far behind.
    pub(super) async fn room(&self, deadline: Instant) -> Result<(), LedgerError> {
        loop {
            let done = self.done.notified();
            if self.backlog() < BACKLOG {
                return Ok(());
            }
            if tokio::time::timeout_at(deadline, done).await.is_err() {
                return Err(LedgerError::Busy { waiting: WAITING });
            }
        }
    }

    /// What is to be done next, or when to look again.
    fn next(&self, memory: &Mutex<Memory>, quiet: Duration) -> Result<(Name, Step), Option<Instant>> {
        let now = Instant::now();
        let mut records = self.records.lock();
        records.repeat(now);
        loop {
            let name = records.next(now, quiet)?;
            let held = memory.lock().held.endpoint(&name.0, &name.1);
            if let Some(step) = records.begin(&name, held) {
                return Ok((name, step));
            }
            self.done.notify_waiters();
        }
    }

    async fn write(&self, name: Name, step: Step) -> (Name, Step, Result<(), StoreError>) {
        let outcome = match &step {
            Step::Put(endpoint, over) => bounded(self.store.put(endpoint, over)).await,
            Step::Remove(pod) => bounded(self.store.remove(pod)).await,
        };
        (name, step, outcome)
    }

    fn finish(&self, name: &Name, step: &Step, outcome: Result<(), StoreError>) {
        let now = Instant::now();
        let mut records = self.records.lock();
        let attempts = records.attempts(name);
        let wait = outcome.as_ref().err().map(|error| self.chance.wait(attempts, error));
        if let Err(error) = &outcome
            && attempts % ATTEMPTS == ATTEMPTS - 1
        {
            let (namespace, pod) = name;
            tracing::warn!(%error, namespace, pod, attempts, "the endpoint is not written; trying on");
        }
        records.finish(name, step, outcome, now, wait);
        drop(records);
        self.done.notify_waiters();
    }
}

/// Writes records until the ledger is dropped.
pub(super) async fn run(shared: Arc<Shared>) {
    let recorder = Arc::clone(&shared.recorder);
    let mut writing = FuturesUnordered::new();
    loop {
        let mut wake = None;
        while writing.len() < AT_ONCE {
            match recorder.next(&shared.memory, shared.quiet()) {
                Ok((name, step)) => writing.push(recorder.write(name, step).boxed()),
                Err(at) => {
                    wake = at;
                    break;
                }
            }
        }
        let slept = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some((name, step, outcome)) = writing.next(), if !writing.is_empty() => {
                recorder.finish(&name, &step, outcome);
            }
            () = recorder.work.notified() => {}
            () = slept => {}
        }
    }
}
