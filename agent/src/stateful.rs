//! Whose pods come back under their names: the controllers that are worth a look before addresses change hands.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Map, Value, json};
use spiderpool_runtime::types;
use spiderpool_storage::catalog::ControllerKind;

use crate::config::{Config, StatefulController};

/// The instance of a virtual machine of KubeVirt, which its pods are of.
pub(crate) const INSTANCE: &str = "VirtualMachineInstance";
/// The virtual machine above it, of the same name.
pub(crate) const MACHINE: &str = "VirtualMachine";

/// Whether a controller is of a kind whose pods have a new name each time.
pub(crate) fn is_stateless(owner: &types::Owner) -> bool {
    ControllerKind::of(&owner.api_version, &owner.kind).is_some_and(ControllerKind::is_stateless)
}

/// The version of those of that kind.
pub(crate) fn version_of_stateless(kind: &str) -> Option<&'static str> {
    let mut stateless = ControllerKind::ALL.into_iter().filter(|known| known.is_stateless());
    stateless.find(|known| known.name() == kind).map(ControllerKind::api_version)
}

/// The kinds of these controllers, by `conf.yml`.
#[derive(Clone, Debug)]
pub(crate) struct Kinds {
    stateful_sets: bool,
    kubevirt: bool,
    listed: Vec<StatefulController>,
}

impl Kinds {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            stateful_sets: config.enable_stateful_set,
            kubevirt: config.enable_kubevirt_static_ip,
            listed: config.stateful_controllers.clone(),
        }
    }

    /// The same for `builtin-retention`.
    pub(crate) fn settings(&self) -> Map<String, Value> {
        let listed = self
            .listed
            .iter()
            .map(|StatefulController { api_version, kind }| json!({"apiVersion": api_version, "kind": kind}));
        Map::from_iter([
            ("statefulSets".to_owned(), json!(self.stateful_sets)),
            ("kubevirt".to_owned(), json!(self.kubevirt)),
            ("stateful".to_owned(), listed.collect()),
        ])
    }

    /// Whether a controller is one of them.
    pub(crate) fn include(&self, api_version: &str, kind: &str) -> bool {
        let of_kubevirt = api_version.starts_with("kubevirt.io/") && matches!(kind, INSTANCE | MACHINE);
        self.stateful_sets && (api_version, kind) == ("apps/v1", "StatefulSet")
            || self.kubevirt && of_kubevirt
            || self.listed.iter().any(|listed| listed.api_version == api_version && listed.kind == kind)
    }

    /// Whether any controller of a pod is one of them.
    pub(crate) fn include_any(&self, owners: &[types::Owner]) -> bool {
        owners.iter().any(|owner| self.include(&owner.api_version, &owner.kind))
    }

    /// The virtual machine whose pod it is.
    pub(crate) fn machine<'a>(&self, owners: &'a [types::Owner]) -> Option<&'a str> {
        let instance = owners.iter().find(|owner| owner.kind == INSTANCE)?;
        self.include(&instance.api_version, &instance.kind).then_some(&instance.name)
    }

    /// The version of those of that kind, of which the ledger tells no version.
    pub(crate) fn version_of(&self, kind: &str) -> Option<&str> {
        let known = [("apps/v1", "StatefulSet"), ("kubevirt.io/v1", INSTANCE)].into_iter();
        let listed = self.listed.iter().map(|listed| (&*listed.api_version, &*listed.kind));
        let mut all = known.chain(listed).filter(|(version, kind)| self.include(version, kind));
        all.find_map(|(version, candidate)| (candidate == kind).then_some(version))
    }
}

/// As the catalog looks for it.
pub(crate) fn reference(owner: &types::Owner) -> OwnerReference {
    let types::Owner { api_version, kind, name, uid } = owner.clone();
    OwnerReference { api_version, kind, name, uid, ..OwnerReference::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart_by_group_and_by_what_is_switched_on() {
        let kruise = StatefulController { api_version: "apps.kruise.io/v1beta1".into(), kind: "StatefulSet".into() };
        let all = Kinds { stateful_sets: true, kubevirt: true, listed: vec![kruise] };
        let none = Kinds { stateful_sets: false, kubevirt: false, listed: Vec::new() };
        for (version, kind, included) in [
            ("apps/v1", "StatefulSet", true),
            ("apps.kruise.io/v1beta1", "StatefulSet", true),
            ("kubevirt.io/v1", "VirtualMachineInstance", true),
            ("apps/v1", "Deployment", false),
            ("apps.kruise.io/v1alpha1", "CloneSet", false),
            ("other.io/v1", "VirtualMachineInstance", false),
        ] {
            assert_eq!(all.include(version, kind), included, "{version} {kind}");
            assert!(!none.include(version, kind), "{version} {kind}");
        }
        let only_listed = Kinds { stateful_sets: false, ..all.clone() };
        assert_eq!(all.version_of("StatefulSet"), Some("apps/v1"));
        assert_eq!(only_listed.version_of("StatefulSet"), Some("apps.kruise.io/v1beta1"));
        assert_eq!(all.version_of("Deployment"), None);
        assert_eq!((version_of_stateless("Deployment"), version_of_stateless("CloneSet")), (Some("apps/v1"), None));
    }
}
