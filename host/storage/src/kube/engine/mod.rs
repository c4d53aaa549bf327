//! The ledger of a cluster.
//!
//! ```text
//! reserve, release, … ─→ one task per request, in turn per uid: reserve.rs, give_back.rs
//!                                     │ one job per address
//!                                     ▼
//!                                 one task per pool: gather, writer.rs → plan, plan.rs → change blocks, round.rs
//!                                     │            → look at the replies, replies.rs
//!                                     │ every reply is the new picture of its block: reading.rs
//!                                     ▼
//!                                 memory.rs: what this node holds, and how full every block was when last seen
//!                                     │ pods whose addresses changed
//!                                     ▼
//!                                 recorder.rs: SpiderEndpoint records, behind the replies
//! ```
//!
//! What the memory says of a block is what the block said when it was last seen, entries of this node and bitmaps. It is
//! never believed when an address is answered: an address that is held already is moved to the sandbox that asks, and the
//! API server refuses that when somebody else has it now.
//!
//! # Who keeps addresses
//! A pod that is gone keeps what it holds until somebody says otherwise: there is nothing to write. With an end
//! ([`Ledger::retain`]) its entries say `until=`, and who gives them back is this:
//!
//! * the engine of the node that the entry names, when the end has come, whether or not it was started anew since: expiry.rs;
//! * whoever needs an address of the pool, on any node, in the change that takes it. So an entry whose node is gone stays
//!   written and harms nobody: it counts as free, and a block with such entries is never marked as full. Clocks of nodes
//!   should agree: by as much as one is ahead, its agent takes such addresses early;
//! * what has no end, and the record of a pod whose node is gone, is for the scan below.
//!
//! A change that gives back names the end that was seen, so that it fails once the pod itself asked again, or an heir: their
//! entries have none.
//!
//! # Who gets them next
//! An heir ([`Want::inherits`](crate::Want::inherits)) is moved into the entries of its predecessor, one change per address, which
//! fails when they are not the predecessor's any more; see inherit.rs. The predecessor is a uid, found in memory, or in the
//! record of the name if it was on another node: what another pod of the name got while the heir was waiting is not taken from
//! it. A record that is behind by a whole pod thus costs the heir the address, never the other pod. If the reservation fails,
//! the entry is the predecessor's again, kept by the node that gave it back.
//!
//! # Whose record it is
//! A name has one record. It is its pod's: written over what pods of this node left, and over what one of another node left
//! if the API server says that the pod that writes is the one that exists. So an agent that is late, or starts with entries
//! that a dead pod keeps, neither replaces nor removes the record of the pod that came after it on another node.
//!
//! # Outcomes that nobody knows
//! A request that was not answered may still be done, later. It is read back, and wants the very same address again, so
//! that the late one finds nothing to do. What it could still do after the address was given back, a *doubt*, is looked at
//! once no request can be under way any more, and undone: freed, or given back to the predecessor.
//!
//! # A block that somebody removes
//! Whoever holds something in it writes that again, see restore.rs; what others held, a new block takes from the pool's status:
//! *bare* entries, which tell no more than a pod. A node knows its own there by their addresses, and completes them when their
//! pods ask again.
//!
//! # What a scan must clean
//! Doubts do not survive the process. A request that lands after its agent died leaves an entry of a pod that never got an
//! answer. Should the pod ask again, its entry is found; should it be gone, whoever scans the ledger for pods that are gone
//! must give the address back, as for a pod that was deleted by force while its node was down.
//!
//! # Relied on
//! A sandbox from which addresses were given back, or got an end (DEL, or an ADD that failed), is not asked for again:
//! runtimes make a new one. A late request to free could not tell the two uses apart.

mod adopt;
mod doubts;
mod entry;
mod expiry;
mod give_back;
mod inherit;
mod job;
mod look_up;
mod memory;
mod mend;
mod others;
mod pick;
mod picture;
mod pictures;
mod plan;
mod rank;
mod reading;
mod recorder;
mod replies;
mod reserve;
mod restore;
mod retry;
mod round;
mod share;
mod shared;
mod turns;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use spiderpool_ip::IpSet;
use tokio::sync::oneshot;

