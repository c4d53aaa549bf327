//! From lists of pools, one per family, to what an interface demands.

use std::collections::BTreeSet;

use spiderpool_policy_guide::allocation::{Demand, Refusal, RefusalKind, Request, Source};
use spiderpool_policy_guide::types::Family;

use crate::pattern;
use crate::refusals::Place;

/// The lists of pools that one interface may draw from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lists<'a> {
    pub(crate) ipv4: &'a [String],
    pub(crate) ipv6: &'a [String],
}

impl Lists<'_> {
    /// Whether no pool is named.
    pub(crate) fn is_empty(self) -> bool {
        self.ipv4.is_empty() && self.ipv6.is_empty()
    }
}

/// What goes into every demand of an interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interface<'a> {
    pub(crate) nic: &'a str,
    pub(crate) clean_gateway: bool,
    pub(crate) match_master_subnet: bool,
}

impl<'a> Interface<'a> {
    /// The interface that is added now, as the CNI configuration describes it.
    pub(crate) fn current(request: &'a Request) -> Self {
        let cni = &request.cni;
        Self {
            nic: &cni.interface_name,
            clean_gateway: cni.clean_gateway,
            match_master_subnet: cni.match_master_subnet,
        }
    }

    /// One demand per family that is named and switched on; `place` is where the lists are written.
    ///
    /// # Errors
    /// Nothing is named, only what is switched off, a pool twice, or a pattern cannot be read.
    pub(crate) fn demands(self, lists: Lists<'_>, request: &Request, place: Place<'_>) -> Result<Vec<Demand>, Refusal> {
        let mut demands = Vec::with_capacity(2);
        let mut switched_off = Vec::new();
        for (family, pools) in [(Family::Ipv4, lists.ipv4), (Family::Ipv6, lists.ipv6)] {
            if pools.is_empty() {
                continue;
            }
            let sources = self.sources(pools, place)?;
            if request.context.cluster.families.contains(&family) {
                demands.push(self.demand(family, sources, place.origin()));
            } else {
                switched_off.push(family);
            }
        }
        match (demands.as_slice(), switched_off.as_slice()) {
            ([], []) => Err(place.malformed(&["it names no pool for ", self.nic].concat())),
            ([], [family, ..]) => Err(self.switched_off(*family, place)),
            _ => Ok(demands),
        }
    }

    /// A demand of this interface.
    pub(crate) fn demand(self, family: Family, sources: Vec<Source>, origin: String) -> Demand {
        Demand {
            nic: self.nic.to_owned(),
            family,
            sources,
            clean_gateway: self.clean_gateway,
            match_master_subnet: self.match_master_subnet,
            origin,
        }
    }

    fn sources(self, pools: &[String], place: Place<'_>) -> Result<Vec<Source>, Refusal> {
        let mut seen = BTreeSet::new();
        pools
            .iter()
            .map(|entry| {
                if !seen.insert(entry) {
                    let error = ["the pool `", entry, "` is named twice for ", self.nic].concat();
                    return Err(place.refusal(RefusalKind::DuplicatePool(entry.clone()), &error));
                }
                pattern::source(entry).map_err(|error| place.malformed(&["in `", entry, "` ", error].concat()))
            })
            .collect()
    }

    fn switched_off(self, family: Family, place: Place<'_>) -> Refusal {
        let (kind, name, key) = match family {
            Family::Ipv4 => ("ipv4", "IPv4", "enableIPv4"),
            Family::Ipv6 => ("ipv6", "IPv6", "enableIPv6"),
        };
        let error = [
            "it names pools of ",
            name,
            " alone for ",
            self.nic,
            ", and ",
            name,
            " is switched off; name pools of the other family, or set ",
            key,
            " in the configuration of Spiderpool",
        ]
        .concat();
        place.refusal(RefusalKind::Unsupported(kind.to_owned()), &error)
    }
}
