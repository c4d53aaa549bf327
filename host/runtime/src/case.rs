//! A demand and its pools on the way through the chain of affinity policies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use spiderpool_wire::explain::{
    CandidateExplanation, DemandExplanation, Pick as WirePick, PlannedPool, PolicyRank, PolicyRefusal, SkippedPool,
    Verdict as WireVerdict,
};

use crate::bindings::{Demand, Nic, Pool, Source, Step, Verdict};
use crate::conv;
use crate::decide::{Failed, Stopped};
use crate::decision::{DecideCause, Decision, Pick, Question};
use crate::guest::Subject;
use crate::loaded::Policy;
use crate::pools::{PoolEntry, PoolIndex};

/// A demand and the pools that its sources name.
pub(crate) struct Case {
    pub(crate) demand: Demand,
    candidates: Vec<Candidate>,
}

/// A pool under judgement.
pub(crate) struct Candidate {
    pub(crate) pool: Arc<PoolEntry>,
    pub(crate) ranks: Vec<PolicyRank>,
    refused: Option<PolicyRefusal>,
}

impl Case {
    pub(crate) fn admitted(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().filter(|candidate| candidate.refused.is_none())
    }

    pub(crate) fn explain(&self) -> DemandExplanation {
        let candidates = self.candidates.iter().map(|candidate| CandidateExplanation {
            pool: candidate.pool.record.name.clone(),
            verdict: match &candidate.refused {
                Some(refusal) => WireVerdict::Refused(refusal.clone()),
                None => WireVerdict::Admitted(candidate.ranks.clone()),
            },
        });
        DemandExplanation {
            interface: self.demand.nic.clone(),
            family: conv::native_family(self.demand.family),
            origin: self.demand.origin.clone(),
            candidates: candidates.collect(),
            plan: Vec::new(),
            skipped: Vec::new(),
        }
    }
}

/// Adds the order of pools to an explanation.
pub(crate) fn explain_step(demand: &mut DemandExplanation, step: &Step) {
    let plan = step.choices.iter().map(|choice| PlannedPool {
        pool: choice.pool.clone(),
        pick: match conv::native_pick(choice.pick.clone()) {
            Pick::Lowest => WirePick::Lowest,
            Pick::Spread => WirePick::Spread,
            Pick::Sticky(key) => WirePick::Sticky(key),
            Pick::Exactly(addresses) => WirePick::Exactly(addresses),
        },
    });
    demand.plan = plan.collect();
    let skipped =
        step.skipped.iter().map(|skipped| SkippedPool { pool: skipped.pool.clone(), reason: skipped.message.clone() });
    demand.skipped = skipped.collect();
}

/// Finds the pools that the demands name. A demand whose patterns find nothing is dropped, as long as another is left.
pub(crate) fn open(demands: Vec<Demand>, pools: &PoolIndex) -> Result<Vec<Case>, DecideCause> {
    let mut cases = Vec::new();
    let mut origins = BTreeSet::new();
    for demand in demands {
        let found = find(&demand, pools)?;
        origins.insert(demand.origin.clone());
        if !found.is_empty() {
            let candidates = found.into_iter().map(|pool| filter(pool, &demand)).collect();
            cases.push(Case { demand, candidates });
        }
    }
    if !cases.is_empty() {
        return Ok(cases);
    }
    let origins: Vec<String> = origins.into_iter().collect();
    Err(DecideCause::NoCandidates(match origins.as_slice() {
        [] => "no pool selection rules of any type are specified".into(),
        origins => format!(
            "no pool selection rules of any type are specified, or none of them finds a pool (looked at: {}); \
             name a pool in the pod's annotation, or set spec.default of one",
            origins.join(", ")
        ),
    }))
}

fn find(demand: &Demand, pools: &PoolIndex) -> Result<Vec<Arc<PoolEntry>>, DecideCause> {
    let mut found: Vec<Arc<PoolEntry>> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut add = |pool: &Arc<PoolEntry>| {
        if seen.insert(pool.record.name.clone()) {
            found.push(Arc::clone(pool));
        }
    };
    for source in &demand.sources {
        match source {
            Source::Pool(name) => add(pools.get(name).ok_or_else(|| unknown(name, demand, pools))?),
            Source::Matching(pattern) => pools.matching(pattern, demand.family).for_each(&mut add),
            Source::ClusterDefault => pools.defaults(demand.family).for_each(&mut add),
            Source::Other(kind) => {
                return Err(DecideCause::NoCandidates(format!(
                    "this host does not know the source {kind:?} of {}",
                    demand.origin
                )));
            }
        }
    }
    Ok(found)
}