use super::{BlockStore, EndpointStore, NodeStore};
use crate::{
    Allocation, BoxFuture, Endpoint, Holder, Lease, Ledger, LedgerError, PoolSpace, Quarantine, Release, Reservation,
    ReserveError, Usage,
};
use inherit::Inheritance;
use shared::Shared;

/// Looks a pool up by name, as it is now.
pub type Spaces = Arc<dyn Fn(&str) -> Option<Arc<PoolSpace>> + Send + Sync>;

/// The time of day, by which quarantines end.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The UIDs of the pods of this node that have not started yet, as far as is known: so many may be about to ask.
pub type Pending = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// What the engine is made of.
#[derive(Clone)]
pub struct KubeLedgerConfig {
    /// The name of the node that the agent runs on. Entries are written with it, and found again by it.
    pub node: String,
    /// The blocks.
    pub blocks: Arc<dyn BlockStore>,
    /// The records.
    pub endpoints: Arc<dyn EndpointStore>,
    /// The nodes; none: this one's place among them is guessed from its name.
    pub nodes: Option<Arc<dyn NodeStore>>,
    /// The pools. Must know them before the ledger is opened: prefix length, gateway and routes of what the node holds
    /// come from here.
    pub spaces: Spaces,
    /// The pods that may be about to ask.
    pub pending: Pending,
    /// The time of day.
    pub clock: Clock,
    /// From where chance starts: places inside pools and the length of waits.
    pub seed: u64,
}

impl KubeLedgerConfig {
    /// With the machine's clock and a seed of its own, and nothing known of nodes and of pods to come.
    #[must_use]
    pub fn new(node: String, blocks: Arc<dyn BlockStore>, endpoints: Arc<dyn EndpointStore>, spaces: Spaces) -> Self {
        Self {
            node,
            blocks,
            endpoints,
            nodes: None,
            spaces,
            pending: Arc::new(Vec::new),
            clock: Arc::new(SystemTime::now),
            seed: fastrand::u64(..),
        }
    }
}

impl fmt::Debug for KubeLedgerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeLedgerConfig").field("node", &self.node).field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// The engine for clusters.
///
/// Needs a tokio runtime with time. Dropping it stops everything at once, as a crash would: what was under way may be done
/// or not, and is found by the next start. [`KubeLedger::close`] is the gentle way.
#[derive(Debug)]
pub struct KubeLedger {
    shared: Arc<Shared>,
}

impl KubeLedger {
    /// Reads all blocks and the records of the node, takes over what Spiderpool gave to its pods, and begins to repair records
    /// that do not say what blocks say.
    ///
    /// # Errors
    /// [`LedgerError::Cluster`] when the API server did not answer within 20 seconds, or refuses.
    pub async fn open(config: KubeLedgerConfig) -> Result<Self, LedgerError> {
        let shared = Shared::open(config).await?;
        Ok(Self { shared })
    }

    /// Whether all records say what their pods hold.
    #[must_use]
    pub fn caught_up(&self) -> bool {
        self.backlog() == 0
    }

    /// How many pods have records that do not yet say what they hold.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.shared.recorder.backlog()
    }

    /// Refuses new requests, finishes those under way and then the records, for at most `patience`. `true` when nothing was
    /// left to do.
    pub async fn close(&self, patience: Duration) -> bool {
        self.shared.close(patience).await
    }

    /// Begins a request; the future is the answer.
    fn ask<T, E, F>(&self, work: impl FnOnce(Arc<Shared>) -> F) -> BoxFuture<'_, Result<T, E>>
    where
        T: Send + 'static,
        E: From<LedgerError> + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let begun = self.shared.begin().map(|running| {
            let (reply, answer) = oneshot::channel();
            let work = work(Arc::clone(&self.shared));
            self.shared.spawn(async move {
                let outcome = work.await;
                drop(running);
                // Whoever asked may be gone; what was done stays done, and a repeated request finds it.
                let _ = reply.send(outcome);
            });
            answer
        });
        Box::pin(async move { begun?.await.unwrap_or_else(|_| Err(LedgerError::Closed.into())) })
    }
}

