//! From files to what is in force. No I/O: files come in as text, time does not matter.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use spiderpool_crd::{FieldError, SpiderReservedIP};
use spiderpool_ip::{Family, IpSet};

use super::object::{Key, Kind, Typed, denial};
use super::yaml::{Document, documents};
use super::{Admission, Catalog, Denial, Operation, Pool, Problem, Review, Severity};
use crate::PoolSpace;

/// A file of the folder.
#[derive(Clone, Debug)]
pub(super) struct SourceFile {
    /// Its name in the folder.
    pub(super) name: PathBuf,
    /// Its text, or why it could not be read.
    pub(super) text: Result<String, String>,
}

/// What is in force, and where it came from.
#[derive(Debug, Default)]
pub(super) struct Builder {
    catalog: Catalog,
    by_key: BTreeMap<Key, InForce>,
}

#[derive(Clone, Debug)]
struct InForce {
    file: PathBuf,
    written: Value,
    admitted: Value,
}

/// A document that says which object it is.
struct Candidate<'a> {
    file: &'a Path,
    key: Key,
    document: Document,
}

impl Builder {
    /// Brings the folder's content into force as far as it is good.
    pub(super) fn build(&mut self, files: &[SourceFile], admission: &dyn Admission) -> Catalog {
        let mut problems = Problems::default();
        let candidates = candidates(files, &mut problems);
        self.remove_missing(&candidates, &problems.files_in_doubt);
        for candidate in candidates {
            if let Some(note) = candidate.key.kind.note() {
                problems.add(Severity::Note, &candidate, &denial("", note));
            }
            if let Err(denials) = self.accept(&candidate, admission) {
                denials.iter().for_each(|denial| problems.add(Severity::Refused, &candidate, denial));
            }
        }
        self.measure_pools(&mut problems);
        problems.all.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        self.catalog.problems = problems.all;
        self.catalog.clone()
    }

    /// Drops what no file has any more. What a file had whose documents cannot all be told stays.
    fn remove_missing(&mut self, candidates: &[Candidate<'_>], files_in_doubt: &BTreeSet<PathBuf>) {
        let named: BTreeSet<&Key> = candidates.iter().map(|candidate| &candidate.key).collect();
        let gone = |key: &Key, object: &InForce| !named.contains(key) && !files_in_doubt.contains(&object.file);
        let keys: Vec<Key> =
            self.by_key.iter().filter(|(key, object)| gone(key, object)).map(|(k, _)| k.clone()).collect();
        for key in keys {
            self.by_key.remove(&key);
            self.catalog.remove(&key);
        }
    }

    fn accept(&mut self, candidate: &Candidate<'_>, admission: &dyn Admission) -> Result<(), Vec<Denial>> {
        let Candidate { file, key, document } = candidate;
        let old = self.by_key.get_mut(key);
        if let Some(old) = old.filter(|old| old.written == document.value) {
            old.file = file.to_path_buf();
            return Ok(());
        }
        let old = self.by_key.get(key);
        let admitted = admission.admit(Review {
            operation: if old.is_some() { Operation::Update } else { Operation::Create },
            kind: key.kind.name(),
            namespace: key.namespace.as_deref(),
            name: &key.name,
            object: document.value.clone(),
            old: old.map(|old| &old.admitted),
            accepted: &self.catalog,
        })?;
        if Key::of(&admitted).ok().as_ref() != Some(key) {
            let problem = "admission changed the object's kind or name, which it may not; look at its policies";
            return Err(vec![denial("metadata.name", problem)]);
        }
        let typed = Typed::read(key.kind, &admitted).map_err(|denial| vec![denial])?;
        self.catalog.insert(key, typed).map_err(|denial| vec![denial])?;
        let in_force = InForce { file: file.to_path_buf(), written: document.value.clone(), admitted };
        self.by_key.insert(key.clone(), in_force);
        Ok(())
    }

    /// Takes reserved addresses out of pools, now that both are known. Spaces that did not change stay the same.
    fn measure_pools(&mut self, problems: &mut Problems) {
        let [v4, v6] = [Family::V4, Family::V6].map(|family| reserved(&self.catalog.reserved_ips, family));
        for pool in Arc::make_mut(&mut self.catalog.pools).values_mut() {
            let reserved = if pool.space.subnet.family() == Family::V4 { &v4 } else { &v6 };
            match reserved.clone().and_then(|reserved| PoolSpace::of(&pool.object, &reserved)) {
                Ok(space) if space == *pool.space => {}
                Ok(space) => pool.space = Arc::new(space),
                // Both were read when they came into force, so this is not reached; saying so beats hiding it.
                Err(error) => problems.all.push(Problem {
                    severity: Severity::Refused,
                    file: PathBuf::new(),
                    line: None,
                    object: format!("SpiderIPPool {}", pool.space.name),
                    field: error.path,
                    message: error.problem,
                }),
            }
        }
    }
}

fn reserved(objects: &BTreeMap<String, Arc<SpiderReservedIP>>, family: Family) -> Result<IpSet, FieldError> {
    PoolSpace::reserved(family, objects.values().map(AsRef::as_ref))
}

impl Catalog {
    fn insert(&mut self, key: &Key, typed: Typed) -> Result<(), Denial> {
        let denied = |error: FieldError| Denial { field: error.path, message: error.problem };
        let name = key.name.clone();
        match typed {
            Typed::Pool(object) => {
                let family = object.spec.family().map_err(denied)?;
                let reserved = reserved(&self.reserved_ips, family).map_err(denied)?;
                let space = Arc::new(PoolSpace::of(&object, &reserved).map_err(denied)?);
                // A change of labels leaves the addresses as they are, and the ledger's counts with them.
                let before = self.pools.get(&name).map(|pool| Arc::clone(&pool.space));
                let space = before.filter(|before| **before == *space).unwrap_or(space);
                Arc::make_mut(&mut self.pools).insert(name, Pool { object, space });
            }
            Typed::ReservedIp(object) => {
                for family in [Family::V4, Family::V6] {
                    object.spec.space(family).map_err(denied)?;
                }
                Arc::make_mut(&mut self.reserved_ips).insert(name, object);
            }
            Typed::Subnet(object) => drop(Arc::make_mut(&mut self.subnets).insert(name, object)),
            Typed::Coordinator(object) => drop(Arc::make_mut(&mut self.coordinators).insert(name, object)),
            Typed::MultusConfig(object) => {
                drop(Arc::make_mut(&mut self.multus_configs).insert(key.namespaced(), object))
            }
            Typed::Controller(kind, found) => {
                drop(Arc::make_mut(&mut self.controllers).insert((kind, key.namespaced()), found))
            }
            Typed::Pod(object) => drop(Arc::make_mut(&mut self.pods).insert(key.namespaced(), object)),
            Typed::Namespace(object) => drop(Arc::make_mut(&mut self.namespaces).insert(name, object)),
            Typed::Node(object) => drop(Arc::make_mut(&mut self.nodes).insert(name, object)),
        }
        Ok(())
    }

