//! Addresses that a pod asks for by themselves, with the annotation [`KEY`].

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use spiderpool_policy_guide::address::{contains, from_std, text_of, to_std};
use spiderpool_policy_guide::allocation::{
    Admitted, Choice, Demand, Judged, Pick, Refusal, RefusalKind, Request, Skipped, Step,
};
use spiderpool_policy_guide::types::Family;

use crate::annotations;
use crate::refusals::Place;

/// Pod annotation: the addresses of its interfaces, by interface and family, each one or a list of which the first that
/// is free is taken. An addition to Spiderpool's annotations.
pub const KEY: &str = "ipam.spidernet.io/ip-addresses";

const EXAMPLE: &str = r#"{"eth0": {"ipv4": "10.6.0.10", "ipv6": ["fd00::10", "fd00::11"]}}"#;

/// Ranges of a pool that a policy is told; of a pool with as many, more may exist.
const RANGES_TOLD: usize = 64;

/// Addresses that [`Pick::Exactly`] takes.
const MOST: usize = 64;

/// What the annotation says, as it is written.
type Written = BTreeMap<String, OfInterface>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfInterface {
    ipv4: Option<OneOrMany>,
    ipv6: Option<OneOrMany>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected an address in quotes, or a list of such")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// The addresses that a pod asks for.
pub(crate) struct Wishes<'a> {
    place: Place<'a>,
    wishes: Vec<Wish>,
}

struct Wish {
    nic: String,
    family: Family,
    /// In the order of preference; at least one.
    addresses: Vec<IpAddr>,
}

impl<'a> Wishes<'a> {
    /// What the pod asks for; none when it has no such annotation.
    ///
    /// # Errors
    /// The annotation cannot be read.
    pub(crate) fn of(request: &'a Request) -> Result<Option<Self>, Refusal> {
        let annotations = &request.context.pod.annotations;
        let Some(place) = annotations::find(annotations, "pod annotation", KEY, EXAMPLE) else { return Ok(None) };
        let mut wishes = Vec::new();
        for (nic, OfInterface { ipv4, ipv6 }) in annotations::read::<Written>(place)? {
            for (family, written) in [(Family::Ipv4, ipv4), (Family::Ipv6, ipv6)] {
                if let Some(written) = written {
                    let addresses = read(&nic, family, written).map_err(|error| place.malformed(&error))?;
                    wishes.push(Wish { nic: nic.clone(), family, addresses });
                }
            }
        }
        Ok(Some(Self { place, wishes }))
    }

    /// Every wish for an interface that gets addresses now must be one for a family that it gets.
    ///
    /// # Errors
    /// Names the first wish that nothing could fulfil.
    pub(crate) fn require_demands(&self, judged: &[Judged]) -> Result<(), Refusal> {
        let gets = |wish: &Wish, family: bool| {
            let demands = judged.iter().map(|judged| &judged.demand);
            demands.filter(|demand| demand.nic == wish.nic).any(|demand| !family || demand.family == wish.family)
        };
        let Some(wish) = self.wishes.iter().find(|wish| gets(wish, false) && !gets(wish, true)) else { return Ok(()) };
        let error = [
            "it asks for ",
            &listing(&wish.addresses),
            " on ",
            &wish.nic,
            ", and no pool of ",
            name(wish.family),
            " is named for that interface; name one, or leave the family out",
        ];
        Err(self.place.refusal(RefusalKind::NoCandidates, &error.concat()))
    }

    /// How a demand is served whose address the pod asks for; none when it does not. Pools are tried by the place of
    /// their first address among those that are asked for, then by rank. That a pool is full does not count: who holds
    /// the address is worth telling.
    ///
    /// # Errors
    /// No pool gives any of the addresses.
    pub(crate) fn step(&self, Judged { demand, pools }: &Judged) -> Option<Result<Step, Refusal>> {
        let of_demand = |wish: &&Wish| wish.nic == demand.nic && wish.family == demand.family;
        let Wish { addresses, .. } = self.wishes.iter().find(of_demand)?;
        let mut ranked: Vec<&Admitted> = pools.iter().collect();
        ranked.sort_by(|a, b| b.ranks.cmp(&a.ranks));
        let mut choices: Vec<(usize, Choice)> = Vec::new();
        let mut skipped = Vec::new();
        for pool in ranked {
            let given = addresses.iter().enumerate().filter(|(_, address)| gives(pool, **address));
            let (places, given): (Vec<usize>, Vec<_>) =
                given.map(|(place, address)| (place, from_std(*address))).unzip();
            match places.first() {
                Some(&first) => choices.push((first, Choice { pool: pool.name.clone(), pick: Pick::Exactly(given) })),
                None => skipped.push(Skipped { pool: pool.name.clone(), message: why_not(pool, addresses) }),
            }
        }
        if choices.is_empty() {
            return Some(Err(self.outside(demand, addresses, &skipped)));
        }
        choices.sort_by_key(|(place, _)| *place);
        Some(Ok(Step { choices: choices.into_iter().map(|(_, choice)| choice).collect(), skipped }))
    }

    fn outside(&self, demand: &Demand, addresses: &[IpAddr], pools: &[Skipped]) -> Refusal {
        let pools: Vec<String> = pools.iter().map(|skipped| [&skipped.pool, ": ", &skipped.message].concat()).collect();
        let error = [
            "no pool that may serve ",
            &demand.nic,
            " (",
            &demand.origin,
            ") gives ",
            &listing(addresses),
            ". ",
            &pools.join("; "),
        ];
        self.place.refusal(RefusalKind::Other("address".to_owned()), &error.concat())
    }
}

fn read(nic: &str, family: Family, written: OneOrMany) -> Result<Vec<IpAddr>, String> {
    let texts = match written {
        OneOrMany::One(text) => vec![text],
        OneOrMany::Many(texts) => texts,
    };
    if texts.is_empty() || texts.len() > MOST {
        return Err([
            "it names ",
            &texts.len().to_string(),
            " ",
            name(family),
            " addresses for ",
            nic,
            ", not 1 to 64",
        ]
        .concat());
    }
    let wrong = |text: &str| ["`", text, "` of ", nic, " is no ", name(family), " address"].concat();
    texts.iter().map(|text| text.parse().ok().filter(|a| of(*a) == family).ok_or_else(|| wrong(text))).collect()
}

fn gives(pool: &Admitted, address: IpAddr) -> bool {
    let inside = |first: IpAddr, last: IpAddr| (first..=last).contains(&address);
    if pool.ranges.iter().any(|range| inside(to_std(&range.first), to_std(&range.last))) {
        return true;
    }
    // The host knows the rest, and says so if it does not give the address.
    let beyond = pool.ranges.get(RANGES_TOLD - 1).is_some_and(|range| address > to_std(&range.last));
    beyond && contains(&pool.subnet, &from_std(address))
}

fn why_not(pool: &Admitted, addresses: &[IpAddr]) -> String {
    let network = text_of(&pool.subnet);
    let inside: Vec<IpAddr> =
        addresses.iter().copied().filter(|address| contains(&pool.subnet, &from_std(*address))).collect();
    if inside.is_empty() {
        return ["its network is ", &network].concat();
    }
    ["it does not give ", &listing(&inside), " of its network ", &network].concat()
}

fn listing(addresses: &[IpAddr]) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
}

fn of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::Ipv4,
        IpAddr::V6(_) => Family::Ipv6,
    }
}

fn name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}
