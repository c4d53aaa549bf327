//! Machines of one cluster, one after the other.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A cluster has one machine at a time: default pools are everybody's.
static TURN: Mutex<()> = Mutex::new(());

thread_local! {
    static HAS_TURN: Cell<bool> = const { Cell::new(false) };
}

/// A machine's turn. It stays on the thread that has it.
pub(crate) struct Turn(#[expect(dead_code, reason = "it is held")] MutexGuard<'static, ()>);

impl Turn {
    /// Waits until it is nobody else's.
    ///
    /// # Panics
    /// It is this thread's already, which would wait forever.
    pub(crate) fn wait() -> Self {
        assert!(!HAS_TURN.get(), "a cluster has one machine at a time: drop the first before there is another");
        // A test that fails leaves objects, and these are swept.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        HAS_TURN.set(true);
        Self(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        HAS_TURN.set(false);
    }
}
