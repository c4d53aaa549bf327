//! The pools that decisions draw from, and how sources name them.

use std::collections::BTreeMap;
use std::sync::Arc;

use spiderpool_crd::SpiderIPPool;
use spiderpool_ip::IpSet;

use crate::bindings::{Family, IpRange, Pool};
use crate::{conv, glob};

/// Ranges of a pool that an allocation policy is told: more would cost every decision for the sake of few policies.
const MAX_RANGES: usize = 64;

/// A pool, made ready for decisions once.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolEntry {
    /// What its owner declared.
    pub record: Pool,
    /// What it can ever give.
    pub usable: IpSet,
    /// The first 64 ranges of that.
    pub(crate) ranges: Vec<IpRange>,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Whether it is switched off.
    pub disabled: bool,
}

impl PoolEntry {
    /// A pool that may give the addresses `usable`. None when its subnet cannot be read.
    #[must_use]
    pub fn new(object: &SpiderIPPool, usable: IpSet) -> Option<Self> {
        let ranges = usable.iter_ranges().take(MAX_RANGES).map(conv::range).collect();
        Some(Self {
            record: conv::pool(object)?,
            usable,
            ranges,
            terminating: object.is_terminating(),
            disabled: object.spec.is_disabled(),
        })
    }
}

/// All pools, by name. Asking for one, or for the defaults, costs the same with ten pools as with ten thousand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoolIndex {
    by_name: BTreeMap<String, Arc<PoolEntry>>,
    /// In the order of names.
    defaults: Vec<Arc<PoolEntry>>,
}

impl PoolIndex {
    /// The index of these pools, each with what it may give. Pools whose subnet cannot be read are left out.
    pub fn new<'a>(pools: impl IntoIterator<Item = (&'a SpiderIPPool, IpSet)>) -> Self {
        let entries = pools.into_iter().filter_map(|(object, usable)| PoolEntry::new(object, usable));
        let by_name: BTreeMap<String, Arc<PoolEntry>> =
            entries.map(|entry| (entry.record.name.clone(), Arc::new(entry))).collect();
        let defaults = by_name.values().filter(|pool| pool.record.is_default).cloned().collect();
        Self { by_name, defaults }
    }

    /// The pool of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<PoolEntry>> {
        self.by_name.get(name)
    }

    /// Pools of a family whose names match.
    pub(crate) fn matching<'a>(&'a self, pattern: &'a str, family: Family) -> impl Iterator<Item = &'a Arc<PoolEntry>> {
        let pools = self.by_name.values().filter(move |pool| pool.record.family == family);
        pools.filter(move |pool| glob::matches(pattern, &pool.record.name))
    }

    /// The cluster's default pools of a family.
    pub(crate) fn defaults(&self, family: Family) -> impl Iterator<Item = &Arc<PoolEntry>> {
        self.defaults.iter().filter(move |pool| pool.record.family == family)
    }

    /// Names of pools, those that share a beginning with `name` first; for messages.
    pub(crate) fn similar(&self, name: &str) -> Vec<&str> {
        let common = |other: &str| other.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        let mut names: Vec<&str> = self.by_name.keys().map(String::as_str).collect();
        names.sort_by_key(|other| std::cmp::Reverse(common(other)));
        names.truncate(5);
        names
    }
}
