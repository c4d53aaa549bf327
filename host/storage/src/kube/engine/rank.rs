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
    let mut is_told = false;
    loop {
        let pause = match bounded(nodes.names()).await {
            Ok(names) => {
                *shared.liking.lock() = Liking::among(&shared.config.node, &names);
                is_told = false;
                CURRENT
            }
            Err(error) => {
                if !is_told {
                    tracing::warn!(
                        %error,
                        "nodes cannot be listed: agents that fill a pool together may want the same addresses and be slower; \
                         if this lasts, see that the agent's account may list nodes"
                    );
                }
                is_told = true;
                AGAIN
            }
        };
        sleep(pause).await;
    }
}
