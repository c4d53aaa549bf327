//! The addresses that a pool may give out.

use std::net::IpAddr;
use std::sync::Arc;

use spiderpool_crd::{FieldError, Route, SpiderIPPool, SpiderReservedIP};
use spiderpool_ip::{Block, Cidr, Family, IpRange, IpSet, parse_address};

/// What a pool's `status.allocatedIPs` may say of addresses whose block was not made yet: who got them from Spiderpool. No
/// write of ours changes that, so that it need not be read for every block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Records {
    /// Nothing. There were no records when the pool was read, and nobody else has written any since.
    None,
    /// The same as ever since that `resourceVersion` of the pool: only spiderpool-controller writes there, and leaves these
    /// as they are.
    Settled(Arc<str>),
    /// Whatever somebody else writes.
    #[default]
    Open,
}

/// A pool, as far as giving out its addresses is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSpace {
    /// The pool's name.
    pub name: String,
    /// The object's uid; empty where no API server gave it one.
    pub uid: String,
    /// What its status may say of addresses that no block knows.
    pub records: Records,
    /// The subnet. Addresses are given with its prefix length.
    pub subnet: Cidr,
    /// What may be given out: `ips` less `excludeIPs`, reserved addresses, the gateway, and what the subnet has for no host
    /// ([`Cidr::not_for_hosts`]).
    pub usable: IpSet,
    /// The gateway.
    pub gateway: Option<IpAddr>,
    /// Further routes.
    pub routes: Vec<Route>,
}

impl PoolSpace {
    /// A pool of no object: `usable` may be given out, with no gateway and no routes.
    #[must_use]
    pub fn new(name: &str, subnet: Cidr, usable: IpSet) -> Self {
        Self {
            name: name.to_owned(),
            uid: String::new(),
            records: Records::default(),
            subnet,
            usable,
            gateway: None,
            routes: Vec::new(),
        }
    }

    /// What `pool` may give out when `reserved` (the addresses of all SpiderReservedIPs of the family, see
    /// [`PoolSpace::reserved`]) are kept back.
    ///
    /// # Errors
    /// Names the first field of the pool that does not hold what it must.
    pub fn of(pool: &SpiderIPPool, reserved: &IpSet) -> Result<Self, FieldError> {
        let subnet = pool.spec.cidr()?;
        let family = subnet.family();
        if pool.spec.family()? != family {
            return Err(field(
                "spec.ipVersion",
                format!("the subnet {subnet} is {family}; write {}", family.version()),
            ));
        }
        let gateway = pool.spec.gateway.as_deref().filter(|text| !text.is_empty());
        let gateway = gateway.map(parse_address).transpose().map_err(|problem| field("spec.gateway", problem))?;
        if let Some(gateway) = gateway.filter(|&gateway| !subnet.contains(gateway)) {
            return Err(field("spec.gateway", format!("{gateway} is not in the subnet {subnet}")));
        }
        let listed = pool.spec.space()?;
        let outside = listed.minus(&IpSet::from(subnet.range()));
        if !outside.is_empty() {
            return Err(field("spec.ips", format!("{outside} is not in the subnet {subnet}")));
        }
        let mut usable = listed.minus(reserved).minus(&subnet.not_for_hosts());
        if let Some(gateway) = gateway {
            usable = usable.minus(&IpSet::from(IpRange::from(gateway)));
        }
        let name = pool.metadata.name.clone().unwrap_or_default();
        let uid = pool.metadata.uid.clone().unwrap_or_default();
        let routes = pool.spec.routes.clone().unwrap_or_default();
        let records = Records::default();
        Ok(Self { name, uid, records, subnet, usable, gateway, routes })
    }

    /// The next block after `block` that the pool has addresses in.
    pub(crate) fn block_after(&self, block: Block) -> Option<Block> {
        block.next().and_then(|next| self.usable.block_at_or_after(next))
    }

    /// The addresses of `family` that any of `objects` reserves.
    ///
    /// # Errors
    /// Names the first field that does not hold what it must.
    pub fn reserved<'a>(
        family: Family,
        objects: impl IntoIterator<Item = &'a SpiderReservedIP>,
    ) -> Result<IpSet, FieldError> {
        let mut ranges = Vec::new();
        for object in objects {
            ranges.extend(object.spec.space(family)?.iter_ranges());
        }
        IpSet::from_ranges(family, ranges).map_err(|problem| field("spec.ips", problem))
    }
}

fn field(path: &str, problem: impl std::fmt::Display) -> FieldError {
    FieldError { path: path.to_owned(), problem: problem.to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn space(spec: Value, reserved: &[&str]) -> Result<String, String> {
        let pool = SpiderIPPool::new("p", serde_json::from_value(spec).unwrap());
        let family = pool.spec.family().unwrap();
        let reserved = IpSet::parse(family, reserved.iter().copied()).unwrap();
        PoolSpace::of(&pool, &reserved).map(|space| space.usable.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_may_be_given_out() {
        let all = json!({"subnet": "10.6.0.0/29", "ips": ["10.6.0.0-10.6.0.7"]});
        assert_eq!(space(all.clone(), &[]).unwrap(), "10.6.0.1-10.6.0.6");
        assert_eq!(space(all, &["10.6.0.0-10.6.0.1", "10.9.0.0"]).unwrap(), "10.6.0.2-10.6.0.6");
        let less = json!({
            "subnet": "10.6.0.0/29", "ips": ["10.6.0.0-10.6.0.7"], "excludeIPs": ["10.6.0.3"], "gateway": "10.6.0.1",
        });
        assert_eq!(space(less, &[]).unwrap(), "10.6.0.2,10.6.0.4-10.6.0.6");
        let none = json!({"subnet": "fd00::/64", "gateway": ""});
        assert_eq!(space(none, &[]).unwrap(), "");
    }

    #[test]
    fn a_pool_that_makes_no_sense_is_refused_by_field() {
        let cases = [
            (
                json!({"subnet": "10.6.0.0/29", "ipVersion": 6}),
                "spec.ipVersion: the subnet 10.6.0.0/29 is IPv4; write 4",
            ),
            (
                json!({"subnet": "10.6.0.0/29", "gateway": "10.6.0.8"}),
                "spec.gateway: 10.6.0.8 is not in the subnet 10.6.0.0/29",
            ),
            (
                json!({"subnet": "10.6.0.0/29", "gateway": "x"}),
                "spec.gateway: \"x\" is not an IP address; write it like 10.0.0.1 or fd00::1",
            ),
            (
                json!({"subnet": "10.6.0.0/29", "ips": ["10.6.0.6-10.6.0.9"]}),
                "spec.ips: 10.6.0.8-10.6.0.9 is not in the subnet 10.6.0.0/29",
            ),
        ];
        for (spec, message) in cases {
            assert_eq!(space(spec, &[]).unwrap_err(), message);
        }
    }
}
