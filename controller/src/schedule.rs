//! Which pool is due: at once after a quiet time, and not again before a while has passed.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

/// The least time between two writes of one pool.
pub(crate) const PACE: Duration = Duration::from_millis(500);
/// The longest time between two attempts.
const LONGEST: Duration = Duration::from_secs(30);

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Done. There may be more to do.
    Done,
    /// Not done; the same again.
    Again,
    /// Not done; the same again, later each time.
    Failed,
}

/// Pools with changes that have not been written.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    pools: HashMap<String, Entry>,
    due: BTreeSet<(Instant, String)>,
}

#[derive(Debug)]
struct Entry {
    /// When the oldest change was seen that is not written.
    since: Option<Instant>,
    /// When it is queued for.
    queued: Option<Instant>,
    /// Whether it is being written.
    busy: bool,
    not_before: Instant,
    failures: u32,
}

impl Schedule {
    /// A pool, or a block of it, has changed.
    pub(crate) fn changed(&mut self, pool: &str, now: Instant) {
        let fresh = || Entry { since: None, queued: None, busy: false, not_before: now, failures: 0 };
        let entry = self.pools.entry(pool.to_owned()).or_insert_with(fresh);
        entry.since.get_or_insert(now);
        queue(&mut self.due, pool, entry, now);
    }

    /// There is no such pool any more.
    pub(crate) fn forget(&mut self, pool: &str) {
        if let Some(at) = self.pools.remove(pool).and_then(|entry| entry.queued) {
            self.due.remove(&(at, pool.to_owned()));
        }
    }

    /// When the next pool is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes a pool that is due, and since when it has waited.
    pub(crate) fn take(&mut self, now: Instant) -> Option<(String, Instant)> {
        if self.next_due()? > now {
            return None;
        }
        let (_, pool) = self.due.pop_first()?;
        let entry = self.pools.get_mut(&pool)?;
        entry.queued = None;
        entry.busy = true;
        Some((pool, entry.since.take().unwrap_or(now)))
    }

    /// A pool that was taken needed nothing.
    pub(crate) fn was_current(&mut self, pool: &str, now: Instant) {
        if let Some(entry) = self.pools.get_mut(pool) {
            entry.busy = false;
            entry.failures = 0;
            // It may have changed since it was taken.
            if entry.since.is_some() {
                queue(&mut self.due, pool, entry, now);
            }
        }
    }

    /// The attempt ended that was begun at `begun` for changes seen at `since`.
    pub(crate) fn ended(&mut self, pool: &str, since: Instant, begun: Instant, now: Instant, how: Ended) {
        let Some(entry) = self.pools.get_mut(pool) else { return };
        entry.busy = false;
        entry.not_before = begun + PACE;
        match how {
            Ended::Done => entry.failures = 0,
            Ended::Again => entry.since = Some(since),
            Ended::Failed => {
                entry.since = Some(since);
                entry.not_before = now + LONGEST.min(PACE * 2_u32.pow(entry.failures.min(6)));
                entry.failures += 1;
            }
        }
        if entry.since.is_some() {
            queue(&mut self.due, pool, entry, now);
        }
    }
}

fn queue(due: &mut BTreeSet<(Instant, String)>, pool: &str, entry: &mut Entry, now: Instant) {
    if !entry.busy && entry.queued.is_none() {
        let at = now.max(entry.not_before);
        entry.queued = Some(at);
        due.insert((at, pool.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn a_quiet_pool_is_due_at_once_and_a_busy_one_at_its_pace() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        schedule.changed("p", start);
        assert_eq!(schedule.take(start), Some(("p".to_owned(), start)));
        // While it is written it is not taken again, whatever happens.
        let second = start + MS;
        schedule.changed("p", second);
        schedule.changed("p", second + MS);
        assert_eq!(schedule.take(start + PACE * 9), None);

        schedule.ended("p", start, start, start + 5 * MS, Ended::Done);
        assert_eq!(schedule.next_due(), Some(start + PACE));
        assert_eq!(schedule.take(start + PACE), Some(("p".to_owned(), second)));
        schedule.ended("p", second, start + PACE, start + PACE + MS, Ended::Done);
        assert_eq!(schedule.next_due(), None);

        let later = start + PACE * 9;
        schedule.changed("p", later);
        assert_eq!(schedule.next_due(), Some(later));
    }

    #[tokio::test]
    async fn what_failed_comes_again_later_each_time_and_keeps_its_age() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        schedule.changed("p", start);
        let mut waits = Vec::new();
        let mut now = start;
        for _ in 0..9 {
            assert_eq!(schedule.take(now), Some(("p".to_owned(), start)));
            schedule.ended("p", start, now, now, Ended::Failed);
            let due = schedule.next_due().unwrap();
            waits.push((due - now).as_millis());
            now = due;
        }
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        schedule.take(now);
        schedule.ended("p", start, now, now, Ended::Done);
        assert_eq!(schedule.next_due(), None);
    }

    #[tokio::test]
    async fn a_pool_that_is_gone_is_not_due() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        schedule.changed("p", start);
        schedule.forget("p");
        assert_eq!((schedule.next_due(), schedule.take(start)), (None, None));
        schedule.changed("q", start);
        schedule.take(start);
        schedule.forget("q");
        schedule.ended("q", start, start, start, Ended::Again);
        assert_eq!(schedule.next_due(), None);
    }
}
