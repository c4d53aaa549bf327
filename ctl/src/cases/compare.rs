//! Expected and actual, as two texts that are alike when all is well.
//!
//! What holds is written alike on both sides, even where the expectation is only a part of what came; so the
//! difference of the texts shows what does not hold, and nothing else.

use std::collections::BTreeSet;

use serde_json::Value;
use spiderpool_wire::explain::{DemandExplanation, Explanation, Pick, PlannedPool, Verdict};

use super::expectation::{
    CauseExpectation, ChoiceExpectation, EndExpectation, PlacementExpectation, ProblemExpectation, ReviewExpectation,
    StepExpectation, VerdictExpectation,
};

/// Two texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What the case expects.
    pub expected: String,
    /// What came.
    pub actual: String,
}

/// One thing that is wrong with an object, in the words of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The path of the field.
    pub field: String,
    /// The kind of the cause, such as `not-supported`.
    pub kind: String,
    /// The sentence.
    pub message: String,
}

/// A no to a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What stopped the decision: by the allocation policy the contract's `refusal-kind`, such as `malformed` or
    /// `exhausted`; by the host `unknown-pool` or `no-candidates`; `all-refused` by affinity policies, `master-subnet`,
    /// [`Refusal::POLICY_FAILED`] when a policy broke, or `host`.
    pub kind: String,
    /// The sentence.
    pub message: String,
}

impl Refusal {
    /// The kind of a refusal because a policy broke.
    pub const POLICY_FAILED: &'static str = "policy-failed";
}

impl Comparison {
    /// Whether all is well.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.expected == self.actual
    }

    fn both(&mut self, line: &str) {
        self.differ(line, line);
    }

    fn differ(&mut self, expected: &str, actual: &str) {
        self.expect(expected);
        self.find(actual);
    }

    fn expect(&mut self, line: &str) {
        self.expected += line.trim_end();
        self.expected.push('\n');
    }

    fn find(&mut self, line: &str) {
        self.actual += line.trim_end();
        self.actual.push('\n');
    }

    pub(super) fn check(&mut self, holds: bool, expected: &str, actual: &str) {
        if holds { self.both(expected) } else { self.differ(expected, actual) }
    }
}

/// Compares what came of a pod's question. `policy` is the name of the policy whose ranks are expected.
#[must_use]
pub fn compare_placement(
    expected: &PlacementExpectation,
    policy: &str,
    explanation: &Explanation,
    refusal: Option<&Refusal>,
) -> Comparison {
    let mut comparison = Comparison::default();
    if !expected.verdicts.is_empty() {
        comparison.both("verdicts:");
    }
    for (key, verdict) in &expected.verdicts {
        let (holds, actual) = verdicts_of(explanation, key, verdict, policy);
        comparison.check(holds, &format!("  {key}: {}", verdict_text(verdict)), &format!("  {key}: {actual}"));
    }
    if !expected.skipped.is_empty() {
        comparison.both("skipped:");
    }
    for (pool, part) in &expected.skipped {
        let reason =
            explanation.demands.iter().flat_map(|demand| &demand.skipped).find(|skipped| skipped.pool == *pool);
        let holds = reason.is_some_and(|skipped| skipped.reason.contains(part));
        let reason = reason.map_or("not skipped", |skipped| skipped.reason.as_str());
        comparison.check(holds, &format!("  {pool}: {part}"), &format!("  {pool}: {reason}"));
    }
    match &expected.end {
        None if explanation.demands.is_empty() || broken(refusal) => end_unexpected(&mut comparison, refusal),
        None => {}
        Some(EndExpectation::Plan(steps)) => plan(&mut comparison, steps, explanation, refusal),
        Some(EndExpectation::Refusal(wanted)) => {
            comparison.both("refusal:");
            if let Some(kind) = &wanted.kind {
                let actual = refusal.map_or("none, there is a plan", |refusal| refusal.kind.as_str());
                comparison.check(actual == kind, &format!("  kind: {kind}"), &format!("  kind: {actual}"));
            }
            let part = wanted.message.as_deref().unwrap_or_default();
            let actual = refusal.map_or("none, there is a plan", |refusal| refusal.message.as_str());
            let holds = refusal.is_some() && actual.contains(part);
            comparison.check(holds, &format!("  message: {part}"), &format!("  message: {actual}"));
        }
    }
    comparison
}

fn broken(refusal: Option<&Refusal>) -> bool {
    refusal.is_some_and(|refusal| refusal.kind == Refusal::POLICY_FAILED)
}

