//! The one task that writes: group commit.
//!
//! ```text
//! request ─┐                 lock                     no lock               lock
//! request ─┼→ bounded queue → change the state of all → one transaction, one sync → keep, or undo → answer all
//! request ─┘
//! ```
//!
//! While one group is on its way to the disk the next one gathers. A request that fails changes nothing and does not
//! touch the others of its group. Should the transaction fail, the whole group is undone and told so, and the store is
//! opened anew before the next group: only the file knows what became of a transaction whose last step failed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::act;
use super::state::State;
use super::store::Store;
use crate::{Endpoint, Holder, Lease, LedgerError, Quarantine, Release, Reservation, ReserveError, StorageError};

/// The most requests of one group: four times what a busy node has in flight, and little enough that changing the state
/// for all of them takes less than a sync.
const GROUP: usize = 256;
/// How long the end of an address may be overslept: clocks are set, and a wait cannot follow them.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// A request and where its answer goes.
pub(super) enum Request {
    /// With the number below which all others were answered when it came.
    Reserve(Box<Reservation>, u64, oneshot::Sender<Result<Endpoint, ReserveError>>),
    Release(Release, oneshot::Sender<Result<Vec<Lease>, LedgerError>>),
    Reclaim(Holder, Vec<Lease>, oneshot::Sender<Result<Vec<Lease>, LedgerError>>),
    Retain(Release, SystemTime, oneshot::Sender<Result<Vec<Lease>, LedgerError>>),
    Quarantine(Quarantine, oneshot::Sender<Result<Vec<Lease>, LedgerError>>),
}

/// An answer that waits for the disk.
enum Answer {
    Reserve(Result<Endpoint, ReserveError>, oneshot::Sender<Result<Endpoint, ReserveError>>),
    Leases(Vec<Lease>, oneshot::Sender<Result<Vec<Lease>, LedgerError>>),
}

pub(super) struct Writer {
    folder: PathBuf,
    /// `None` after a failure, until it could be opened anew.
    store: Option<Store>,
    state: Arc<Mutex<State>>,
    requests: Receiver<Request>,
}

impl Writer {
    pub(super) fn new(folder: &Path, store: Store, state: Arc<Mutex<State>>, requests: Receiver<Request>) -> Self {
        Self { folder: folder.to_owned(), store: Some(store), state, requests }
    }

    /// Works until nobody can ask any more.
    pub(super) fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP);
        while self.gather(&mut group) {
            let outcome = self.serve(&mut group);
            if let Err(error) = outcome {
                tracing::error!(%error, "the ledger was not written");
            }
        }
    }

    /// Fills `group` with what waits; empty when an address may have ended first. `false` when nobody is left to ask.
    fn gather(&self, group: &mut Vec<Request>) -> bool {
        let next_end = self.state.lock().next_end();
        let first = match next_end {
            None => self.requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(end) => {
                let left = end.duration_since(SystemTime::now()).unwrap_or_default().min(LONGEST_SLEEP);
                // Without a store there is no point in being in time, only in not trying all the time.
                self.requests.recv_timeout(if self.store.is_some() { left } else { LONGEST_SLEEP })
            }
        };
        match first {
            Ok(request) => group.push(request),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        group.extend(self.requests.try_iter().take(GROUP - group.len()));
        true
    }

    fn serve(&mut self, group: &mut Vec<Request>) -> Result<(), StorageError> {
        let outcome = self.reopen();
        let (answers, changes) = {
            let mut state = self.state.lock();
            state.end(SystemTime::now());
            let answers: Vec<_> = group.drain(..).map(|request| apply(&mut state, request)).collect();
            (answers, state.changes())
        };
        let outcome = outcome.and_then(|()| match &self.store {
            Some(store) if !changes.is_empty() => store.commit(&changes),
            _ => Ok(()),
        });
        {
            let mut state = self.state.lock();
            match &outcome {
                Ok(()) => state.settle(),
                Err(_) => state.rollback(0),
            }
        }
        if outcome.is_err() {
            self.store = None;
        }
        for answer in answers {
            send(answer, &outcome);
        }
        outcome
    }

    /// Makes sure that there is a store, and that the state is what it says.
    fn reopen(&mut self) -> Result<(), StorageError> {
        if self.store.is_none() {
            let store = Store::open(&self.folder)?;
            *self.state.lock() = State::load(store.load()?);
            tracing::info!(path = %store.path().display(), "the ledger was opened anew");
            self.store = Some(store);
        }
        Ok(())
    }
}

fn apply(state: &mut State, request: Request) -> Answer {
    match request {
        Request::Reserve(reservation, known, reply) => Answer::Reserve(act::reserve(state, &reservation, known), reply),
        Request::Release(release, reply) => Answer::Leases(act::release(state, &release), reply),
        Request::Reclaim(gone, leases, reply) => Answer::Leases(act::reclaim(state, &gone, &leases), reply),
        Request::Retain(kept, until, reply) => Answer::Leases(act::retain(state, &kept, until), reply),
        Request::Quarantine(quarantine, reply) => Answer::Leases(act::quarantine(state, &quarantine), reply),
    }
}

/// Whoever asked may be gone; what was done for them stays done, and a repeated request finds it.
fn send(answer: Answer, outcome: &Result<(), StorageError>) {
    let failed = outcome.clone().err().map(LedgerError::Storage);
    match answer {
        Answer::Reserve(endpoint, reply) => {
            let _ = reply.send(failed.map_or(endpoint, |error| Err(error.into())));
        }
        Answer::Leases(leases, reply) => {
            let _ = reply.send(failed.map_or(Ok(leases), Err));
        }
    }
}
