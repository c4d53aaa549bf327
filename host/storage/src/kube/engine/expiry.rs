//! Gives back what was kept for pods of this node long enough, without anybody asking.
//!
//! A change that frees an address names the end with which it was seen: whoever asked for it again or inherited it meanwhile
//! has made it another, and keeps it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::give_back::end;
use super::retry::BUDGET;
use super::shared::Shared;

/// How many are given back at once: some blocks' worth, so that requests find their way between.
const AT_ONCE: usize = 64;
/// How long the end of an address may be overslept: clocks are set, a wait cannot follow them, and what another agent kept
/// for a pod of this node is met when its block is read. Also the wait after a failure.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// Works until the ledger is dropped.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        let now = (shared.config.clock)();
        let (ended, next) = shared.memory.lock().held.ended(now, AT_ONCE);
        if !ended.is_empty() {
            let given = end(&shared, &ended, None, Instant::now() + BUDGET).await;
            shared.recorder.note(ended.iter().map(|held| held.holder.clone().into()));
            match given {
                Ok(given) if given.len() == ended.len() => continue,
                // Somebody has it again, and memory knows.
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "addresses whose end has come are not given back; trying on"),
            }
        }
        let left = next.map(|next| next.duration_since(now).unwrap_or(LONGEST_SLEEP));
        let sleep = left.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP);
        let _ = tokio::time::timeout(sleep, shared.ends.notified()).await;
    }
}
