//! Which pools are tried in which order.

use spiderpool_policy_guide::allocation::{
    Admitted, Choice, Demand, Judged, Pick, Refusal, RefusalKind, Request, Skipped, Step,
};
use spiderpool_policy_guide::types::Family;

use crate::addresses::Wishes;
use crate::refusals::refusal;

/// One step per element of `judged`: pools with higher ranks first, the first affinity policy's rank before the next
/// one's, and pools of equal ranks in the order in which they were written. Pools without a free address are passed
/// over. `pick` says how an address is chosen inside a pool, unless the pod asks for addresses by themselves with the
/// annotation [`ip-addresses`](crate::IP_ADDRESSES): it gets exactly these.
///
/// # Errors
/// A demand has no pool with a free address, or none that gives an address which the pod asks for.
pub fn arrange(
    request: &Request,
    judged: &[Judged],
    pick: impl Fn(&Demand, &Admitted) -> Pick,
) -> Result<Vec<Step>, Refusal> {
    let wishes = Wishes::of(request)?;
    if let Some(wishes) = &wishes {
        wishes.require_demands(judged)?;
    }
    let wished = |judged| wishes.as_ref().and_then(|wishes| wishes.step(judged));
    judged.iter().map(|judged| wished(judged).unwrap_or_else(|| step(judged, &pick))).collect()
}

fn step(Judged { demand, pools }: &Judged, pick: impl Fn(&Demand, &Admitted) -> Pick) -> Result<Step, Refusal> {
    let (mut usable, exhausted): (Vec<&Admitted>, Vec<&Admitted>) = pools.iter().partition(|pool| pool.free > 0);
    if usable.is_empty() {
        return Err(all_used(demand, &exhausted));
    }
    usable.sort_by(|a, b| b.ranks.cmp(&a.ranks));
    let choices = usable.into_iter().map(|pool| Choice { pool: pool.name.clone(), pick: pick(demand, pool) });
    let skipped = exhausted.into_iter().map(|pool| Skipped { pool: pool.name.clone(), message: why_skipped(pool) });
    Ok(Step { choices: choices.collect(), skipped: skipped.collect() })
}

fn why_skipped(pool: &Admitted) -> String {
    match pool.total {
        0 => "every address of the pool is excluded or reserved".to_owned(),
        1 => "the only address of the pool is in use".to_owned(),
        total => ["all ", &total.to_string(), " addresses of the pool are in use"].concat(),
    }
}

fn all_used(demand: &Demand, pools: &[&Admitted]) -> Refusal {
    let family = match demand.family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    };
    let pools = pools.iter().map(|pool| [&pool.name, ": ", &why_skipped(pool)].concat()).collect::<Vec<_>>().join("; ");
    let message = [
        "all IP addresses used out: ",
        &demand.nic,
        " needs an ",
        family,
        " address (",
        &demand.origin,
        ") and no pool has one left; add addresses to a pool, or name another one. ",
        &pools,
    ];
    refusal(RefusalKind::Exhausted, &message)
}
