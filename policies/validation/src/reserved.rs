//! SpiderReservedIP.

use serde_json::{Value, json};
use spiderpool_ip::{Family, IpRange};
use spiderpool_policy_guide::validation::{Cause, Change, Facts, Operation, Proposal};

use crate::document::{self, Draft, as_text, list, value};
use crate::{addresses, cause, family};

/// The addresses.
const IPS: &str = "spec.ips";

/// The changes of an object that may be, or what is wrong with it. Others may reserve the same addresses, and pods may
/// hold some: that takes nothing away from them.
pub(crate) fn review(proposal: &Proposal, facts: &Facts) -> Result<Vec<Change>, Vec<Cause>> {
    if proposal.operation == Operation::Delete {
        return Ok(Vec::new());
    }
    let mut draft = Draft::of(document::read(&proposal.object)?);
    let old = proposal.old.as_deref().map(document::read).transpose()?;
    if document::is_terminating(draft.object()) {
        return termination(old.as_ref(), draft.object()).map(|()| Vec::new()).map_err(|cause| vec![cause]);
    }
    fill(&mut draft);
    let object = draft.object();
    if let Some(old) = &old {
        family::unchanged(old, object).map_err(|cause| vec![cause])?;
    }
    rules(object, facts)?;
    // Last, so that the rules name items by the places where their author wrote them.
    addresses::merge(&mut draft, IPS);
    Ok(draft.into_changes())
}

/// The family of the first item.
fn fill(draft: &mut Draft) {
    if value(draft.object(), family::FIELD).is_none()
        && let Some(family) = first_family(draft.object())
    {
        draft.set(family::FIELD, json!(family.version()));
    }
}

fn first_family(object: &Value) -> Option<Family> {
    let first: IpRange = list(object, IPS).ok()?.first()?.as_str()?.parse().ok()?;
    Some(first.family())
}

fn rules(object: &Value, facts: &Facts) -> Result<(), Vec<Cause>> {
    let Some(family) = family::written(object).map_err(|cause| vec![cause])? else {
        return Err(vec![without_family(object)]);
    };
    family::enabled(family, facts).map_err(|cause| vec![cause])?;
    addresses::read(object, IPS, family, |_| Ok(())).map(|_| ())
}

/// Why the family is not known: there is no first item, or it cannot be read.
fn without_family(object: &Value) -> Cause {
    let first = match list(object, IPS) {
        Ok(items) => items.first(),
        Err(cause) => return cause,
    };
    let Some(first) = first else {
        let message = "without addresses the IP version is not known; list addresses in spec.ips, or write 4 or 6 here";
        return cause::required(family::FIELD, message);
    };
    let path = format!("{IPS}[0]");
    match as_text(first, &path).map(str::parse::<IpRange>) {
        Err(cause) => cause,
        Ok(Err(error)) => cause::invalid(&path, error),
        Ok(Ok(_)) => cause::required(family::FIELD, "the IP version is not known; write 4 or 6"),
    }
}

/// While the object is being deleted, what it reserves stays as it is; finalizers of others may go.
fn termination(old: Option<&Value>, object: &Value) -> Result<(), Cause> {
    let spec = |object| value(object, "spec");
    match old {
        Some(old) if document::is_terminating(old) && spec(old) != spec(object) => {
            let message =
                "cannot update a terminating ReservedIP; make a new one for the addresses that are to be reserved";
            Err(cause::forbidden("metadata.deletionTimestamp", message))
        }
        _ => Ok(()),
    }
}
