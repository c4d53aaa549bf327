//! What the engine asks of the API server, and no more: three small traits, so that the same engine runs against a real
//! API server and against a simulated one that loses replies.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use spiderpool_crd::ipblock::{BlockAllocation, Quarantine};
use spiderpool_crd::{SpiderEndpointStatus, SpiderIPBlockSpec};
use spiderpool_ip::Block;

use super::Mark;
use crate::{BoxFuture, Endpoint, Holder, PoolSpace, Records};

/// Which block: blocks belong to pools, and two pools that touch the same 16 addresses have one each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId {
    /// The pool's name.
    pub pool: String,
    /// The block.
    pub block: Block,
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of pool {}", self.block, self.pool)
    }
}

/// A block as it was stored at some moment.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredBlock {
    /// `metadata.uid`: another block of the name has another one.
    pub uid: String,
    /// `metadata.resourceVersion`: equal versions mean equal content.
    pub version: String,
    /// Who holds what.
    pub spec: SpiderIPBlockSpec,
    /// What its label says; none: it has no such label.
    pub mark: Option<Mark>,
}

/// What is known of the pool that a block is made of.
#[derive(Clone, Debug, Default)]
pub struct Origin<'a> {
    /// Its uid; empty: unknown.
    pub uid: &'a str,
    /// What its status may say of the block's addresses.
    pub records: Records,
}

impl<'a> From<&'a PoolSpace> for Origin<'a> {
    fn from(space: &'a PoolSpace) -> Self {
        Self { uid: &space.uid, records: space.records.clone() }
    }
}

/// What a list without content tells of a block.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockMark {
    /// Which one.
    pub block: Block,
    /// Its version.
    pub version: String,
    /// Its mark.
    pub mark: Option<Mark>,
    /// When it was made, to the second, by the store's clock.
    pub made: Option<SystemTime>,
}

/// One address changes hands. It happens only if the address is in the state `from` at that moment.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Free → held.
    Take {
        /// The address: neither held nor quarantined.
        address: IpAddr,
        /// Who gets it.
        to: BlockAllocation,
    },
    /// Held → held by somebody else, or by the same in another sandbox.
    Move {
        /// The address.
        address: IpAddr,
        /// What must be written there now, to the letter.
        from: BlockAllocation,
        /// Who gets it.
        to: BlockAllocation,
    },
    /// Held → free.
    Free {
        /// The address.
        address: IpAddr,
        /// What must be written there now.
        from: BlockAllocation,
    },
    /// Held or free → not given out for a while.
    Rest {
        /// The address.
        address: IpAddr,
        /// What must be written there now; none: it must be free.
        from: Option<BlockAllocation>,
        /// Until when, and why.
        rest: Quarantine,
    },
    /// Quarantined → free.
    Wake {
        /// The address.
        address: IpAddr,
        /// What must be written there now.
        from: Quarantine,
    },
}

/// Blocks, changed one by one, each change as a whole or not at all.
///
/// Nothing here retries: the engine does, because it knows what a retry may cost.
pub trait BlockStore: Send + Sync {
    /// A block as it is now; none if it was never used.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn get<'a>(&'a self, id: &'a BlockId) -> BoxFuture<'a, Result<Option<StoredBlock>, StoreError>>;

    /// The blocks of a pool, each not older than this call.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn blocks<'a>(&'a self, pool: &'a str) -> BoxFuture<'a, Result<Vec<StoredBlock>, StoreError>>;

    /// Every block of every pool, each not older than this call; for the start of an agent.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn all_blocks(&self) -> BoxFuture<'_, Result<Vec<StoredBlock>, StoreError>>;

    /// Version and mark of the blocks of a pool that exist, without their content: of all, or of those in the
    /// [neighbourhood](Block::neighbourhood) of `near`.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn marks<'a>(&'a self, pool: &'a str, near: Option<Block>) -> BoxFuture<'a, Result<Vec<BlockMark>, StoreError>>;

    /// Makes a block with its first holders, and marks it. A pool that Spiderpool served before has its addresses in
    /// the pool's `status.allocatedIPs`: the block starts with those of them that are the block's, and `first` does not
    /// get what other pods hold. `origin` is what is known of the pool, which may spare reading it.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when somebody else was faster; [`StoreError::Gone`] when there is no such pool, or it is being
    /// deleted.
    fn create<'a>(
        &'a self,
        id: &'a BlockId,
        origin: Origin<'a>,
        first: &'a BTreeMap<IpAddr, BlockAllocation>,
    ) -> BoxFuture<'a, Result<StoredBlock, StoreError>>;

    /// Makes all changes in one step, or none, and sets the mark; none: it stays as it is. Others may change other addresses
    /// of the block at the same time without either failing.
    ///
    /// # Errors
    /// [`ChangeError::Lost`] when any address was not in the state that its change demands; [`StoreError::Gone`] when there is
    /// no such block.
    fn change<'a>(
        &'a self,
        id: &'a BlockId,
        changes: &'a [Change],
        mark: Option<Mark>,
    ) -> BoxFuture<'a, Result<StoredBlock, ChangeError>>;
}

/// The records that people and other programs read.
pub trait EndpointStore: Send + Sync {
    /// Writes what the pod has, over a record of that name that is its own, or of one of the pods `over`. That of yet another
    /// pod is replaced if this pod exists; otherwise that one may have come later, on another node, and its record stays.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn put<'a>(&'a self, endpoint: &'a Endpoint, over: &'a BTreeSet<String>) -> BoxFuture<'a, Result<(), StoreError>>;

    /// The record of that name, whoever's it is.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn get<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
    ) -> BoxFuture<'a, Result<Option<RecordedEndpoint>, StoreError>>;

    /// Removes the record of the pod of that uid. None is success; that of another uid stays.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn remove<'a>(&'a self, pod: &'a PodRef) -> BoxFuture<'a, Result<(), StoreError>>;

    /// The records of pods of a node, for the start of an agent.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn of_node<'a>(&'a self, node: &'a str) -> BoxFuture<'a, Result<Vec<RecordedEndpoint>, StoreError>>;
}

/// The nodes of the cluster.
pub trait NodeStore: Send + Sync {
    /// Their names, perhaps as they were a short while ago.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn names(&self) -> BoxFuture<'_, Result<Vec<String>, StoreError>>;
}

/// A pod that has, or had, a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

impl From<Holder> for PodRef {
    fn from(Holder { namespace, pod, uid }: Holder) -> Self {
        Self { namespace, name: pod, uid }
    }
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEndpoint {
    /// Whose it is.
    pub pod: PodRef,
    /// What it says.
    pub status: SpiderEndpointStatus,
}

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The object is there already.
    #[error("{0} exists already")]
    Exists(String),
    /// The object, or what it belongs to, is not there or is being deleted.
    #[error("{0} does not exist or is being deleted")]
    Gone(String),
    /// The API server asks to wait. Nothing was changed.
    #[error("the API server is busy and asks to wait {after:?}")]
    Throttled {
        /// How long.
        after: Duration,
    },
    /// The request did not get there. Nothing was changed.
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
    /// Nobody knows whether something was changed: the request may have been done, may be done later, or never.
    #[error("the API server did not answer: {0}")]
    Unknown(String),
    /// The API server does not do it, and will not if asked again.
    #[error("the API server refuses: {0}")]
    Refused(String),
}

/// Why a block was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// An address was not in the state that its change demands; read the block again. Nothing was changed.
    #[error("an address of the block has changed hands meanwhile")]
    Lost,
    /// See there.
    #[error(transparent)]
    Store(#[from] StoreError),
}
