//! Pods of a cluster: from what is watched, and from the API server itself where that lags behind.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::api::GetParams;
use kube::core::Request;
use kube::{Client, Resource as _};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::lean::LeanPod;
use super::owners::Owners;
use crate::BoxFuture;
use crate::catalog::{Catalog, Dead, KnownPod, LookupError, NamespacedName, Pods};
use crate::kube::client::Requests;

/// How many deleted pods are remembered: those of a full node, and as many again.
const REMEMBERED: usize = 512;

/// The pods of a node, by name.
type Watched = BTreeMap<NamespacedName, Arc<Pod>>;

/// The pods of a cluster.
pub(super) struct ClusterPods {
    catalog: watch::Receiver<Arc<Catalog>>,
    /// Those that were deleted, the latest last: what their annotations say of addresses counts after their end, and DEL may
    /// come later than that.
    deleted: Mutex<VecDeque<Arc<Pod>>>,
    requests: Requests,
    owners: Owners,
}

impl ClusterPods {
    pub(super) fn new(client: Client, catalog: watch::Receiver<Arc<Catalog>>) -> Self {
        let requests = Requests::new(client);
        Self { catalog, deleted: Mutex::default(), owners: Owners::new(requests.clone()), requests }
    }

    /// Remembers those that are there no longer.
    pub(super) fn remember_deleted(&self, before: &Watched, now: &Watched) {
        let stays = |name, pod: &Pod| now.get(name).is_some_and(|other| other.metadata.uid == pod.metadata.uid);
        let mut deleted = self.deleted.lock();
        deleted.extend(before.iter().filter(|(name, pod)| !stays(name, pod)).map(|(_, pod)| Arc::clone(pod)));
        let surplus = deleted.len().saturating_sub(REMEMBERED);
        deleted.drain(..surplus);
    }

    async fn look(&self, namespace: &str, name: &str, uid: &str) -> Result<Option<KnownPod>, LookupError> {
        let is_asked_for = |pod: &Pod| uid.is_empty() || pod.metadata.uid.as_deref() == Some(uid);
        let key = NamespacedName { namespace: namespace.to_owned(), name: name.to_owned() };
        let watched = self.catalog.borrow().pods.get(&key).map(Arc::clone);
        let known = watched.filter(|pod| is_asked_for(pod)).map(|pod| (KnownPod::new(&pod, Vec::new()), pod));
        // Asked without a uid, a dead one may be the predecessor of the one that is meant.
        let (known, pod) = match known.filter(|(known, _)| !uid.is_empty() || known.dead.is_none()) {
            Some(found) => found,
            None => match self.read(namespace, name).await?.filter(is_asked_for) {
                Some(pod) => (KnownPod::new(&pod, Vec::new()), Arc::new(pod)),
                None => return Ok(None),
            },
        };
        let owners = self.owners.of(&pod.metadata).await?;
        Ok(Some(KnownPod { owners, ..known }))
    }

    /// Asks the API server.
    async fn read(&self, namespace: &str, name: &str) -> Result<Option<Pod>, LookupError> {
        let request = Request::new(Pod::url_path(&(), Some(namespace))).get(name, &GetParams::default());
        match self.requests.read::<LeanPod>(request).await {
            Ok(pod) => Ok(Some(pod.into())),
            Err(failure) if failure.is_absent() => Ok(None),
            Err(failure) => {
                let what = format!("Pod {namespace}/{name}");
                Err(LookupError { cause: failure.about(&what), what })
            }
        }
    }
}

impl Pods for ClusterPods {
    fn seen(&self, namespace: &str, name: &str, uid: &str) -> Option<KnownPod> {
        let pods = Arc::clone(&self.catalog.borrow().pods);
        let is_it = |pod: &&Arc<Pod>| pod.metadata.uid.as_deref() == Some(uid);
        let key = NamespacedName { namespace: namespace.to_owned(), name: name.to_owned() };
        let known = |pod: &Pod| KnownPod::new(pod, self.owners.seen(&pod.metadata));
        match pods.get(&key).filter(is_it).or_else(|| pods.values().find(is_it)) {
            Some(pod) => Some(known(pod)),
            None => {
                let deleted = self.deleted.lock().iter().find(is_it).map(Arc::clone)?;
                Some(KnownPod { dead: Some(Dead::Deleted), ..known(&deleted) })
            }
        }
    }

    fn find<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        uid: &'a str,
    ) -> BoxFuture<'a, Result<Option<KnownPod>, LookupError>> {
        Box::pin(self.look(namespace, name, uid))
    }
}
