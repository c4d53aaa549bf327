//! Where an agent works: what differs between one machine and a cluster, and nothing else.

use spiderpool_storage::catalog::{Catalog, Controllers};
use spiderpool_storage::{BoxFuture, Holder};

use crate::departure::Seen;
use crate::failure::Failure;
use crate::pod::{Asker, Claim};

/// Who knows the pods, and who is told of refusals.
pub(crate) trait Surroundings: Send + Sync {
    /// Finds out who asks.
    ///
    /// # Errors
    /// The pod gets no address whatever the pools are: it does not live any more, is unknown where it should be known, or
    /// nobody can tell now.
    fn asker<'a>(&'a self, claim: Claim<'a>, catalog: &'a Catalog) -> BoxFuture<'a, Result<Asker, Failure>>;

    /// What is known of a pod without asking anybody. The name may be that of its virtual machine.
    fn seen(&self, namespace: &str, name: &str, uid: &str) -> Seen;

    /// Who knows the controllers.
    fn controllers(&self) -> &dyn Controllers;

    /// Tells whoever looks at the pod why it got no addresses. Never waits.
    fn refused(&self, pod: &Holder, failure: &Failure);

    /// What keeps every request from being served now, if anything does.
    fn trouble(&self) -> Option<String>;
}
