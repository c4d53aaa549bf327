//! The policies in force: chains by extension point, swapped as a whole.

use std::collections::BTreeSet;
use std::sync::Arc;

use spiderpool_crd::policy::{ExtensionPoint, OnFailure, PolicyMode};
use spiderpool_wire::summary::{PolicyPhase, PolicySummary};

use crate::bindings::{Context, Pool, Subject, Verdict};
use crate::failure::{CallFailure, LoadError};
use crate::guest;
use crate::load::interface;
use crate::loaded::Policy;

/// All policies at one moment. Never changed: a new set takes its place.
pub struct PolicySet {
    /// In the order of the chain.
    chain: Vec<Arc<Policy>>,
    /// Every policy that somebody wants, whether in force or not.
    summaries: Vec<PolicySummary>,
}

/// A policy as it came out of loading.
pub(crate) struct Candidate {
    /// The accepted policy: the new one, or the last good one, or a refused one.
    pub(crate) policy: Arc<Policy>,
    /// Why what was asked for is not in force.
    pub(crate) refused: Option<LoadError>,
}

/// Whom a chain is asked for, and whom it does without.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// The pod; none where there is no pod, in reviews of objects.
    pub(crate) pod: Option<&'a Context>,
    /// Policies that failed and whose `onFailure` lets the decision go on as if they were not there.
    pub(crate) without: &'a [Arc<Policy>],
}

impl PolicySet {
    pub(crate) fn new(builtins: &[Arc<Policy>], candidates: &[Candidate]) -> Self {
        let in_order = |policy: &Policy| (policy.source.spec.order, policy.name().to_owned());
        let wanted = candidates.iter().map(|candidate| &candidate.policy);
        let mut chain: Vec<Arc<Policy>> =
            builtins.iter().chain(wanted).filter(|policy| policy.counts()).cloned().collect();
        chain.sort_by_key(|policy| in_order(policy));
        let mut summaries: Vec<PolicySummary> = builtins.iter().map(|policy| summary(policy, None, &chain)).collect();
        summaries.extend(candidates.iter().map(|it| summary(&it.policy, it.refused.as_ref(), &chain)));
        summaries.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
        Self { chain, summaries }
    }

    /// Every policy that somebody wants, in the order of the chain.
    #[must_use]
    pub fn summaries(&self) -> &[PolicySummary] {
        &self.summaries
    }

    /// What one policy says about pools, by itself: for tools and measurements. None when no policy of that name is in
    /// the chain.
    #[must_use]
    pub fn judge(&self, policy: &str, subject: &Subject, pools: &[&Pool]) -> Option<Result<Vec<Verdict>, CallFailure>> {
        let Subject { context, nic } = subject;
        Some(self.accepted(policy)?.judge(guest::Subject { context, nic }, pools))
    }

    /// How many policies can be asked.
    pub(crate) fn len(&self) -> usize {
        self.chain.iter().filter(|policy| policy.guest.is_ok()).count()
    }

    /// The policy of this name that was accepted last.
    pub(crate) fn accepted(&self, name: &str) -> Option<&Arc<Policy>> {
        self.chain.iter().find(|policy| policy.name() == name && policy.guest.is_ok())
    }

    /// Policies whose answers count.
    pub(crate) fn enforced<'a>(&'a self, point: ExtensionPoint, asker: Asker<'a>) -> Vec<&'a Arc<Policy>> {
        let without = |policy: &Arc<Policy>| asker.without.iter().any(|failed| Arc::ptr_eq(failed, policy));
        let concerned = self.chain.iter().filter(|policy| {
            !policy.is_shadow() && !without(policy) && asker.pod.is_none_or(|pod| policy.concerns(pod))
        });
        let mut asked: Vec<&Arc<Policy>> = concerned.collect();
        let replaced = replaced(&asked);
        asked.retain(|policy| policy.points.contains(&point) && !replaced.contains(policy.name()));
        asked
    }

    /// Policies whose answers are only compared, for a pod.
    pub(crate) fn shadows<'a>(
        &'a self,
        point: ExtensionPoint,
        pod: Option<&'a Context>,
    ) -> impl Iterator<Item = &'a Arc<Policy>> {
        self.chain.iter().filter(move |policy| {
            policy.is_shadow() && policy.points.contains(&point) && pod.is_none_or(|pod| policy.concerns(pod))
        })
    }

    pub(crate) fn has_shadows(&self) -> bool {
        self.chain.iter().any(|policy| policy.is_shadow())
    }
}

/// The names that policies of a chain replace. One that is replaced itself by an earlier one replaces nothing, so that
/// two that replace each other are not both gone.
fn replaced<'a>(chain: &[&'a Arc<Policy>]) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for policy in chain {
        if !names.contains(policy.name()) {
            names.extend(policy.source.spec.replaces.iter().map(String::as_str).filter(|name| *name != policy.name()));
        }
    }
    names
}

fn summary(policy: &Policy, refused: Option<&LoadError>, chain: &[Arc<Policy>]) -> PolicySummary {
    let spec = &policy.source.spec;
    let digest = policy.inspection.as_ref().map(|inspection| inspection.digest.clone());
    let points = if policy.guest.is_ok() {
        policy.points.iter().map(|point| interface(*point).into()).collect()
    } else {
        Vec::new()
    };
    PolicySummary {
        name: policy.name().to_owned(),
        order: spec.order,
        mode: match spec.mode {
            PolicyMode::Enforce => "enforce".into(),
            PolicyMode::Shadow => "shadow".into(),
        },
        on_failure: match spec.on_failure {
            OnFailure::Deny => "deny".into(),
            OnFailure::Fallback => "fallback".into(),
        },
        extension_points: points,
        digest,
        contract_version: policy.inspection.as_ref().and_then(|inspection| inspection.contract_version.clone()),
        phase: if refused.is_some() { PolicyPhase::Failed } else { PolicyPhase::Ready },
        message: match refused {
            Some(error) => format!("{error}; {}", meanwhile(policy)),
            None => replacement(policy, chain),
        },
    }
}

/// What holds until a refused policy is mended.
fn meanwhile(policy: &Policy) -> &'static str {
    if policy.guest.is_ok() {
        "the version before it stays in force"
    } else if policy.counts() && policy.points.iter().eq([&ExtensionPoint::Retention]) {
        "until then the addresses that it would be asked about are kept (spec.onFailure)"
    } else if policy.counts() {
        "until then what it would be asked about is denied (spec.onFailure)"
    } else {
        "decisions go on without it"
    }
}

/// Who takes the policy's place, and for whom.
fn replacement(policy: &Policy, chain: &[Arc<Policy>]) -> String {
    let enforced: Vec<&Arc<Policy>> = chain.iter().filter(|other| !other.is_shadow()).collect();
    if !replaced(&enforced).contains(policy.name()) {
        return String::new();
    }
    let by = |other: &&&Arc<Policy>| other.source.spec.replaces.iter().any(|name| name == policy.name());
    let Some(by) = enforced.iter().find(by) else { return String::new() };
    match by.source.spec.scope {
        None => format!("not asked: {} replaces it", by.name()),
        Some(_) => format!("not asked about pods in the scope of {}, which replaces it", by.name()),
    }
}
