//! One decision: sources → pools → who may serve → in which order.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use spiderpool_crd::policy::ExtensionPoint;
use spiderpool_ip::Family;
use spiderpool_wire::explain::{DemandExplanation, Explanation};

use crate::bindings::{Admitted, Cni, Context, Judged, Refusal, RefusalKind, Request, Step};
use crate::case::{self, Case};
use crate::failure::CallFailure;
use crate::loaded::Policy;
use crate::pools::PoolIndex;
use crate::set::PolicySet;
use crate::{answer, conv};

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
    pub masters: Box<dyn Fn(&str) -> Result<Vec<IpAddr>, String> + Send + Sync>,
}

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
        /// Whether it is for lack of addresses only, so that the same request may succeed later.
        exhausted: bool,
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
    #[error("no IPPool available: {0}")]
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

impl DecideError {
    pub(crate) fn host(message: String) -> Self {
        let explanation = Explanation { pod: String::new(), demands: Vec::new(), refusal: Some(message.clone()) };
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
    Explanation { pod: format!("{}/{}", context.pod.namespace, context.pod.name), demands, refusal: None }
}

/// Why one allocation policy led to no plan, and whether the next one may be asked.
enum Stopped {
    Failed(CallFailure),
    Said(DecideCause),
}

impl From<CallFailure> for Stopped {
    fn from(failure: CallFailure) -> Self {
        Self::Failed(failure)
    }
}

impl From<DecideCause> for Stopped {
    fn from(cause: DecideCause) -> Self {
        Self::Said(cause)
    }
}

impl PolicySet {
    /// Decides where a pod's addresses come from. Blocks for as long as policies compute.
    ///
    /// # Errors
    /// See [`DecideError`].
    pub fn decide(&self, question: &Question) -> Result<Decision, DecideError> {
        let request = Request { context: question.context.clone(), cni: question.cni.clone() };
        let mut chain = self.enforced(ExtensionPoint::Allocation, &question.context).peekable();
        while let Some(policy) = chain.next() {
            let mut cases = Vec::new();
            let cause = match self.decide_by(policy, question, &request, &mut cases) {
                Ok(steps) => return Ok(decision(question, &cases, steps)),
                Err(Stopped::Failed(_)) if policy.falls_back() && chain.peek().is_some() => continue,
                Err(Stopped::Failed(failure)) => DecideCause::PolicyFailed { policy: policy.name.clone(), failure },
                Err(Stopped::Said(cause)) => cause,
            };
            return Err(DecideError::new(cause, &question.context, &cases));
        }
        Err(DecideError::host(
            "no allocation policy is in force for the pod; do not replace builtin-allocation without another".into(),
        ))
    }

    fn decide_by(
        &self,
        policy: &Policy,
        question: &Question,
        request: &Request,
        cases: &mut Vec<Case>,
    ) -> Result<Vec<Step>, Stopped> {
        let demands = policy.candidates(request)?.map_err(|refusal| refused(policy, refusal))?;
        let demands = answer::demands(demands).inspect_err(|failure| policy.count_wrong("candidates", failure))?;
        *cases = case::open(demands, &question.pools)?;
        case::judge(cases, self.enforced(ExtensionPoint::Affinity, &question.context), question)?;
        case::require_admitted(cases)?;
        let judged: Vec<Judged> = cases.iter().map(|case| judged(case, question)).collect();
        let steps = policy.arrange(request, &judged)?.map_err(|refusal| refused(policy, refusal))?;
        Ok(answer::steps(steps, &judged, &question.pools)
            .inspect_err(|failure| policy.count_wrong("arrange", failure))?)
    }

    /// Asks the shadow policies what they would have said, and counts differences.
    pub(crate) fn compare_shadows(&self, question: &Question, decision: &Decision) {
        let request = Request { context: question.context.clone(), cni: question.cni.clone() };
        for policy in self.shadows(ExtensionPoint::Allocation, &question.context) {
            let mut cases = Vec::new();
            let steps = self.decide_by(policy, question, &request, &mut cases).ok();
            let same = steps.is_some_and(|steps| self::decision(question, &cases, steps).steps == decision.steps);
            note(policy, same);
        }
        for policy in self.shadows(ExtensionPoint::Affinity, &question.context) {
            let admitted =
                decision.explanation.demands.iter().flat_map(|demand| &demand.plan).map(|planned| &*planned.pool);
            note(policy, case::would_admit(policy, admitted, question));
        }
    }
}

fn note(policy: &Policy, same: bool) {
    if !same {
        policy.count_difference();
        tracing::info!(policy = policy.name, "a shadow policy would have decided otherwise");
    }
}

fn refused(policy: &Policy, Refusal { kind, message }: Refusal) -> DecideCause {
    let exhausted = matches!(kind, RefusalKind::Exhausted);
    DecideCause::Refused { policy: policy.name.clone(), exhausted, message }
}

fn judged(case: &Case, question: &Question) -> Judged {
    let pools = case.admitted().map(|candidate| {
        let room = (question.room)(&candidate.pool.record.name);
        Admitted {
            name: candidate.pool.record.name.clone(),
            subnet: candidate.pool.record.subnet.clone(),
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
