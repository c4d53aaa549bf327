//! Keeps the SpiderEndpoint records equal to what the pods of this node hold, behind the replies.
//!
//! Of every pod only the latest state counts: what came and went before it was written costs nothing. A failed write is
//! repeated without end. A write of unknown outcome could be done late, over a newer one: the record is written once more
//! when that can no longer happen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use spiderpool_crd::SpiderEndpoint;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::memory::Memory;
use super::retry::{Chance, LANDING};
use super::shared::{Shared, WAITING, bounded};
use crate::kube::{EndpointStore, PodRef, RecordedEndpoint, StoreError};
use crate::{Endpoint, LedgerError};

/// How many records are written at once: each needs a connection of its own, and making one costs the API server as much as
/// writing.
const AT_ONCE: usize = 4;
/// While requests come those are first, since a pod starts with its address and nobody waits for its record: a record
/// waits this long then, unless so many are behind.
const DEFER: Duration = Duration::from_secs(5);
const DEFERRED: usize = 128;
/// For how long after a request others are expected, for each pod that is behind: the more came at once, the more are likely
/// to come still, from this node or from others that came back with it.
const LULL: Duration = Duration::from_millis(500);
/// How many pods may be behind before reservations wait.
const BACKLOG: usize = 512;
/// After how many failures of one record it is told, each time.
const ATTEMPTS: u32 = 12;

/// A pod's namespace and name: the key of its record.
type Name = (String, String);

pub(super) struct Recorder {
    store: Arc<dyn EndpointStore>,
    chance: Chance,
    records: Mutex<Records>,
    /// Something is to be done.
    work: Notify,
    /// Something was done.
    done: Notify,
}

#[derive(Default)]
struct Records {
    known: BTreeMap<Name, Record>,
    /// Pods whose records are to be looked at, by when.
    due: BTreeSet<(Instant, Name)>,
    /// Records to be written once more, whatever is believed to be there.
    again: BTreeSet<(Instant, Name, String)>,
    behind: usize,
}

/// What is known about one record.
#[derive(Default)]
struct Record {
    /// UIDs that the stored record may have.
    uids: BTreeSet<String>,
    /// What was written last, when that is certain.
    written: Option<Endpoint>,
    /// When it is to be looked at; none: nothing is to be done.
    due: Option<Instant>,
    busy: bool,
    attempts: u32,
}

/// One write.
enum Step {
    /// With the other UIDs that the stored record may have, all of pods of this node.
    Put(Box<Endpoint>, BTreeSet<String>),
    Remove(PodRef),
}

impl Recorder {
    pub(super) fn new(store: Arc<dyn EndpointStore>, seed: u64) -> Self {
        let records = Mutex::default();
        Self { store, chance: Chance::new(seed.rotate_left(32)), records, work: Notify::new(), done: Notify::new() }
    }

    /// Compares what is recorded with what is held, and queues the difference.
    pub(super) fn start(&self, recorded: Vec<RecordedEndpoint>, memory: &Memory) {
        let mut pods: BTreeSet<PodRef> = memory.allocations().iter().map(|held| super::memory::pod_ref(held)).collect();
        {
            let mut records = self.records.lock();
            for stored in recorded {
                let PodRef { namespace, name, uid } = stored.pod.clone();
                let record = records.known.entry((namespace.clone(), name.clone())).or_default();
                record.uids.insert(uid);
                let held = memory.endpoint(&namespace, &name);
                record.written = held.filter(|held| SpiderEndpoint::from(held).status.as_ref() == Some(&stored.status));
                pods.insert(stored.pod);
            }
        }
        self.note(&pods.into_iter().collect::<Vec<_>>());
    }

    /// What these pods hold may have changed.
    pub(super) fn note(&self, pods: &[PodRef]) {
        self.note_at(pods, Instant::now());
    }

    /// The same for a record that nothing is to delay.
    pub(super) fn note_first(&self, pod: PodRef) {
        self.note_at(&[pod], at_once(Instant::now()));
    }

    fn note_at(&self, pods: &[PodRef], at: Instant) {
        if pods.is_empty() {
            return;
        }
        let mut records = self.records.lock();
        for pod in pods {
            records.queue(&(pod.namespace.clone(), pod.name.clone()), at);
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
            let waits = self.records.lock().known.get(&name).is_some_and(|record| record.busy || record.due.is_some());
            if !waits || tokio::time::timeout_at(deadline, done).await.is_err() {
                return;
            }
        }
    }

