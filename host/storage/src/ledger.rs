//! The ledger as the agent sees it: who asks for what, and the trait that engines implement.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use spiderpool_ip::{Family, IpSet};

use crate::{Endpoint, Lease, LedgerError, PoolSpace, ReserveError};

/// A future on the heap, so that [`Ledger`] can be a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who holds addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's UID, or the sandbox's id where no UID is known. Two holders are the same when this is.
    pub uid: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ({})", self.namespace, self.pod, self.uid)
    }
}

/// The top controller of a pod, such as `StatefulSet` `web`; the pod itself when nothing controls it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The kind.
    pub kind: String,
    /// The name, in the pod's namespace.
    pub name: String,
}

/// Addresses for one pod: all of its wants, or nothing.
#[derive(Clone, Debug)]
pub struct Reservation {
    /// Who asks.
    pub holder: Holder,
    /// The node that the pod runs on.
    pub node: String,
    /// The sandbox's id. Addresses that the holder already has move to this sandbox.
    pub container: String,
    /// The pod's top controller, for the endpoint record.
    pub owner: Owner,
    /// Whether a pod of the name may come back on another node, where only its record tells what it had: it is written
    /// without delay.
    pub comes_back: bool,
    /// What is asked for, in the order in which it is served.
    pub wants: Vec<Want>,
}

/// One address of one family for one NIC.
#[derive(Clone, Debug)]
pub struct Want {
    /// The NIC's name.
    pub interface: String,
    /// The family. Pools of the other family are passed over.
    pub family: Family,
    /// The CNI network that asks for the NIC, so that its garbage collection finds it. Empty for a NIC that is reserved
    /// ahead, before its own network asked; an empty name never replaces one that the holder's own address has.
    pub network: String,
    /// Whether no default route goes through the pool's gateway. Kept with the lease.
    pub clean_gateway: bool,
    /// The pools from which the holder may get what a pod of its namespace and name left, by their names; empty: it takes a
    /// new address. Kubernetes makes a pod only when no other of its name is left, so whoever holds something under its
    /// namespace and name with another UID is gone, or about to be. See [`Ledger::reserve`].
    pub inherits: Vec<String>,
    /// The pools to try, in order, when nothing is inherited.
    pub choices: Vec<Choice>,
}

/// A pool to try, and how.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The pool's addresses.
    pub space: Arc<PoolSpace>,
    /// Which of them.
    pub pick: Pick,
}

/// Which free address of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The lowest.
    Lowest,
    /// The first at or after a place that the number stands for, so that different numbers land far apart.
    Spread(u64),
    /// The first at or after a place that the text stands for: the same text gets the same address as long as that is
    /// free and the pool's addresses do not change.
    Sticky(String),
    /// The first of these that is free and in the pool.
    Exactly(Vec<IpAddr>),
}

/// What is to be given back, or kept until it is. All conditions must hold; whatever else the holder has stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// The holder's UID.
    pub uid: String,
    /// Of this NIC only.
    pub interface: Option<String>,
    /// Of this sandbox only: an address that has moved on to a newer sandbox stays.
    pub container: Option<String>,
}

impl Release {
    /// Whether what the holder has is meant.
    pub(crate) fn means(&self, lease: &Lease) -> bool {
        self.interface.as_ref().is_none_or(|interface| *interface == lease.interface)
            && self.container.as_ref().is_none_or(|container| *container == lease.container)
    }
}

/// Addresses that somebody else on the network answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// The holder's UID. Addresses that another holder has are left alone.
    pub uid: String,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// When they may be given again.
    pub until: SystemTime,
    /// What happened, for people: `answered by 02:00:00:00:00:01`.
    pub reason: String,
}

/// One address and who holds it: a row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// Who holds it.
    pub holder: Holder,
    /// The node that the holder runs on.
    pub node: String,
    /// The holder's top controller.
    pub owner: Owner,
    /// The address and what goes with it.
    pub lease: Lease,
    /// When it is given back, if it is kept for a holder that is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<SystemTime>,
    /// The number of the reservation that first took it for this holder. Later reservations have higher numbers.
    pub serial: u64,
}

/// How full a pool is, counted over the addresses that it may give out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Addresses that are held.
    pub allocated: u64,
    /// Free addresses that may not be given out for a while.
    pub quarantined: u64,
    /// Addresses that could be given out now; `u128::MAX` stands for more.
    pub free: u128,
}

