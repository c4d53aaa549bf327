//! SpiderIPPool.

mod affinity;
mod defaults;
mod gateway;
mod lifecycle;
mod routes;
mod space;
mod subnet;

use serde_json::Value;
use spiderpool_ip::Cidr;
use spiderpool_policy_guide::validation::{Cause, Change, Facts, Operation, Proposal};

use crate::cause;
use crate::document::{self, Draft};

/// On pools that were made for one application: its name.
const OWNER_APPLICATION: &str = "ipam.spidernet.io/owner-application-name";

/// The changes of a pool that may be, or what is wrong with it.
pub(crate) fn review(proposal: &Proposal, facts: &Facts) -> Result<Vec<Change>, Vec<Cause>> {
    match proposal.operation {
        Operation::Create => create(proposal, facts),
        Operation::Update => update(proposal, facts),
        Operation::Delete => lifecycle::deletion(proposal, facts).map(|()| Vec::new()).map_err(|cause| vec![cause]),
    }
}

fn create(proposal: &Proposal, facts: &Facts) -> Result<Vec<Change>, Vec<Cause>> {
    let mut draft = Draft::of(document::read(&proposal.object)?);
    defaults::fill(&mut draft);
    let subnet = subnet::read(draft.object(), facts)?;
    subnet::overlaps(subnet, facts)?;
    contents(draft.object(), subnet, facts, |_| None)?;
    defaults::put_in_order(&mut draft);
    Ok(draft.into_changes())
}

fn update(proposal: &Proposal, facts: &Facts) -> Result<Vec<Change>, Vec<Cause>> {
    let object = document::read(&proposal.object)?;
    if document::is_terminating(&object) {
        return lifecycle::termination(&object).map(|()| Vec::new()).map_err(|cause| vec![cause]);
    }
    let Some(old) = &proposal.old else {
        return Err(vec![cause::required("", "an update without the object as it was cannot be judged; send both")]);
    };
    let old = document::read(old)?;
    let mut draft = Draft::of(object);
    defaults::fill(&mut draft);
    lifecycle::unchanged(&old, draft.object())?;
    let subnet = subnet::read(draft.object(), facts)?;
    contents(draft.object(), subnet, facts, |space| space::keeps_what_pods_hold(space, facts))?;
    defaults::put_in_order(&mut draft);
    Ok(draft.into_changes())
}

/// The rules that do not depend on each other; `more` is one more about the addresses.
fn contents(
    object: &Value,
    subnet: Cidr,
    facts: &Facts,
    more: impl Fn(&space::Space) -> Option<Cause>,
) -> Result<(), Vec<Cause>> {
    let mut causes = Vec::new();
    let space = space::read(object, subnet).map_err(|wrong| causes.extend(wrong)).ok();
    causes.extend(gateway::review(object, subnet, space.as_ref()).err());
    causes.extend(routes::review(object, subnet));
    causes.extend(affinity::review(object));
    if let Some(space) = &space {
        causes.extend(space::overlaps(space, subnet, facts));
        causes.extend(space::outside_owner(space, subnet, facts));
        causes.extend(more(space));
    }
    if causes.is_empty() { Ok(()) } else { Err(causes) }
}
