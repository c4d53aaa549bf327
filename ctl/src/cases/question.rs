//! A case, read and checked: what is asked about, and what is expected.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Map, Value};
use spiderpool_ip::{Family, IpRange, IpSet};
use spiderpool_runtime::Departure;

use super::CaseError;
use super::departure::departure;
use super::expectation::{PlacementExpectation, ProblemExpectation, RetentionExpectation, ReviewExpectation};
use super::format::{Cluster, Cni, Moment, Operation, RawCase, RawReview};
use super::manifest::{self, Objects};

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name, once in a file.
    pub name: String,
    /// Where it stands in its file, from 1.
    pub line: u64,
    /// Settings of the policy for this case alone.
    pub settings: Option<Map<String, Value>>,
    /// What is asked and expected.
    pub question: Question,
}

/// What a case is about.
#[derive(Clone, Debug)]
pub enum Question {
    /// Which addresses may a pod get?
    Placement(Box<Placement>, PlacementExpectation),
    /// What becomes of a pod's addresses?
    Departure(Box<Departure>, RetentionExpectation),
    /// May an object be?
    Review(Box<Review>, ReviewExpectation),
    /// The policy does not take its settings, for these problems.
    Settings(Vec<ProblemExpectation>),
}

/// A pod that asks for addresses, and all that bears on the answer.
#[derive(Clone, Debug)]
pub struct Placement {
    pub(super) pod: Pod,
    pub(super) interface: String,
    pub(super) cni: Cni,
    pub(super) masters: BTreeMap<String, Vec<IpAddr>>,
    pub(super) moment: Moment,
    pub(super) scene: Scene,
}

/// An object that somebody wants to create, change or delete, and all that bears on the answer.
#[derive(Clone, Debug)]
pub struct Review {
    pub(super) operation: Operation,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) object: Value,
    pub(super) old: Option<Value>,
    pub(super) scene: Scene,
}

/// What surrounds a question.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) cluster: Cluster,
    pub(super) objects: Objects,
    /// The addresses that are held, by pool.
    pub(super) used: BTreeMap<String, IpSet>,
    /// The addresses of each pool that are neither excluded nor reserved.
    pub(super) usable: BTreeMap<String, IpSet>,
}

impl Case {
    pub(super) fn read(
        path: &Path,
        line: u64,
        raw: RawCase,
        cluster: &Cluster,
        shared: &Objects,
    ) -> Result<Self, CaseError> {
        let name = raw.name;
        let at = |line: u64, problem: String| CaseError::new(path, line, format!("case {name:?}: {problem}"));
        let objects = shared.with(path, raw.objects)?;
        let cluster = raw.cluster.unwrap_or_else(|| cluster.clone());
        let scene = Scene::new(cluster, objects, &raw.used).map_err(|problem| at(line, problem))?;
        let expect_line = raw.expect.referenced.line();
        let expected = raw.expect.value;
        if raw.event.is_none() && !(raw.owners.is_empty() && raw.pod_state.is_none() && raw.migration.is_none()) {
            return Err(at(line, "`owners`, `podState` and `migration` are for an `event`; write one".to_owned()));
        }
        let question = match (raw.pod, raw.review) {
            (Some(pod), None) => {
                let pod_line = pod.referenced.line();
                let placement = Placement {
                    pod: manifest::pod(&pod.value).map_err(|problem| at(pod_line, problem))?,
                    interface: raw.interface.unwrap_or_else(|| "eth0".to_owned()),
                    cni: raw.cni.unwrap_or_default(),
                    masters: raw.masters,
                    moment: raw.moment,
                    scene,
                };
                if let Some(event) = raw.event {
                    let departure = departure(&placement, event, raw.owners, raw.pod_state, raw.migration)
                        .map_err(|problem| at(pod_line, problem))?;
                    let expectation = expected.of_departure().map_err(|problem| at(expect_line, problem))?;
                    Question::Departure(Box::new(departure), expectation)
                } else {
                    let expectation = expected.of_placement().map_err(|problem| at(expect_line, problem))?;
                    Question::Placement(Box::new(placement), expectation)
                }
            }
            (None, _) if raw.event.is_some() => {
                return Err(at(line, "an `event` happens to a `pod`; write one".to_owned()));
            }
            (None, Some(review)) => {
                let review = Review::new(review, scene).map_err(|problem| at(line, problem))?;
                let expectation = expected.of_review().map_err(|problem| at(expect_line, problem))?;
                Question::Review(Box::new(review), expectation)
            }
            (None, None) => Question::Settings(expected.of_settings().map_err(|problem| at(expect_line, problem))?),
            (Some(_), Some(_)) => {
                return Err(at(line, "`pod` and `review` are two questions; make two cases of them".to_owned()));
            }
        };
        Ok(Self { name, line, settings: raw.settings, question })
    }
}

impl Review {
    fn new(raw: RawReview, scene: Scene) -> Result<Self, String> {
        let RawReview { operation, object, old } = raw;
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        if kind.is_empty() || name.is_empty() {
            return Err("review.object needs `kind` and `metadata.name`".to_owned());
        }
        match (operation, &old) {
            (Operation::Update, None) => Err("an update needs `review.old`, the object as it was".to_owned()),
            (Operation::Create | Operation::Delete, Some(_)) => Err("`review.old` is only for an update".to_owned()),
            _ => Ok(Self { operation, kind, name, object, old, scene }),
        }
    }
}

impl Scene {
    fn new(cluster: Cluster, objects: Objects, used: &BTreeMap<String, Vec<IpRange>>) -> Result<Self, String> {
        let mut usable = BTreeMap::new();
        for (name, pool) in &objects.pools {
            let of_pool = |error| format!("pool {name}: {error}");
            pool.spec.cidr().map_err(of_pool)?;
            let space = pool.spec.space().map_err(of_pool)?;
            let reserved = objects.reserved(space.family())?;
            usable.insert(name.clone(), space.minus(&reserved));
        }
        for (name, subnet) in &objects.subnets {
            let of_subnet = |error| format!("subnet {name}: {error}");
            subnet.spec.cidr().map_err(of_subnet)?;
            subnet.spec.space().map_err(of_subnet)?;
        }
        let mut held = BTreeMap::new();
        for (name, ranges) in used {
            let of_pool = |problem: &dyn std::fmt::Display| format!("used: pool {name} {problem}");
            let pool = objects.pools.get(name).ok_or_else(|| of_pool(&"is not among the objects"))?;
            let space = pool.spec.space().map_err(|error| of_pool(&error))?;
            let set = IpSet::from_ranges(space.family(), ranges.iter().copied()).map_err(|error| of_pool(&error))?;
            if !set.is_subset(&space) {
                return Err(of_pool(&format!("does not have {}; it has {space}", set.minus(&space))));
            }
            held.insert(name.clone(), set);
        }
        Ok(Self { cluster, objects, used: held, usable })
    }
}

impl Objects {
    /// The addresses that no pool gives out.
    pub(super) fn reserved(&self, family: Family) -> Result<IpSet, String> {
        self.reserved.iter().try_fold(IpSet::empty(family), |all, (name, object)| {
            let of_object = |error: &dyn std::fmt::Display| format!("reserved IPs {name}: {error}");
            let space = object.spec.space(family).map_err(|error| of_object(&error))?;
            all.union(&space).map_err(|error| of_object(&error))
        })
    }
}
