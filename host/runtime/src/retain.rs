//! Asking the retention policy who keeps addresses.

use std::sync::Arc;
use std::time::Duration;

use spiderpool_crd::policy::ExtensionPoint;
use thiserror::Error;
use tracing::warn;

use crate::bindings::{self, Event, Holder};
use crate::decide;
use crate::failure::CallFailure;
use crate::loaded::Policy;
use crate::set::{Asker, PolicySet};

/// Something happened to a pod that holds addresses.
#[derive(Clone, Debug, PartialEq)]
pub struct Departure {
    /// The pod, and what is known of its controllers now.
    pub holder: Holder,
    /// What happened.
    pub event: Event,
}

/// What becomes of the addresses. `retention.wit` tells what each means after which event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They stay with the holder's name.
    Keep,
    /// They are free.
    Release,
    /// They stay until so long after the departure, at most ten years, and are free then.
    ReleaseAfter(Duration),
}

/// A decision about addresses, and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Retention {
    /// Who decided.
    pub policy: String,
    /// What becomes of the addresses.
    pub fate: Fate,
    /// Why, in one sentence for people.
    pub message: String,
    /// The policy has no valid answer and is not to be passed over (`onFailure: deny`): the addresses are kept, since
    /// giving away what is still wanted is the worse mistake.
    pub failure: Option<CallFailure>,
}

/// Why nobody decides. Keep the addresses, and ask again.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum RetainError {
    /// There is no policy to ask.
    #[error("no retention policy is in force for the pod; do not replace builtin-retention without another")]
    Nobody,
    /// The host itself failed.
    #[error("a decision about addresses failed: {0}")]
    Host(String),
}

impl Retention {
    fn decided(policy: &Policy, decision: bindings::Decision) -> Self {
        let bindings::Decision { fate, message } = decision;
        let fate = match fate {
            bindings::Fate::Keep => Fate::Keep,
            bindings::Fate::Release => Fate::Release,
            bindings::Fate::ReleaseAfter(milliseconds) => Fate::ReleaseAfter(Duration::from_millis(milliseconds)),
        };
        Self { policy: policy.name().to_owned(), fate, message, failure: None }
    }

    fn failed(policy: &Policy, failure: CallFailure) -> Self {
        let policy = policy.name().to_owned();
        let message = format!("policy {policy} failed: {failure}; the addresses are kept until it answers");
        Self { policy, fate: Fate::Keep, message, failure: Some(failure) }
    }
}

impl PolicySet {
    /// Decides what becomes of a pod's addresses. Blocks for as long as policies compute.
    ///
    /// A policy that fails and may be done without is left out, and the next one asked. One that fails and may not keeps
    /// the addresses.
    ///
    /// # Errors
    /// No retention policy is in force for the pod.
    pub fn retain(&self, departure: &Departure) -> Result<Retention, RetainError> {
        let Departure { holder, event } = departure;
        let mut without: Vec<Arc<Policy>> = Vec::new();
        let mut last = Err(RetainError::Nobody);
        loop {
            let asker = Asker { pod: Some(&holder.context), without: &without };
            let chain = self.enforced(ExtensionPoint::Retention, asker);
            let Some(policy) = chain.first() else { return last };
            match policy.keep(holder, event) {
                Ok(decision) => return Ok(Retention::decided(policy, decision)),
                Err(failure) if policy.falls_back() => {
                    warn!(policy = policy.name(), "deciding without a policy that failed: {failure}");
                    last = Ok(Retention::failed(policy, failure));
                    without.push(Arc::clone(policy));
                }
                Err(failure) => {
                    warn!(policy = policy.name(), "keeping addresses because a policy failed: {failure}");
                    return Ok(Retention::failed(policy, failure));
                }
            }
        }
    }

    /// Asks the shadow policies what they would have said, and counts differences.
    pub(crate) fn compare_retention(&self, Departure { holder, event }: &Departure, retention: &Retention) {
        for policy in self.shadows(ExtensionPoint::Retention, Some(&holder.context)) {
            let said = policy.keep(holder, event).map(|decision| Retention::decided(policy, decision).fate);
            decide::note(policy, said == Ok(retention.fate));
        }
    }
}
