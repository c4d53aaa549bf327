//! A policy in force: a component, how it is configured, and its questions.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use spiderpool_crd::SpiderPolicySpec;
use spiderpool_crd::policy::{ExtensionPoint, OnFailure, PolicyMode, PolicyScope, PolicySource as Source};
use wasmtime::component::ComponentExportIndex;

use crate::bindings::{
    Context, Demand, Facts, Judged, Outcome, Pool, Proposal, Refusal, Request, Step, Subject, Verdict,
};
use crate::compile::CodeCache;
use crate::conv;
use crate::engine::Sandbox;
use crate::failure::{CallFailure, LoadError};
use crate::inspect::{self, Inspection};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::policy::{Arrange, Candidates, Checked, Guest, Judge, Reviewed};
use crate::trial;

/// A policy that somebody wants in force.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicySource {
    /// Its name.
    pub name: String,
    /// How it is configured.
    pub spec: SpiderPolicySpec,
    /// Where relative paths of files begin.
    pub folder: PathBuf,
}

/// A policy that was accepted.
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) spec: SpiderPolicySpec,
    pub(crate) points: BTreeSet<ExtensionPoint>,
    pub(crate) inspection: Inspection,
    settings: String,
    limits: Limits,
    guest: Guest,
    metrics: Metrics,
}

/// What loading needs.
#[derive(Clone)]
pub(crate) struct Loader {
    pub(crate) sandbox: Sandbox,
    pub(crate) cache: CodeCache,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
}

impl Loader {
    /// Accepts a policy, or says why not: names and imports, shapes, settings, and a trial of each function.
    pub(crate) fn load(&self, name: &str, spec: &SpiderPolicySpec, path: &Path) -> Result<Policy, LoadError> {
        let bytes = inspect::read(path)?;
        let inspection = inspect::inspect_bytes(&bytes)?;
        inspect::judge(&inspection.exports, &inspection.imports)?;
        if let Some(wanted) = spec.digest.as_ref().filter(|wanted| **wanted != inspection.digest) {
            return Err(LoadError::Digest { found: inspection.digest, wanted: wanted.clone() });
        }
        let limits = self.limits.with(spec.limits.as_ref())?;
        let component = self.cache.load(&self.sandbox.engine, &bytes)?;
        let pre = self.sandbox.linker.instantiate_pre(&component);
        let pre = pre.map_err(|error| LoadError::Import(format!("{error:#}")))?;
        let find = |interface: &str, function: &str| -> Option<ComponentExportIndex> {
            let export = inspection.exports.iter().find(|export| {
                export
                    .name
                    .strip_prefix("spiderpool:policy/")
                    .is_some_and(|name| name.split('@').next() == Some(interface))
            })?;
            let instance = component.get_export_index(None, export.name.as_str())?;
            component.get_export_index(Some(&instance), function)
        };
        let guest = Guest {
            sandbox: self.sandbox.clone(),
            check: find("settings", "check"),
            judge: find("affinity", "judge"),
            candidates: find("allocation", "candidates"),
            arrange: find("allocation", "arrange"),
            review: find("validation", "review"),
            pre,
        };
        confirm(&guest)?;
        let policy = Policy {
            name: name.to_owned(),
            points: points(&guest, spec)?,
            settings: serde_json::Value::Object(spec.settings.clone()).to_string(),
            spec: spec.clone(),
            inspection,
            limits,
            guest,
            metrics: self.metrics.clone(),
        };
        trial::run(&policy)?;
        Ok(policy)
    }
}

fn confirm(guest: &Guest) -> Result<(), LoadError> {
    let Guest { check, judge, candidates, arrange, review, .. } = guest;
    if let Some(index) = check {
        guest.confirm::<<Checked<'_> as Signature>::Params, <Checked<'_> as Signature>::Results>(
            "settings.check",
            index,
        )?;
    }
    if let Some(index) = judge {
        guest
            .confirm::<<Judge<'_> as Signature>::Params, <Judge<'_> as Signature>::Results>("affinity.judge", index)?;
    }
    if let Some(index) = candidates {
        guest.confirm::<<Candidates<'_> as Signature>::Params, <Candidates<'_> as Signature>::Results>(
            "allocation.candidates",
            index,
        )?;
    }
    if let Some(index) = arrange {
        guest.confirm::<<Arrange<'_> as Signature>::Params, <Arrange<'_> as Signature>::Results>(
            "allocation.arrange",
            index,
        )?;
    }
    if let Some(index) = review {
        guest.confirm::<<Reviewed<'_> as Signature>::Params, <Reviewed<'_> as Signature>::Results>(
            "validation.review",
            index,
        )?;
    }
    Ok(())
}

/// Parameters and results of a function, as one type.
trait Signature {
    type Params;
    type Results;
}

impl<P, R> Signature for (P, R) {
    type Params = P;
    type Results = R;
}

