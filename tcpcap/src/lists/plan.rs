//! All lists in one: what the maps should hold.

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;
use tcpcap_core::Source;

use super::{
    Entry, MAX_ENTRIES, SHOWN,
    entry::{mask, to_bits},
    fit,
};
use crate::block::Why;

/// A list. Cheap to clone.
#[derive(Clone, Debug)]
pub struct List {
    /// The reason that its blocks show.
    pub why: Why,
    entries: Arc<Vec<Entry>>,
}

/// What is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Whose packets.
    pub network: IpNet,
    /// The source that it is exactly, which is a key of the hash; otherwise it belongs into the trie.
    pub source: Option<Source>,
    /// Who wants it.
    pub why: Why,
}

/// An entry that must not be blocked: it hits a never-block address, or no list may name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The entry.
    pub network: IpNet,
    /// Who wants it blocked.
    pub why: Why,
    /// Why it is not.
    pub reason: String,
}

/// What became of the entries of all lists: `entries` is the sum of the others but `by_list`, which splits
/// `exact` + `networks`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In all lists.
    pub entries: u64,
    /// Taken as exact sources.
    pub exact: u64,
    /// Taken as networks.
    pub networks: u64,
    /// In a list before as well.
    pub duplicates: u64,
    /// Within a broader network of the same list or one before it.
    pub covered: u64,
    /// Kept out, see [`Refusal`].
    pub refused: u64,
    /// Left out since there were [`MAX_ENTRIES`] of lists before.
    pub beyond: u64,
    /// Taken of each list, in their order.
    pub by_list: Vec<u64>,
}

/// What all lists together deny.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// In order. Of those that hold an address, each narrower one is of a list before.
    entries: Vec<Entry>,
    whys: Vec<Why>,
    /// The lengths of prefixes that occur, longest first.
    lens: Vec<u8>,
    counts: Counts,
    refusals: Vec<Refusal>,
}

impl List {
    /// An operator's networks.
    #[must_use]
    pub fn operator(networks: &[IpNet], note: Option<Arc<str>>) -> Self {
        let mut entries: Vec<Entry> = networks.iter().map(|net| Entry::new(*net)).collect();
        entries.sort_unstable();
        entries.dedup();
        Self { why: Why::Operator { note }, entries: Arc::new(entries) }
    }

    /// A feed, as [`super::Parser::finish`] gives it.
    #[must_use]
    pub fn feed(name: Arc<str>, entries: Arc<Vec<Entry>>) -> Self {
        Self { why: Why::Feed(name), entries }
    }

