//! An example of a policy: pods stay in their rack, and keep their address by name.
//!
//! `affinity`: a pool may carry a label that says in which rack its network ends. Pools of the rack that the pod's node
//! stands in go first, pools of no rack next, pools of other racks last, or not at all. `allocation`: addresses come
//! from where the built-in policy takes them, in its order, but inside a pool a pod gets the address that its name leads
//! to, so that `db-0` comes back as the same last octet whenever that is free. README.md walks through this file.

mod config;
mod rack;

use spiderpool_policy_allocation as builtin;
use spiderpool_policy_guide::affinity::{Reason, ReasonKind, Subject, Verdict};
use spiderpool_policy_guide::allocation::{Demand, Judged, Pick, Refusal, RefusalKind, Request, Step};
use spiderpool_policy_guide::settings::Problem;
use spiderpool_policy_guide::types::{Pod, Pool};
use spiderpool_policy_guide::{Affinity, Allocation, Settings, configuration, export_placement_policy};

use self::config::Config;

/// The policy.
pub struct RackAndOctet;

impl Settings for RackAndOctet {
    fn check(settings: String) -> Result<(), Vec<Problem>> {
        Config::read(&settings).map(|_| ())
    }
}

impl Affinity for RackAndOctet {
    fn judge(settings: String, subject: Subject, pools: Vec<Pool>) -> Vec<Verdict> {
        match Config::read(&settings) {
            Ok(config) => pools.iter().map(|pool| rack::judge(&config, &subject.context.node, pool)).collect(),
            Err(problems) => {
                let message = configuration::sentence(&problems);
                pools.iter().map(|_| refuse(ReasonKind::Malformed, message.clone())).collect()
            }
        }
    }
}

impl Allocation for RackAndOctet {
    fn candidates(settings: String, request: Request) -> Result<Vec<Demand>, Refusal> {
        Config::read(&settings).map_err(unusable)?;
        builtin::candidates(&request)
    }

    fn arrange(settings: String, request: Request, judged: Vec<Judged>) -> Result<Vec<Step>, Refusal> {
        Config::read(&settings).map_err(unusable)?;
        let key = identity(&request.context.pod);
        builtin::arrange(&request, &judged, |_, _| Pick::Sticky(key.clone()))
    }
}

/// What a pod's address hangs on: the pod's name, which a StatefulSet gives to the pod that follows, and not its uid.
/// The pool is no part of it, so that the key leads to the same place in pools of the same size.
fn identity(pod: &Pod) -> String {
    [pod.namespace.as_str(), &pod.name].join("/")
}

fn refuse(kind: ReasonKind, message: String) -> Verdict {
    Verdict::Refuse(Reason { kind, message })
}

fn unusable(problems: Vec<Problem>) -> Refusal {
    Refusal { kind: RefusalKind::Other("settings".to_owned()), message: configuration::sentence(&problems) }
}

export_placement_policy!(RackAndOctet);

#[cfg(test)]
mod tests;
