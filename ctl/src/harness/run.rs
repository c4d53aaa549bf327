//! Asking the runtime what the cases ask.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use spiderpool_runtime::types::{CauseKind, RefusalKind};
use spiderpool_runtime::{DecideCause, HostConfig, PolicyHost, PolicySource, ReviewError};
use spiderpool_wire::summary::PolicyPhase;
use tokio::task::block_in_place;

use super::report::CaseResult;
use crate::cases::{
    Case, CaseFile, Comparison, Complaint, Placement, PlacementExpectation, PolicyUnderTest, Question, Refusal, Review,
    ReviewExpectation, compare_placement, compare_problems, compare_retention, compare_review, not_in_force,
};
use crate::installation;

/// The runtime, with the built-in policies in force.
pub(crate) struct Bench {
    host: PolicyHost,
    component: Option<PathBuf>,
}

impl Bench {
    pub(crate) fn new(component: Option<PathBuf>) -> Result<Self> {
        let canonical = |path: PathBuf| path.canonicalize().with_context(|| format!("--policy {}", path.display()));
        let component = component.map(canonical).transpose()?;
        let (built_ins, compiler) = (installation::built_in_policies()?, installation::compiler()?);
        let config = HostConfig::new(built_ins, installation::cache()?, compiler);
        let host = block_in_place(|| PolicyHost::open(config))?;
        Ok(Self { host, component })
    }

    /// Runs the cases of a file, one after the other.
    ///
    /// # Errors
    /// The file's policy cannot be configured at all. A policy that is refused fails its cases.
    pub(crate) async fn run(&self, file: &CaseFile) -> Result<Vec<CaseResult>> {
        let mut results = Vec::with_capacity(file.cases.len());
        for case in &file.cases {
            let (took, comparison) = self.case(file, case).await?;
            results.push(CaseResult::new(&case.name, case.line, took, &comparison));
        }
        Ok(results)
    }

    async fn case(&self, file: &CaseFile, case: &Case) -> Result<(Duration, Comparison)> {
        let unnamed = self.component.as_ref().map(|_| PolicyUnderTest::unnamed());
        let policy = file.policy.as_ref().or(unnamed.as_ref());
        let name = policy.map_or("", |policy| policy.name.as_str());
        let refused = self.put_in_force(file, case, policy)?;
        let began = Instant::now();
        let comparison = match (&case.question, refused) {
            (Question::Settings(expected), refused) => compare_problems(expected, refused.as_deref()),
            (_, Some(reason)) => not_in_force(name, &reason),
            (Question::Placement(placement, expected), None) => return self.place(placement, expected, name).await,
            (Question::Departure(departure, expected), None) => {
                let departure = departure.as_ref().clone();
                let began = Instant::now();
                let retained = self.host.retain(departure).await;
                return Ok((began.elapsed(), compare_retention(expected, &retained)));
            }
            (Question::Review(review, expected), None) => return Ok(self.review(review, expected)),
        };
        Ok((began.elapsed(), comparison))
    }

    /// Puts the policy of a case in force, and nothing that was there before; why it was refused.
    fn put_in_force(&self, file: &CaseFile, case: &Case, policy: Option<&PolicyUnderTest>) -> Result<Option<String>> {
        let at = || format!("{}:{}: case {:?}", file.path.display(), case.line, case.name);
        let Some(policy) = policy else {
            if case.settings.is_some() || matches!(case.question, Question::Settings(_)) {
                return Err(anyhow!("{}: `settings` need a policy; write `policy` or use --policy", at()));
            }
            block_in_place(|| self.host.apply(Vec::new()));
            return Ok(None);
        };
        let spec = policy.spec_with(self.component.as_deref(), case.settings.as_ref());
        let spec = spec.map_err(|problem| anyhow!("{}: {problem}", at()))?;
        let folder = file.path.parent().unwrap_or(Path::new("")).to_owned();
        let source = PolicySource { name: policy.name.clone(), spec, folder };
        // Where new settings are refused the host would keep the policy with the old ones.
        let known = self.host.summaries().iter().any(|summary| summary.name == policy.name);
        if known && case.settings.is_some() {
            block_in_place(|| self.host.apply(Vec::new()));
        }
        let summaries = block_in_place(|| self.host.apply(vec![source]));
        let summary = summaries.into_iter().find(|summary| summary.name == policy.name);
        let summary = summary.ok_or_else(|| anyhow!("{}: the host does not know policy {}", at(), policy.name))?;
        Ok((summary.phase == PolicyPhase::Failed).then_some(summary.message))
    }

    async fn place(
        &self,
        placement: &Placement,
        expected: &PlacementExpectation,
        policy: &str,
    ) -> Result<(Duration, Comparison)> {
        let question = placement.question();
        let began = Instant::now();
        let decided = self.host.decide(question).await;
        let took = began.elapsed();
        let (explanation, refusal) = match decided {
            Ok(decision) => (decision.explanation, None),
            Err(error) => {
                let refusal = Refusal { kind: kind(&error.cause).to_owned(), message: error.to_string() };
                (*error.explanation, Some(refusal))
            }
        };
        Ok((took, compare_placement(expected, policy, &explanation, refusal.as_ref())))
    }

    fn review(&self, review: &Review, expected: &ReviewExpectation) -> (Duration, Comparison) {
        let (question, facts) = review.question();
        let began = Instant::now();
        let reviewed = block_in_place(|| self.host.policies().review(question, facts));
        let took = began.elapsed();
        let outcome = reviewed.map_err(|error| match error {
            ReviewError::Denied { causes, .. } => causes
                .into_iter()
                .map(|cause| Complaint { field: cause.field, kind: cause_kind(cause.kind), message: cause.message })
                .collect(),
            failed @ ReviewError::PolicyFailed { .. } => {
                let kind = Refusal::POLICY_FAILED.to_owned();
                vec![Complaint { field: String::new(), kind, message: failed.to_string() }]
            }
        });
        (took, compare_review(expected, &outcome))
    }
}

fn kind(cause: &DecideCause) -> &str {
    match cause {
        DecideCause::Refused { kind, .. } => refusal_kind(kind),
        DecideCause::UnknownPool { .. } => "unknown-pool",
        DecideCause::NoCandidates(_) => "no-candidates",
        DecideCause::AllRefused { .. } => "all-refused",
        DecideCause::PolicyFailed { .. } => Refusal::POLICY_FAILED,
        DecideCause::Master { .. } => "master-subnet",
        DecideCause::Host(_) => "host",
    }
}

/// The names of the contract.
fn refusal_kind(kind: &RefusalKind) -> &str {
    match kind {
        RefusalKind::NoCandidates => "no-candidates",
        RefusalKind::Malformed(_) => "malformed",
        RefusalKind::DuplicatePool(_) => "duplicate-pool",
        RefusalKind::InterfaceMissing(_) => "interface-missing",
        RefusalKind::Exhausted => "exhausted",
        RefusalKind::Unsupported(_) => "unsupported",
        RefusalKind::Other(word) => word,
    }
}

/// The names of the contract.
fn cause_kind(kind: CauseKind) -> String {
    match kind {
        CauseKind::Invalid => "invalid".to_owned(),
        CauseKind::Required => "required".to_owned(),
        CauseKind::Forbidden => "forbidden".to_owned(),
        CauseKind::Duplicate => "duplicate".to_owned(),
        CauseKind::NotSupported => "not-supported".to_owned(),
        CauseKind::Other(word) => word,
    }
}
