//! Pools that were created for one application, and serve only that.
//!
//! Such a pool carries the label [`OWNER_LABEL`]. Its `podAffinity.matchLabels` do not speak of labels of the pod but
//! of the top controller above it, under five keys of their own.

use spiderpool_policy_guide::metadata::label;
use spiderpool_policy_guide::types::{Pod, Pool, Selector};

/// A pool with this label was created for an application.
const OWNER_LABEL: &str = "ipam.spidernet.io/owner-application-name";

const GROUP: &str = "ipam.spidernet.io/app-api-group";
const VERSION: &str = "ipam.spidernet.io/app-api-version";
const KIND: &str = "ipam.spidernet.io/app-kind";
const NAMESPACE: &str = "ipam.spidernet.io/app-namespace";
const NAME: &str = "ipam.spidernet.io/app-name";

/// Whether the pool was created for one application.
pub(crate) fn owns(pool: &Pool) -> bool {
    pool.labels.as_ref().is_some_and(|labels| label(labels, OWNER_LABEL).is_some())
}

/// Why the pod is not of the application that `affinity` describes; none when it is.
pub(crate) fn mismatch(affinity: &Selector, pod: &Pod) -> Option<String> {
    let wanted = [GROUP, VERSION, KIND, NAMESPACE, NAME]
        .map(|key| affinity.match_labels.as_ref().and_then(|labels| label(labels, key)));
    let found = application(pod);
    if wanted == found.map(Some) {
        return None;
    }
    Some(
        [
            "the pool was created for the application ",
            &sentence(wanted.map(Option::unwrap_or_default)),
            " alone, and the pod belongs to ",
            &sentence(found),
            "; name a pool that is not bound to another application",
        ]
        .concat(),
    )
}

/// Group, version, kind, namespace and name of the top controller, or of the pod itself where there is none. The core
/// group, whose `apiVersion` has no slash, is the empty one.
fn application(pod: &Pod) -> [&str; 5] {
    let Some(top) = pod.owners.last() else {
        return ["", "v1", "Pod", &pod.namespace, &pod.name];
    };
    let (group, version) = top.api_version.split_once('/').unwrap_or(("", &top.api_version));
    [group, version, &top.kind, &pod.namespace, &top.name]
}

fn sentence([group, version, kind, namespace, name]: [&str; 5]) -> String {
    let slash = if group.is_empty() { "" } else { "/" };
    ["`", kind, " ", namespace, "/", name, "` (", group, slash, version, ")"].concat()
}
