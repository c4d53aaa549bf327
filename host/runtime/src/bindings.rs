//! What the contract generates. Its types are used everywhere in this crate; its functions are not: see
//! [`crate::policy`], which binds one function at a time.

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit/policy",
        inline: "package spiderpool:host;
            world host {
                include spiderpool:policy/placement-policy@0.1.0;
                include spiderpool:policy/validation-policy@0.1.0;
                include spiderpool:policy/retention-policy@0.1.0;
            }",
        world: "spiderpool:host/host",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

pub use generated::exports::spiderpool::policy::affinity::{Nic, Reason, ReasonKind, Subject, Verdict};
pub use generated::exports::spiderpool::policy::allocation::{
    Admitted, Choice, Cni, Demand, Judged, Pick, Refusal, RefusalKind, Request, Skipped, Source, Step,
};
pub(crate) use generated::exports::spiderpool::policy::retention::{Decision, Fate};
pub use generated::exports::spiderpool::policy::retention::{
    Event, Finding, FoundOwner, Holder, LookedUp, Ordinals, PodState,
};
pub use generated::exports::spiderpool::policy::settings::Problem;
pub use generated::exports::spiderpool::policy::validation::{
    Cause, CauseKind, Change, Facts, Operation, Outcome, Peer, Proposal,
};
pub use generated::spiderpool::policy::types::{
    Cidr, Cluster, Context, Family, IpAddress, IpRange, Labels, Moment, Namespace, Node, Operator, Owner, Pairs, Pod,
    Pool, Requirement, Selector,
};
