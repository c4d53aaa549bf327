//! ADDs under way, so that a DEL which overtakes one is not lost.
//!
//! A runtime that gives up waiting sends DEL while its ADD may still be at work. The DEL finds nothing to free; without
//! this note the ADD would then take an address that nobody gives back.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use parking_lot::Mutex;

/// A sandbox's interface.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Attachment {
    /// The sandbox's id.
    pub container: String,
    /// The interface's name.
    pub interface: String,
}

/// The ADDs that have begun and not ended.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Mutex<HashMap<Attachment, Adds>>);

#[derive(Debug, Default)]
struct Adds {
    count: usize,
    deleted: bool,
}

impl InFlight {
    /// Notes that an ADD has begun.
    #[must_use]
    pub(crate) fn begin(&self, attachment: Attachment) -> Add<'_> {
        let mut adds = self.0.lock();
        let entry = adds.entry(attachment.clone()).or_default();
        entry.count += 1;
        // What was deleted before this ADD began does not concern it.
        entry.deleted = entry.deleted && entry.count > 1;
        Add { all: self, attachment }
    }

    /// Notes that the attachment is deleted: ADDs of it that are under way are void.
    pub(crate) fn delete(&self, attachment: &Attachment) {
        if let Some(adds) = self.0.lock().get_mut(attachment) {
            adds.deleted = true;
        }
    }
}

/// An ADD under way; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Add<'a> {
    all: &'a InFlight,
    attachment: Attachment,
}

impl Add<'_> {
    /// Whether a DEL came meanwhile.
    #[must_use]
    pub(crate) fn is_void(&self) -> bool {
        self.all.0.lock().get(&self.attachment).is_some_and(|adds| adds.deleted)
    }
}

impl Drop for Add<'_> {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = self.all.0.lock().entry(self.attachment.clone()) {
            entry.get_mut().count -= 1;
            if entry.get().count == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eth0() -> Attachment {
        Attachment { container: "c1".into(), interface: "eth0".into() }
    }

    #[test]
    fn a_del_voids_the_adds_under_way_and_no_later_ones() {
        let all = InFlight::default();
        let first = all.begin(eth0());
        let other = all.begin(Attachment { interface: "net1".into(), ..eth0() });
        all.delete(&eth0());
        assert!(first.is_void());
        assert!(!other.is_void());
        drop(first);
        assert!(!all.begin(eth0()).is_void());
    }

    #[test]
    fn nothing_stays_behind() {
        let all = InFlight::default();
        all.delete(&eth0());
        drop((all.begin(eth0()), all.begin(eth0())));
        assert!(all.0.lock().is_empty());
    }
}
