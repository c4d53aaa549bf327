//! Kubernetes manifests beside the cases.

use std::collections::BTreeMap;
use std::path::Path;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::Spanned;
use spiderpool_crd::{API_VERSION, SpiderIPPool, SpiderReservedIP, SpiderSubnet};

use super::CaseError;

/// The objects that a case takes place among, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    pub(super) pools: BTreeMap<String, SpiderIPPool>,
    pub(super) reserved: BTreeMap<String, SpiderReservedIP>,
    pub(super) subnets: BTreeMap<String, SpiderSubnet>,
    pub(super) namespaces: BTreeMap<String, Namespace>,
    pub(super) nodes: BTreeMap<String, Node>,
}

impl Objects {
    /// These objects and further ones; of two with the same kind and name the further one.
    pub(super) fn with(&self, path: &Path, manifests: Vec<Spanned<Value>>) -> Result<Self, CaseError> {
        let mut all = self.clone();
        for manifest in manifests {
            let line = manifest.referenced.line();
            all.add(&manifest.value).map_err(|problem| CaseError::new(path, line, problem))?;
        }
        Ok(all)
    }

    fn add(&mut self, manifest: &Value) -> Result<(), String> {
        let text = |key: &str| manifest.get(key).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        let name = manifest.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err(format!("an object{} has no metadata.name", of_kind(kind)));
        }
        let context = format!("{kind} {name}");
        match (version, kind) {
            (API_VERSION, "SpiderIPPool") => drop(self.pools.insert(name, strict(manifest, &context)?)),
            (API_VERSION, "SpiderReservedIP") => drop(self.reserved.insert(name, strict(manifest, &context)?)),
            (API_VERSION, "SpiderSubnet") => drop(self.subnets.insert(name, strict(manifest, &context)?)),
            ("v1", "Namespace") => drop(self.namespaces.insert(name, strict(manifest, &context)?)),
            ("v1", "Node") => drop(self.nodes.insert(name, strict(manifest, &context)?)),
            _ => {
                return Err(format!(
                    "{name} has apiVersion {version:?} and kind {kind:?}, which no case needs; objects are \
                     SpiderIPPool, SpiderReservedIP, SpiderSubnet ({API_VERSION}), Namespace and Node (v1)"
                ));
            }
        }
        Ok(())
    }
}

fn of_kind(kind: &str) -> String {
    if kind.is_empty() { String::new() } else { format!(" of kind {kind}") }
}

/// A pod, of whose manifest every part may be left out.
pub(super) fn pod(manifest: &Value) -> Result<Pod, String> {
    let mut whole = manifest.clone();
    if let Some(fields) = whole.as_object_mut() {
        fields.entry("apiVersion").or_insert_with(|| "v1".into());
        fields.entry("kind").or_insert_with(|| "Pod".into());
    }
    strict(&whole, "pod")
}

/// Reads a manifest and insists that every key of it is known: `context` names the object in errors.
pub(super) fn strict<T: Serialize + DeserializeOwned>(manifest: &Value, context: &str) -> Result<T, String> {
    let typed: T = serde_json::from_value(manifest.clone()).map_err(|error| format!("{context}: {error}"))?;
    let known = serde_json::to_value(&typed).map_err(|error| format!("{context}: {error}"))?;
    match unknown(manifest, &known, "") {
        Some(key) => Err(format!("{context}: there is no field {key}; look for a slip of the pen")),
        None => Ok(typed),
    }
}

/// The path of the first key with a value that is lost when the manifest is read. Empty values are not written back
/// by every type, so they are let pass.
fn unknown(given: &Value, known: &Value, path: &str) -> Option<String> {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => given.iter().find_map(|(key, value)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match known.get(key) {
                Some(known) => unknown(value, known, &path),
                None if is_empty(value) => None,
                None => Some(path),
            }
        }),
        (Value::Array(given), Value::Array(known)) => {
            let pairs = given.iter().zip(known).enumerate();
            pairs.into_iter().find_map(|(index, (given, known))| unknown(given, known, &format!("{path}[{index}]")))
        }
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
