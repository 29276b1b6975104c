//! How the feeds are, each by its name in the configuration.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::labels::FeedLabels;

/// A feed as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedState<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether its file could be read when it was looked at last.
    pub healthy: bool,
    /// When what is in force of it was last written, in Unix seconds; none until it was read.
    pub modified: Option<i64>,
}

/// The handles.
#[derive(Debug, Default)]
pub struct FeedMetrics {
    healthy: Family<FeedLabels, Gauge>,
    modified: Family<FeedLabels, Gauge>,
    names: Mutex<BTreeSet<String>>,
}

impl FeedMetrics {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register("feed_healthy", "1 while the file of a feed can be read", self.healthy.clone());
        r.register(
            "feed_modified_timestamp_seconds",
            "When the file of a feed was last written, as far as it was read",
            self.modified.clone(),
        );
    }

    /// Shows these feeds, and none that was shown before and is not among them.
    pub fn set<'a>(&self, feeds: impl IntoIterator<Item = FeedState<'a>>) {
        let mut gone = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = BTreeSet::new();
        for FeedState { name, healthy, modified } in feeds {
            let labels = FeedLabels { feed: name.to_owned() };
            self.healthy.get_or_create(&labels).set(i64::from(healthy));
            if let Some(modified) = modified {
                self.modified.get_or_create(&labels).set(modified);
            }
            gone.remove(name);
            now.insert(labels.feed);
        }
        for feed in std::mem::replace(&mut *gone, now) {
            let labels = FeedLabels { feed };
            self.healthy.remove(&labels);
            self.modified.remove(&labels);
        }
    }
}
