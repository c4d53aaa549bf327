//! Ways not to come back.
//!
//! `black_box` keeps the optimiser from seeing that nothing comes of the work, which would let it leave the work out.

use std::hint::black_box;

/// What `hog` takes at once.
const MOUTHFUL: usize = 1 << 20;

/// Runs for ever.
pub(crate) fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns).wrapping_add(1);
    }
}

/// Takes memory until the host gives no more.
pub(crate) fn hog() -> ! {
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(vec![1_u8; MOUTHFUL]));
        black_box(&taken);
    }
}

/// Calls itself until the stack is used up.
pub(crate) fn recurse() -> ! {
    black_box(deeper(black_box(0)));
    unreachable!("the stack has no end")
}

#[expect(unconditional_recursion, reason = "the sandbox must stop it: this is what the fixture is for")]
#[inline(never)]
fn deeper(depth: u64) -> u64 {
    // The frame must outlive the inner call, or the call becomes a loop.
    let frame = black_box([depth; 32]);
    let below = deeper(black_box(depth + 1));
    black_box(frame)[0].wrapping_add(below)
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