/// Verdicts were expected, but the decision ended before any pool was judged.
fn end_unexpected(comparison: &mut Comparison, refusal: Option<&Refusal>) {
    if let Some(Refusal { kind, message }) = refusal {
        comparison.find(&format!("refusal ({kind}): {message}"));
    }
}

fn plan(comparison: &mut Comparison, steps: &[StepExpectation], explanation: &Explanation, refusal: Option<&Refusal>) {
    comparison.both("plan:");
    if let Some(Refusal { kind, message }) = refusal {
        steps.iter().flat_map(step_lines).for_each(|line| comparison.expect(&line));
        comparison.find(&format!("  none, refused ({kind}): {message}"));
        return;
    }
    let key = |interface: &str, family| (interface.to_owned(), family);
    let wanted: BTreeSet<_> = steps.iter().map(|step| key(&step.interface, step.family)).collect();
    for step in steps {
        let demand = explanation
            .demands
            .iter()
            .find(|demand| demand.interface == step.interface && demand.family == step.family);
        step_lines(step).iter().for_each(|line| comparison.expect(line));
        demand.map(|demand| demand_lines(demand, &step.pools)).iter().flatten().for_each(|line| comparison.find(line));
    }
    let unexpected =
        explanation.demands.iter().filter(|demand| !wanted.contains(&key(&demand.interface, demand.family)));
    for line in unexpected.flat_map(|demand| demand_lines(demand, &[])) {
        comparison.find(&line);
    }
}

fn step_lines(step: &StepExpectation) -> Vec<String> {
    let head = format!("  {} {}:", step.interface, crate::tables::family(step.family));
    let pools = step.pools.iter().map(|ChoiceExpectation { pool, pick }| match pick {
        Some(pick) => format!("  - {pool}: {}", pick_text(pick)),
        None => format!("  - {pool}"),
    });
    std::iter::once(head).chain(pools).collect()
}

/// The pick of a pool is written where the expectation for the same place has one.
fn demand_lines(demand: &DemandExplanation, expected: &[ChoiceExpectation]) -> Vec<String> {
    let head = format!("  {} {}:", demand.interface, crate::tables::family(demand.family));
    let pools = demand.plan.iter().enumerate().map(|(place, PlannedPool { pool, pick })| match expected.get(place) {
        Some(ChoiceExpectation { pick: None, .. }) => format!("  - {pool}"),
        _ => format!("  - {pool}: {}", pick_text(pick)),
    });
    std::iter::once(head).chain(pools).collect()
}

fn pick_text(pick: &Pick) -> String {
    serde_json::to_string(pick).unwrap_or_default().replace('"', "")
}

fn verdict_text(verdict: &VerdictExpectation) -> String {
    match verdict {
        VerdictExpectation::Admit(None) => "admit".to_owned(),
        VerdictExpectation::Admit(Some(rank)) => format!("admit: {rank}"),
        VerdictExpectation::Refuse(part) => format!("refuse: {part}"),
    }
}

/// Whether the verdict about a pool is the expected one wherever the pool is a candidate, and what it is where not.
fn verdicts_of(explanation: &Explanation, key: &str, expected: &VerdictExpectation, policy: &str) -> (bool, String) {
    let (interface, pool) = key.split_once('/').map_or((None, key), |(interface, pool)| (Some(interface), pool));
    let demands = explanation.demands.iter().filter(|demand| interface.is_none_or(|nic| demand.interface == nic));
    let candidates = demands.flat_map(|demand| &demand.candidates).filter(|candidate| candidate.pool == pool);
    let mut found = candidates.map(|candidate| verdict_of(&candidate.verdict, expected, policy)).peekable();
    if found.peek().is_none() {
        return (false, "not a candidate".to_owned());
    }
    found.find(|(holds, _)| !holds).unwrap_or((true, String::new()))
}

fn verdict_of(verdict: &Verdict, expected: &VerdictExpectation, policy: &str) -> (bool, String) {
    match (verdict, expected) {
        (Verdict::Admitted(_), VerdictExpectation::Admit(None)) => (true, String::new()),
        (Verdict::Admitted(ranks), VerdictExpectation::Admit(Some(wanted))) => {
            match ranks.iter().find(|rank| rank.policy == policy) {
                Some(rank) => (rank.rank == *wanted, format!("admit: {}", rank.rank)),
                None => (false, format!("admit, and {policy} was not asked")),
            }
        }
        (Verdict::Refused(refusal), VerdictExpectation::Refuse(part)) => {
            let by = refusal.policy.as_deref().unwrap_or_default();
            (by == part || refusal.reason.contains(part), format!("refuse: {}", refusal.reason))
        }
        (Verdict::Admitted(_), VerdictExpectation::Refuse(_)) => (false, "admit".to_owned()),
        (Verdict::Refused(refusal), VerdictExpectation::Admit(_)) => {
            let by = refusal.policy.as_deref().unwrap_or("the host");
            (false, format!("refuse: {} (by {by})", refusal.reason))
        }
    }
}

