//! The ledger of one machine, in one file.

mod act;
mod pick;
mod refusal;
mod state;
mod store;
mod track;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::SystemTime;

use parking_lot::Mutex;
use spiderpool_ip::IpSet;
use tokio::sync::oneshot;

use crate::{
    Allocation, BoxFuture, Endpoint, Holder, Lease, Ledger, LedgerError, PoolSpace, Quarantine, Release, Reservation,
    ReserveError, StorageError, Usage,
};
use state::State;
use store::Store;
use writer::{Request, Writer};

/// How many requests may wait: four groups, about a second's worth on a slow disk. Whoever comes then is told that the
/// ledger is busy.
const WAITING: usize = 1024;

/// The engine for one machine without a cluster.
///
/// One process has the file, one thread in it writes. Everything is also in memory, at about half a KiB per address that is
/// held, and answered from there.
///
/// Dropping it writes what is under way and closes the file.
#[derive(Debug)]
pub struct LocalLedger {
    state: Arc<Mutex<State>>,
    /// `None` only while being dropped.
    requests: Option<SyncSender<Request>>,
    writer: Option<JoinHandle<()>>,
}

impl LocalLedger {
    /// Opens the ledger in `folder`; makes both if they are not there. Blocks while the file is read.
    ///
    /// # Errors
    /// Names the file: it cannot be made or read, another process has it open, it is damaged or of another version. A
    /// damaged file is never replaced.
    pub fn open(folder: &Path) -> Result<Self, StorageError> {
        let store = Store::open(folder)?;
        let state = Arc::new(Mutex::new(State::load(store.load()?)));
        let (requests, waiting) = sync_channel(WAITING);
        let path = store.path().to_owned();
        let writer = Writer::new(folder, store, Arc::clone(&state), waiting);
        let thread = std::thread::Builder::new().name("ledger-writer".to_owned()).spawn(move || writer.run());
        let writer = thread.map_err(|error| refusal::refused("start the ledger's writer", &path, error.into()))?;
        Ok(Self { state, requests: Some(requests), writer: Some(writer) })
    }

    /// Queues a request; the future is the answer.
    fn ask<T, E>(&self, request: impl FnOnce(oneshot::Sender<Result<T, E>>) -> Request) -> BoxFuture<'_, Result<T, E>>
    where
        T: Send + 'static,
        E: From<LedgerError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let queued = match &self.requests {
            Some(requests) => requests.try_send(request(reply)).map_err(|error| match error {
                TrySendError::Full(_) => LedgerError::Busy { waiting: WAITING },
                TrySendError::Disconnected(_) => LedgerError::Closed,
            }),
            None => Err(LedgerError::Closed),
        };
        Box::pin(async move {
            queued?;
            answer.await.unwrap_or_else(|_| Err(LedgerError::Closed.into()))
        })
    }
}

impl Drop for LocalLedger {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the ledger's writer had panicked");
        }
    }
}

impl Ledger for LocalLedger {
    fn reserve(&self, reservation: Reservation) -> BoxFuture<'_, Result<Endpoint, ReserveError>> {
        let heir = reservation.wants.iter().any(|want| !want.inherits.is_empty());
        let known = if heir { self.state.lock().settled() } else { 0 };
        self.ask(|reply| Request::Reserve(Box::new(reservation), known, reply))
    }

    fn release(&self, release: Release) -> BoxFuture<'_, Result<Vec<Lease>, LedgerError>> {
        self.ask(|reply| Request::Release(release, reply))
    }

    fn retain(&self, kept: Release, until: SystemTime) -> BoxFuture<'_, Result<Vec<Lease>, LedgerError>> {
        self.ask(|reply| Request::Retain(kept, until, reply))
    }

    fn quarantine(&self, quarantine: Quarantine) -> BoxFuture<'_, Result<Vec<Lease>, LedgerError>> {
        self.ask(|reply| Request::Quarantine(quarantine, reply))
    }

    fn reclaim(&self, gone: Holder, leases: Vec<Lease>) -> BoxFuture<'_, Result<Vec<Lease>, LedgerError>> {
        self.ask(|reply| Request::Reclaim(gone, leases, reply))
    }

    fn endpoint(&self, namespace: &str, pod: &str) -> BoxFuture<'_, Result<Option<Endpoint>, LedgerError>> {
        ready(self.state.lock().endpoint(namespace, pod))
    }

    fn recorded(&self, namespace: &str, pod: &str) -> BoxFuture<'_, Result<Option<Endpoint>, LedgerError>> {
        self.endpoint(namespace, pod)
    }

    fn held_by(&self, uid: &str) -> BoxFuture<'_, Result<Option<Endpoint>, LedgerError>> {
        let held = self.state.lock().held_by(uid);
        ready(Endpoint::from_allocations(held.iter().map(AsRef::as_ref)))
    }

    fn held_by_container(
        &self,
        container: &str,
        interface: Option<&str>,
    ) -> BoxFuture<'_, Result<Vec<Arc<Allocation>>, LedgerError>> {
        let mut held = self.state.lock().held_by_container(container);
        held.retain(|allocation| interface.is_none_or(|interface| allocation.lease.interface == interface));
        ready(held)
    }

    fn allocations(&self, pool: Option<&str>) -> BoxFuture<'_, Result<Vec<Arc<Allocation>>, LedgerError>> {
        ready(self.state.lock().allocations(pool))
    }

    /// What is in memory is all there is.
    fn refresh(&self, _pools: &[Arc<PoolSpace>]) -> BoxFuture<'_, Result<(), LedgerError>> {
        ready(())
    }

    fn usage(&self, pool: &Arc<PoolSpace>) -> Usage {
        self.state.lock().usage(pool)
    }

    fn in_use(&self, space: &IpSet) -> IpSet {
        self.state.lock().in_use(space)
    }
}

fn ready<'a, T: Send + 'a>(answer: T) -> BoxFuture<'a, Result<T, LedgerError>> {
    Box::pin(std::future::ready(Ok(answer)))
}
