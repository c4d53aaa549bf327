//! From watched objects to a catalog. No I/O.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;
use serde::de::DeserializeOwned;
use spiderpool_crd::policy::PolicySource;
use spiderpool_crd::{
    FieldError, SpiderIPPool, SpiderIPPoolSpec, SpiderPolicy, SpiderPolicySpec, SpiderReservedIP, SpiderReservedIPSpec,
};
use spiderpool_ip::{Family, IpSet};

use super::lean::{LeanPod, Written, kept};
use super::pools;
use super::shelf::Shelf;
use crate::catalog::{Catalog, NamespacedName, Pool, Problem, Severity};
use crate::{PoolSpace, Records};

/// Something that a watch told.
pub(super) enum Heard {
    Pool(Event<pools::Pool>),
    ReservedIp(Event<Written<SpiderReservedIP>>),
    Policy(Event<Written<SpiderPolicy>>),
    Namespace(Event<PartialObjectMeta<Namespace>>),
    Node(Event<PartialObjectMeta<Node>>),
    Pod(Event<LeanPod>),
}

/// An object that people wrote, or what is wrong with it.
type Read<T> = Result<Arc<T>, Problem>;

/// What the watches told so far.
#[derive(Default)]
pub(super) struct State {
    pools: Shelf<String, (Read<SpiderIPPool>, Records)>,
    reserved_ips: Shelf<String, Read<SpiderReservedIP>>,
    policies: Shelf<String, Read<SpiderPolicy>>,
    namespaces: Shelf<String, Arc<Namespace>>,
    nodes: Shelf<String, Arc<Node>>,
    pods: Shelf<NamespacedName, Arc<Pod>>,
    /// Whether what people wrote has changed since the last catalog.
    written_changed: bool,
    /// What was reserved, per family, when the pools were last measured.
    reserved: Option<[IpSet; 2]>,
}

impl State {
    /// Whether every kind was told once.
    pub(super) fn is_complete(&self) -> bool {
        self.pools.read
            && self.reserved_ips.read
            && self.policies.read
            && self.namespaces.read
            && self.nodes.read
            && self.pods.read
    }

    /// Takes something in. Answers whether the catalog changes.
    pub(super) fn hear(&mut self, heard: Heard) -> bool {
        let written = match heard {
            Heard::Pool(event) => self.pools.hear(event, |pools::Pool { written, records }| {
                let (name, pool) = read(written, |metadata, spec: SpiderIPPoolSpec| {
                    spec.cidr()?;
                    Ok(SpiderIPPool { metadata, spec, status: None })
                });
                (name, (pool, records))
            }),
            Heard::ReservedIp(event) => self.reserved_ips.hear(event, |object| {
                read(object, |metadata, spec: SpiderReservedIPSpec| {
                    for family in [Family::V4, Family::V6] {
                        spec.space(family)?;
                    }
                    Ok(SpiderReservedIP { metadata, spec })
                })
            }),
            Heard::Policy(event) => self.policies.hear(event, |object| {
                read(object, |metadata, spec: SpiderPolicySpec| Ok(SpiderPolicy { metadata, spec, status: None }))
            }),
            Heard::Namespace(event) => {
                return self.namespaces.hear(event, |object| {
                    let metadata = kept(object.metadata);
                    (name(&metadata), Arc::new(Namespace { metadata, ..Namespace::default() }))
                });
            }
            Heard::Node(event) => {
                return self.nodes.hear(event, |object| {
                    let metadata = kept(object.metadata);
                    (name(&metadata), Arc::new(Node { metadata, ..Node::default() }))
                });
            }
            Heard::Pod(event) => {
                return self.pods.hear(event, |object| {
                    let pod = Pod::from(object);
                    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
                    (NamespacedName { namespace, name: name(&pod.metadata) }, Arc::new(pod))
                });
            }
        };
        self.written_changed |= written;
        written
    }

    /// The catalog, where `before` is the last one: what did not change is shared with it.
    pub(super) fn catalog(&mut self, before: &Catalog) -> Catalog {
        let mut catalog = Catalog {
            pods: self.pods.objects(),
            namespaces: self.namespaces.objects(),
            nodes: self.nodes.objects(),
            ..before.clone()
        };
        if self.written_changed {
            self.written_changed = false;
            let mut problems = Vec::new();
            catalog.reserved_ips = good(&self.reserved_ips, &mut problems);
            catalog.policies = good(&self.policies, &mut problems);
            problems.extend(catalog.policies.iter().filter_map(|(name, policy)| unserved(name, policy)));
            catalog.pools = Arc::new(self.measured(&catalog, before, &mut problems));
            problems.sort_by(|a, b| a.object.cmp(&b.object));
            catalog.problems = problems;
        }
        catalog
    }

