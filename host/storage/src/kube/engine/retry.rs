//! When to try again, and what to say when there is no point.

use std::time::Duration;

use parking_lot::Mutex;

use crate::ClusterError;
use crate::kube::StoreError;

/// How long a request may take. Less than the plugin waits (100 s), enough for the API server to come back from an election.
pub(super) const BUDGET: Duration = Duration::from_secs(20);
/// How often what turned out not to be held is taken anew. More than once happens only if somebody edits blocks meanwhile.
pub(super) const ROUNDS: usize = 4;
/// How long one call of the store may take before its outcome counts as unknown.
pub(super) const CALL: Duration = Duration::from_secs(10);
/// Within what time a request that was not answered is done, if ever: the API server gives up after 60 s.
pub(super) const LANDING: Duration = Duration::from_secs(75);

const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

/// Chance, of which one seed always gives the same.
#[derive(Debug)]
pub(super) struct Chance(Mutex<fastrand::Rng>);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    /// The wait before try number `attempt + 1`: doubled each time, up to a second, less up to a half.
    pub(super) fn backoff(&self, attempt: u32) -> Duration {
        let longest = FIRST.saturating_mul(1 << attempt.min(10)).min(LONGEST);
        longest.mul_f64(1.0 - self.0.lock().f64() / 2.0)
    }

    /// Like [`Chance::backoff`], but not less than the store asked for.
    pub(super) fn wait(&self, attempt: u32, error: &StoreError) -> Duration {
        let asked = match error {
            StoreError::Throttled { after } => *after,
            _ => Duration::ZERO,
        };
        self.backoff(attempt).max(asked)
    }
}

/// Whether the same may succeed later.
pub(super) fn passing(error: &StoreError) -> bool {
    match error {
        StoreError::Throttled { .. } | StoreError::Unreachable(_) | StoreError::Unknown(_) => true,
        StoreError::Exists(_) | StoreError::Gone(_) | StoreError::Refused(_) => false,
    }
}

/// What whoever asked is told.
pub(super) fn failed(what: String, error: &StoreError) -> ClusterError {
    let remedy = match error {
        StoreError::Throttled { .. } => "it is tried again; see what keeps the API server busy",
        StoreError::Unreachable(_) | StoreError::Unknown(_) => {
            "it is tried again; see whether the API server runs and can be reached from this node"
        }
        StoreError::Exists(_) | StoreError::Gone(_) => "see whether the object is being deleted, and make it again",
        StoreError::Refused(_) => "see whether the agent's role and the installed definitions are those of its version",
    };
    ClusterError { what, cause: error.to_string(), remedy, retry: passing(error) }
}

/// What whoever asked is told when the time is up and no call has failed: the changes of others came first every time.
pub(super) fn outrun(what: String) -> ClusterError {
    let cause = format!("others were faster for {} seconds", BUDGET.as_secs());
    ClusterError { what, cause, remedy: "it is tried again; give the pool more addresses if this goes on", retry: true }
}
