//! The way from a thread to the loop. It tells when the thread dies, too.

use std::{sync::mpsc::SyncSender, thread};

use super::{Event, feed::News};

pub(super) struct Alarm(SyncSender<Event>);

impl Alarm {
    pub(super) fn new(events: &SyncSender<Event>) -> Self {
        Self(events.clone())
    }

    /// Whether anybody still listens.
    pub(super) fn tell(&self, news: News) -> bool {
        self.send(Event::News(news))
    }

    pub(super) fn send(&self, event: Event) -> bool {
        self.0.send(event).is_ok()
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.send(Event::Died);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn a_thread_that_panics_is_told_of_and_one_that_ends_is_not() {
        let (sender, events) = sync_channel(4);
        let (good, bad) = (Alarm::new(&sender), Alarm::new(&sender));
        thread::spawn(move || drop(good)).join().unwrap();
        assert!(events.try_recv().is_err());
        let died = thread::spawn(move || {
            let _held = bad;
            panic!("as it must");
        });
        died.join().unwrap_err();
        assert!(matches!(events.try_recv(), Ok(Event::Died)));
    }
}
