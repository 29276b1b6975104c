//! Memory that ends where a packet ends: what reads on is killed by the kernel.

use std::{io, ptr, slice};

/// Some pages, and behind them one that nobody may touch.
pub struct GuardedMemory {
    pages: *mut u8,
    len: usize,
    page: usize,
}

impl GuardedMemory {
    /// Room for at least `len` bytes.
    pub fn new(len: usize) -> Self {
        // SAFETY: no preconditions.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap();
        let len = len.max(1).next_multiple_of(page);
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh mapping wherever the kernel likes.
        let pages = unsafe { libc::mmap(ptr::null_mut(), len + page, access, kind, -1, 0) };
        assert_ne!(pages, libc::MAP_FAILED, "{}", io::Error::last_os_error());
        // SAFETY: the last page of that mapping; nothing points there.
        let guarded = unsafe { libc::mprotect(pages.byte_add(len), page, libc::PROT_NONE) };
        assert_eq!(guarded, 0, "{}", io::Error::last_os_error());
        Self { pages: pages.cast(), len, page }
    }

    /// The bytes at the very end.
    pub fn at_the_end(&mut self, bytes: &[u8]) -> &[u8] {
        let at = self.len.checked_sub(bytes.len()).unwrap();
        // SAFETY: the mapping is `len` bytes long up to the guard, and borrowed for as long as the slice lives.
        let place = unsafe { slice::from_raw_parts_mut(self.pages.add(at), bytes.len()) };
        place.copy_from_slice(bytes);
        place
    }
}

impl Drop for GuardedMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made; no borrow outlives it.
        let gone = unsafe { libc::munmap(self.pages.cast(), self.len + self.page) };
        assert_eq!(gone, 0, "{}", io::Error::last_os_error());
    }
}