/// Compares what came of a review: the object after all changes, or what is wrong with it.
#[must_use]
pub fn compare_review(expected: &ReviewExpectation, outcome: &Result<Value, Vec<Complaint>>) -> Comparison {
    let mut comparison = Comparison::default();
    match (expected, outcome) {
        (ReviewExpectation::Allow(fields), Ok(object)) => {
            comparison.both("allow:");
            subset(&mut comparison, "", fields, Some(object));
        }
        (ReviewExpectation::Allow(_), Err(causes)) => {
            comparison.differ("allow", "deny:");
            causes.iter().for_each(|cause| comparison.find(&complaint_text(cause)));
        }
        (ReviewExpectation::Deny(wanted), Ok(_)) => {
            comparison.differ("deny:", "allow");
            wanted.iter().for_each(|cause| comparison.expect(&cause_text(cause)));
        }
        (ReviewExpectation::Deny(wanted), Err(causes)) => {
            comparison.both("deny:");
            match_complaints(&mut comparison, wanted, causes);
        }
    }
    comparison
}

/// Compares why a policy does not take its settings: none when it does. The reason holds every problem, the field
/// before the message.
#[must_use]
pub fn compare_problems(expected: &[ProblemExpectation], refused: Option<&str>) -> Comparison {
    let mut comparison = Comparison::default();
    comparison.both("settings refused:");
    let reason = refused.unwrap_or_default();
    let holds = |wanted: &ProblemExpectation| {
        let field = if wanted.field.is_empty() { String::new() } else { format!("{}: ", wanted.field) };
        reason.find(&field).is_some_and(|at| reason[at..].contains(wanted.message.as_deref().unwrap_or_default()))
    };
    let all_hold = refused.is_some() && expected.iter().all(holds);
    for wanted in expected {
        let line = format!("  {}: {}", wanted.field, wanted.message.as_deref().unwrap_or_default());
        if refused.is_some() && holds(wanted) { comparison.both(&line) } else { comparison.expect(&line) }
    }
    if !all_hold {
        comparison.find(&format!("  {}", refused.unwrap_or("no, the policy takes them")));
    }
    comparison
}

/// The policy under test is not in force, so that nothing could be asked.
#[must_use]
pub fn not_in_force(policy: &str, reason: &str) -> Comparison {
    let mut comparison = Comparison::default();
    comparison.differ(&format!("policy {policy} is in force"), &format!("policy {policy} is refused: {reason}"));
    comparison
}

/// Each expectation takes one complaint that fits; what is left on either side is a difference.
fn match_complaints(comparison: &mut Comparison, wanted: &[CauseExpectation], found: &[Complaint]) {
    let mut left: Vec<&Complaint> = found.iter().collect();
    for want in wanted {
        match left.iter().position(|complaint| cause_holds(want, complaint)) {
            Some(at) => {
                left.remove(at);
                comparison.both(&cause_text(want));
            }
            None => comparison.expect(&cause_text(want)),
        }
    }
    left.iter().for_each(|complaint| comparison.find(&complaint_text(complaint)));
}

fn cause_holds(wanted: &CauseExpectation, found: &Complaint) -> bool {
    wanted.field == found.field
        && wanted.kind.as_ref().is_none_or(|kind| *kind == found.kind)
        && found.message.contains(wanted.message.as_deref().unwrap_or_default())
}

fn cause_text(CauseExpectation { field, kind, message }: &CauseExpectation) -> String {
    let kind = kind.as_ref().map(|kind| format!(" ({kind})")).unwrap_or_default();
    format!("  {field}{kind}: {}", message.as_deref().unwrap_or_default())
}

fn complaint_text(Complaint { field, kind, message }: &Complaint) -> String {
    format!("  {field} ({kind}): {message}")
}

/// Every leaf of `wanted`, and what is in its place. Lists are compared as a whole.
fn subset(comparison: &mut Comparison, path: &str, wanted: &Value, actual: Option<&Value>) {
    if let Value::Object(fields) = wanted {
        if !fields.is_empty() {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                subset(comparison, &path, value, actual.and_then(|actual| actual.get(key)));
            }
            return;
        }
        if path.is_empty() {
            return;
        }
    }
    let actual = actual.unwrap_or(&Value::Null);
    comparison.check(wanted == actual, &format!("  {path}: {wanted}"), &format!("  {path}: {actual}"));
}

#[cfg(test)]
mod tests;
