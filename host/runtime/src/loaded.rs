//! A policy: how it is configured, and its questions.

use std::collections::BTreeSet;

use spiderpool_crd::policy::{ExtensionPoint, OnFailure, PolicyMode, PolicyScope};

use crate::bindings::{
    Context, Decision, Demand, Event, Facts, Holder, Judged, Outcome, Pool, Proposal, Refusal, Step, Verdict,
};
use crate::failure::{CallFailure, LoadError};
use crate::guest::{Export, Function, Guest, Request, Subject};
use crate::inspect::Inspection;
use crate::limits::Limits;
use crate::load::PolicySource;
use crate::metrics::Metrics;
use crate::pools::PoolIndex;
use crate::{answer, conv};

/// A policy in the chain.
pub(crate) struct Policy {
    pub(crate) source: PolicySource,
    pub(crate) points: BTreeSet<ExtensionPoint>,
    /// Missing when the component could not be read.
    pub(crate) inspection: Option<Inspection>,
    pub(crate) settings: String,
    pub(crate) limits: Limits,
    /// The component, or why it was refused: then every question fails.
    pub(crate) guest: Result<Guest, LoadError>,
    pub(crate) metrics: Metrics,
}

impl Policy {
    pub(crate) fn name(&self) -> &str {
        &self.source.name
    }

    pub(crate) fn falls_back(&self) -> bool {
        self.source.spec.on_failure == OnFailure::Fallback
    }

    pub(crate) fn is_shadow(&self) -> bool {
        self.source.spec.mode == PolicyMode::Shadow
    }

    /// Whether asking it can make a difference: one that was refused is in the chain for its `deny` alone.
    pub(crate) fn counts(&self) -> bool {
        self.guest.is_ok() || !(self.falls_back() || self.is_shadow() || self.points.is_empty())
    }

    /// Whether the policy concerns the pod.
    pub(crate) fn concerns(&self, context: &Context) -> bool {
        let Some(PolicyScope { namespace_selector, pod_selector }) = &self.source.spec.scope else { return true };
        namespace_selector.as_ref().is_none_or(|selector| conv::satisfies(&context.namespace.labels, selector))
            && pod_selector.as_ref().is_none_or(|selector| conv::satisfies(&context.pod.labels, selector))
    }

    pub(crate) fn check_settings(&self) -> Result<(), LoadError> {
        if self.guest.as_ref().is_ok_and(|guest| guest.check.is_none()) {
            return Ok(());
        }
        let asked = self.ask(|guest| &guest.check, (&*self.settings,), |(answer,)| Ok(answer));
        let answer = asked.map_err(|failure| LoadError::Trial { function: "settings.check", failure })?;
        answer.map_err(LoadError::Settings)
    }

    /// One verdict per pool, in order.
    pub(crate) fn judge(&self, subject: Subject<'_>, pools: &[&Pool]) -> Result<Vec<Verdict>, CallFailure> {
        let params = (&*self.settings, subject, pools);
        self.ask(|guest| &guest.judge, params, |(verdicts,)| answer::verdicts(verdicts, pools.len()))
    }

    pub(crate) fn candidates(&self, request: Request<'_>) -> Result<Result<Vec<Demand>, Refusal>, CallFailure> {
        let params = (&*self.settings, request);
        self.ask(
            |guest| &guest.candidates,
            params,
            |(answer,)| match answer {
                Ok(demands) => answer::demands(demands).map(Ok),
                Err(refusal) => answer::refusal(refusal).map(Err),
            },
        )
    }

    /// One step per demand, in order.
    pub(crate) fn arrange(
        &self,
        request: Request<'_>,
        judged: &[Judged],
        pools: &PoolIndex,
    ) -> Result<Result<Vec<Step>, Refusal>, CallFailure> {
        let params = (&*self.settings, request, judged);
        self.ask(
            |guest| &guest.arrange,
            params,
            |(answer,)| match answer {
                Ok(steps) => answer::steps(steps, judged, pools).map(Ok),
                Err(refusal) => answer::refusal(refusal).map(Err),
            },
        )
    }

    /// What `read` makes of the outcome.
    pub(crate) fn review<T>(
        &self,
        proposal: &Proposal,
        facts: &Facts,
        read: impl FnOnce(Outcome) -> Result<T, CallFailure>,
    ) -> Result<T, CallFailure> {
        let params = (&*self.settings, proposal, facts);
        self.ask(|guest| &guest.review, params, |(outcome,)| read(outcome))
    }

    pub(crate) fn keep(&self, holder: &Holder, event: &Event) -> Result<Decision, CallFailure> {
        let params = (&*self.settings, holder, event);
        self.ask(|guest| &guest.keep, params, |(decision,)| answer::decision(decision))
    }

    fn ask<F: Function, T>(
        &self,
        export: impl FnOnce(&Guest) -> &Option<Export<F>>,
        params: F::Params<'_>,
        read: impl FnOnce(F::Results) -> Result<T, CallFailure>,
    ) -> Result<T, CallFailure> {
        let guest = self.guest.as_ref().map_err(|error| CallFailure::NotLoaded(error.to_string()))?;
        let export = export(guest).as_ref();
        let export = export.ok_or_else(|| CallFailure::Host(format!("{} is not exported", F::NAME)))?;
        export.meter.measure(|| guest.call(export, &self.limits, params).and_then(read))
    }

    pub(crate) fn count_difference(&self) {
        self.metrics.count_difference(self.name());
    }
}