    fn remove(&mut self, key: &Key) {
        let name = &key.name;
        match key.kind {
            Kind::Pool => drop(Arc::make_mut(&mut self.pools).remove(name)),
            Kind::ReservedIp => drop(Arc::make_mut(&mut self.reserved_ips).remove(name)),
            Kind::Subnet => drop(Arc::make_mut(&mut self.subnets).remove(name)),
            Kind::Coordinator => drop(Arc::make_mut(&mut self.coordinators).remove(name)),
            Kind::MultusConfig => drop(Arc::make_mut(&mut self.multus_configs).remove(&key.namespaced())),
            Kind::Controller(kind) => drop(Arc::make_mut(&mut self.controllers).remove(&(kind, key.namespaced()))),
            Kind::Pod => drop(Arc::make_mut(&mut self.pods).remove(&key.namespaced())),
            Kind::Namespace => drop(Arc::make_mut(&mut self.namespaces).remove(name)),
            Kind::Node => drop(Arc::make_mut(&mut self.nodes).remove(name)),
        }
    }
}

/// What was found wrong so far.
#[derive(Default)]
struct Problems {
    all: Vec<Problem>,
    /// Files of which a part cannot be told.
    files_in_doubt: BTreeSet<PathBuf>,
}

impl Problems {
    fn add(&mut self, severity: Severity, candidate: &Candidate<'_>, denial: &Denial) {
        self.all.push(Problem {
            severity,
            file: candidate.file.to_path_buf(),
            line: Some(candidate.document.line_of(&denial.field)),
            object: candidate.key.to_string(),
            field: denial.field.clone(),
            message: denial.message.clone(),
        });
    }

    /// About a part of the file that names no object; `doubt`: it may have been meant for one that is in force.
    fn nameless(&mut self, file: &Path, line: Option<u64>, denial: Denial, doubt: bool) {
        if doubt {
            self.files_in_doubt.insert(file.to_owned());
        }
        let Denial { field, message } = denial;
        let object = String::new();
        self.all.push(Problem { severity: Severity::Refused, file: file.to_owned(), line, object, field, message });
    }
}

/// The documents that say which object they are, each object once.
fn candidates<'a>(files: &'a [SourceFile], problems: &mut Problems) -> Vec<Candidate<'a>> {
    let mut found: Vec<Candidate<'a>> = Vec::new();
    let mut first_by_key: BTreeMap<Key, usize> = BTreeMap::new();
    for SourceFile { name: file, text } in files {
        let text = match text {
            Ok(text) => text,
            Err(cause) => {
                problems.nameless(file, None, denial("", &format!("cannot be read: {cause}")), true);
                continue;
            }
        };
        for document in documents(text).into_iter().flat_map(|document| match document {
            Ok(document) => flatten(document).into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        }) {
            let document = match document {
                Ok(document) => document,
                Err(error) => {
                    problems.nameless(file, Some(error.line), denial("", &error.message), true);
                    continue;
                }
            };
            match Key::of(&document.value) {
                Err(denial) => {
                    // A foreign kind is nobody's lost object.
                    let foreign = denial.field == "kind" && document.value["kind"].is_string();
                    problems.nameless(file, Some(document.line_of(&denial.field)), denial, !foreign);
                }
                Ok(key) => {
                    let candidate = Candidate { file, key, document };
                    match first_by_key.get(&candidate.key) {
                        Some(&first) => problems.add(Severity::Refused, &candidate, &twice(&found[first])),
                        None => {
                            first_by_key.insert(candidate.key.clone(), found.len());
                            found.push(candidate);
                        }
                    }
                }
            }
        }
    }
    found
}

fn twice(first: &Candidate<'_>) -> Denial {
    let place = format!("{}:{}", first.file.display(), first.document.line);
    denial("metadata.name", &format!("the same object is written in {place} already, which counts; remove one of them"))
}

/// The documents that a document stands for: the items of a `List`, or itself.
fn flatten(document: Document) -> Vec<Document> {
    let is_list = document.value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind == "List");
    match document.value.get("items").and_then(Value::as_array) {
        Some(items) if is_list => {
            items.iter().enumerate().map(|(index, item)| document.item(index, item.clone())).collect()
        }
        _ => vec![document],
    }
}

#[cfg(test)]
mod tests;
