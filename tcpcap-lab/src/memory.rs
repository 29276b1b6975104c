//! Memory by counting: an allocator that knows how many bytes are out.
//!
//! ```
//! use tcpcap_lab::memory::{Counting, held, peak_of};
//!
//! #[global_allocator]
//! static MEMORY: Counting = Counting;
//!
//! let before = held();
//! let bytes = vec![0u8; 1000];
//! assert_eq!(held() - before, 1000);
//! drop(bytes);
//! assert_eq!(peak_of(|| drop(vec![0u8; 5000])), 5000);
//! assert_eq!(held(), before);
//! ```

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

/// The system's allocator. It counts by thread, so that tests that run side by side do not count each other's bytes;
/// what one thread takes and another gives back is counted wrong for both.
#[derive(Debug)]
pub struct Counting;

thread_local! {
    // Without a destructor and made at compile time: no allocation to reach them.
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn count(taken: usize, given_back: usize) {
    let now = HELD.get().wrapping_add(taken).wrapping_sub(given_back);
    HELD.set(now);
    PEAK.set(PEAK.get().max(now));
}

// SAFETY: the system's allocator does all of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller keeps to the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // For a moment both may be there.
        count(size, 0);
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Bytes that this thread holds.
#[must_use]
pub fn held() -> usize {
    HELD.get()
}

/// The most that this thread held at once during `work`, beyond what it held before.
pub fn peak_of(work: impl FnOnce()) -> usize {
    let before = held();
    PEAK.set(before);
    work();
    PEAK.get().saturating_sub(before)
}
