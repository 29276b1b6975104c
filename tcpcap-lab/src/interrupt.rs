//! Ctrl-C: a flag that every wait in this crate looks at, so that the usual way out, with its cleaning up, is taken.

use std::{
    fmt,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// The user wants to stop: the error that waits end with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

extern "C" fn note(_signal: libc::c_int) {
    REQUESTED.store(true, Ordering::Relaxed);
}

/// Turns SIGINT, SIGTERM and SIGHUP into [`requested`]. The second signal of a kind ends the process as usual, so
/// that a hanging clean-up can be left. Every [`crate::Lab`] installs it.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            // SAFETY: an all-zero sigaction is valid; the handler does nothing but store an atomic.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = note as *const () as libc::sighandler_t;
                action.sa_flags = libc::SA_RESTART | libc::SA_RESETHAND;
                libc::sigaction(signal, &raw const action, std::ptr::null_mut());
            }
        }
    });
}

/// Whether the user wants to stop.
#[must_use]
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Ends what is going on if the user wants to stop.
///
/// # Errors
/// [`Interrupted`], if so.
pub fn check() -> Result<(), Interrupted> {
    if requested() { Err(Interrupted) } else { Ok(()) }
}
