//! Controllers of kinds of which there are many, as they were a little while ago: one list for all of a namespace.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, VersionMatch};
use kube::core::Request;
use kube::{Client, Resource as _};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::Instant;

use crate::catalog::{Finding, FoundController};
use crate::kube::client::Requests;

/// For how long a list tells what there is.
const GOOD: Duration = Duration::from_secs(30);
/// For how long it tells what there is not, or that it could not be had: a controller may be younger than the list.
const COMPLETE: Duration = Duration::from_secs(1);
/// What kubectl keeps of a whole object in its annotations.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The lists.
pub(super) struct Lately {
    requests: Requests,
    lists: Mutex<HashMap<Key, Place>>,
}

type Place = Arc<tokio::sync::Mutex<Option<List>>>;

/// Namespace, version and kind.
type Key = (String, String, String);

struct List {
    begun: Instant,
    /// By name, or why they could not be listed.
    controllers: Result<BTreeMap<String, FoundController>, String>,
}

#[derive(Deserialize)]
struct Objects {
    items: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    metadata: ObjectMeta,
}

impl Lately {
    pub(super) fn new(client: Client) -> Self {
        Self { requests: Requests::new(client), lists: Mutex::default() }
    }

    /// The controller, by a list of at most [`GOOD`]. Whoever asks at the same time waits for the same list.
    pub(super) async fn find(&self, namespace: &str, owner: &OwnerReference) -> Finding {
        let OwnerReference { api_version, kind, name, .. } = owner;
        let key = (namespace.to_owned(), api_version.clone(), kind.clone());
        let list = self.place(key);
        let mut list = list.lock().await;
        if let Some(finding) = list.as_ref().and_then(|list| list.find(name)) {
            return finding;
        }
        let begun = Instant::now();
        let controllers = self.list(namespace, api_version, kind).await;
        list.insert(List { begun, controllers }).look(name)
    }

    /// Where the list is kept. Those that nobody asked for lately are forgotten.
    fn place(&self, key: Key) -> Place {
        let mut lists = self.lists.lock();
        if !lists.contains_key(&key) {
            let is_good = |list: &Option<List>| list.as_ref().is_some_and(|list| list.begun.elapsed() < GOOD);
            lists.retain(|_, list| Arc::strong_count(list) > 1 || list.try_lock().is_ok_and(|list| is_good(&list)));
        }
        Arc::clone(lists.entry(key).or_default())
    }

    async fn list(
        &self,
        namespace: &str,
        api_version: &str,
        kind: &str,
    ) -> Result<BTreeMap<String, FoundController>, String> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        // From the API server's memory: etcd is not asked.
        let params = ListParams::default().matching(VersionMatch::NotOlderThan).at("0");
        let request = Request::new(DynamicObject::url_path(&resource, Some(namespace))).list_metadata(&params);
        let found = self.requests.read::<Objects>(request).await;
        let found = found.map_err(|failure| failure.about(format!("{kind}s of {namespace}")).to_string())?;
        let controllers = found.items.into_iter().map(|Object { mut metadata }| {
            metadata.annotations.as_mut().map(|annotations| annotations.remove(LAST_APPLIED));
            (metadata.name.clone().unwrap_or_default(), FoundController::new(metadata))
        });
        Ok(controllers.collect())
    }
}

impl List {
    fn look(&self, name: &str) -> Finding {
        match &self.controllers {
            Ok(controllers) => {
                controllers.get(name).map_or(Finding::Missing, |found| Finding::Found(Box::new(found.clone())))
            }
            Err(why) => Finding::Unknown(why.clone()),
        }
    }

    /// What the list tells still.
    fn find(&self, name: &str) -> Option<Finding> {
        let finding = self.look(name);
        let lasts = if matches!(finding, Finding::Found(_)) { GOOD } else { COMPLETE };
        (self.begun.elapsed() < lasts).then_some(finding)
    }
}
