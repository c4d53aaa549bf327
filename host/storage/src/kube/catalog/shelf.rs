//! The objects of one kind, as a watch tells of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::runtime::watcher::Event;

/// The objects of one kind by key.
pub(super) struct Shelf<Key, T> {
    objects: Arc<BTreeMap<Key, T>>,
    /// What a list that is under way has told so far.
    coming: Option<BTreeMap<Key, T>>,
    /// Whether a list was ever complete.
    pub(super) read: bool,
}

impl<Key, T> Default for Shelf<Key, T> {
    fn default() -> Self {
        Self { objects: Arc::default(), coming: None, read: false }
    }
}

impl<Key: Ord + Clone, T: Clone + PartialEq> Shelf<Key, T> {
    /// What is there now. Shared until something changes.
    pub(super) fn objects(&self) -> Arc<BTreeMap<Key, T>> {
        Arc::clone(&self.objects)
    }

    /// Follows the watch. Answers whether anything that may be seen has changed.
    pub(super) fn hear<K>(&mut self, event: Event<K>, of: impl Fn(K) -> (Key, T)) -> bool {
        match event {
            Event::Init => {
                self.coming = Some(BTreeMap::new());
                false
            }
            Event::InitApply(object) => {
                let (key, object) = of(object);
                self.coming.get_or_insert_default().insert(key, object);
                false
            }
            Event::InitDone => {
                let objects = self.coming.take().unwrap_or_default();
                let changed = !self.read || *self.objects != objects;
                self.read = true;
                if changed {
                    self.objects = Arc::new(objects);
                }
                changed
            }
            Event::Apply(object) => {
                let (key, object) = of(object);
                let changed = self.objects.get(&key) != Some(&object);
                if changed {
                    Arc::make_mut(&mut self.objects).insert(key, object);
                }
                changed
            }
            Event::Delete(object) => {
                let (key, _) = of(object);
                let known = self.objects.contains_key(&key);
                if known {
                    Arc::make_mut(&mut self.objects).remove(&key);
                }
                known
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_stays_until_a_new_list_is_complete() {
        let mut shelf = Shelf::<&str, u32>::default();
        let mut hear = |event| {
            let changed = shelf.hear(event, |pair: (&'static str, u32)| pair);
            (changed, shelf.read, shelf.objects().iter().map(|(key, value)| (*key, *value)).collect::<Vec<_>>())
        };
        assert_eq!(hear(Event::Init), (false, false, vec![]));
        assert_eq!(hear(Event::InitApply(("a", 1))), (false, false, vec![]));
        assert_eq!(hear(Event::InitDone), (true, true, vec![("a", 1)]));
        assert_eq!(hear(Event::Apply(("b", 2))), (true, true, vec![("a", 1), ("b", 2)]));
        assert_eq!(hear(Event::Apply(("b", 2))), (false, true, vec![("a", 1), ("b", 2)]));
        // The connection was lost, and `a` was deleted meanwhile.
        assert_eq!(hear(Event::Init), (false, true, vec![("a", 1), ("b", 2)]));
        assert_eq!(hear(Event::InitApply(("b", 2))), (false, true, vec![("a", 1), ("b", 2)]));
        assert_eq!(hear(Event::InitDone), (true, true, vec![("b", 2)]));
        assert_eq!(hear(Event::Delete(("b", 2))), (true, true, vec![]));
        assert_eq!(hear(Event::Delete(("b", 2))), (false, true, vec![]));
    }

    #[test]
    fn an_empty_kind_is_read_too() {
        let mut shelf = Shelf::<&str, u32>::default();
        assert!(!shelf.hear(Event::Init, |pair: (&'static str, u32)| pair));
        assert!(shelf.hear(Event::InitDone, |pair: (&'static str, u32)| pair));
    }
}
