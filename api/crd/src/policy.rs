//! SpiderPolicy: which component decides, for whom, and what happens when it fails.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::field::null_as_empty;
use crate::schema;

/// The `order` of the built-in policies: after whatever a platform team adds without saying otherwise.
pub const BUILT_IN_ORDER: i32 = 1000;

/// What a platform team writes about a policy.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "spiderpool.spidernet.io",
    version = "v2beta1",
    kind = "SpiderPolicy",
    plural = "spiderpolicies",
    shortname = "spol",
    category = "spiderpool",
    status = "SpiderPolicyStatus",
    derive = "PartialEq",
    doc = "A WebAssembly component that takes part in decisions about addresses.",
    printcolumn(name = "MODE", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "ORDER", type_ = "integer", json_path = ".spec.order"),
    printcolumn(name = "PHASE", type_ = "string", json_path = ".status.phase")
)]
#[serde(rename_all = "camelCase")]
pub struct SpiderPolicySpec {
    /// Where the component comes from; exactly one of its fields.
    pub source: PolicySource,

    /// The component's digest, `sha256:` and 64 hexadecimal digits. Another component is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub digest: Option<String>,

    /// At which extension points it takes part; all that it exports when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension_points: Option<Vec<ExtensionPoint>>,

    /// Its place in the chain, lower first. The built-in policies stand at 1000.
    #[serde(default = "default_order")]
    pub order: i32,

    /// The names of policies that are not asked while this one is in force.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<String>,

    /// Whom it concerns; everybody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<PolicyScope>,

    /// What the policy itself reads, judged by it when it is loaded.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    #[schemars(schema_with = "schema::any_object")]
    pub settings: serde_json::Map<String, serde_json::Value>,

    /// Whether its answers count.
    #[serde(default)]
    pub mode: PolicyMode,

    /// What happens to a request when the policy traps, runs out of its limits or answers nonsense.
    #[serde(default)]
    pub on_failure: OnFailure,

    /// Limits of one call, within the host's ceiling; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<PolicyLimits>,
}

/// Where a component comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PolicySource {
    /// The path of a `.wasm` file, relative to the policy folder unless absolute.
    File(String),
    /// A key of a ConfigMap's `binaryData`.
    ConfigMap(ConfigMapKey),
    /// A reference of an OCI artifact, such as `registry.example/policies/rack:1`.
    Oci(String),
}

/// A key of a ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigMapKey {
    /// The ConfigMap's namespace.
    pub namespace: String,
    /// The ConfigMap's name.
    pub name: String,
    /// The key.
    pub key: String,
}

/// A question that policies answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ExtensionPoint {
    /// From which pools, in which order, picked how. One policy is in force.
    Allocation,
    /// Whether a pool may serve a pod. All must admit.
    Affinity,
    /// Whether an object may be created or changed. All must allow.
    Validation,
    /// Who keeps addresses. One policy is in force.
    Retention,
}

/// Whose requests a policy is asked about. Both must match where both are given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyScope {
    /// Labels of the pod's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Labels of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
}

/// Whether a policy's answers count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PolicyMode {
    /// They count.
    #[default]
    Enforce,
    /// It is asked and compared, and never obeyed.
    Shadow,
}

/// What happens to a request whose policy fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// It is refused, and the policy named. Where it was asked who keeps addresses, they are kept.
    #[default]
    Deny,
    /// It goes on as if the policy were not there.
    Fallback,
}

/// Limits of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyLimits {
    /// Units of work, roughly one per WebAssembly instruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub fuel: Option<u64>,
    /// Wall-clock time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub deadline_milliseconds: Option<u32>,
    /// Linear memory in MiB.
    #[serde(rename = "memoryMiB", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub memory_mib: Option<u32>,
}

/// What came of loading the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpiderPolicyStatus {
    /// Whether it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<PolicyPhase>,
    /// Why it is not, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The digest of the component that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The version of the contract that it was built for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_version: Option<String>,
    /// The interfaces that it exports.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<String>,
}

/// Whether a policy is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PolicyPhase {
    /// It is loaded and asked.
    Ready,
    /// It could not be loaded.
    Failed,
}

fn default_order() -> i32 {
    100
}

impl SpiderPolicySpec {
    /// A policy from `source` with everything else at its default.
    #[must_use]
    pub fn new(source: PolicySource) -> Self {
        Self {
            source,
            digest: None,
            extension_points: None,
            order: default_order(),
            replaces: Vec::new(),
            scope: None,
            settings: serde_json::Map::new(),
            mode: PolicyMode::default(),
            on_failure: OnFailure::default(),
            limits: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_source_is_all_that_must_be_written() {
        let spec: SpiderPolicySpec = serde_json::from_value(json!({"source": {"file": "rack.wasm"}})).unwrap();
        assert_eq!(spec, SpiderPolicySpec::new(PolicySource::File("rack.wasm".to_owned())));
        assert_eq!((spec.order, spec.mode, spec.on_failure), (100, PolicyMode::Enforce, OnFailure::Deny));
    }

    #[test]
    fn every_field_is_read_and_written() {
        let stored = json!({
            "source": {"configMap": {"namespace": "net", "name": "policies", "key": "rack.wasm"}},
            "digest": format!("sha256:{}", "0".repeat(64)),
            "extensionPoints": ["allocation", "affinity", "validation", "retention"],
            "order": 7,
            "replaces": ["affinity"],
            "scope": {"namespaceSelector": {"matchLabels": {"team": "a"}}, "podSelector": {}},
            "settings": {"deep": {"list": [1, null, "x"]}},
            "mode": "shadow",
            "onFailure": "fallback",
            "limits": {"fuel": 18_446_744_073_709_551_615_u64, "deadlineMilliseconds": 50, "memoryMiB": 128},
        });
        let spec: SpiderPolicySpec = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(serde_json::to_value(spec).unwrap(), stored);
    }

    #[test]
    fn two_sources_are_refused() {
        let two = json!({"source": {"file": "a.wasm", "oci": "registry.example/a:1"}});
        assert!(serde_json::from_value::<SpiderPolicySpec>(two).is_err());
    }
}
