//! The allocator of the sandbox: memory is handed out in ascending order and dies with the instance.
//!
//! Every call runs in a fresh instance that is thrown away afterwards, so giving memory back has nobody to serve.
//! Leaving it out halves the time of a small call. Only the newest block shrinks, grows or goes in place, because text
//! under construction is nearly always the newest block.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32;
use core::cell::Cell;

/// The unit in which WebAssembly grows memory.
const PAGE: usize = 65_536;

/// Pages asked for at once: a judgement of a thousand pools fits, and the host is asked once instead of eight times.
const CHUNK: usize = 8;

#[global_allocator]
static ALLOCATOR: Ascending = Ascending { next: Cell::new(0), end: Cell::new(0) };

/// Addresses from `next` up to `end` are free; both are 0 before the first call.
struct Ascending {
    next: Cell<usize>,
    end: Cell<usize>,
}

#[expect(unsafe_code, reason = "a static must be shareable; an instance has one thread and nothing re-enters")]
unsafe impl Sync for Ascending {}

#[expect(unsafe_code, reason = "this is what implementing an allocator takes")]
unsafe impl GlobalAlloc for Ascending {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.end.get() == 0 {
            self.begin();
        }
        let Some(start) = self.next.get().checked_next_multiple_of(layout.align()) else {
            return core::ptr::null_mut();
        };
        if self.reach(start, layout.size()) { start as *mut u8 } else { core::ptr::null_mut() }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if block as usize + layout.size() == self.next.get() {
            self.next.set(block as usize);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block as usize;
        if start + layout.size() == self.next.get() {
            return if self.reach(start, size) { block } else { core::ptr::null_mut() };
        }
        if size <= layout.size() {
            return block;
        }
        // SAFETY: the caller vouches for `block` and `layout`, and for `size` being valid with this alignment; the new
        // block does not overlap the old one.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                core::ptr::copy_nonoverlapping(block, moved, layout.size());
            }
            moved
        }
    }
}

impl Ascending {
    /// Takes over what the linker left free: from the end of stack and data to the end of memory.
    #[cold]
    fn begin(&self) {
        #[expect(unsafe_code, reason = "the linker defines this symbol; only its address is used")]
        unsafe extern "C" {
            static __heap_base: u8;
        }
        self.next.set(&raw const __heap_base as usize);
        self.end.set(wasm32::memory_size(0) * PAGE);
    }

    /// Takes everything up to `start + size`, with more memory from the host where needed; false when it has none.
    fn reach(&self, start: usize, size: usize) -> bool {
        let Some(next) = start.checked_add(size) else { return false };
        if next > self.end.get() && !self.grow(next - self.end.get()) {
            return false;
        }
        self.next.set(next);
        true
    }

    #[cold]
    fn grow(&self, missing: usize) -> bool {
        let pages = missing.div_ceil(PAGE).max(CHUNK);
        let grown = wasm32::memory_grow(0, pages) != usize::MAX;
        if grown {
            self.end.set(self.end.get() + pages * PAGE);
        }
        grown
    }
}
