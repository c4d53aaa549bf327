//! How long a watch that failed waits before it is tried again.

use std::time::Duration;

use backon::ExponentialBuilder;
use kube::runtime::utils::ResetTimerBackoff;
use kube::runtime::watcher::ExponentialBackoff;

/// The first wait.
const FIRST: Duration = Duration::from_millis(800);
/// The longest wait. A watch that waits is blind, and DELs leave addresses with pods that are not seen to be gone; the half
/// minute of client-go would keep them for as long after every time in which the API server came and went.
const LONGEST: Duration = Duration::from_secs(5);
/// For how long a watch must not have failed to begin with the first wait again.
const CALM: Duration = Duration::from_secs(60);

pub(super) type Waits = ResetTimerBackoff<ExponentialBackoff>;

/// Doubled each time, for ever. Up to as much again is added by chance, so that the nodes of a cluster do not come together.
pub(super) fn waits() -> Waits {
    let doubled = ExponentialBuilder::new().with_min_delay(FIRST).with_max_delay(LONGEST).with_factor(2.0);
    ResetTimerBackoff::new(doubled.with_jitter().without_max_times().into(), CALM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_watch_is_tried_again_for_ever_and_never_blind_for_long() {
        let waits: Vec<_> = waits().take(1000).collect();
        assert_eq!(waits.len(), 1000);
        assert!(waits[0] < FIRST * 2, "{waits:?}");
        assert!(waits.iter().all(|&wait| wait >= FIRST && wait <= LONGEST * 2), "{waits:?}");
    }
}
