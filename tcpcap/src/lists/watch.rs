//! All feeds, looked at from a thread of their own: the daemon's loop never waits for a disk.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{FeedConfig, List, News, feed::Feed};

/// How often files are looked at: a stat each.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Readings that may wait for the daemon; then the thread waits.
const WAITING: usize = 4;

/// The feeds as they are after something happened.
#[derive(Clone, Debug)]
pub struct Reading {
    /// All feeds in the order of the configuration, each with what is in force of it.
    pub lists: Vec<List>,
    /// Whether any list is another than in the reading before.
    pub changed: bool,
    /// What happened, to be logged and counted.
    pub news: Vec<News>,
}

/// Watches the files of all feeds. Dropping it ends the watch.
#[derive(Debug)]
pub struct Feeds {
    orders: Arc<Mutex<Orders>>,
    wake: SyncSender<()>,
    readings: mpsc::Receiver<Reading>,
}

/// What the thread is to do next. A storm of orders is one order.
#[derive(Debug, Default)]
struct Orders {
    reread: bool,
    feeds: Option<Vec<FeedConfig>>,
}

impl Feeds {
    /// Starts to watch. The first reading comes once each file was looked at, whatever came of it.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(feeds: Vec<FeedConfig>) -> io::Result<Self> {
        let orders = Arc::new(Mutex::new(Orders { reread: false, feeds: Some(feeds) }));
        let (wake, woken) = sync_channel(1);
        let (send, readings) = mpsc::channel(WAITING);
        let watch = Watch { orders: Arc::clone(&orders), woken, feeds: Vec::new(), readings: send };
        thread::Builder::new().name("feeds".into()).spawn(move || {
            crate::host::be_ordinary();
            watch.run();
        })?;
        Ok(Self { orders, wake, readings })
    }

    /// The next reading; `None` if there will be no more. May be cancelled at any time.
    pub async fn changed(&mut self) -> Option<Reading> {
        self.readings.recv().await
    }

    /// Reads all files now, whether or not they look changed. A reading follows.
    pub fn reread(&self) {
        self.order(|orders| orders.reread = true);
    }

    /// Watches these feeds from now on, and reads all of them. Of a feed that stays what is in force stays so until it is
    /// read. A reading follows.
    pub fn configure(&self, feeds: Vec<FeedConfig>) {
        self.order(|orders| orders.feeds = Some(feeds));
    }

    fn order(&self, give: impl FnOnce(&mut Orders)) {
        give(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner));
        // If it is full, the thread has yet to look at its orders; if it is gone, `changed` says so.
        self.wake.try_send(()).ok();
    }
}

struct Watch {
    orders: Arc<Mutex<Orders>>,
    woken: Receiver<()>,
    feeds: Vec<Feed>,
    readings: mpsc::Sender<Reading>,
}

impl Watch {
    fn run(mut self) {
        loop {
            if let Some(reading) = self.look()
                && self.readings.blocking_send(reading).is_err()
            {
                return;
            }
            let woken = if self.feeds.is_empty() {
                self.woken.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.woken.recv_timeout(LOOK_EVERY)
            };
            if woken == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }

    fn look(&mut self) -> Option<Reading> {
        let orders = std::mem::take(&mut *self.orders.lock().unwrap_or_else(PoisonError::into_inner));
        let asked = orders.reread || orders.feeds.is_some();
        let before: Vec<List> = self.lists();
        if let Some(configs) = orders.feeds {
            self.configure(configs);
        }
        let now = Instant::now();
        let news: Vec<News> = self.feeds.iter_mut().filter_map(|feed| feed.look(now, asked)).collect();
        let lists = self.lists();
        let changed = lists.len() != before.len() || lists.iter().zip(&before).any(|(a, b)| !a.is_same(b));
        (asked || changed || !news.is_empty()).then_some(Reading { lists, changed, news })
    }

    fn configure(&mut self, configs: Vec<FeedConfig>) {
        let mut present = std::mem::take(&mut self.feeds);
        let kept = |config: FeedConfig| match present.iter().position(|feed| *feed.config() == config) {
            Some(at) => present.swap_remove(at),
            None => Feed::new(config),
        };
        self.feeds = configs.into_iter().map(kept).collect();
    }

    fn lists(&self) -> Vec<List> {
        self.feeds.iter().map(Feed::list).collect()
    }
}

#[cfg(test)]
mod tests;