fn points(guest: &Guest, spec: &SpiderPolicySpec) -> Result<BTreeSet<ExtensionPoint>, LoadError> {
    let has = |point: &ExtensionPoint| match point {
        ExtensionPoint::Allocation => guest.candidates.is_some() && guest.arrange.is_some(),
        ExtensionPoint::Affinity => guest.judge.is_some(),
        ExtensionPoint::Validation => guest.review.is_some(),
    };
    let all = [ExtensionPoint::Allocation, ExtensionPoint::Affinity, ExtensionPoint::Validation];
    match &spec.extension_points {
        None => Ok(all.into_iter().filter(has).collect()),
        Some(wanted) => match wanted.iter().find(|point| !has(point)) {
            Some(ExtensionPoint::Allocation) => Err(LoadError::Missing("allocation")),
            Some(ExtensionPoint::Affinity) => Err(LoadError::Missing("affinity")),
            Some(ExtensionPoint::Validation) => Err(LoadError::Missing("validation")),
            None => Ok(wanted.iter().copied().collect()),
        },
    }
}

impl PolicySource {
    /// The file that the policy comes from.
    pub(crate) fn path(&self) -> Result<PathBuf, LoadError> {
        match &self.spec.source {
            Source::File(file) => Ok(self.folder.join(file)),
            Source::ConfigMap(_) => Err(LoadError::Source("configMap")),
            Source::Oci(_) => Err(LoadError::Source("oci")),
        }
    }
}

impl Policy {
    /// Whether the file still holds the component that this policy was made from.
    pub(crate) fn is_of(&self, path: &Path) -> bool {
        inspect::read(path).is_ok_and(|bytes| inspect::digest(&bytes) == self.inspection.digest)
    }

    pub(crate) fn falls_back(&self) -> bool {
        self.spec.on_failure == OnFailure::Fallback
    }

    pub(crate) fn is_shadow(&self) -> bool {
        self.spec.mode == PolicyMode::Shadow
    }

    /// Whether the policy concerns the pod.
    pub(crate) fn concerns(&self, context: &Context) -> bool {
        let Some(PolicyScope { namespace_selector, pod_selector }) = &self.spec.scope else { return true };
        namespace_selector.as_ref().is_none_or(|selector| conv::satisfies(&context.namespace.labels, selector))
            && pod_selector.as_ref().is_none_or(|selector| conv::satisfies(&context.pod.labels, selector))
    }

    pub(crate) fn check_settings(&self) -> Result<(), LoadError> {
        let Some(index) = &self.guest.check else { return Ok(()) };
        let asked = self.guest.call::<_, (Result<(), _>,)>(index, &self.limits, (&*self.settings,));
        let (answer,) = asked.map_err(|failure| LoadError::Trial { function: "settings.check", failure })?;
        answer.map_err(LoadError::Settings)
    }

    pub(crate) fn judge(&self, subject: &Subject, pools: &[&Pool]) -> Result<Vec<Verdict>, CallFailure> {
        self.counted("judge", |policy| {
            let index = exported(policy.guest.judge.as_ref())?;
            let (verdicts,) =
                policy.guest.call::<_, (Vec<Verdict>,)>(index, &policy.limits, (&*policy.settings, subject, pools))?;
            Ok(verdicts)
        })
    }

    pub(crate) fn candidates(&self, request: &Request) -> Result<Result<Vec<Demand>, Refusal>, CallFailure> {
        self.counted("candidates", |policy| {
            let index = exported(policy.guest.candidates.as_ref())?;
            let (answer,) = policy.guest.call::<_, (Result<Vec<Demand>, Refusal>,)>(
                index,
                &policy.limits,
                (&*policy.settings, request),
            )?;
            Ok(answer)
        })
    }

    pub(crate) fn arrange(
        &self,
        request: &Request,
        judged: &[Judged],
    ) -> Result<Result<Vec<Step>, Refusal>, CallFailure> {
        self.counted("arrange", |policy| {
            let index = exported(policy.guest.arrange.as_ref())?;
            let params = (&*policy.settings, request, judged);
            let (answer,) = policy.guest.call::<_, (Result<Vec<Step>, Refusal>,)>(index, &policy.limits, params)?;
            Ok(answer)
        })
    }

    pub(crate) fn review(&self, proposal: &Proposal, facts: &Facts) -> Result<Outcome, CallFailure> {
        self.counted("review", |policy| {
            let index = exported(policy.guest.review.as_ref())?;
            let (outcome,) =
                policy.guest.call::<_, (Outcome,)>(index, &policy.limits, (&*policy.settings, proposal, facts))?;
            Ok(outcome)
        })
    }

    fn counted<T>(
        &self,
        function: &'static str,
        ask: impl FnOnce(&Self) -> Result<T, CallFailure>,
    ) -> Result<T, CallFailure> {
        let begun = Instant::now();
        let result = ask(self);
        self.metrics.count_call(&self.name, function, &result, begun.elapsed());
        result
    }

    /// Notes that an answer was refused after the call itself had succeeded.
    pub(crate) fn count_wrong(&self, function: &'static str, failure: &CallFailure) {
        self.metrics.count_call::<()>(&self.name, function, &Err(failure.clone()), Default::default());
    }

    pub(crate) fn count_difference(&self) {
        self.metrics.count_difference(&self.name);
    }
}

fn exported(index: Option<&ComponentExportIndex>) -> Result<&ComponentExportIndex, CallFailure> {
    index.ok_or_else(|| CallFailure::Host("the function is not exported".into()))
}
