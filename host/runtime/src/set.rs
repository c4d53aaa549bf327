//! The policies in force: chains by extension point, swapped as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use spiderpool_crd::policy::{ExtensionPoint, OnFailure, PolicyMode};
use spiderpool_wire::summary::{PolicyPhase, PolicySummary};

use crate::bindings::Context;
use crate::failure::LoadError;
use crate::loaded::{Policy, PolicySource};

/// All policies at one moment. Never changed: a new set takes its place.
pub struct PolicySet {
    /// In the order of the chain; those that others replace are left out.
    chain: Vec<Arc<Policy>>,
    /// Every policy that somebody wants, whether in force or not.
    summaries: Vec<PolicySummary>,
    /// What the set was made from, so that unchanged policies are not loaded again.
    pub(crate) loaded: BTreeMap<String, (PolicySource, Arc<Policy>)>,
}

/// A policy as it came out of loading.
pub(crate) struct Candidate {
    pub(crate) source: PolicySource,
    /// The accepted policy: the new one, or the last good one when the new one was refused.
    pub(crate) policy: Option<Arc<Policy>>,
    pub(crate) refused: Option<LoadError>,
}

impl PolicySet {
    pub(crate) fn new(builtins: &[Arc<Policy>], candidates: Vec<Candidate>) -> Self {
        let mut chain: Vec<Arc<Policy>> = builtins.to_vec();
        chain.extend(candidates.iter().filter_map(|candidate| candidate.policy.clone()));
        chain.sort_by(|a, b| (a.spec.order, &a.name).cmp(&(b.spec.order, &b.name)));
        let replaced: BTreeSet<String> = chain
            .iter()
            .filter(|policy| !policy.is_shadow())
            .flat_map(|policy| policy.spec.replaces.iter().filter(|name| **name != policy.name).cloned())
            .collect();
        chain.retain(|policy| !replaced.contains(&policy.name));
        let mut summaries: Vec<PolicySummary> = builtins.iter().map(|policy| summary_of(policy, &replaced)).collect();
        summaries.extend(candidates.iter().map(|candidate| summary(candidate, &replaced)));
        summaries.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
        let loaded = candidates.into_iter().filter_map(|Candidate { source, policy, refused }| {
            // A refused source is tried again at the next change.
            let source = if refused.is_none() { source } else { PolicySource { folder: Default::default(), ..source } };
            Some((source.name.clone(), (source, policy?)))
        });
        Self { chain, summaries, loaded: loaded.collect() }
    }

    /// Every policy that somebody wants, in the order of the chain.
    #[must_use]
    pub fn summaries(&self) -> &[PolicySummary] {
        &self.summaries
    }

    /// How many policies are asked.
    pub(crate) fn len(&self) -> usize {
        self.chain.len()
    }

    /// Policies whose answers count, for a pod.
    pub(crate) fn enforced<'a>(
        &'a self,
        point: ExtensionPoint,
        context: &'a Context,
    ) -> impl Iterator<Item = &'a Arc<Policy>> + Clone {
        self.at(point).filter(move |policy| !policy.is_shadow() && policy.concerns(context))
    }

    /// Policies whose answers are only compared, for a pod.
    pub(crate) fn shadows<'a>(
        &'a self,
        point: ExtensionPoint,
        context: &'a Context,
    ) -> impl Iterator<Item = &'a Arc<Policy>> {
        self.at(point).filter(move |policy| policy.is_shadow() && policy.concerns(context))
    }

    pub(crate) fn has_shadows(&self) -> bool {
        self.chain.iter().any(|policy| policy.is_shadow())
    }

    /// Policies at an extension point, whomever they concern.
    pub(crate) fn at(&self, point: ExtensionPoint) -> impl Iterator<Item = &Arc<Policy>> + Clone {
        self.chain.iter().filter(move |policy| policy.points.contains(&point))
    }
}

fn summary(candidate: &Candidate, replaced: &BTreeSet<String>) -> PolicySummary {
    let Candidate { source, policy, refused } = candidate;
    let mut summary = match policy {
        Some(policy) => summary_of(policy, replaced),
        None => PolicySummary {
            name: source.name.clone(),
            order: source.spec.order,
            mode: mode(source.spec.mode).into(),
            on_failure: on_failure(source.spec.on_failure).into(),
            extension_points: Vec::new(),
            digest: None,
            contract_version: None,
            phase: PolicyPhase::Failed,
            message: String::new(),
        },
    };
    if let Some(error) = refused {
        summary.phase = PolicyPhase::Failed;
        let kept = if policy.is_some() { "; the version before it stays in force" } else { "" };
        summary.message = format!("{error}{kept}");
    }
    summary
}

fn summary_of(policy: &Policy, replaced: &BTreeSet<String>) -> PolicySummary {
    let points = policy.points.iter().map(|point| match point {
        ExtensionPoint::Allocation => "allocation".to_owned(),
        ExtensionPoint::Affinity => "affinity".to_owned(),
        ExtensionPoint::Validation => "validation".to_owned(),
    });
    PolicySummary {
        name: policy.name.clone(),
        order: policy.spec.order,
        mode: mode(policy.spec.mode).into(),
        on_failure: on_failure(policy.spec.on_failure).into(),
        extension_points: points.collect(),
        digest: Some(policy.inspection.digest.clone()),
        contract_version: policy.inspection.contract_version.clone(),
        phase: PolicyPhase::Ready,
        message: if replaced.contains(&policy.name) {
            "not asked: another policy replaces it".into()
        } else {
            String::new()
        },
    }
}

fn mode(mode: PolicyMode) -> &'static str {
    match mode {
        PolicyMode::Enforce => "enforce",
        PolicyMode::Shadow => "shadow",
    }
}

fn on_failure(on_failure: OnFailure) -> &'static str {
    match on_failure {
        OnFailure::Deny => "deny",
        OnFailure::Fallback => "fallback",
    }
}