/// Who holds which address.
///
/// # Guarantees
/// * An address is held by at most one holder, whatever pools name it: the truth is keyed by address.
/// * What was acknowledged is durable; what was not acknowledged is there as a whole or not at all.
/// * A failed request changes nothing.
/// * What is held stays held until it is released, quarantined, inherited, or its end has come: a holder that is gone keeps
///   its addresses, without a write, as long as nobody says otherwise.
///
/// # Caveats
/// A request is on its way as soon as it was made: whoever drops its future gives up the answer, not the request.
///
/// Looking up sees writes that are under way some hundred microseconds before they are durable.
pub trait Ledger: Send + Sync {
    /// Takes an address for every want, or none at all.
    ///
    /// Idempotent on (uid, interface, family): an address that is already held is answered again, whatever the choices
    /// are, and moves to the reservation's sandbox, node and network. The answer is all that the holder has, and has no end
    /// any more.
    ///
    /// A want that [inherits](Want::inherits) gets what the holder's predecessor holds for that NIC and family from one of
    /// these pools, from one to the other in one step, if it is the predecessor's at that moment: an address that was given
    /// back or that another inherited meanwhile is not handed back, and the want is served from its choices. A predecessor
    /// is who held the address when the reservation came, so that of two that come at once one inherits.
    ///
    /// # Errors
    /// [`ReserveError::Exhausted`] for the first want that no choice serves; otherwise what stopped the engine.
    fn reserve(&self, reservation: Reservation) -> BoxFuture<'_, Result<Endpoint, ReserveError>>;

    /// Gives back what matches, and says what that was: nothing, if nothing did.
    ///
    /// # Errors
    /// What stopped the engine.
    fn release(&self, release: Release) -> BoxFuture<'_, Result<Vec<Lease>, LedgerError>>;

    /// Keeps what matches for its holder, who is gone, and gives it back by itself when `until` has come, unless the holder
    /// asks for it again or another inherits it. Says what is kept so. An earlier end is replaced by this one.
    ///
    /// Must not be asked for a sandbox that may be asked for again.
    ///
    /// # Errors
    /// What stopped the engine.
    fn retain(&self, kept: Release, until: SystemTime) -> BoxFuture<'_, Result<Vec<Lease>, LedgerError>>;

    /// Takes addresses from their holder and keeps them from being given until a moment; says what the holder lost.
    ///
    /// # Errors
    /// What stopped the engine.
    fn quarantine(&self, quarantine: Quarantine) -> BoxFuture<'_, Result<Vec<Lease>, LedgerError>>;

    /// Gives back what a pod that is gone had, on whatever node, as its endpoint told; says what that was. What is not its
    /// any more stays.
    ///
    /// # Errors
    /// What stopped the engine.
    fn reclaim(&self, gone: Holder, leases: Vec<Lease>) -> BoxFuture<'_, Result<Vec<Lease>, LedgerError>>;

    /// What the pod of that name has on this node, from memory. Should two UIDs of that name hold addresses, the later one's.
    ///
    /// # Errors
    /// What stopped the engine.
    fn endpoint(&self, namespace: &str, pod: &str) -> BoxFuture<'_, Result<Option<Endpoint>, LedgerError>>;

    /// What the pod of that name has or left, on whatever node, as its record tells: that may be behind, so whether it still
    /// is so, only a change shows.
    ///
    /// # Errors
    /// What stopped the engine.
    fn recorded(&self, namespace: &str, pod: &str) -> BoxFuture<'_, Result<Option<Endpoint>, LedgerError>>;

    /// What the holder with that UID has.
    ///
    /// # Errors
    /// What stopped the engine.
    fn held_by(&self, uid: &str) -> BoxFuture<'_, Result<Option<Endpoint>, LedgerError>>;

    /// What a sandbox has, of one NIC or of all: for callers that know no pod.
    ///
    /// # Errors
    /// What stopped the engine.
    fn held_by_container(
        &self,
        container: &str,
        interface: Option<&str>,
    ) -> BoxFuture<'_, Result<Vec<Arc<Allocation>>, LedgerError>>;

    /// Everything that is held, or what came from one pool, by address.
    ///
    /// # Errors
    /// What stopped the engine.
    fn allocations(&self, pool: Option<&str>) -> BoxFuture<'_, Result<Vec<Arc<Allocation>>, LedgerError>>;

    /// Makes [`Ledger::usage`] of these pools current. For whoever is about to refuse a pod because they look full: an engine
    /// that shares the ledger with others knows only what it has seen.
    ///
    /// # Errors
    /// What stopped the engine.
    fn refresh(&self, pools: &[Arc<PoolSpace>]) -> BoxFuture<'_, Result<(), LedgerError>>;

    /// How full a pool is. From memory: it is asked on every decision.
    fn usage(&self, pool: &Arc<PoolSpace>) -> Usage;

    /// The addresses of `space` that are held, whatever pool they came from. From memory.
    fn in_use(&self, space: &IpSet) -> IpSet;
}