impl Drop for KubeLedger {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl Ledger for KubeLedger {
    fn reserve(&self, reservation: Reservation) -> BoxFuture<'_, Result<Endpoint, ReserveError>> {
        self.ask(|shared| {
            let inheritance = Inheritance::begin(&shared, &reservation);
            reserve::reserve(shared, reservation, inheritance)
        })
    }

    fn release(&self, release: Release) -> BoxFuture<'_, Result<Vec<Lease>, LedgerError>> {
        self.ask(|shared| give_back::release(shared, release))
    }

    fn retain(&self, kept: Release, until: SystemTime) -> BoxFuture<'_, Result<Vec<Lease>, LedgerError>> {
        self.ask(move |shared| give_back::retain(shared, kept, until))
    }

    fn quarantine(&self, quarantine: Quarantine) -> BoxFuture<'_, Result<Vec<Lease>, LedgerError>> {
        self.ask(|shared| give_back::quarantine(shared, quarantine))
    }

    fn reclaim(&self, gone: Holder, leases: Vec<Lease>) -> BoxFuture<'_, Result<Vec<Lease>, LedgerError>> {
        self.ask(|shared| give_back::reclaim(shared, gone, leases))
    }

    fn endpoint(&self, namespace: &str, pod: &str) -> BoxFuture<'_, Result<Option<Endpoint>, LedgerError>> {
        ready(self.shared.memory.lock().held.endpoint(namespace, pod))
    }

    fn recorded(&self, namespace: &str, pod: &str) -> BoxFuture<'_, Result<Option<Endpoint>, LedgerError>> {
        let (namespace, pod) = (namespace.to_owned(), pod.to_owned());
        self.ask(|shared| look_up::recorded(shared, namespace, pod))
    }

    fn held_by(&self, uid: &str) -> BoxFuture<'_, Result<Option<Endpoint>, LedgerError>> {
        let memory = self.shared.memory.lock();
        ready(Endpoint::from_allocations(memory.held.of(uid).iter().map(AsRef::as_ref)))
    }

    fn held_by_container(
        &self,
        container: &str,
        interface: Option<&str>,
    ) -> BoxFuture<'_, Result<Vec<Arc<Allocation>>, LedgerError>> {
        let mut held = self.shared.memory.lock().held.all();
        held.retain(|allocation| allocation.lease.container == container);
        held.retain(|allocation| interface.is_none_or(|interface| allocation.lease.interface == interface));
        ready(held)
    }

    /// What this node holds; of one pool, what all nodes hold.
    fn allocations(&self, pool: Option<&str>) -> BoxFuture<'_, Result<Vec<Arc<Allocation>>, LedgerError>> {
        match pool {
            None => ready(self.shared.memory.lock().held.all()),
            Some(pool) => {
                let pool = pool.to_owned();
                self.ask(|shared| look_up::allocations(shared, pool))
            }
        }
    }

    fn refresh(&self, pools: &[Arc<PoolSpace>]) -> BoxFuture<'_, Result<(), LedgerError>> {
        let pools = pools.to_vec();
        self.ask(|shared| look_up::refresh(shared, pools))
    }

    fn usage(&self, pool: &Arc<PoolSpace>) -> Usage {
        let now = (self.shared.config.clock)();
        self.shared.memory.lock().usage(pool, now)
    }

    fn in_use(&self, space: &IpSet) -> IpSet {
        self.shared.memory.lock().in_use(space)
    }
}

fn ready<'a, T: Send + 'a>(answer: T) -> BoxFuture<'a, Result<T, LedgerError>> {
    Box::pin(std::future::ready(Ok(answer)))
}
