//! Answers, right and wrong ones.

use spiderpool_policy_guide::affinity::{Reason, ReasonKind, Verdict};
use spiderpool_policy_guide::allocation::{Choice, Demand, Judged, Pick, Request, Source, Step};
use spiderpool_policy_guide::types::{Cidr, IpAddress};

use crate::Behave;

/// The highest rank of the contract.
const HIGHEST_RANK: i32 = 1_000_000;

/// Bytes of the huge message.
const HUGE: usize = 8 << 20;

/// The verdicts on so many pools.
pub(crate) fn verdicts(behave: Behave, pools: usize) -> Vec<Verdict> {
    match behave {
        Behave::Empty => Vec::new(),
        Behave::MillionVerdicts => (0..1_000_000).map(|_| Verdict::Admit(0)).collect(),
        Behave::TooFewVerdicts => vec![Verdict::Admit(0); pools.saturating_sub(1)],
        Behave::RankOutOfRange => vec![Verdict::Admit(HIGHEST_RANK + 1); pools],
        Behave::HugeAnswer => {
            vec![Verdict::Refuse(Reason { kind: ReasonKind::Node, message: "no ".repeat(HUGE / 3 + 1) })]
        }
        _ => vec![Verdict::Admit(0); pools],
    }
}

/// One demand for the default pools per family that is switched on.
pub(crate) fn demands(behave: Behave, request: &Request) -> Vec<Demand> {
    if behave == Behave::Empty {
        return Vec::new();
    }
    let demand = |family| Demand {
        nic: request.cni.interface_name.clone(),
        family,
        sources: vec![Source::ClusterDefault],
        clean_gateway: request.cni.clean_gateway,
        match_master_subnet: request.cni.match_master_subnet,
        origin: "a policy that misbehaves".to_owned(),
    };
    request.context.cluster.families.iter().copied().map(demand).collect()
}

/// The step of a demand; none where there is to be an answer less.
pub(crate) fn step(behave: Behave, judged: &Judged) -> Option<Step> {
    let pick = |subnet: &Cidr| match behave {
        Behave::OutsidePool => Pick::Exactly(vec![outside(subnet)]),
        _ => Pick::Lowest,
    };
    let pools = judged.pools.iter().map(|pool| Choice { pool: pool.name.clone(), pick: pick(&pool.subnet) });
    match behave {
        Behave::Empty => None,
        Behave::UnknownPool => {
            let stranger = Choice { pool: "nobody-asked-about-me".to_owned(), pick: Pick::Lowest };
            Some(Step { choices: vec![stranger], skipped: Vec::new() })
        }
        _ => Some(Step { choices: pools.collect(), skipped: Vec::new() }),
    }
}

/// An address that is not in `subnet`: its lowest with the first bit turned. Only a subnet of everything holds it.
fn outside(subnet: &Cidr) -> IpAddress {
    match subnet.address {
        IpAddress::Ipv4((a, b, c, d)) => IpAddress::Ipv4((a ^ 0x80, b, c, d)),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => IpAddress::Ipv6((a ^ 0x8000, b, c, d, e, f, g, h)),
    }
}