    /// The pools with what they may give out. Spaces that did not change stay the same.
    fn measured(&mut self, catalog: &Catalog, before: &Catalog, problems: &mut Vec<Problem>) -> BTreeMap<String, Pool> {
        let reserved = |family| {
            let objects = catalog.reserved_ips.values().map(AsRef::as_ref);
            // Each was read when it came, so all of them can be read together.
            PoolSpace::reserved(family, objects).unwrap_or_else(|_| IpSet::empty(family))
        };
        let reserved = [Family::V4, Family::V6].map(reserved);
        let as_before = self.reserved.as_ref() == Some(&reserved);
        let mut pools = BTreeMap::new();
        for (name, (object, records)) in self.pools.objects().iter() {
            let object = match object {
                Ok(object) => Arc::clone(object),
                Err(problem) => {
                    problems.push(problem.clone());
                    continue;
                }
            };
            let known = before.pools.get(name);
            let is_known = |known: &&Pool| Arc::ptr_eq(&known.object, &object) && known.space.records == *records;
            if let Some(known) = known.filter(|known| as_before && is_known(known)) {
                pools.insert(name.clone(), known.clone());
                continue;
            }
            let [v4, v6] = &reserved;
            let of_family = if matches!(object.spec.family(), Ok(Family::V6)) { v6 } else { v4 };
            match PoolSpace::of(&object, of_family) {
                Ok(space) => {
                    let space = PoolSpace { records: records.clone(), ..space };
                    let known = known.map(|known| Arc::clone(&known.space)).filter(|known| **known == space);
                    pools.insert(name.clone(), Pool { object, space: known.unwrap_or_else(|| Arc::new(space)) });
                }
                Err(FieldError { path, problem }) => problems.push(refused::<SpiderIPPool>(name, path, problem)),
            }
        }
        self.reserved = Some(reserved);
        pools
    }
}

/// What can be used; what cannot becomes a problem.
fn good<T>(shelf: &Shelf<String, Read<T>>, problems: &mut Vec<Problem>) -> Arc<BTreeMap<String, Arc<T>>>
where
    T: PartialEq,
{
    let mut usable = BTreeMap::new();
    for (name, object) in shelf.objects().iter() {
        match object {
            Ok(object) => drop(usable.insert(name.clone(), Arc::clone(object))),
            Err(problem) => problems.push(problem.clone()),
        }
    }
    Arc::new(usable)
}

/// Reads an object as its kind, or says which field is wrong.
fn read<K, Spec>(object: Written<K>, whole: impl FnOnce(ObjectMeta, Spec) -> Result<K, FieldError>) -> (String, Read<K>)
where
    K: Resource<DynamicType = ()>,
    Spec: DeserializeOwned,
{
    let metadata = kept(object.metadata);
    let name = name(&metadata);
    let read = match serde_path_to_error::deserialize::<_, Spec>(&object.spec) {
        Ok(spec) => whole(metadata, spec).map_err(|error| refused::<K>(&name, error.path, error.problem)),
        Err(error) => {
            // A single dot stands for the specification itself.
            let path = format!("spec.{}", error.path()).trim_end_matches('.').to_owned();
            Err(refused::<K>(&name, path, error.inner().to_string()))
        }
    };
    (name, read.map(Arc::new))
}

fn name(metadata: &ObjectMeta) -> String {
    metadata.name.clone().unwrap_or_default()
}

fn refused<K: Resource<DynamicType = ()>>(name: &str, field: String, message: String) -> Problem {
    let object = format!("{} {name}", K::kind(&()));
    Problem { severity: Severity::Refused, file: PathBuf::new(), line: None, object, field, message }
}

/// What is to be said of a policy whose component cannot be had here.
fn unserved(name: &str, policy: &SpiderPolicy) -> Option<Problem> {
    let (field, source) = match &policy.spec.source {
        PolicySource::File(_) => return None,
        PolicySource::ConfigMap(_) => ("configMap", "a ConfigMap"),
        PolicySource::Oci(_) => ("oci", "a registry"),
    };
    Some(Problem {
        severity: Severity::Note,
        file: PathBuf::new(),
        line: None,
        object: format!("SpiderPolicy {name}"),
        field: format!("spec.source.{field}"),
        message: format!("is kept but has no effect: in a cluster, policies from {source} are not loaded yet"),
    })
}

#[cfg(test)]
mod tests;
