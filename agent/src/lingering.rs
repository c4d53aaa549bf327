//! What DELs left with pods for reasons that may soon be none: the pod lived on, or nobody could look at its controllers.
//!
//! The runtime does not call again, so the agent asks again by itself: once a pod does not live any more, and now and then
//! about what could not be looked at. What an agent that ends leaves here is for the scan for pods that are gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use spiderpool_runtime::types::PodState;
use spiderpool_storage::Holder;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::agent::Agent;
use crate::in_flight::Attachment;

/// How often it is looked whether pods still live; from memory.
const LOOK: Duration = Duration::from_millis(200);
/// How often is asked about what could not be looked at.
const AGAIN: Duration = Duration::from_secs(10);

/// Why addresses are kept that may have to be given back without a further DEL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Because {
    /// The pod lives, and may get another sandbox.
    Alive,
    /// Something could not be looked at, or no policy answered.
    Unseen,
}

/// The attachments that were deleted and hold addresses still. There are at most as many as addresses are held.
#[derive(Debug, Default)]
pub(crate) struct Lingering(Mutex<BTreeMap<Attachment, Left>>);

#[derive(Clone, Debug)]
struct Left {
    holder: Holder,
    because: Because,
    asked: Instant,
}

impl Lingering {
    /// Notes that the attachment's addresses are with their pod still.
    pub(crate) fn note(&self, attachment: Attachment, holder: &Holder, because: Because) {
        let left = Left { holder: holder.clone(), because, asked: Instant::now() };
        self.0.lock().insert(attachment, left);
    }

    /// Whether the attachment was left with its pod by an earlier answer.
    pub(crate) fn has(&self, attachment: &Attachment) -> bool {
        self.0.lock().contains_key(attachment)
    }

    /// Notes that nothing of the attachment is to be asked about any more.
    pub(crate) fn forget(&self, attachment: &Attachment) {
        self.0.lock().remove(attachment);
    }

    /// Forgets what was asked about at `asked`, unless it was left again since.
    fn settle(&self, attachment: &Attachment, asked: Instant) {
        let mut left = self.0.lock();
        if left.get(attachment).is_some_and(|left| left.asked == asked) {
            left.remove(attachment);
        }
    }

    fn all(&self) -> Vec<(Attachment, Left)> {
        self.0.lock().iter().map(|(attachment, left)| (attachment.clone(), left.clone())).collect()
    }
}

impl Agent {
    /// Asks again about what DELs left, until `stop`.
    pub(crate) async fn follow_lingering(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            for (attachment, left) in self.lingering.all() {
                if !self.is_due(&left) {
                    continue;
                }
                match self.release_of(&attachment, &left.holder).await {
                    Ok(()) => self.lingering.settle(&attachment, left.asked),
                    Err(failure) => {
                        debug!(pod = %left.holder, "what a DEL left is asked about again later: {}", failure.message);
                        self.lingering.note(attachment, &left.holder, Because::Unseen);
                    }
                }
            }
        }
    }

    fn is_due(&self, Left { holder, because, asked }: &Left) -> bool {
        match because {
            Because::Unseen => asked.elapsed() >= AGAIN,
            Because::Alive => {
                self.surroundings.seen(&holder.namespace, &holder.pod, &holder.uid).state != PodState::Alive
            }
        }
    }
}
