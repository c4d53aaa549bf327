//! Controllers of pods, as they are now: what tells whether they want their pods back.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use tokio::sync::watch;

use super::owners::controller;
use super::{Catalog, NamespacedName};
use crate::BoxFuture;

/// On what is deleted with `--cascade=orphan` until its pods are nobody's: mostly to be made anew, with these pods.
const ORPHANS: &str = "orphan";

/// The controllers that Kubernetes itself has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ControllerKind {
    /// Of pods that come back under their names.
    StatefulSet,
    /// Of ReplicaSets.
    Deployment,
    /// Of pods with new names.
    ReplicaSet,
    /// Of one pod a node.
    DaemonSet,
    /// Of Jobs.
    CronJob,
    /// Of pods that end.
    Job,
}

/// A controller that exists.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundController {
    /// Its UID; empty when a manifest does not tell it.
    pub uid: String,
    /// Whether it is being deleted, and its pods with it.
    pub terminating: bool,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Of a StatefulSet: which pods it wants.
    pub ordinals: Option<WantedOrdinals>,
    /// What controls it.
    pub controller: Option<OwnerReference>,
}

/// The ordinals of a StatefulSet's pods: `start` to `start + replicas - 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedOrdinals {
    /// The first.
    pub start: u32,
    /// How many.
    pub replicas: u32,
}

/// What came of looking for a controller.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// There is one.
    Found(Box<FoundController>),
    /// There is none.
    Missing,
    /// Nobody knows; why, in a few words.
    Unknown(String),
}

/// Finds controllers.
pub trait Controllers: Send + Sync {
    /// The controller of that kind and name in the namespace, whatever its UID.
    fn find<'a>(&'a self, namespace: &'a str, owner: &'a OwnerReference) -> BoxFuture<'a, Finding>;

    /// The same as it was half a minute ago, or later: for kinds of which there are so many that asking for each costs too
    /// much.
    fn find_lately<'a>(&'a self, namespace: &'a str, owner: &'a OwnerReference) -> BoxFuture<'a, Finding> {
        self.find(namespace, owner)
    }
}

impl FoundController {
    /// What its metadata tells.
    pub(crate) fn new(metadata: ObjectMeta) -> Self {
        let controller = controller(&metadata).cloned();
        let orphans = metadata.finalizers.iter().flatten().any(|finalizer| finalizer == ORPHANS);
        Self {
            uid: metadata.uid.unwrap_or_default(),
            terminating: metadata.deletion_timestamp.is_some() && !orphans,
            annotations: metadata.annotations.unwrap_or_default(),
            ordinals: None,
            controller,
        }
    }

    /// What a StatefulSet tells, with the API server's defaults.
    pub(crate) fn of(StatefulSet { metadata, spec, .. }: StatefulSet) -> Self {
        let spec = spec.unwrap_or_default();
        // Neither is negative where an API server has looked.
        let count = |number: Option<i32>, default| number.map_or(default, |number| u32::try_from(number).unwrap_or(0));
        let start = count(spec.ordinals.and_then(|ordinals| ordinals.start), 0);
        let ordinals = WantedOrdinals { start, replicas: count(spec.replicas, 1) };
        Self { ordinals: Some(ordinals), ..Self::new(metadata) }
    }
}

impl ControllerKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::StatefulSet, Self::Deployment, Self::ReplicaSet, Self::DaemonSet, Self::CronJob, Self::Job];

    /// The kind of such objects.
    #[must_use]
    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| (known.api_version(), known.name()) == (api_version, kind))
    }

    /// Whether its pods have a new name each time: all that they can want of addresses is that they rest for a while.
    #[must_use]
    pub fn is_stateless(self) -> bool {
        self != Self::StatefulSet
    }

    /// As in `kind`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StatefulSet => "StatefulSet",
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::DaemonSet => "DaemonSet",
            Self::CronJob => "CronJob",
            Self::Job => "Job",
        }
    }

    /// As in `apiVersion`.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::StatefulSet | Self::Deployment | Self::ReplicaSet | Self::DaemonSet => "apps/v1",
            Self::CronJob | Self::Job => "batch/v1",
        }
    }
}

impl Catalog {
    /// The controller, if somebody wrote it down.
    pub(super) fn controller(&self, namespace: &str, owner: &OwnerReference) -> Option<&Arc<FoundController>> {
        let kind = ControllerKind::of(&owner.api_version, &owner.kind)?;
        let name = NamespacedName { namespace: namespace.to_owned(), name: owner.name.clone() };
        self.controllers.get(&(kind, name))
    }
}

/// The controllers that people wrote down. Of StatefulSets the folder is all that there is: one that is in no file does not
/// exist. Others may be left out, for hardly anything depends on them.
pub(super) struct WrittenControllers(pub(super) watch::Receiver<Arc<Catalog>>);

impl Controllers for WrittenControllers {
    fn find<'a>(&'a self, namespace: &'a str, owner: &'a OwnerReference) -> BoxFuture<'a, Finding> {
        let found = self.0.borrow().controller(namespace, owner).map(|found| found.as_ref().clone());
        let finding = match (found, ControllerKind::of(&owner.api_version, &owner.kind)) {
            (Some(found), _) => Finding::Found(Box::new(found)),
            (None, Some(ControllerKind::StatefulSet)) => Finding::Missing,
            (None, Some(_)) => Finding::Unknown(format!("no manifest has the {} {}", owner.kind, owner.name)),
            (None, None) => Finding::Unknown(format!("a machine without a cluster knows no {}", owner.kind)),
        };
        Box::pin(std::future::ready(finding))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stateful_set_wants_one_pod_from_zero_on_where_it_says_nothing() {
        let cases = [
            (json!({}), (0, 1)),
            (json!({"replicas": 3}), (0, 3)),
            (json!({"replicas": 0}), (0, 0)),
            (json!({"replicas": 2, "ordinals": {"start": 5}}), (5, 2)),
        ];
        for (mut spec, (start, replicas)) in cases {
            for (field, value) in [("selector", json!({})), ("serviceName", json!("web")), ("template", json!({}))] {
                spec[field] = value;
            }
            let set = json!({"metadata": {"name": "web", "uid": "u"}, "spec": spec});
            let found = FoundController::of(serde_json::from_value(set).unwrap());
            assert_eq!(found.ordinals, Some(WantedOrdinals { start, replicas }));
            assert_eq!((found.uid.as_str(), found.terminating, found.controller), ("u", false, None));
        }
    }

    #[test]
    fn a_controller_that_leaves_its_pods_behind_does_not_end_with_them() {
        for (finalizer, terminating) in [("foregroundDeletion", true), ("orphan", false)] {
            let metadata = json!({"deletionTimestamp": "2024-01-01T00:00:00Z", "finalizers": [finalizer]});
            let found = FoundController::new(serde_json::from_value(metadata).unwrap());
            assert_eq!(found.terminating, terminating, "{finalizer}");
        }
    }
}
