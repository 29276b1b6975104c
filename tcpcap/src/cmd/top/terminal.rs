//! The terminal while it is drawn on, and given back as it was: at the end, on an error, on a panic of whatever thread.

use std::{
    io::{self, stdout},
    panic,
    sync::atomic::{AtomicBool, Ordering},
};

use ratatui::{
    DefaultTerminal, Terminal,
    backend::CrosstermBackend,
    buffer::Buffer,
    crossterm::{
        cursor::{Hide, Show},
        execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
    layout::Rect,
};

/// Whether it is ours just now. There is one terminal, and whoever panics must find out.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The whole screen, ours until it is dropped.
pub struct FullScreen {
    terminal: DefaultTerminal,
}

impl FullScreen {
    /// Takes the terminal: no echo, no cursor, and what stood there comes back later.
    ///
    /// # Errors
    /// It cannot be done; the terminal is as before then.
    pub fn take() -> io::Result<Self> {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            give_back();
            tell(what);
        }));
        TAKEN.store(true, Ordering::SeqCst);
        let taken = enable_raw_mode()
            .and_then(|()| execute!(stdout(), EnterAlternateScreen, Hide))
            .and_then(|()| Terminal::new(CrosstermBackend::new(stdout())));
        match taken {
            Ok(terminal) => Ok(Self { terminal }),
            Err(e) => {
                give_back();
                Err(e)
            }
        }
    }

    /// Draws. After a panic elsewhere it does not: the screen is the shell's again.
    ///
    /// # Errors
    /// The terminal takes nothing more.
    pub fn draw(&mut self, paint: impl FnOnce(Rect, &mut Buffer)) -> io::Result<()> {
        if !TAKEN.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.terminal.draw(|frame| paint(frame.area(), frame.buffer_mut())).map(|_| ())
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Once, whoever comes first.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Where the terminal is gone there is nobody to tell.
        disable_raw_mode().ok();
        execute!(stdout(), LeaveAlternateScreen, Show).ok();
    }
}
