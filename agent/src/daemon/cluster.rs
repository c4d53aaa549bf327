//! The cluster around an agent: pods are objects, and people look at them there.

use std::sync::Arc;

use spiderpool_runtime::types::PodState;
use spiderpool_storage::catalog::{Catalog, Controllers, KnownPod, Pods};
use spiderpool_storage::kube::ClusterCatalog;
use spiderpool_storage::{BoxFuture, Holder};
use spiderpool_wire::ErrorCode;

use super::api_server::ApiServer;
use crate::departure::{self, Seen};
use crate::events::Events;
use crate::failure::Failure;
use crate::pod::{Asker, Claim};
use crate::surroundings::Surroundings;

/// On the object that stands for a static pod in the API server: the uid by which the kubelet calls the pod.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Where pods of a cluster are known.
pub(super) struct Cluster {
    pub(super) catalog: ClusterCatalog,
    pub(super) pods: Arc<dyn Pods>,
    pub(super) controllers: Arc<dyn Controllers>,
    pub(super) server: ApiServer,
    pub(super) events: Events,
    /// The node that the agent serves.
    pub(super) node: String,
}

impl Surroundings for Cluster {
    /// The pod's uid is that of its object, also where the runtime does not tell it.
    fn asker<'a>(&'a self, claim: Claim<'a>, catalog: &'a Catalog) -> BoxFuture<'a, Result<Asker, Failure>> {
        Box::pin(async move {
            let known = self.find(claim).await?;
            let uid = known.uid.clone();
            let asker = self.at_home(claim, &known).and_then(|()| Asker::new(claim, &uid, known, catalog));
            asker.inspect_err(|failure| {
                let pod = Holder { namespace: claim.namespace.into(), pod: claim.name.into(), uid };
                self.refused(&pod, failure);
            })
        })
    }

    /// Of a pod that is not seen, one that is gone and one that is too new for the watch look alike.
    fn seen(&self, namespace: &str, name: &str, uid: &str) -> Seen {
        let pod = self.pods.seen(namespace, name, uid);
        let state = match &pod {
            None => PodState::Unknown,
            Some(KnownPod { dead: None, .. }) => PodState::Alive,
            Some(KnownPod { dead: Some(dead), .. }) => departure::state_of_dead(*dead),
        };
        Seen { pod, state }
    }

    fn controllers(&self) -> &dyn Controllers {
        self.controllers.as_ref()
    }

    fn refused(&self, pod: &Holder, failure: &Failure) {
        self.events.refused(pod, failure);
    }

    fn trouble(&self) -> Option<String> {
        self.server.trouble().or_else(|| {
            let failing = self.catalog.freshness().failing?;
            Some(format!("what is known of the cluster may be old: {failing}"))
        })
    }
}

impl Cluster {
    async fn find(&self, claim: Claim<'_>) -> Result<KnownPod, Failure> {
        let Claim { namespace, name, uid, .. } = claim;
        if let Some(known) = self.pods.find(namespace, name, uid).await? {
            return Ok(known);
        }
        // The kubelet calls a static pod by the digest of its file; its object has a uid of its own.
        let mirror = |known: &KnownPod| known.annotations.get(MIRROR).is_some_and(|digest| digest == uid);
        if let Some(known) = self.pods.find(namespace, name, "").await?.filter(mirror) {
            return Ok(known);
        }
        let which = if uid.is_empty() { String::new() } else { format!(" with the uid {uid}") };
        let message = format!(
            "pod {namespace}/{name}{which} does not exist in the API server; it was deleted meanwhile, or the runtime \
             belongs to another cluster"
        );
        Err(Failure::new(ErrorCode::NotFound, message))
    }

    fn at_home(&self, claim: Claim<'_>, known: &KnownPod) -> Result<(), Failure> {
        if known.node == self.node || known.node.is_empty() {
            return Ok(());
        }
        let message = format!(
            "pod {}/{} belongs to the node {}, and this is the agent of {}; it gets no address here",
            claim.namespace, claim.name, known.node, self.node
        );
        Err(Failure::new(ErrorCode::Refused, message))
    }
}
