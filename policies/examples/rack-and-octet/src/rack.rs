//! Whether a pool is of the node's rack.

use spiderpool_policy_guide::affinity::{ReasonKind, Verdict};
use spiderpool_policy_guide::metadata::label;
use spiderpool_policy_guide::phrase::bounded;
use spiderpool_policy_guide::types::{Node, Pool};

use crate::config::Config;
use crate::refuse;

/// The rank of a pool of the node's own rack.
const OWN: i32 = 1;
/// The rank of a pool that belongs to no rack.
const ANY: i32 = 0;
/// The rank of a pool of another rack.
const OTHER: i32 = -1;

/// The verdict for one pool.
pub(crate) fn judge(config: &Config, node: &Node, pool: &Pool) -> Verdict {
    let key = &config.rack_label;
    let rack_of_pool = pool.labels.as_ref().and_then(|labels| label(labels, key));
    match (rack_of_pool, label(&node.labels, key)) {
        (None, _) => Verdict::Admit(ANY),
        (Some(pool), Some(node)) if pool == node => Verdict::Admit(OWN),
        (Some(_), _) if !config.strict => Verdict::Admit(OTHER),
        (Some(pool), Some(rack)) => {
            let message = [
                "the pool is for rack `",
                pool,
                "` and the node `",
                &node.name,
                "` stands in rack `",
                rack,
                "` (label ",
                key,
                "); name a pool of that rack, or set `strict` of the policy to false to use this one as a last resort",
            ];
            refuse(ReasonKind::Other("rack".to_owned()), bounded(message.concat()))
        }
        (Some(pool), None) => {
            let message = [
                "the pool is for rack `",
                pool,
                "` and the node `",
                &node.name,
                "` has no label ",
                key,
                "; label the node with its rack",
            ];
            refuse(ReasonKind::Other("rack".to_owned()), bounded(message.concat()))
        }
    }
}
