//! The time for which a pod or a controller wants the pod's addresses to outlive it.

use spiderpool_policy_guide::metadata::annotation;
use spiderpool_policy_guide::phrase::excerpt;
use spiderpool_policy_guide::retention::{Finding, LookedUp};

use crate::duration;
use crate::named;

const RETAIN: &str = "ipam.spidernet.io/retain";

/// Milliseconds and where they are written, or what is wrong there; none where neither the pod nor a controller has the
/// annotation. The pod's own counts before the nearest controller's.
pub(crate) fn time(pod: &[(String, String)], owners: &[LookedUp]) -> Option<Result<(u64, String), String>> {
    let of_pod = annotation(pod, RETAIN).map(|text| ("the pod".to_owned(), text));
    let of_owner = || {
        owners.iter().find_map(|LookedUp { owner, now }| match now {
            Finding::Found(found) => Some((named(owner), annotation(&found.annotations, RETAIN)?)),
            Finding::Missing | Finding::Unknown(_) => None,
        })
    };
    let (whose, text) = of_pod.or_else(of_owner)?;
    let written = format!("`{RETAIN}` of {whose} is `{}`", excerpt(text));
    Some(match duration::milliseconds(text) {
        Some(milliseconds) => Ok((milliseconds, written)),
        None => Err(format!(
            "{written}, which is no duration of at most ten years: write for instance `30s`, `10m`, `24h` or `7d`"
        )),
    })
}
