//! The next thing to do for a pool. One at a time: each is looked at again when the pool has changed by it.

use serde_json::{Map, Value, json};
use spiderpool_crd::{AllocatedIpsError, FINALIZER, MANAGER_PROJECTION, SpiderIPBlock, SpiderIPPoolStatus};

use crate::projection;
use crate::view::{Pool, PoolBlocks};

/// The field manager of all that is no projection of blocks.
pub(crate) const MANAGER: &str = "spiderpool-controller";

/// A change of a pool, made from one `resourceVersion` of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// A merge patch of the object.
    Object(Value),
    /// A merge patch of the status.
    Status {
        /// The patch.
        patch: Value,
        /// In whose name.
        manager: &'static str,
    },
    /// Nobody holds an address of a pool that is being deleted: delete these blocks, if they still are what they were,
    /// then apply the merge patch of the object.
    Release {
        /// Names and `resourceVersion`s.
        blocks: Vec<(String, String)>,
        /// Takes the finalizer away.
        patch: Value,
    },
}

/// What there is to do, if anything, and what is wrong with the pool's records.
pub(crate) fn next(
    name: &str,
    pool: &Pool,
    blocks: &PoolBlocks,
    limit: u32,
) -> (Option<Step>, Option<AllocatedIpsError>) {
    let has_finalizer = pool.finalizers.iter().any(|finalizer| finalizer == FINALIZER);
    if !has_finalizer && !pool.deleting {
        let all: Vec<&str> = pool.finalizers.iter().map(String::as_str).chain([FINALIZER]).collect();
        return (Some(Step::Object(object_patch(pool, json!(all)))), None);
    }
    let Some(mut wanted) = projection::wanted(&pool.status, pool.total, blocks, limit) else {
        return (None, None);
    };
    if pool.projected && !wanted.projected && wanted.status.allocated_ips == pool.status.allocated_ips {
        // A block was removed by hand, and what was projected from it waits for another one, of which agents must hear. Whose
        // the text is changes with the text alone: this one means the same, and stays until the next step.
        wanted.status.allocated_ips.iter_mut().for_each(|text| text.push(' '));
    }
    let changes = status_changes(&pool.status, &wanted.status);
    let step = if !changes.is_empty() {
        let patch = json!({"metadata": {"resourceVersion": pool.version}, "status": changes});
        Some(Step::Status { patch, manager: if wanted.projected { MANAGER_PROJECTION } else { MANAGER } })
    } else if pool.deleting && has_finalizer && !wanted.held {
        let others: Vec<&String> = pool.finalizers.iter().filter(|finalizer| *finalizer != FINALIZER).collect();
        let blocks = blocks.iter().map(|(block, known)| (SpiderIPBlock::name_of(name, *block), known.version.clone()));
        Some(Step::Release { blocks: blocks.collect(), patch: object_patch(pool, json!(others)) })
    } else {
        None
    };
    (step, wanted.unreadable)
}

fn object_patch(pool: &Pool, finalizers: Value) -> Value {
    json!({"metadata": {"resourceVersion": pool.version, "finalizers": finalizers}})
}

/// Only what differs: the list of holders may be long.
fn status_changes(current: &SpiderIPPoolStatus, wanted: &SpiderIPPoolStatus) -> Map<String, Value> {
    let mut changes = Map::new();
    if current.allocated_ips != wanted.allocated_ips {
        changes.insert("allocatedIPs".to_owned(), json!(wanted.allocated_ips));
    }
    if current.total_ip_count != wanted.total_ip_count {
        changes.insert("totalIPCount".to_owned(), json!(wanted.total_ip_count));
    }
    if current.allocated_ip_count != wanted.allocated_ip_count {
        changes.insert("allocatedIPCount".to_owned(), json!(wanted.allocated_ip_count));
    }
    changes
}

#[cfg(test)]
mod tests;