    /// Whether it is the very same, not merely equal.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.why == other.why && Arc::ptr_eq(&self.entries, &other.entries)
    }

    /// How many entries it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Plan {
    /// Merges the lists, the most important first; there may be 65,536. `refuse` says why an entry must not be blocked, if
    /// so; it is asked once for each distinct network that a list may name ([`super::Overlaps`] answers fast enough for a million).
    ///
    /// Takes as long as sorting the entries. Memory: the plan's, of all entries before duplicates are gone.
    #[must_use]
    pub fn make(lists: &[List], mut refuse: impl FnMut(&IpNet) -> Option<String>) -> Self {
        let lists = &lists[..lists.len().min(usize::from(u16::MAX) + 1)];
        let mut entries = Vec::with_capacity(lists.iter().map(List::len).sum());
        for (list, number) in lists.iter().zip(0u16..=u16::MAX) {
            entries.extend(list.entries.iter().map(|e| e.of_list(number)));
        }
        let mut plan = Self { whys: lists.iter().map(|l| l.why.clone()).collect(), ..Self::default() };
        plan.counts.entries = entries.len() as u64;
        entries.sort_unstable();
        plan.counts.duplicates = dropped(&mut entries, |e| e.dedup_by_key(|e| e.place()));
        // Before covering: what is refused covers nothing.
        plan.counts.refused = dropped(&mut entries, |entries| {
            entries.retain(|entry| {
                let network = entry.network();
                let unfit = fit::check_entry(entry).err().map(|unfit| unfit.to_string());
                let Some(reason) = unfit.or_else(|| refuse(&network)) else { return true };
                if plan.refusals.len() < SHOWN {
                    let why = plan.whys[usize::from(entry.list())].clone();
                    plan.refusals.push(Refusal { network, why, reason });
                }
                false
            });
        });
        plan.counts.covered = dropped(&mut entries, leave_out_covered);
        plan.counts.beyond = dropped(&mut entries, |e| leave_out_beyond(e, lists.len(), MAX_ENTRIES));
        entries.shrink_to_fit();
        plan.take(entries);
        plan
    }

    fn take(&mut self, entries: Vec<Entry>) {
        let mut occurs = [false; 129];
        self.counts.by_list = vec![0; self.whys.len()];
        for entry in &entries {
            occurs[usize::from(entry.place().1)] = true;
            self.counts.by_list[usize::from(entry.list())] += 1;
            *(if entry.source().is_some() { &mut self.counts.exact } else { &mut self.counts.networks }) += 1;
        }
        self.lens = (0..=128u8).rev().filter(|len| occurs[usize::from(*len)]).collect();
        self.entries = entries;
    }

    /// The narrowest network that holds the address, and who wants it: the first list that does.
    #[must_use]
    pub fn holds(&self, ip: IpAddr) -> Option<(IpNet, &Why)> {
        let bits = to_bits(ip);
        self.lens.iter().find_map(|len| {
            let entry = self.find((bits & mask(*len), *len))?;
            Some((entry.network(), self.why(entry)))
        })
    }

    /// Who wants exactly this network denied.
    #[must_use]
    pub fn get(&self, network: &IpNet) -> Option<&Why> {
        self.find(Entry::new(*network).place()).map(|entry| self.why(entry))
    }

    fn find(&self, place: (u128, u8)) -> Option<&Entry> {
        self.entries.binary_search_by_key(&place, Entry::place).ok().map(|at| &self.entries[at])
    }

    pub(super) fn why(&self, entry: &Entry) -> &Why {
        &self.whys[usize::from(entry.list())]
    }

    pub(super) fn whys(&self) -> &[Why] {
        &self.whys
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn denied(&self, entry: &Entry) -> Denied {
        Denied { network: entry.network(), source: entry.source(), why: self.why(entry).clone() }
    }

    /// All of it, in the order of addresses.
    pub fn iter(&self) -> impl Iterator<Item = Denied> {
        self.entries.iter().map(|entry| self.denied(entry))
    }

    /// Some of it, by number in that order.
    pub fn range(&self, numbers: std::ops::Range<usize>) -> impl Iterator<Item = Denied> {
        self.entries[numbers].iter().map(|entry| self.denied(entry))
    }

    /// How many entries it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is denied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What became of the lists' entries.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The first [`SHOWN`] entries that were refused, in the order of addresses.
    #[must_use]
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }
}

/// How many entries the work has left out.
fn dropped(entries: &mut Vec<Entry>, work: impl FnOnce(&mut Vec<Entry>)) -> u64 {
    let before = entries.len();
    work(entries);
    (before - entries.len()) as u64
}

fn leave_out_covered(entries: &mut Vec<Entry>) {
    // What holds the present place: each within the one below it, and of a list before.
    let mut around: Vec<Entry> = Vec::new();
    entries.retain(|entry| {
        while around.last().is_some_and(|outer| !outer.holds(entry)) {
            around.pop();
        }
        if around.last().is_some_and(|outer| outer.list() <= entry.list()) {
            return false;
        }
        around.push(*entry);
        true
    });
}

/// The last lists give way first; of the one that fits in part, the first addresses stay.
fn leave_out_beyond(entries: &mut Vec<Entry>, lists: usize, most: usize) {
    if entries.len() <= most {
        return;
    }
    let mut room = vec![0usize; lists];
    entries.iter().for_each(|entry| room[usize::from(entry.list())] += 1);
    let mut left = most;
    for room in &mut room {
        *room = left.min(*room);
        left -= *room;
    }
    entries.retain(|entry| {
        let room = &mut room[usize::from(entry.list())];
        let fits = *room > 0;
        *room = room.saturating_sub(1);
        fits
    });
}

#[cfg(test)]
pub(super) mod tests;
