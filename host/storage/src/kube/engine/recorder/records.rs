//! Which SpiderEndpoint records are behind, and what is to be written next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::Endpoint;
use crate::kube::engine::retry::LANDING;
use crate::kube::{PodRef, StoreError};

/// While requests come those are first, since a pod starts with its address and nobody waits for its record: a record
/// waits this long then, unless so many are behind.
const DEFER: Duration = Duration::from_secs(5);
const DEFERRED: usize = 128;
/// For how long after a request others are expected, for each pod that is behind: the more came at once, the more are likely
/// to come still, from this node or from others that came back with it.
const LULL: Duration = Duration::from_millis(500);

/// A pod's namespace and name: the key of its record.
pub(super) type Name = (String, String);

/// What is known about the records of this node's pods.
#[derive(Default)]
pub(super) struct Records {
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
pub(super) enum Step {
    /// With the other UIDs that the stored record may have, all of pods of this node.
    Put(Box<Endpoint>, BTreeSet<String>),
    Remove(PodRef),
}

impl Records {
    /// A record of the pod is stored. `right`: what it says, if that is what the pod holds.
    pub(super) fn found(&mut self, pod: &PodRef, right: Option<Endpoint>) {
        let record = self.known.entry((pod.namespace.clone(), pod.name.clone())).or_default();
        record.uids.insert(pod.uid.clone());
        record.written = right;
    }

    /// How many pods are behind.
    pub(super) fn behind(&self) -> usize {
        self.behind
    }

    pub(super) fn is_behind(&self, name: &Name) -> bool {
        self.known.get(name).is_some_and(|record| record.busy || record.due.is_some())
    }

    /// How often in a row it could not be written.
    pub(super) fn attempts(&self, name: &Name) -> u32 {
        self.known.get(name).map_or(0, |record| record.attempts)
    }

    /// Has a record looked at then, if not earlier.
    pub(super) fn queue(&mut self, name: &Name, at: Instant) {
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
    pub(super) fn repeat(&mut self, now: Instant) {
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

    /// Whose turn it is, where no request came for so long; otherwise when to ask again.
    pub(super) fn next(&self, now: Instant, quiet: Duration) -> Result<Name, Option<Instant>> {
        let Some((due, name)) = self.due.first().filter(|(due, _)| *due <= now) else { return Err(self.wake()) };
        let lull = LULL.saturating_mul(u32::try_from(self.behind).unwrap_or(u32::MAX));
        let waits = lull.saturating_sub(quiet).min((*due + DEFER).saturating_duration_since(now));
        if waits.is_zero() || self.behind > DEFERRED { Ok(name.clone()) } else { Err(Some(now + waits)) }
    }

    fn wake(&self) -> Option<Instant> {
        let due = self.due.first().map(|(at, _)| *at);
        let again = self.again.first().map(|(at, ..)| *at);
        due.into_iter().chain(again).min()
    }

    /// Takes the pod from the queue, and says what is to be written, if anything.
    pub(super) fn begin(&mut self, name: &Name, held: Option<Endpoint>) -> Option<Step> {
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

    /// What came of it, and after what wait it is tried again, if it failed.
    pub(super) fn finish(
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
pub(super) fn at_once(now: Instant) -> Instant {
    now.checked_sub(DEFER).unwrap_or(now)
}
