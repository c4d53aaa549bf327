use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::ethernet::Frame;

/// How often something is said, and how far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How often a frame is sent unless an answer comes first.
    pub times: NonZeroU32,
    /// From one frame to the next, and from the last question to the conclusion that nobody answers.
    pub interval: Duration,
}

impl Pace {
    /// Spiderpool's documented pace of questions: 3 tries, 100 ms for an answer to each.
    pub const PROBE: Self = Self { times: NonZeroU32::new(3).unwrap(), interval: Duration::from_millis(100) };

    /// One announcement, without waiting. RFC 5227 §2.3 has a second one two seconds later, RFC 4861 §7.2.6 up to three a
    /// second apart: longer than a pod should wait for its network.
    pub const ANNOUNCE: Self = Self { times: NonZeroU32::MIN, interval: Duration::ZERO };
}

/// What a state machine wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step<T> {
    /// Send this, then ask again.
    Send(Frame),
    /// Ask again at this time, or after something was heard.
    Wait(Instant),
    /// It is over; asking again gives the same.
    Done(T),
}

/// Counts the tries of one question.
#[derive(Debug)]
pub(crate) struct Tries {
    left: u32,
    interval: Duration,
    due: Instant,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Try,
    Wait(Instant),
    Over,
}

impl Tries {
    /// The first try is due at once.
    pub(crate) fn new(pace: Pace, now: Instant) -> Self {
        Self { left: pace.times.get(), interval: pace.interval, due: now }
    }

    pub(crate) fn turn(&mut self, now: Instant) -> Turn {
        if now < self.due {
            return Turn::Wait(self.due);
        }
        if self.left == 0 {
            return Turn::Over;
        }
        self.left -= 1;
        self.due = now + self.interval;
        Turn::Try
    }
}
