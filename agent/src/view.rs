//! What is known at one moment, in the shape of decisions.

use std::sync::Arc;

use spiderpool_runtime::PoolIndex;
use spiderpool_storage::catalog::Catalog;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// What is known at one moment. Never changed: a new one takes its place.
pub(crate) struct View {
    /// The objects.
    pub catalog: Arc<Catalog>,
    /// The pools in the shape of decisions.
    pub pools: Arc<PoolIndex>,
}

/// Turns each catalog into a view, and says what is wrong with objects, until `stop`.
pub(crate) fn follow(
    mut catalogs: watch::Receiver<Arc<Catalog>>,
    stop: CancellationToken,
) -> watch::Receiver<Arc<View>> {
    let mut last = View::of(Arc::clone(&catalogs.borrow_and_update()));
    let (sender, receiver) = watch::channel(Arc::clone(&last));
    tokio::spawn(async move {
        while let Some(Ok(())) = stop.run_until_cancelled(catalogs.changed()).await {
            last = last.next(Arc::clone(&catalogs.borrow_and_update()));
            sender.send_replace(Arc::clone(&last));
        }
    });
    receiver
}

impl View {
    fn of(catalog: Arc<Catalog>) -> Arc<Self> {
        for problem in &catalog.problems {
            warn!("{problem}");
        }
        info!(pools = catalog.pools.len(), problems = catalog.problems.len(), "objects read");
        let pools = catalog.pools.values().map(|pool| (&*pool.object, pool.space.usable.clone()));
        let pools = Arc::new(PoolIndex::new(pools));
        Arc::new(Self { catalog, pools })
    }

    /// The view after this one. Catalogs change with every pod that comes and goes; pools change rarely.
    fn next(&self, catalog: Arc<Catalog>) -> Arc<Self> {
        if Arc::ptr_eq(&catalog.pools, &self.catalog.pools) && catalog.problems == self.catalog.problems {
            return Arc::new(Self { catalog, pools: Arc::clone(&self.pools) });
        }
        Self::of(catalog)
    }
}
