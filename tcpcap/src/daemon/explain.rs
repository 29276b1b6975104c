//! What the daemon knows of sources, for people.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::SystemTime};

use tcpcap_common::{Addr, record};
use tcpcap_core::{Source, Time, detect::Known};

use super::{Daemon, live::Seen};
use crate::{
    control::{
        Next, Now, SourceShown, Story,
        stream::{Happened, Told},
    },
    enforce::Place,
    history::{FoundRow, What, clock},
    host, translate,
};

impl Daemon {
    /// The live sources, those with the most attempts first.
    pub(super) fn sources_shown(&self) -> Vec<SourceShown> {
        let found = self.latest_findings();
        let shown = |(address, seen): (Addr, Seen)| {
            let source = Source(address);
            self.source_shown(source, Some(seen), found.get(&source.to_string()).copied())
        };
        self.live.all().into_iter().filter_map(shown).collect()
    }

    /// The latest finding of each source that has one.
    fn latest_findings(&self) -> HashMap<String, &FoundRow> {
        let mut latest = HashMap::new();
        for found in self.chronicle.findings().filter_map(|happened| found(happened)) {
            if let Some(source) = &found.source {
                latest.entry(source.clone()).or_insert(found);
            }
        }
        latest
    }

    fn source_shown(&self, source: Source, seen: Option<Seen>, found: Option<&FoundRow>) -> Option<SourceShown> {
        let known = self.engine.known(source);
        let mut record = match (&seen, &known) {
            (None, None) => return None,
            (Some(seen), _) => seen.record,
            (None, Some(known)) => remembered(known),
        };
        let now = host::now();
        let entry = self.entry(source);
        let block = entry.as_ref().map(|entry| &entry.block);
        let shown = entry.as_ref().and_then(|entry| self.block_shown_with(entry.place, &entry.block));
        record.last_seen = record.last_seen.max(block.map_or(0, |block| block.last_drop));
        let count = |known: usize, named: Option<usize>| known.max(named.unwrap_or(0));
        let known = known.as_ref();
        // A finding begins the detector's evidence anew; until then it is the evidence.
        let sample = found.filter(|f| known.is_none_or(|known| known.ports < f.ports.len()));
        Some(SourceShown {
            state: self.state(source, entry.as_ref()).to_owned(),
            left_s: shown.as_ref().and_then(|shown| shown.left_s),
            why: shown.map(|shown| shown.because()),
            dropped_packets: block.map_or(0, |block| block.packets),
            per_second: (seen.map_or(0.0, |seen| seen.per_second) * 10.0).round() / 10.0,
            ports: count(known.map_or(0, |k| k.ports), found.map(|f| f.ports.len())),
            hosts: count(known.map_or(0, |k| k.hosts), found.map(|f| f.targets.len())),
            some_ports: match (sample, known) {
                (Some(found), _) => found.ports.clone(),
                (None, known) => known.map(|k| k.some_ports.clone()).unwrap_or_default(),
            },
            some_hosts: match (sample, known) {
                (Some(found), _) => found.targets.clone(),
                (None, known) => known.map(|k| k.some_hosts.clone()).unwrap_or_default(),
            },
            standing: known.map(|k| k.standing.name().to_owned()),
            fingerprint: known
                .and_then(|k| k.fingerprint.map(|f| f.tool.name().to_owned()))
                .or_else(|| found.and_then(|f| f.fingerprint.clone())),
            rule: found.map(|f| f.rule.clone()),
            ..translate::source_shown(source, &record, now)
        })
    }

    /// How it is with a source.
    fn state(&self, source: Source, block: Option<&Entry>) -> &'static str {
        match block {
            _ if self.protected.protects(source).is_some() => "protected",
            None => "free",
            Some(_) if self.settings.judging.observe => "observed",
            Some(_) => "blocked",
        }
    }

    /// The entry that the kernel goes by for a source, its own before that of a network around it. Cost: two system calls
    /// at most.
    fn entry(&self, source: Source) -> Option<Entry> {
        let own = [Place::Source(source), Place::Source(source.prefix())].into_iter();
        let own = own.filter(|place| self.enforcer.wanted().at(*place).is_some());
        let mut own = own.filter_map(|place| Some((place, self.enforcer.counted(place)?)));
        own.next().or_else(|| self.enforcer.network_around(source)).map(|(place, block)| Entry { place, block })
    }

    /// The places that may hold a block of an address, whoever wants it.
    fn places_of(&self, address: IpAddr) -> Vec<Place> {
        let wanted = self.enforcer.wanted();
        let whole = Source(Addr::from(address));
        let mut places = vec![Place::Source(whole)];
        if whole.prefix() != whole {
            places.push(Place::Source(whole.prefix()));
        }
        let operators = wanted.operator().map(|block| block.network).filter(|network| network.contains(&address));
        let listed = wanted.plan().holds(address).map(|(network, _)| network);
        for place in operators.chain(listed).map(Place::of) {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }

    /// The story of an address, without what the history tells of it.
    pub(super) fn story(&self, address: IpAddr) -> Story {
        let address = address.to_canonical();
        let whole = Source(Addr::from(address));
        // A neighbour is counted by its whole address, anybody else by the prefix.
        let is_known = |source: Source| self.live.get(source.0).is_some() || self.engine.known(source).is_some();
        let source = if is_known(whole) { whole } else { whole.prefix() };
        let now = host::now();
        let found = self.chronicle.findings().filter_map(|happened| found(happened));
        let found = found.into_iter().find(|f| f.source.as_deref() == Some(&*source.to_string()));
        let prospect = self.engine.prospect(source, now);
        let seconds = |until: Time| until.since(now).as_secs();
        let blocks: Vec<_> = self.places_of(address).into_iter().filter_map(|place| self.block_shown(place)).collect();
        // An address may be blocked alone, or protected by one that shares its source.
        let (state, protected) = match self.protected.protects_network(address.into()) {
            None if !blocks.is_empty() => (if self.settings.judging.observe { "observed" } else { "blocked" }, None),
            None => (self.state(source, self.entry(source).as_ref()), self.protected.protects(source)),
            why => ("protected", why),
        };
        Story {
            address,
            source: source.network(),
            time: clock::shown(SystemTime::now()),
            now: Now { state: state.to_owned(), protected: protected.map(|why| why.to_string()), blocks },
            seen: self.source_shown(source, self.live.get(source.0), found),
            next: Next {
                times: prospect.times,
                ends_s: prospect.blocked_until.map(seconds),
                repeat_s: prospect.next.as_secs(),
                forgotten_s: prospect.forgotten_at.map(seconds),
            },
            past: Vec::new(),
            past_missing: None,
        }
    }
}

/// What the kernel goes by.
struct Entry {
    place: Place,
    block: record::Block,
}

/// The finding in an event.
fn found(happened: &Arc<Happened>) -> Option<&FoundRow> {
    match &happened.what {
        Told::Kept(What::Finding(found)) => Some(found),
        _ => None,
    }
}

/// What the detector knows, as the kernel would count it.
fn remembered(known: &Known) -> record::Source {
    record::Source {
        last_seen: known.last_seen.as_nanos(),
        attempts: known.attempts,
        completions: known.completions,
        ..record::Source::default()
    }
}
