//! What is asked when addresses are wanted, and what comes of it: plain data.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use spiderpool_ip::Family;
use spiderpool_wire::explain::Explanation;

use crate::bindings::{Cni, Context, RefusalKind};
use crate::failure::CallFailure;
use crate::pools::PoolIndex;

/// What is to be decided.
pub struct Question {
    /// Who asks, and everything known about it.
    pub context: Context,
    /// What the CNI configuration says.
    pub cni: Cni,
    /// All pools.
    pub pools: Arc<PoolIndex>,
    /// What is left in a pool; asked only about pools that may serve.
    pub room: Box<dyn Fn(&str) -> Room + Send + Sync>,
    /// The addresses of an interface's parent device; asked only when a demand wants to match them.
    pub masters: Box<Masters>,
}

/// Looks at the parent device of an interface: its addresses, or why they cannot be told.
pub type Masters = dyn Fn(&str) -> Result<Vec<IpAddr>, String> + Send + Sync;

/// What is left in a pool. Both saturate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Addresses that it can ever give.
    pub total: u64,
    /// Addresses that it can give now.
    pub free: u64,
}

/// How an address is chosen inside a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The lowest free one.
    Lowest,
    /// One far from recently given ones.
    Spread,
    /// The same for the same key, as long as it is free.
    Sticky(String),
    /// The first free one of these.
    Exactly(Vec<IpAddr>),
}

/// One address that is to be taken: the first pool that has one gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// The interface.
    pub nic: String,
    /// The family.
    pub family: Family,
    /// No default route through this interface.
    pub clean_gateway: bool,
    /// Where the pools are named, for people.
    pub origin: String,
    /// Pools in the order in which they are tried.
    pub choices: Vec<(String, Pick)>,
}

/// A plan, and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// One step per interface and family.
    pub steps: Vec<PlannedStep>,
    /// For people.
    pub explanation: Explanation,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq)]
pub struct DecideError {
    /// What stopped it.
    pub cause: DecideCause,
    /// How far it came. Its refusal is this error's text.
    pub explanation: Box<Explanation>,
}

/// What stopped a decision.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DecideCause {
    /// The allocation policy says no.
    #[error("{message}")]
    Refused {
        /// Which policy.
        policy: String,
        /// Which rule failed; [`RefusalKind::Exhausted`] alone may succeed later as it is.
        kind: RefusalKind,
        /// Its sentence.
        message: String,
    },
    /// A pool is named that does not exist.
    #[error("IPPool {pool} does not exist (named by {origin}); {hint}")]
    UnknownPool {
        /// The name.
        pool: String,
        /// Where it is named.
        origin: String,
        /// What does exist.
        hint: String,
    },
    /// No source of addresses leads to a pool.
    #[error("no IPPool available, {0}")]
    NoCandidates(String),
    /// Every pool of an interface and family is refused.
    #[error("no IPPool available, all {family} IPPools [{}] of {nic} filtered out: {}", .pools.join(", "), .reasons.join("; "))]
    AllRefused {
        /// The interface.
        nic: String,
        /// The family.
        family: Family,
        /// The pools.
        pools: Vec<String>,
        /// One sentence per pool.
        reasons: Vec<String>,
    },
    /// A policy has no valid answer, and says that this means no.
    #[error("policy {policy} failed: {failure}")]
    PolicyFailed {
        /// Which.
        policy: String,
        /// How.
        failure: CallFailure,
    },
    /// The parent device cannot be looked at.
    #[error("the parent device of {nic} cannot be matched with pools: {why}")]
    Master {
        /// The interface.
        nic: String,
        /// What is wrong.
        why: String,
    },
    /// The host itself failed.
    #[error("{0}")]
    Host(String),
}

impl fmt::Display for DecideError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl std::error::Error for DecideError {}
