//! A policy answers in the sandbox exactly as it does natively, word for word, over all tables of cases: what unit tests
//! of a policy hold, its component holds.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use spiderpool_ctl::cases::{self, Placement, Question as CaseQuestion};
use spiderpool_policy_affinity::BuiltinAffinity;
use spiderpool_policy_allocation::BuiltinAllocation;
use spiderpool_policy_guide::affinity::{Nic, Subject, Verdict};
use spiderpool_policy_guide::allocation::{Admitted, Demand, Judged, Request, Step};
use spiderpool_policy_guide::retention::Fate as NativeFate;
use spiderpool_policy_guide::types::Pool;
use spiderpool_policy_guide::validation::{Cause, Facts, Outcome, Proposal};
use spiderpool_policy_guide::{Affinity, Allocation, Retention as _, Validation};
use spiderpool_policy_retention::BuiltinRetention;
use spiderpool_policy_validation::BuiltinValidation;
use spiderpool_runtime::{DecideCause, Fate, HostConfig, PolicyHost, Question, Retention, ReviewError, conv};
use spiderpool_tests::Dist;
use spiderpool_wire::explain::{DemandExplanation, Verdict as Explained};

const FOLDERS: [&str; 4] = ["affinity", "allocation", "validation", "examples/rack-and-octet"];
/// The policies about placements and reviews have no settings.
const SETTINGS: &str = "{}";

/// The built-in policies in the sandbox.
static HOST: LazyLock<PolicyHost> = LazyLock::new(|| {
    let dist = Dist::find();
    let cache = tempfile::tempdir().expect("a temporary folder");
    let compiler = dist.bin("spiderpool-policy-compiler");
    PolicyHost::open(HostConfig::new(dist.policies(), cache.path().to_owned(), compiler)).expect("the policies load")
});

fn every_question(mut ask: impl FnMut(&str, CaseQuestion) -> bool) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let mut asked = 0;
    for folder in FOLDERS {
        for file in cases::load(&root.join(folder).join("cases")).unwrap_or_else(|error| panic!("{error}")) {
            for case in file.cases {
                asked += usize::from(ask(&case.name, case.question));
            }
        }
    }
    asked
}

