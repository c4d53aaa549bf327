//! Where an agent works: what differs between one machine and a cluster, and nothing else.

use spiderpool_storage::catalog::Catalog;
use spiderpool_storage::{BoxFuture, Holder};

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

    /// Tells whoever looks at the pod why it got no addresses. Never waits.
    fn refused(&self, pod: &Holder, failure: &Failure);

    /// What keeps every request from being served now, if anything does.
    fn trouble(&self) -> Option<String>;
}
