//! Manifests come into force only when the validation policies allow them, as objects in a cluster do.

use std::sync::Arc;

use serde_json::Value;
use spiderpool_crd::{SpiderIPPool, SpiderReservedIP};
use spiderpool_ip::{Cidr, Family, IpSet};
use spiderpool_runtime::{PolicyHost, ReviewError, types};
use spiderpool_storage::catalog::{Admission, Catalog, Denial, Operation, Review};
use spiderpool_storage::{Ledger, PoolSpace};

use crate::config::Config;

/// Asks the validation policies about every SpiderIPPool and SpiderReservedIP; other kinds are nobody's business here.
pub(crate) struct PolicyAdmission {
    /// Who decides.
    pub policies: PolicyHost,
    /// Who holds addresses of the pool under review.
    pub ledger: Arc<dyn Ledger>,
    /// Which families and features are on.
    pub config: Config,
}

impl Admission for PolicyAdmission {
    fn admit(&self, review: Review<'_>) -> Result<Value, Vec<Denial>> {
        if !matches!(review.kind, "SpiderIPPool" | "SpiderReservedIP") {
            return Ok(review.object);
        }
        let facts = self.facts(&review);
        let question = spiderpool_runtime::Review {
            operation: match review.operation {
                Operation::Create => types::Operation::Create,
                Operation::Update => types::Operation::Update,
            },
            kind: review.kind.to_owned(),
            name: review.name.to_owned(),
            object: review.object,
            old: review.old.cloned(),
        };
        self.policies.policies().review(question, facts).map_err(|error| match error {
            ReviewError::Denied { causes, .. } => causes.into_iter().map(denial).collect(),
            error => vec![Denial { field: String::new(), message: error.to_string() }],
        })
    }
}

fn denial(types::Cause { field, message, kind: _ }: types::Cause) -> Denial {
    Denial { field, message }
}

impl PolicyAdmission {
    fn facts(&self, review: &Review<'_>) -> types::Facts {
        let subnet =
            review.object.pointer("/spec/subnet").and_then(Value::as_str).and_then(|text| text.parse::<Cidr>().ok());
        let family = subnet.map(|subnet| subnet.family()).or_else(|| family_of_first(&review.object));
        let families = self.config.families().into_iter().map(spiderpool_runtime::conv::family).collect();
        let in_use = review.old.and_then(|old| self.in_use(old));
        types::Facts {
            families,
            pools: subnet.map(|subnet| peers(review.accepted, review.name, subnet)).unwrap_or_default(),
            subnets: Vec::new(),
            subnet_feature: self.config.enable_spider_subnet,
            in_use: in_use.as_ref().map(spiderpool_runtime::conv::ranges).unwrap_or_default(),
            reserved: family.map(|family| reserved(review.accepted, family)).unwrap_or_default(),
            guard_deletion: self.config.enable_validating_resources_deleted_webhook,
            extra: Vec::new(),
        }
    }

    /// What pods hold of the pool as it is.
    fn in_use(&self, old: &Value) -> Option<IpSet> {
        let old: SpiderIPPool = serde_json::from_value(old.clone()).ok()?;
        Some(self.ledger.in_use(&old.spec.space().ok()?))
    }
}

fn family_of_first(object: &Value) -> Option<Family> {
    let first = object.pointer("/spec/ips/0")?.as_str()?;
    Some(Family::of(first.split('-').next()?.parse().ok()?))
}

/// The other pools whose networks touch `subnet`.
fn peers(catalog: &Catalog, name: &str, subnet: Cidr) -> Vec<types::Peer> {
    let others = catalog.pools.iter().filter(|(other, pool)| *other != name && pool.space.subnet.overlaps(&subnet));
    others
        .filter_map(|(other, pool)| {
            Some(types::Peer {
                name: other.clone(),
                subnet: spiderpool_runtime::conv::cidr(pool.space.subnet),
                ranges: spiderpool_runtime::conv::ranges(&pool.object.spec.space().ok()?),
            })
        })
        .collect()
}

fn reserved(catalog: &Catalog, family: Family) -> Vec<types::IpRange> {
    let objects: Vec<&SpiderReservedIP> = catalog
        .reserved_ips
        .values()
        .map(|object| &**object)
        .filter(|object| object.spec.family().is_ok_and(|of| of == Some(family)))
        .collect();
    PoolSpace::reserved(family, objects).map(|set| spiderpool_runtime::conv::ranges(&set)).unwrap_or_default()
}
