//! Keeps this node's place among those of the cluster current, by which it has its share of every pool.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::share::Liking;
use super::shared::{Shared, bounded};

/// How long a place is good for. Nodes that count differently meet more often, and nothing worse.
const CURRENT: Duration = Duration::from_secs(3600);
/// The wait after a failure.
const AGAIN: Duration = Duration::from_secs(60);

/// Works until the ledger is dropped.
pub(super) async fn run(shared: Arc<Shared>) {
    let Some(nodes) = &shared.config.nodes else { return };
    loop {
        let pause = match bounded(nodes.names()).await {
            Ok(names) => {
                *shared.liking.lock() = Liking::among(&shared.config.node, &names);
                CURRENT
            }
            Err(error) => {
                tracing::debug!(%error, "nodes cannot be listed; shares of pools stay as they were");
                AGAIN
            }
        };
        sleep(pause).await;
    }
}
