//! The explanation of a decision, laid out for the person who wonders about a pod.

use std::fmt::Write;

use spiderpool_ip::Family;
use spiderpool_wire::explain::{CandidateExplanation, DemandExplanation, Explanation, KeptAddress, Pick, Verdict};

use crate::tables::family;

/// The whole explanation: a section per interface and family, then the verdict.
pub(crate) fn text(explanation: &Explanation) -> String {
    let mut text = format!("Pod {}\n", explanation.pod);
    for demand in &explanation.demands {
        text.push('\n');
        section(&mut text, demand);
    }
    text.push('\n');
    match &explanation.refusal {
        Some(refusal) => text += &format!("Refused: {refusal}\n"),
        None => {
            let kept = &explanation.kept;
            let is_new = |demand: &&DemandExplanation| !kept.iter().any(|kept| serves(kept, demand));
            let new = explanation.demands.iter().filter(is_new).map(promise);
            let promises: Vec<String> = kept.iter().map(keeps).chain(new).collect();
            text += &match promises.is_empty() {
                true => "Nothing is asked for: the pod would get no address.\n".to_owned(),
                false => format!("The pod would get {}.\n", list(promises.into_iter())),
            };
        }
    }
    text
}

fn section(text: &mut String, demand: &DemandExplanation) {
    text.push_str(&format!("{} {}, pools from: {}\n", demand.interface, family(demand.family), demand.origin));
    let names = demand.candidates.iter().map(|candidate| candidate.pool.as_str());
    let width = names.chain(demand.plan.iter().map(|planned| planned.pool.as_str())).map(|name| name.chars().count());
    let width = width.max().unwrap_or_default();
    if demand.candidates.is_empty() {
        text.push_str("  no pool is named, or none exists that matches\n");
    }
    for candidate in &demand.candidates {
        let passed_over = demand.skipped.iter().find(|skipped| skipped.pool == candidate.pool);
        match (&candidate.verdict, passed_over) {
            (Verdict::Admitted(_), Some(skipped)) => {
                line(text, '-', &candidate.pool, width, &format!("passed over: {}", skipped.reason));
            }
            _ => line(text, mark(candidate), &candidate.pool, width, &verdict(&candidate.verdict)),
        }
    }
    if demand.plan.is_empty() {
        return;
    }
    text.push_str("  tried in this order:\n");
    for (place, planned) in demand.plan.iter().enumerate() {
        let _ = writeln!(text, "    {}. {:width$}  {}", place + 1, planned.pool, pick(&planned.pick));
    }
}

fn line(text: &mut String, mark: char, pool: &str, width: usize, what: &str) {
    let _ = writeln!(text, "  {mark} {pool:width$}  {what}");
}

fn mark(candidate: &CandidateExplanation) -> char {
    match candidate.verdict {
        Verdict::Admitted(_) => '✓',
        Verdict::Refused(_) => '✗',
    }
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Admitted(ranks) if ranks.is_empty() => "admitted".to_owned(),
        Verdict::Admitted(ranks) => {
            let ranks: Vec<_> = ranks.iter().map(|rank| format!("{} {}", rank.policy, rank.rank)).collect();
            format!("admitted, ranks: {}", ranks.join(", "))
        }
        Verdict::Refused(refusal) => match &refusal.policy {
            Some(policy) => format!("refused by {policy}: {}", refusal.reason),
            None => format!("left out: {}", refusal.reason),
        },
    }
}

/// How an address is picked, after the name of the pool.
pub(crate) fn pick(pick: &Pick) -> String {
    match pick {
        Pick::Lowest => "the lowest free address".to_owned(),
        Pick::Spread => "a free address far from those given lately".to_owned(),
        Pick::Sticky(key) => format!("the address that belongs to the key {key:?}, or the next free one"),
        Pick::Exactly(addresses) => {
            format!(
                "the first free one of {}",
                addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            )
        }
    }
}

fn serves(kept: &KeptAddress, demand: &DemandExplanation) -> bool {
    kept.interface == demand.interface && Family::of(kept.address) == demand.family
}

fn keeps(kept: &KeptAddress) -> String {
    let KeptAddress { interface, address, pool, from } = kept;
    let from = match from {
        Some(uid) => format!("which the pod before it left (uid {uid})"),
        None => "which it has".to_owned(),
    };
    format!("{address} for {interface} from {pool}, {from}")
}

fn promise(demand: &DemandExplanation) -> String {
    let first = demand.plan.first().map_or("no pool", |planned| planned.pool.as_str());
    let others = match demand.plan.len() {
        0 | 1 => "",
        2 => " (or the pool after it)",
        _ => " (or the pools after it)",
    };
    format!("an {} address for {} from {first}{others}", family(demand.family), demand.interface)
}

fn list(items: impl ExactSizeIterator<Item = String>) -> String {
    let last = items.len().saturating_sub(1);
    items.enumerate().fold(String::new(), |text, (place, item)| match place {
        0 => item,
        place if place == last => text + " and " + &item,
        _ => text + ", " + &item,
    })
}

#[cfg(test)]
mod tests;