#[test]
fn retentions_agree() {
    let dist = Dist::find();
    let cache = tempfile::tempdir().expect("a temporary folder");
    let mut asked = 0;
    for file in cases::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/retention/cases")).expect("cases")
    {
        for case in file.cases {
            let CaseQuestion::Departure(departure, _) = case.question else { continue };
            let compiler = dist.bin("spiderpool-policy-compiler");
            let mut config = HostConfig::new(dist.policies(), cache.path().to_owned(), compiler);
            config.retention = case.settings.unwrap_or_default();
            let settings = serde_json::Value::Object(config.retention.clone()).to_string();
            let host = PolicyHost::open(config).expect("the policies load");
            let Retention { fate, message, failure, .. } = host.policies().retain(&departure).expect("a policy");
            let native = BuiltinRetention::keep(settings, mirrored(&departure.holder), mirrored(&departure.event));
            let native_fate = match native.fate {
                NativeFate::Keep => Fate::Keep,
                NativeFate::Release => Fate::Release,
                NativeFate::ReleaseAfter(milliseconds) => Fate::ReleaseAfter(Duration::from_millis(milliseconds)),
            };
            assert_eq!((native_fate, native.message, None), (fate, message, failure), "{}", case.name);
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked} departures are no table");
}

/// The same record on the other side of the contract; both sides write the same JSON.
fn mirrored<T: DeserializeOwned>(value: &impl Serialize) -> T {
    serde_json::from_value(serde_json::to_value(value).expect("JSON")).expect("the same record")
}

#[test]
fn reviews_agree() {
    let asked = every_question(|name, question| {
        let CaseQuestion::Review(review, _) = question else { return false };
        let (review, facts) = review.question();
        let proposal = Proposal {
            operation: mirrored(&review.operation),
            kind: review.kind.clone(),
            name: review.name.clone(),
            object: review.object.to_string().into_bytes(),
            old: review.old.as_ref().map(|old| old.to_string().into_bytes()),
            extra: Vec::new(),
        };
        let native = BuiltinValidation::review(SETTINGS.into(), proposal, mirrored::<Facts>(&facts));
        let sandboxed = HOST.policies().review(review, facts);
        match (native, sandboxed) {
            (Outcome::Allow(_), Ok(_)) => {}
            (Outcome::Deny(native), Err(ReviewError::Denied { causes, .. })) => {
                assert_eq!(native, mirrored::<Vec<Cause>>(&causes), "{name}");
            }
            (native, sandboxed) => panic!("{name}: natively {native:?}, in the sandbox {sandboxed:?}"),
        }
        true
    });
    assert!(asked > 20, "{asked} reviews are no table");
}

#[test]
fn placements_agree() {
    let asked = every_question(|name, question| {
        let CaseQuestion::Placement(placement, _) = question else { return false };
        placement_agrees(name, &placement);
        true
    });
    assert!(asked > 40, "{asked} placements are no table");
}

fn placement_agrees(name: &str, placement: &Placement) {
    let question = placement.question();
    let (explanation, cause) = match HOST.policies().decide(&question) {
        Ok(decision) => (decision.explanation, None),
        Err(error) => (*error.explanation, Some(error.cause)),
    };
    let request = || Request { context: mirrored(&question.context), cni: mirrored(&question.cni) };
    let demands = match (BuiltinAllocation::candidates(SETTINGS.into(), request()), &cause) {
        (Ok(demands), _) => demands,
        (Err(refusal), Some(DecideCause::Refused { message, .. })) => {
            return assert_eq!(&refusal.message, message, "{name}");
        }
        (Err(refusal), cause) => panic!("{name}: natively {refusal:?}, in the sandbox {cause:?}"),
    };
    // Demands that find no pool are dropped by the host.
    let mut demands = demands.into_iter();
    let pairs: Vec<(Demand, &DemandExplanation)> = explanation
        .demands
        .iter()
        .map(|explained| {
            let same = |demand: &Demand| {
                demand.nic == explained.interface
                    && demand.origin == explained.origin
                    && conv::native_family(mirrored(&demand.family)) == explained.family
            };
            (demands.find(same).unwrap_or_else(|| panic!("{name}: not natively: {explained:?}")), explained)
        })
        .collect();
    for (demand, explained) in pairs.iter().filter(|(demand, _)| !demand.match_master_subnet) {
        verdicts_agree(name, &question, demand, explained);
    }
    if cause.is_none() {
        let judged = pairs.iter().map(|(demand, explained)| judged(&question, demand, explained)).collect();
        let steps =
            BuiltinAllocation::arrange(SETTINGS.into(), request(), judged).expect("arranged, as in the sandbox");
        for (step, (_, explained)) in steps.iter().zip(&pairs) {
            plans_agree(name, step, explained);
        }
    }
}

fn verdicts_agree(name: &str, question: &Question, demand: &Demand, explained: &DemandExplanation) {
    let nic = Nic { name: demand.nic.clone(), master_addresses: None };
    let subject = Subject { context: mirrored(&question.context), nic };
    for candidate in &explained.candidates {
        let pool: Pool = mirrored(&question.pools.get(&candidate.pool).expect("a pool").record);
        let native = BuiltinAffinity::judge(SETTINGS.into(), mirrored(&subject), vec![pool]);
        match (&native[0], &candidate.verdict) {
            (Verdict::Admit(rank), Explained::Admitted(ranks)) => assert_eq!([*rank], [ranks[0].rank], "{name}"),
            (Verdict::Refuse(reason), Explained::Refused(refusal)) if refusal.policy.is_some() => {
                assert_eq!(reason.message, refusal.reason, "{name}");
            }
            // The host leaves out what cannot serve anybody, and asks nobody about it.
            (_, Explained::Refused(refusal)) if refusal.policy.is_none() => {}
            (native, sandboxed) => panic!("{name}: natively {native:?}, in the sandbox {sandboxed:?}"),
        }
    }
}

fn judged(question: &Question, demand: &Demand, explained: &DemandExplanation) -> Judged {
    let admitted = explained.candidates.iter().filter_map(|candidate| {
        let Explained::Admitted(ranks) = &candidate.verdict else { return None };
        let entry = question.pools.get(&candidate.pool).expect("a pool");
        let room = (question.room)(&candidate.pool);
        Some(Admitted {
            name: candidate.pool.clone(),
            subnet: mirrored(&entry.record.subnet),
            ranks: ranks.iter().map(|rank| rank.rank).collect(),
            total: room.total,
            free: room.free,
            ranges: mirrored(&entry.usable.iter_ranges().map(conv::range).collect::<Vec<_>>()),
        })
    });
    Judged { demand: demand.clone(), pools: admitted.collect() }
}

fn plans_agree(name: &str, step: &Step, explained: &DemandExplanation) {
    let native: Vec<&str> = step.choices.iter().map(|choice| &*choice.pool).collect();
    let sandboxed: Vec<&str> = explained.plan.iter().map(|planned| &*planned.pool).collect();
    assert_eq!(native, sandboxed, "{name}");
    let native: Vec<&str> = step.skipped.iter().map(|skipped| &*skipped.message).collect();
    let sandboxed: Vec<&str> = explained.skipped.iter().map(|skipped| &*skipped.reason).collect();
    assert_eq!(native, sandboxed, "{name}");
}
