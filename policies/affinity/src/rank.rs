//! Which of the admitted pools is tried first.

use spiderpool_policy_guide::types::Pool;

/// A pool that names something goes before one that does not, and what is named decides in this order: pods, nodes by
/// name, nodes by label, namespaces by name, namespaces by label, networks. What exactly is named does not count.
///
/// One bit each, the most telling highest, so that comparing numbers compares in that order: 0 to 63.
pub(crate) fn of(pool: &Pool) -> i32 {
    let named = [
        pool.pod_affinity.is_some(),
        pool.node_names.is_some(),
        pool.node_affinity.is_some(),
        pool.namespace_names.is_some(),
        pool.namespace_affinity.is_some(),
        pool.multus_names.is_some(),
    ];
    named.into_iter().fold(0, |rank, named| rank * 2 + i32::from(named))
}
