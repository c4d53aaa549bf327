//! The form of a case file, as it is written.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;
use spiderpool_crd::SpiderPolicySpec;
use spiderpool_ip::{Family, IpRange};

use super::CaseError;
use super::departure::{RawEvent, RawOwner, RawPodState};
use super::expectation::RawExpectation;
use super::manifest::Objects;
use super::question::Case;

/// A file that was read.
#[derive(Clone, Debug)]
pub struct CaseFile {
    /// Where it is.
    pub path: PathBuf,
    /// The policy that the cases are about; none when they are about the built-in policies.
    pub policy: Option<PolicyUnderTest>,
    /// The cases; never empty.
    pub cases: Vec<Case>,
}

/// The key `policy` of a file: a name, and the fields of a SpiderPolicy's `spec`, of which `source` may be left out.
#[derive(Clone, Debug)]
pub struct PolicyUnderTest {
    /// The policy's name in ranks and refusals.
    pub name: String,
    spec: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawFile {
    policy: Option<Spanned<Map<String, Value>>>,
    #[serde(default)]
    cluster: Cluster,
    #[serde(default)]
    objects: Vec<Spanned<Value>>,
    cases: Vec<Spanned<RawCase>>,
}

/// The key `cluster`: what is configured for the whole installation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct Cluster {
    pub(super) families: Vec<Family>,
    pub(super) install_namespace: String,
    pub(super) default_network: Option<String>,
    pub(super) subnets: bool,
    pub(super) guard_deletion: bool,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            families: vec![Family::V4, Family::V6],
            install_namespace: "kube-system".to_owned(),
            default_network: None,
            subnets: false,
            guard_deletion: false,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawCase {
    pub(super) name: String,
    pub(super) pod: Option<Spanned<Value>>,
    pub(super) interface: Option<String>,
    pub(super) cni: Option<Cni>,
    pub(super) review: Option<RawReview>,
    pub(super) event: Option<RawEvent>,
    #[serde(default)]
    pub(super) owners: Vec<RawOwner>,
    pub(super) pod_state: Option<RawPodState>,
    pub(super) migration: Option<String>,
    #[serde(default)]
    pub(super) masters: BTreeMap<String, Vec<IpAddr>>,
    #[serde(default)]
    pub(super) used: BTreeMap<String, Vec<IpRange>>,
    #[serde(default)]
    pub(super) objects: Vec<Spanned<Value>>,
    pub(super) cluster: Option<Cluster>,
    pub(super) settings: Option<Map<String, Value>>,
    #[serde(default)]
    pub(super) moment: Moment,
    pub(super) expect: Spanned<RawExpectation>,
}

/// The CNI configuration's own keys, as far as policies see them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cni {
    pub(super) default_ipv4_ippool: Vec<String>,
    pub(super) default_ipv6_ippool: Vec<String>,
    pub(super) clean_gateway: bool,
    pub(super) match_master_subnet: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct Moment {
    pub(super) unix_milliseconds: u64,
    pub(super) seed: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReview {
    pub(super) operation: Operation,
    pub(super) object: Value,
    pub(super) old: Option<Value>,
}

/// What is done to an object under review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// It is new.
    Create,
    /// It is replaced.
    Update,
    /// It is to be deleted.
    Delete,
}

impl CaseFile {
    /// Reads one file.
    ///
    /// # Errors
    /// Names the line.
    pub fn read(path: &Path) -> Result<Self, CaseError> {
        let text = fs::read_to_string(path).map_err(|error| CaseError::new(path, None, error))?;
        Self::parse(path, &text)
    }

    /// Reads the text of a file that is at `path`.
    ///
    /// # Errors
    /// Names the line.
    pub fn parse(path: &Path, text: &str) -> Result<Self, CaseError> {
        // `on` and `n` are words, as in YAML 1.2: a pod may be called so.
        let options = serde_saphyr::options! { strict_booleans: true };
        let raw: RawFile = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let line = error.location().map(|location| location.line());
            CaseError::new(path, line, plain(&error))
        })?;
        if raw.cases.is_empty() {
            return Err(CaseError::new(path, None, "`cases` is empty; a file without cases tests nothing"));
        }
        let policy = raw.policy.map(|policy| PolicyUnderTest::read(path, policy)).transpose()?;
        let objects = Objects::default().with(path, raw.objects)?;
        let mut cases: Vec<Case> = Vec::with_capacity(raw.cases.len());
        for case in raw.cases {
            let line = case.referenced.line();
            if cases.iter().any(|other| other.name == case.value.name) {
                let problem = format!("a case named {:?} stands further up; names tell cases apart", case.value.name);
                return Err(CaseError::new(path, line, problem));
            }
            cases.push(Case::read(path, line, case.value, &raw.cluster, &objects)?);
        }
        Ok(Self { path: path.to_owned(), policy, cases })
    }
}

/// The error without the location that [`CaseError`] tells in its own way.
fn plain(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].trim_end_matches([',', ';']).to_owned(),
        None => text,
    }
}

impl PolicyUnderTest {
    fn read(path: &Path, raw: Spanned<Map<String, Value>>) -> Result<Self, CaseError> {
        let line = raw.referenced.line();
        let mut spec = raw.value;
        let name = match spec.remove("name") {
            Some(Value::String(name)) => name,
            None => "policy-under-test".to_owned(),
            Some(other) => return Err(CaseError::new(path, line, format!("policy.name: {other} is no text"))),
        };
        let policy = Self { name, spec };
        let any_file = Path::new("any.wasm");
        policy.spec_with(Some(any_file), None).map_err(|problem| CaseError::new(path, line, problem))?;
        Ok(policy)
    }

    /// A policy without a word about it in the file.
    #[must_use]
    pub fn unnamed() -> Self {
        Self { name: "policy-under-test".to_owned(), spec: Map::new() }
    }

    /// The SpiderPolicy's `spec`, with the component and the settings of one case in place of the file's.
    ///
    /// # Errors
    /// A sentence that names the field that cannot be, or says that no component is given.
    pub fn spec_with(
        &self,
        component: Option<&Path>,
        settings: Option<&Map<String, Value>>,
    ) -> Result<SpiderPolicySpec, String> {
        let mut spec = self.spec.clone();
        if let Some(component) = component {
            spec.insert("source".to_owned(), serde_json::json!({ "file": component }));
        }
        if let Some(settings) = settings {
            spec.insert("settings".to_owned(), Value::Object(settings.clone()));
        }
        if !spec.contains_key("source") {
            return Err(
                "no component is given: name it with --policy FILE.wasm, or write `source: {file: FILE.wasm}` \
                        under `policy`"
                    .to_owned(),
            );
        }
        super::manifest::strict(&Value::Object(spec), "policy")
    }
}

#[cfg(test)]
mod tests;
