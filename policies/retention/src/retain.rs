//! The time for which a controller wants the addresses of its pods to outlive them.

use spiderpool_policy_guide::metadata::annotation;
use spiderpool_policy_guide::phrase::excerpt;
use spiderpool_policy_guide::retention::{Finding, LookedUp};

use crate::duration;
use crate::named;

const RETAIN: &str = "ipam.spidernet.io/retain";

/// Milliseconds and where they are written, or what is wrong there; none where no controller has the annotation. The
/// nearest that has it counts.
pub(crate) fn time(owners: &[LookedUp]) -> Option<Result<(u64, String), String>> {
    let (owner, text) = owners.iter().find_map(|LookedUp { owner, now }| match now {
        Finding::Found(found) => Some((owner, annotation(&found.annotations, RETAIN)?)),
        Finding::Missing | Finding::Unknown(_) => None,
    })?;
    let written = format!("`{RETAIN}` of {} is `{}`", named(owner), excerpt(text));
    Some(match duration::milliseconds(text) {
        Some(milliseconds) => Ok((milliseconds, written)),
        None => Err(format!(
            "{written}, which is no duration of at most ten years: write for instance `30s`, `10m`, `24h` or `7d`"
        )),
    })
}