fn unknown(name: &str, demand: &Demand, pools: &PoolIndex) -> DecideCause {
    let hint = match pools.similar(name).as_slice() {
        [] => "there is no IPPool at all".into(),
        names => format!("there are for instance {}", names.join(", ")),
    };
    DecideCause::UnknownPool { pool: name.into(), origin: demand.origin.clone(), hint }
}

/// What needs no policy: pools that cannot serve anybody, or not this family.
fn filter(pool: Arc<PoolEntry>, demand: &Demand) -> Candidate {
    let family = conv::native_family(pool.record.family);
    let reason = if pool.terminating {
        Some("it is being deleted".to_owned())
    } else if pool.disabled {
        Some("it is disabled (spec.disable)".to_owned())
    } else if pool.record.family != demand.family {
        Some(format!("it is an {family} pool; list it under that family"))
    } else {
        None
    };
    Candidate { pool, ranks: Vec::new(), refused: reason.map(|reason| PolicyRefusal { policy: None, reason }) }
}

/// Has every policy of the chain judge the pools that are left, per interface.
pub(crate) fn judge(cases: &mut [Case], chain: &[&Arc<Policy>], question: &Question) -> Result<(), Stopped> {
    let mut by_nic: BTreeMap<(String, bool), Vec<&mut Candidate>> = BTreeMap::new();
    for case in cases {
        let key = (case.demand.nic.clone(), case.demand.match_master_subnet);
        by_nic.entry(key).or_default().extend(&mut case.candidates);
    }
    for ((nic, match_master), mut candidates) in by_nic {
        let nic = look_at(nic, match_master, question)?;
        let subject = Subject { context: &question.context, nic: &nic };
        for policy in chain {
            candidates.retain(|candidate| candidate.refused.is_none());
            if candidates.is_empty() {
                break;
            }
            judge_by(policy, subject, &mut candidates)?;
        }
    }
    Ok(())
}

/// The interface, with the addresses of its parent device where they count.
fn look_at(nic: String, match_master: bool, question: &Question) -> Result<Nic, DecideCause> {
    let masters = match_master.then(|| (question.masters)(&nic)).transpose();
    let masters = masters.map_err(|why| DecideCause::Master { nic: nic.clone(), why })?;
    let master_addresses = masters.map(|masters| masters.into_iter().map(conv::address).collect());
    Ok(Nic { name: nic, master_addresses })
}

fn judge_by(policy: &Arc<Policy>, subject: Subject<'_>, candidates: &mut [&mut Candidate]) -> Result<(), Failed> {
    let pools: Vec<&Pool> = candidates.iter().map(|candidate| &candidate.pool.record).collect();
    let verdicts = policy.judge(subject, &pools).map_err(Failed::of(policy))?;
    for (candidate, verdict) in candidates.iter_mut().zip(verdicts) {
        match verdict {
            Verdict::Admit(rank) => candidate.ranks.push(PolicyRank { policy: policy.name().to_owned(), rank }),
            Verdict::Refuse(reason) => {
                candidate.refused =
                    Some(PolicyRefusal { policy: Some(policy.name().to_owned()), reason: reason.message });
            }
        }
    }
    Ok(())
}

/// Every demand must have a pool left.
pub(crate) fn require_admitted(cases: &[Case]) -> Result<(), DecideCause> {
    let Some(case) = cases.iter().find(|case| case.admitted().next().is_none()) else { return Ok(()) };
    let refusals = case.candidates.iter().filter_map(|candidate| {
        let refusal = candidate.refused.as_ref()?;
        Some((candidate.pool.record.name.clone(), format!("{}: {}", candidate.pool.record.name, refusal.reason)))
    });
    let (pools, reasons) = refusals.unzip();
    let family = conv::native_family(case.demand.family);
    Err(DecideCause::AllRefused { nic: case.demand.nic.clone(), family, pools, reasons })
}

/// Whether a policy that is only compared would admit every pool that the plan tries. Interfaces whose parent device
/// counts are passed over: looking at it again is not worth a comparison.
pub(crate) fn would_admit(policy: &Policy, decision: &Decision, question: &Question) -> bool {
    decision.steps.iter().all(|step| {
        let entries: Vec<&Arc<PoolEntry>> =
            step.choices.iter().filter_map(|(name, _)| question.pools.get(name)).collect();
        let records: Vec<&Pool> = entries.iter().map(|entry| &entry.record).collect();
        let nic = Nic { name: step.nic.clone(), master_addresses: None };
        let verdicts = policy.judge(Subject { context: &question.context, nic: &nic }, &records);
        verdicts.is_ok_and(|verdicts| verdicts.iter().all(|verdict| matches!(verdict, Verdict::Admit(_))))
    })
}
