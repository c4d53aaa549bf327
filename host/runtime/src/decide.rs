//! One decision: sources → pools → who may serve → in which order.

use std::sync::Arc;

use spiderpool_crd::policy::ExtensionPoint;
use spiderpool_wire::explain::{DemandExplanation, Explanation};
use tracing::{info, warn};

use crate::bindings::{Admitted, Context, Judged, Refusal, Step};
use crate::case::{self, Case};
use crate::conv;
use crate::decision::{DecideCause, DecideError, Decision, PlannedStep, Question};
use crate::failure::CallFailure;
use crate::guest::Request;
use crate::loaded::Policy;
use crate::set::{Asker, PolicySet};

impl DecideError {
    pub(crate) fn host(message: String) -> Self {
        let explanation =
            Explanation { pod: String::new(), demands: Vec::new(), kept: Vec::new(), refusal: Some(message.clone()) };
        Self { cause: DecideCause::Host(message), explanation: Box::new(explanation) }
    }

    fn new(cause: DecideCause, context: &Context, cases: &[Case]) -> Self {
        let mut explanation = explanation(context, cases, &[]);
        explanation.refusal = Some(cause.to_string());
        Self { cause, explanation: Box::new(explanation) }
    }
}

fn explanation(context: &Context, cases: &[Case], steps: &[Step]) -> Explanation {
    let mut demands: Vec<DemandExplanation> = cases.iter().map(Case::explain).collect();
    for (demand, step) in demands.iter_mut().zip(steps) {
        case::explain_step(demand, step);
    }
    let pod = format!("{}/{}", context.pod.namespace, context.pod.name);
    Explanation { pod, demands, kept: Vec::new(), refusal: None }
}

/// What ended an attempt.
pub(crate) enum Stopped {
    Failed(Failed),
    Said(DecideCause),
}

/// A policy that has no valid answer.
pub(crate) struct Failed {
    pub(crate) policy: Arc<Policy>,
    pub(crate) failure: CallFailure,
}

impl Failed {
    pub(crate) fn of(policy: &Arc<Policy>) -> impl Fn(CallFailure) -> Self {
        move |failure| Self { policy: Arc::clone(policy), failure }
    }

    fn cause(self) -> DecideCause {
        DecideCause::PolicyFailed { policy: self.policy.name().to_owned(), failure: self.failure }
    }
}

impl From<Failed> for Stopped {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl From<DecideCause> for Stopped {
    fn from(cause: DecideCause) -> Self {
        Self::Said(cause)
    }
}

/// One run through the chains.
struct Attempt<'a> {
    question: &'a Question,
    cases: Vec<Case>,
}

impl PolicySet {
    /// Decides where a pod's addresses come from. Blocks for as long as policies compute.
    ///
    /// A policy that fails and may be done without is left out, and the decision taken again: those that it replaces
    /// are asked then.
    ///
    /// # Errors
    /// See [`DecideError`].
    pub fn decide(&self, question: &Question) -> Result<Decision, DecideError> {
        let mut without: Vec<Arc<Policy>> = Vec::new();
        let mut last = None;
        loop {
            let asker = Asker { pod: Some(&question.context), without: &without };
            let mut attempt = Attempt { question, cases: Vec::new() };
            let cause = match self.enforced(ExtensionPoint::Allocation, asker).first() {
                None => last.map_or_else(nobody, Failed::cause),
                Some(policy) => match self.attempt(&mut attempt, policy, asker) {
                    Ok(steps) => return Ok(decision(question, &attempt.cases, steps)),
                    Err(Stopped::Failed(failed)) if failed.policy.falls_back() => {
                        let Failed { policy, failure } = &failed;
                        warn!(policy = policy.name(), "deciding without a policy that failed: {failure}");
                        without.push(Arc::clone(policy));
                        last = Some(failed);
                        continue;
                    }
                    Err(Stopped::Failed(failed)) => failed.cause(),
                    Err(Stopped::Said(cause)) => cause,
                },
            };
            return Err(DecideError::new(cause, &question.context, &attempt.cases));
        }
    }

    fn attempt(&self, attempt: &mut Attempt<'_>, policy: &Arc<Policy>, asker: Asker<'_>) -> Result<Vec<Step>, Stopped> {
        let Attempt { question, cases } = attempt;
        let request = Request { context: &question.context, cni: &question.cni };
        let failed = Failed::of(policy);
        let demands = policy.candidates(request).map_err(&failed)?.map_err(|refusal| refused(policy, refusal))?;
        *cases = case::open(demands, &question.pools)?;
        case::judge(cases, &self.enforced(ExtensionPoint::Affinity, asker), question)?;
        case::require_admitted(cases)?;
        let judged: Vec<Judged> = cases.iter().map(|case| judged(case, question)).collect();
        let steps = policy.arrange(request, &judged, &question.pools).map_err(&failed)?;
        Ok(steps.map_err(|refusal| refused(policy, refusal))?)
    }

    /// Asks the shadow policies what they would have said, and counts differences.
    pub(crate) fn compare_shadows(&self, question: &Question, decision: &Decision) {
        let pod = Some(&question.context);
        for policy in self.shadows(ExtensionPoint::Allocation, pod) {
            let mut attempt = Attempt { question, cases: Vec::new() };
            let steps = self.attempt(&mut attempt, policy, Asker { pod, without: &[] }).ok();
            let same =
                steps.is_some_and(|steps| self::decision(question, &attempt.cases, steps).steps == decision.steps);
            note(policy, same);
        }
        for policy in self.shadows(ExtensionPoint::Affinity, pod) {
            note(policy, case::would_admit(policy, decision, question));
        }
    }
}

fn nobody() -> DecideCause {
    DecideCause::Host(
        "no allocation policy is in force for the pod; do not replace builtin-allocation without another".into(),
    )
}

pub(crate) fn note(policy: &Policy, same: bool) {
    if !same {
        policy.count_difference();
        info!(policy = policy.name(), "a shadow policy would have decided otherwise");
    }
}

fn refused(policy: &Policy, Refusal { kind, message }: Refusal) -> DecideCause {
    DecideCause::Refused { policy: policy.name().to_owned(), kind, message }
}

fn judged(case: &Case, question: &Question) -> Judged {
    let pools = case.admitted().map(|candidate| {
        let room = (question.room)(&candidate.pool.record.name);
        Admitted {
            name: candidate.pool.record.name.clone(),
            subnet: candidate.pool.record.subnet,
            ranks: candidate.ranks.iter().map(|rank| rank.rank).collect(),
            total: room.total,
            free: room.free,
            ranges: candidate.pool.ranges.clone(),
        }
    });
    Judged { demand: case.demand.clone(), pools: pools.collect() }
}

fn decision(question: &Question, cases: &[Case], steps: Vec<Step>) -> Decision {
    let explanation = explanation(&question.context, cases, &steps);
    let steps = cases.iter().zip(steps).map(|(case, step)| PlannedStep {
        nic: case.demand.nic.clone(),
        family: conv::native_family(case.demand.family),
        clean_gateway: case.demand.clean_gateway,
        origin: case.demand.origin.clone(),
        choices: step.choices.into_iter().map(|choice| (choice.pool, conv::native_pick(choice.pick))).collect(),
    });
    Decision { steps: steps.collect(), explanation }
}
