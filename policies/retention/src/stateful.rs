//! Pods that come back under their own name: those of StatefulSets, of virtual machines, of controllers that the settings
//! list.
//!
//! What counts is the name of a controller, not its uid. One that is deleted with `--cascade=orphan` and made anew, as it
//! is done to change what cannot be changed, goes on with the pods that it had.

use spiderpool_policy_guide::retention::{Finding, FoundOwner, Holder, LookedUp, Ordinals};
use spiderpool_policy_guide::types::Owner;

use crate::config::Config;
use crate::named;

/// Whether a stateful pod is still wanted, and why, or why not.
pub(crate) enum Claim {
    Holds(String),
    Lost(String),
}

/// The claim of the nearest controller whose pods keep their addresses; none where there is no such controller.
pub(crate) fn claim(config: &Config, holder: &Holder) -> Option<Claim> {
    let owners = &holder.owners;
    owners.iter().enumerate().find_map(|(place, looked_up)| {
        let owner = &looked_up.owner;
        let ordinal = ordinal(&holder.context.pod.name);
        match ordinal {
            Some(ordinal) if config.stateful_sets && is_stateful_set(owner) => {
                Some(of_stateful_set(looked_up, ordinal))
            }
            _ if config.kubevirt && is_of_kubevirt(owner, "VirtualMachineInstance") => {
                Some(of_machine(looked_up, &owners[place + 1..]))
            }
            _ if config.lists(owner) => Some(of_listed(looked_up)),
            _ => None,
        }
    })
}

fn is_stateful_set(owner: &Owner) -> bool {
    owner.api_version == "apps/v1" && owner.kind == "StatefulSet"
}

fn is_of_kubevirt(owner: &Owner, kind: &str) -> bool {
    owner.api_version.starts_with("kubevirt.io/") && owner.kind == kind
}

/// The `7` of `web-7`.
fn ordinal(pod: &str) -> Option<u64> {
    let (_, digits) = pod.rsplit_once('-')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn of_stateful_set(LookedUp { owner, now }: &LookedUp, ordinal: u64) -> Claim {
    let name = named(owner);
    let found = match now {
        Finding::Found(found) => found,
        Finding::Missing => return gone(owner),
        Finding::Unknown(why) => return unseen(owner, why),
    };
    let FoundOwner { terminating: false, ordinals, .. } = found else { return going(owner) };
    let Some(Ordinals { start, replicas }) = *ordinals else {
        return unseen(owner, "its replicas are not told");
    };
    let (start, end) = (u64::from(start), u64::from(start) + u64::from(replicas));
    if replicas == 0 {
        Claim::Lost(format!("{name} wants no pods"))
    } else if (start..end).contains(&ordinal) {
        Claim::Holds(format!("{name} wants the ordinals {start} to {}, and the pod's is {ordinal}", end - 1))
    } else {
        Claim::Lost(format!("{name} wants the ordinals {start} to {} only, and the pod's is {ordinal}", end - 1))
    }
}

/// A virtual machine that is stopped has no instance, and keeps its addresses.
fn of_machine(instance: &LookedUp, above: &[LookedUp]) -> Claim {
    match &instance.now {
        Finding::Found(FoundOwner { terminating: false, .. }) => return exists(&instance.owner),
        Finding::Unknown(why) => return unseen(&instance.owner, why),
        Finding::Found(_) | Finding::Missing => {}
    }
    let machine = above.iter().find(|looked_up| is_of_kubevirt(&looked_up.owner, "VirtualMachine"));
    match machine.map(|LookedUp { owner, now }| (owner, now)) {
        None if instance.now == Finding::Missing => gone(&instance.owner),
        None => going(&instance.owner),
        Some((owner, Finding::Missing)) => gone(owner),
        Some((owner, Finding::Unknown(why))) => unseen(owner, why),
        Some((owner, Finding::Found(found))) if found.terminating => going(owner),
        Some((owner, Finding::Found(_))) => exists(owner),
    }
}

/// As long as it exists: of a controller of a foreign kind nobody knows what it does while it is being deleted.
fn of_listed(LookedUp { owner, now }: &LookedUp) -> Claim {
    match now {
        Finding::Found(_) => exists(owner),
        Finding::Missing => gone(owner),
        Finding::Unknown(why) => unseen(owner, why),
    }
}

fn exists(owner: &Owner) -> Claim {
    Claim::Holds(format!("{} exists", named(owner)))
}

fn gone(owner: &Owner) -> Claim {
    Claim::Lost(format!("{} does not exist any more", named(owner)))
}

fn going(owner: &Owner) -> Claim {
    Claim::Lost(format!("{} is being deleted", named(owner)))
}

/// Giving away what is still wanted is the worse mistake.
fn unseen(owner: &Owner, why: &str) -> Claim {
    Claim::Holds(format!("{} cannot be looked at ({why}), so that nobody knows whether it wants the pod", named(owner)))
}
