//! What configuration and feeds deny: read, merged and held against the never-block set, all of it off the loop.

use std::{
    collections::{BTreeMap, BTreeSet},
    future, io,
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use tcpcap_core::Protected;
use tokio::{
    task::{JoinError, JoinHandle, spawn_blocking},
    time::timeout,
};
use tracing::error;

use crate::{
    control::FeedShown,
    host,
    lists::{FeedConfig, Feeds, List, Overlaps, Plan, Reading, What},
    surface::{
        metrics::{Enforcement, FeedState, gauge},
        tell,
    },
};

/// How long the start waits for feeds. A million lines take half a second.
const FIRST_READING: Duration = Duration::from_secs(10);

/// What comes of reading and merging.
pub(super) enum Heard {
    /// Feeds were looked at.
    Reading(Reading),
    /// All lists are merged.
    Plan(Arc<Plan>),
}

/// The lists, and the work on them.
pub(super) struct Denying {
    feeds: Feeds,
    feeds_ended: bool,
    deny: Vec<IpNet>,
    /// Feeds that have not been read yet.
    unread: BTreeSet<Arc<str>>,
    /// Those of feeds.
    lists: Vec<List>,
    /// A plan is being made.
    making: Option<JoinHandle<Plan>>,
    /// What it is made from is out of date already.
    again: Option<Vec<(IpNet, String)>>,
    /// Who must never be blocked, as the last plan was held against it.
    held_against: Vec<(IpNet, String)>,
    shown: BTreeMap<Arc<str>, FeedShown>,
    modified: BTreeMap<Arc<str>, i64>,
}

impl Denying {
    /// Begins to read.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn start(deny: Vec<IpNet>, feeds: Vec<FeedConfig>) -> io::Result<Self> {
        let unread = feeds.iter().map(|feed| Arc::clone(&feed.name)).collect();
        let feeds = Feeds::start(feeds)?;
        Ok(Self {
            unread,
            feeds,
            feeds_ended: false,
            deny,
            lists: Vec::new(),
            making: None,
            again: None,
            held_against: Vec::new(),
            shown: BTreeMap::new(),
            modified: BTreeMap::new(),
        })
    }

    /// The next that is heard. May be cancelled at any time.
    pub(super) async fn hear(&mut self) -> Heard {
        loop {
            let made = async {
                match &mut self.making {
                    Some(making) => making.await,
                    None => future::pending().await,
                }
            };
            let made: Result<Plan, JoinError> = tokio::select! {
                reading = self.feeds.changed(), if !self.feeds_ended => {
                    if let Some(reading) = reading {
                        return Heard::Reading(reading);
                    }
                    tell::feeds_ended();
                    self.feeds_ended = true;
                    continue;
                }
                made = made => made,
            };
            self.making = None;
            if let Some(protected) = self.again.take() {
                self.make(protected);
                continue;
            }
            match made {
                Ok(plan) => return Heard::Plan(Arc::new(plan)),
                Err(e) => error!("the lists could not be merged ({e}): what was in force stays so"),
            }
        }
    }

    /// Takes in what was read, and has it merged if it is something new.
    pub(super) fn take(&mut self, reading: Reading, protected: &Protected) {
        for news in &reading.news {
            tell::feed(news);
            let shown = self.shown.entry(Arc::clone(&news.feed)).or_default();
            shown.name = news.feed.to_string();
            shown.entries = news.in_force;
            if let Some(modified) = news.modified {
                self.modified.insert(Arc::clone(&news.feed), modified);
            }
            match &news.what {
                What::Taken(report) => {
                    shown.bad_lines = usize::try_from(report.skipped()).unwrap_or(usize::MAX);
                    shown.problem = None;
                    self.unread.remove(&news.feed);
                }
                What::Trouble(_) => shown.problem = Some(news.to_string()),
            }
        }
        if reading.changed || self.held_against.is_empty() {
            self.lists = reading.lists;
            self.make(never_blocked(protected));
        }
    }

    /// Merges anew if the never-block set has changed in a way that makes a difference to the lists.
    pub(super) fn hold_against(&mut self, protected: &Protected) {
        let now = never_blocked(protected);
        if now != self.held_against && !(self.lists.is_empty() && self.deny.is_empty()) {
            self.make(now);
        }
    }

    /// Denies these networks from now on, and watches these feeds.
    pub(super) fn configure(&mut self, deny: Vec<IpNet>, feeds: Vec<FeedConfig>, protected: &Protected) {
        self.unread.retain(|name| feeds.iter().any(|feed| feed.name == *name));
        self.shown.retain(|name, _| feeds.iter().any(|feed| feed.name == *name));
        self.modified.retain(|name, _| feeds.iter().any(|feed| feed.name == *name));
        self.deny = deny;
        self.feeds.configure(feeds);
        self.make(never_blocked(protected));
    }

    /// Waits for the first plan: for all feeds to be looked at, and merged. A feed on a disk that hangs comes later.
    pub(super) async fn first(&mut self, protected: &Protected) -> Arc<Plan> {
        match timeout(FIRST_READING, self.first_reading()).await {
            Ok(reading) => {
                self.lists.clone_from(&reading.lists);
                self.take(reading, protected);
            }
            Err(_) => tell::feeds_late(),
        }
        if self.making.is_none() {
            self.make(never_blocked(protected));
        }
        loop {
            match self.hear().await {
                Heard::Reading(reading) => self.take(reading, protected),
                Heard::Plan(plan) => return plan,
            }
        }
    }

    async fn first_reading(&mut self) -> Reading {
        match self.feeds.changed().await {
            Some(reading) => reading,
            None => future::pending().await,
        }
    }

    fn make(&mut self, protected: Vec<(IpNet, String)>) {
        if self.making.is_some() {
            self.again = Some(protected);
            return;
        }
        self.held_against.clone_from(&protected);
        let mut lists = self.lists.clone();
        if !self.deny.is_empty() {
            lists.insert(0, List::operator(&self.deny, Some("configuration".into())));
        }
        self.making = Some(spawn_blocking(move || {
            host::be_ordinary();
            let overlaps = Overlaps::new(protected);
            Plan::make(&lists, |network| overlaps.find(network).map(|(_, why)| why.clone()))
        }));
    }

    /// Whether every feed has been read since the start.
    pub(super) fn is_whole(&self) -> bool {
        self.unread.is_empty()
    }

    /// How the feeds are.
    pub(super) fn shown(&self) -> Vec<FeedShown> {
        self.shown.values().cloned().collect()
    }

    /// Shows the feeds in the metrics.
    pub(super) fn show(&self, metrics: &Enforcement) {
        metrics.feed_lines_skipped.set(gauge(self.shown.values().map(|feed| feed.bad_lines).sum()));
        metrics.feeds.set(self.shown.iter().map(|(name, feed)| FeedState {
            name,
            healthy: feed.problem.is_none(),
            modified: self.modified.get(name).copied(),
        }));
    }
}

/// Who keeps an entry of a list out as a whole: own addresses and gateways, because then the network is our own. Allowed
/// networks and the other addresses pass through holes in whatever holds them.
fn never_blocked(protected: &Protected) -> Vec<(IpNet, String)> {
    let own = protected.own_networks().iter().map(|network| (*network, format!("{network} is this host's own")));
    // No list may name the loopback anyway.
    let addresses = protected.iter().filter(|(ip, why)| why.keeps_lists_out() && !ip.is_loopback());
    own.chain(addresses.map(|(ip, why)| (IpNet::from(ip), why.to_string()))).collect()
}

/// Says which entries are not blocked, and why.
pub(super) fn tell_refusals(plan: &Plan) {
    plan.refusals().iter().for_each(tell::list_refusal);
    let more = plan.counts().refused.saturating_sub(plan.refusals().len() as u64);
    if more > 0 {
        tell::more_list_refusals(more);
    }
}
