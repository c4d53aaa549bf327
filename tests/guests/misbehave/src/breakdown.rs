//! Ways not to come back.
//!
//! `black_box` keeps the optimiser from seeing that nothing comes of the work, which would let it leave the work out.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

/// What `hog` takes at once.
const MOUTHFUL: usize = 1 << 20;

/// Runs for ever.
pub(crate) fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns).wrapping_add(1);
    }
}

/// Takes memory until the host gives no more. It is not written to, so that memory runs out before fuel does.
pub(crate) fn hog() -> ! {
    loop {
        std::mem::forget(black_box(Vec::<u8>::with_capacity(MOUTHFUL)));
    }
}

/// Calls itself until the stack is used up.
pub(crate) fn recurse() -> ! {
    let enough = AtomicBool::new(false);
    unreachable!("the stack has no end: {}", deeper(black_box(&enough), 0))
}

/// Keeps nothing in memory, so that the sandbox's own stack ends before the one that the compiler lays out in memory;
/// what follows the call keeps it from becoming a loop.
#[inline(never)]
fn deeper(enough: &AtomicBool, depth: u64) -> u64 {
    if enough.load(Ordering::Relaxed) { depth } else { deeper(enough, depth + 1).wrapping_mul(3) ^ depth }
}

/// Panics.
pub(crate) fn panic() -> ! {
    panic!("asked to panic")
}

/// Reads the last word of the address space, which no instance has.
pub(crate) fn read_out_of_bounds() -> ! {
    let nowhere = black_box(usize::MAX - 7) as *const u64;
    #[expect(unsafe_code, reason = "the sandbox must stop it: this is what the fixture is for")]
    // SAFETY: there is none; the read traps, as linear memory ends before this address.
    let word = unsafe { nowhere.read_volatile() };
    unreachable!("memory has no end: {word}")
}
