//! Why the ledger did not do what it was asked for, in sentences for whoever has to change something.

use std::net::IpAddr;
use std::path::PathBuf;

use spiderpool_ip::Family;

use crate::Holder;

/// Why a reservation was not made. Nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReserveError {
    /// No pool had an address for a want.
    #[error("no {family} address for {interface}: {}", tried_sentence(.tried))]
    Exhausted {
        /// The NIC.
        interface: String,
        /// The family.
        family: Family,
        /// The pools in the order in which they were tried.
        tried: Vec<Tried>,
    },
    /// Nothing was asked for and nothing is held.
    #[error("nothing was asked for {0}, and it holds nothing; name at least one interface")]
    Nothing(Holder),
    /// The engine could not do its work.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A pool that had no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The pool's name.
    pub pool: String,
    /// Why.
    pub why: Why,
}

/// Why a pool had no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It is of the other family.
    #[error("is an {0} pool")]
    Family(Family),
    /// It was deleted, or is being deleted.
    #[error("does not exist any more, or is being deleted")]
    Gone,
    /// It has no addresses at all.
    #[error("has no addresses to give; all of spec.ips is excluded, reserved or the gateway, or the list is empty")]
    Empty,
    /// All are in use.
    #[error("all {total} addresses are in use ({quarantined} of them quarantined after a conflict)")]
    Full {
        /// How many addresses it may give out.
        total: u128,
        /// How many of these are free but quarantined.
        quarantined: u64,
    },
    /// An address that was asked for is held by somebody else.
    #[error("{address} is held by {holder}")]
    Taken {
        /// The address.
        address: IpAddr,
        /// Its holder.
        holder: Holder,
    },
    /// An address that was asked for is quarantined.
    #[error("{address} is quarantined: {reason}")]
    Quarantined {
        /// The address.
        address: IpAddr,
        /// What happened.
        reason: String,
    },
    /// Exact addresses were to be picked, and none was named.
    #[error("no address was named to pick exactly")]
    NoneNamed,
    /// An address that was asked for is not one that the pool gives out.
    #[error("{0} is not an address of the pool, or it is excluded, reserved or the gateway")]
    Outside(IpAddr),
}

fn tried_sentence(tried: &[Tried]) -> String {
    if tried.is_empty() {
        return "no pool was named".to_owned();
    }
    tried.iter().map(|Tried { pool, why }| format!("pool {pool}: {why}")).collect::<Vec<_>>().join("; ")
}

/// Why the engine could not do its work. Whether retrying helps is said by each variant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Too many requests wait already. Try again shortly.
    #[error("the ledger is busy: {waiting} requests wait already; try again")]
    Busy {
        /// How many requests may wait.
        waiting: usize,
    },
    /// The engine was stopped. Retrying does not help.
    #[error("the ledger is closed")]
    Closed,
    /// Reading or writing failed. Helps once the remedy was applied.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The cluster did not do what was asked of it.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// What the API server refused or did not answer, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {cause}; {remedy}")]
pub struct ClusterError {
    /// What was being done, and to which object.
    pub what: String,
    /// What went wrong, in the words of whoever refused.
    pub cause: String,
    /// What to do.
    pub remedy: &'static str,
    /// Whether the same request may succeed later without anybody's doing.
    pub retry: bool,
}

/// What storage refused, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {}: {cause}; {remedy}", .path.display())]
pub struct StorageError {
    /// What was being done.
    pub what: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What went wrong, in the words of whoever refused.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}