    pub(super) fn backlog(&self) -> usize {
        self.records.lock().behind
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
            let Some((due, name)) = records.due.first().cloned() else { return Err(records.wake()) };
            if due > now {
                return Err(records.wake());
            }
            let lull = LULL.saturating_mul(u32::try_from(records.behind).unwrap_or(u32::MAX));
            let waits = lull.saturating_sub(quiet).min((due + DEFER).saturating_duration_since(now));
            if !waits.is_zero() && records.behind <= DEFERRED {
                return Err(Some(now + waits));
            }
            let held = memory.lock().endpoint(&name.0, &name.1);
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
        let attempts = records.known.get(name).map_or(0, |record| record.attempts);
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

impl Records {
    fn queue(&mut self, name: &Name, at: Instant) {
        let record = self.known.entry(name.clone()).or_default();
        // What is being written is looked at once more afterwards.
        if record.busy || record.due.is_some_and(|due| due <= at) {
            return;
        }
        match record.due.replace(at) {
            Some(later) => drop(self.due.remove(&(later, name.clone()))),
            None => self.behind += 1,
        }
        self.due.insert((at, name.clone()));
    }

    /// Queues what is to be written once more.
    fn repeat(&mut self, now: Instant) {
        while let Some((at, name, uid)) = self.again.first().cloned()
            && at <= now
        {
            self.again.pop_first();
            let record = self.known.entry(name.clone()).or_default();
            record.uids.insert(uid);
            record.written = None;
            self.queue(&name, now);
        }
    }

    fn wake(&self) -> Option<Instant> {
        let due = self.due.first().map(|(at, _)| *at);
        let again = self.again.first().map(|(at, ..)| *at);
        due.into_iter().chain(again).min()
    }

    /// Takes the pod from the queue, and says what is to be written, if anything.
    fn begin(&mut self, name: &Name, held: Option<Endpoint>) -> Option<Step> {
        let record = self.known.get_mut(name)?;
        if let Some(due) = record.due.take() {
            self.due.remove(&(due, name.clone()));
        }
        let step = match held {
            Some(held) if record.written.as_ref() == Some(&held) => None,
            Some(held) => Some(Step::Put(Box::new(held), record.uids.clone())),
            None => record
                .uids
                .first()
                .map(|uid| Step::Remove(PodRef { namespace: name.0.clone(), name: name.1.clone(), uid: uid.clone() })),
        };
        match &step {
            None => {
                self.behind -= 1;
                if record.uids.is_empty() {
                    self.known.remove(name);
                }
            }
            Some(Step::Put(endpoint, _)) => {
                record.busy = true;
                record.uids.insert(endpoint.holder.uid.clone());
            }
            Some(Step::Remove(_)) => record.busy = true,
        }
        step
    }

    fn finish(
        &mut self,
        name: &Name,
        step: &Step,
        outcome: Result<(), StoreError>,
        now: Instant,
        wait: Option<Duration>,
    ) {
        let Some(record) = self.known.get_mut(name) else { return };
        record.busy = false;
        let uid = match step {
            Step::Put(endpoint, _) => &endpoint.holder.uid,
            Step::Remove(pod) => &pod.uid,
        };
        match (&outcome, step) {
            (Ok(()), Step::Put(endpoint, _)) => {
                record.uids = BTreeSet::from([uid.clone()]);
                record.written = Some(endpoint.as_ref().clone());
                record.attempts = 0;
            }
            (Ok(()), Step::Remove(_)) => {
                record.uids.remove(uid);
                record.written = None;
                record.attempts = 0;
            }
            (Err(error), _) => {
                record.written = None;
                record.attempts += 1;
                if matches!(error, StoreError::Unknown(_)) {
                    self.again.insert((now + LANDING, name.clone(), uid.clone()));
                }
            }
        }
        // Looked at once more, without delay: often nothing is left to do.
        let at = wait.map_or_else(|| at_once(now), |wait| now + wait);
        record.due = Some(at);
        self.due.insert((at, name.clone()));
    }
}

/// When a record is due that nothing is to delay.
fn at_once(now: Instant) -> Instant {
    now.checked_sub(DEFER).unwrap_or(now)
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
