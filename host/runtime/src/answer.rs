//! What a policy may answer: every answer is held against its question before anybody acts on it.

use std::collections::BTreeSet;

use crate::bindings::{Decision, Demand, Fate, Judged, Pick, Refusal, Step, Verdict};
use crate::conv;
use crate::failure::CallFailure;
use crate::pools::PoolIndex;

/// The longest sentence, in bytes.
const MAX_MESSAGE: usize = 4096;
/// The widest rank, either way.
const MAX_RANK: i32 = 1_000_000;
/// Interfaces times families that a pod may ask for: far more than a pod has.
const MAX_DEMANDS: usize = 64;
/// Addresses that `exactly` may name.
const MAX_EXACTLY: usize = 64;
/// The longest time after which addresses may be released, in milliseconds: ten years.
const MAX_RELEASE_AFTER: u64 = 315_360_000_000;

fn wrong<T>(what: String) -> Result<T, CallFailure> {
    Err(CallFailure::Wrong(what))
}

fn message(text: &str) -> Result<(), CallFailure> {
    if text.len() > MAX_MESSAGE {
        return wrong(format!("a message of {} bytes; at most {MAX_MESSAGE} are allowed", text.len()));
    }
    Ok(())
}

/// As many verdicts as pools, ranks in their range, sentences of bearable length.
pub(crate) fn verdicts(verdicts: Vec<Verdict>, pools: usize) -> Result<Vec<Verdict>, CallFailure> {
    if verdicts.len() != pools {
        return wrong(format!("{} verdicts for {pools} pools", verdicts.len()));
    }
    for verdict in &verdicts {
        match verdict {
            Verdict::Admit(rank) if !(-MAX_RANK..=MAX_RANK).contains(rank) => {
                return wrong(format!("rank {rank}; ranks go from -{MAX_RANK} to {MAX_RANK}"));
            }
            Verdict::Admit(_) => {}
            Verdict::Refuse(reason) => message(&reason.message)?,
        }
    }
    Ok(verdicts)
}

/// A sentence of bearable length.
pub(crate) fn refusal(refusal: Refusal) -> Result<Refusal, CallFailure> {
    message(&refusal.message)?;
    Ok(refusal)
}

/// A bearable number of demands, none twice.
pub(crate) fn demands(demands: Vec<Demand>) -> Result<Vec<Demand>, CallFailure> {
    if demands.is_empty() {
        return wrong("no demand, and no refusal".into());
    }
    if demands.len() > MAX_DEMANDS {
        return wrong(format!("{} demands; at most {MAX_DEMANDS} are allowed", demands.len()));
    }
    let mut seen = BTreeSet::new();
    for demand in &demands {
        let Demand { nic, family, origin, .. } = demand;
        message(origin)?;
        if nic.is_empty() || nic.len() > 15 {
            return wrong(format!("an interface named {nic:?}; names have 1 to 15 characters"));
        }
        let family = conv::native_family(*family);
        if !seen.insert((nic, family)) {
            return wrong(format!("two demands for {family} on {nic}"));
        }
    }
    Ok(demands)
}

/// One step per demand; pools of the demand, each once; addresses of the pool.
pub(crate) fn steps(steps: Vec<Step>, judged: &[Judged], pools: &PoolIndex) -> Result<Vec<Step>, CallFailure> {
    if steps.len() != judged.len() {
        return wrong(format!("{} steps for {} demands", steps.len(), judged.len()));
    }
    for (step, judged) in steps.iter().zip(judged) {
        let mut known: BTreeSet<&str> = judged.pools.iter().map(|pool| &*pool.name).collect();
        for skipped in &step.skipped {
            message(&skipped.message)?;
        }
        let named =
            step.choices.iter().map(|choice| &choice.pool).chain(step.skipped.iter().map(|skipped| &skipped.pool));
        for name in named {
            if !known.remove(name.as_str()) {
                return wrong(format!(
                    "pool {name:?}, which it was not asked about for {}, or twice",
                    judged.demand.nic
                ));
            }
        }
        if step.choices.is_empty() {
            return wrong(format!("no pool for {}, and no refusal", judged.demand.nic));
        }
        for choice in &step.choices {
            pick(&choice.pick, &choice.pool, pools)?;
        }
    }
    Ok(steps)
}

/// A time that somebody may live to see, and a sentence of bearable length.
pub(crate) fn decision(decision: Decision) -> Result<Decision, CallFailure> {
    message(&decision.message)?;
    match decision.fate {
        Fate::ReleaseAfter(time) if time > MAX_RELEASE_AFTER => {
            wrong(format!("a release after {time} milliseconds; at most {MAX_RELEASE_AFTER} (ten years) are allowed"))
        }
        Fate::Keep | Fate::Release | Fate::ReleaseAfter(_) => Ok(decision),
    }
}

fn pick(pick: &Pick, pool: &str, pools: &PoolIndex) -> Result<(), CallFailure> {
    match pick {
        Pick::Lowest | Pick::Spread => Ok(()),
        Pick::Sticky(key) => message(key),
        Pick::Exactly(addresses) if addresses.is_empty() || addresses.len() > MAX_EXACTLY => {
            wrong(format!("{} exact addresses; 1 to {MAX_EXACTLY} are allowed", addresses.len()))
        }
        Pick::Exactly(addresses) => {
            let Some(entry) = pools.get(pool) else { return Ok(()) };
            let outside = addresses
                .iter()
                .map(|&address| conv::native_address(address))
                .find(|&address| !entry.usable.contains(address));
            match outside {
                Some(address) => wrong(format!("address {address}, which pool {pool} cannot give")),
                None => Ok(()),
            }
        }
    }
}
