//! Somebody who never stops sending.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{inject::Injector, namespace::Namespace};

/// Sends the same frames again and again, until it is stopped.
#[derive(Debug)]
pub struct Knocker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    sent: AtomicU64,
    refused: AtomicU64,
    stop: AtomicBool,
}

impl Knocker {
    /// Starts sending from a card, with a pause between two frames.
    ///
    /// # Errors
    /// When the card is not there.
    pub fn start(namespace: &Namespace, card: &str, frames: Vec<Vec<u8>>, pause: Duration) -> anyhow::Result<Self> {
        let (injector, shared) = (Injector::open(namespace, card)?, Arc::new(Shared::default()));
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for frame in frames.iter().cycle() {
                    if shared.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    shared.note(&injector.send(frame));
                    thread::sleep(pause);
                }
            }
        });
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Frames sent until now.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// Frames that the card did not take.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::SeqCst)
    }

    /// Stops, and tells how many frames were sent.
    #[must_use]
    pub fn stop(mut self) -> u64 {
        self.end();
        self.sent()
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Shared {
    fn note(&self, sent: &io::Result<()>) {
        let count = if sent.is_ok() { &self.sent } else { &self.refused };
        count.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Knocker {
    fn drop(&mut self) {
        self.end();
    }
}
