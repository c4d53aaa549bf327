//! The sandbox holds: whatever a component does or is, the error names it and the next call works.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod built;
mod cache;
mod crowd;
mod deciding;
mod folder;
mod guest;
mod loading;
mod misbehaving;
mod place;
mod retaining;
mod swapping;
