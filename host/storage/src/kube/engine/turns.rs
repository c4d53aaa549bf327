//! Requests of one pod come one after the other; those of different pods do not wait for each other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Who is served, and who waits behind, by uid. As many entries as requests are running.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<BTreeMap<String, VecDeque<oneshot::Sender<Turn>>>>);

/// The right to serve a uid. Passed on when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    uid: String,
}

impl Turns {
    /// Waits until all requests for the uid that came before are done.
    pub(super) async fn of(self: &Arc<Self>, uid: &str) -> Turn {
        let mine = || Turn { turns: Arc::clone(self), uid: uid.to_owned() };
        let waiting = {
            let mut turns = self.0.lock();
            match turns.get_mut(uid) {
                None => {
                    turns.insert(uid.to_owned(), VecDeque::new());
                    None
                }
                Some(queue) => {
                    let (pass, turn) = oneshot::channel();
                    queue.push_back(pass);
                    Some(turn)
                }
            }
        };
        match waiting {
            None => mine(),
            // Passing on never fails while this waits.
            Some(turn) => turn.await.unwrap_or_else(|_| mine()),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut turns = self.turns.0.lock();
            let next = turns.get_mut(&self.uid).and_then(VecDeque::pop_front);
            if next.is_none() {
                turns.remove(&self.uid);
            }
            next
        };
        if let Some(next) = next {
            // Should it have given up, what comes back is dropped, and passed on again.
            let _ = next.send(Turn { turns: Arc::clone(&self.turns), uid: std::mem::take(&mut self.uid) });
        }
    }
}
