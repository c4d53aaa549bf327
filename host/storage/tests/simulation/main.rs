//! The engine for clusters in thousands of worlds: two or three agents fill a pool that is too small, over an API server
//! that fails in every way that one can, and crash. A seed makes the same world again, call by call.
//!
//! `SIMULATION_SEED=N cargo test -p spiderpool-storage --test simulation` runs one seed and prints what happened.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that should not be")]
#![expect(clippy::print_stderr, reason = "a failed run says how to repeat it")]

mod calm;
mod cluster;
mod groups;
mod link;
mod marks;
mod pod;
mod promises;
mod records;
mod removed;
mod shares;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use world::run;

const SEEDS: u64 = 3000;

#[test]
fn no_address_is_doubled_and_none_is_lost_in_any_world() {
    if let Ok(seed) = std::env::var("SIMULATION_SEED") {
        run(seed.parse().unwrap());
        return;
    }
    let part = |first: u64| {
        for seed in (first..SEEDS).step_by(2) {
            let ran = catch_unwind(AssertUnwindSafe(|| run(seed)));
            if ran.is_err() {
                eprintln!("SIMULATION_SEED={seed} cargo test -p spiderpool-storage --test simulation");
            }
            assert!(ran.is_ok(), "seed {seed} found something");
        }
    };
    std::thread::scope(|scope| {
        let parts = [0, 1].map(|first| scope.spawn(move || part(first)));
        parts.into_iter().for_each(|part| part.join().unwrap());
    });
}

#[test]
fn a_seed_makes_the_same_world_again() {
    for seed in [3, 5, 8, 13] {
        assert_eq!(run(seed), run(seed));
    }
}
