//! What is now: kept in memory as the truth, and written to the file whenever that can be written.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::Arc,
};

use ipnet::IpNet;
use rusqlite::{Connection, Row, params};
use tcpcap_core::{Rule, Scope, Time};

use super::{
    AllowedEntry, Repeater, Restored,
    clock::{Moment, Since},
    row::Line,
    schema::{column, time},
};
use crate::block::{Block, Why};

/// Of a network there may be a block that a rule found and one that an operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    network: IpNet,
    origin: &'static str,
}

impl Key {
    /// `None` for a feed's block.
    pub(super) fn of(block: &Block) -> Option<Self> {
        let origin = match block.why {
            Why::Rule(_) | Why::Operator { .. } => block.why.origin(),
            Why::Feed(_) => return None,
        };
        Some(Self { network: block.network.trunc(), origin })
    }
}

/// What has changed since it was last asked; of each thing the last state only.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) blocks: HashMap<Key, Option<Block>>,
    pub(super) repeaters: HashMap<IpNet, Option<Repeater>>,
    pub(super) allowed: HashMap<IpNet, Option<AllowedEntry>>,
}

impl Changes {
    pub(super) fn len(&self) -> usize {
        self.blocks.len() + self.repeaters.len() + self.allowed.len()
    }
}

#[derive(Clone, Debug)]
struct Held {
    block: Block,
    since_at: i64,
    ends_at: Option<i64>,
}

#[derive(Clone, Debug)]
struct Remembered {
    repeater: Repeater,
    ends_at: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Item {
    Block(Key),
    Repeater(IpNet),
    Allowed(IpNet),
}

/// What is now.
#[derive(Debug, Default)]
pub(super) struct Present {
    blocks: HashMap<Key, Held>,
    repeaters: HashMap<IpNet, Remembered>,
    allowed: HashMap<IpNet, AllowedEntry>,
    /// What the file does not know yet.
    dirty: HashSet<Item>,
    /// The file knows nothing of it, or wrong things.
    all: bool,
}

/// What one transaction writes of it.
pub(super) enum Part {
    All,
    Some(Vec<Item>),
}

impl Present {
    /// Takes changes; returns how many things found no room.
    pub(super) fn apply(&mut self, changes: Changes, now: Moment, cap: usize) -> u64 {
        let Self { blocks, repeaters, allowed, dirty, .. } = self;
        let mut refused = 0;
        refused += take(
            blocks,
            changes.blocks,
            cap,
            |key| _ = dirty.insert(Item::Block(key)),
            |block, before| {
                // A block that was there before this boot began before it: only the wall clock can say when.
                let before = before.filter(|held| held.block.since == block.since);
                let since_at = before.map_or_else(|| now.wall_at(block.since), |held| held.since_at);
                let ends_at = block.until.map(|until| now.wall_at(until));
                Held { block, since_at, ends_at }
            },
        );
        refused += take(
            repeaters,
            changes.repeaters,
            cap,
            |key| _ = dirty.insert(Item::Repeater(key)),
            |repeater, _| Remembered { ends_at: now.wall_at(repeater.forget_after), repeater },
        );
        refused + take(allowed, changes.allowed, cap, |key| _ = dirty.insert(Item::Allowed(key)), |entry, _| entry)
    }

    /// Forgets repeaters whose time is over.
    pub(super) fn forget(&mut self, now: Time) {
        let Self { repeaters, dirty, .. } = self;
        repeaters.retain(|network, held| {
            let stays = held.repeater.forget_after > now;
            if !stays {
                dirty.insert(Item::Repeater(*network));
            }
            stays
        });
    }

    /// The file was replaced: all of it must be written again.
    pub(super) fn invalidate(&mut self) {
        self.all = true;
    }

    pub(super) fn is_saved(&self) -> bool {
        !self.all && self.dirty.is_empty()
    }

    /// What to write next; at most so much, unless it must be all at once.
    pub(super) fn part(&self, most: usize) -> Part {
        if self.all { Part::All } else { Part::Some(self.dirty.iter().take(most).copied().collect()) }
    }

    /// Writes a part.
    pub(super) fn save(&self, part: &Part, to: &Connection) -> rusqlite::Result<()> {
        match part {
            Part::All => {
                to.execute_batch("DELETE FROM blocks; DELETE FROM repeaters; DELETE FROM allowed")?;
                let blocks = self.blocks.keys().copied().map(Item::Block);
                let repeaters = self.repeaters.keys().copied().map(Item::Repeater);
                let allowed = self.allowed.keys().copied().map(Item::Allowed);
                blocks.chain(repeaters).chain(allowed).try_for_each(|item| self.save_item(&item, to))
            }
            Part::Some(items) => items.iter().try_for_each(|item| self.save_item(item, to)),
        }
    }

    /// A part is in the file.
    pub(super) fn saved(&mut self, part: &Part) {
        match part {
            Part::All => {
                self.all = false;
                self.dirty = HashSet::new();
            }
            Part::Some(items) => {
                for item in items {
                    self.dirty.remove(item);
                }
            }
        }
    }

    fn save_item(&self, item: &Item, to: &Connection) -> rusqlite::Result<()> {
        match item {
            Item::Block(key) => match self.blocks.get(key) {
                Some(Held { block, since_at, ends_at }) => {
                    let (rule, note) = match &block.why {
                        Why::Rule(rule) => (Some(rule.name()), None),
                        Why::Operator { note } => (None, note.as_deref()),
                        Why::Feed(_) => (None, None),
                    };
                    to.prepare_cached("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?
                        .execute(params![
                            key.network.to_string(),
                            key.origin,
                            rule,
                            note,
                            block.scope.name(),
                            column(block.since),
                            since_at,
                            block.until.map(column),
                            ends_at,
                            block.times,
                            block.unverified
                        ])
                }
                None => to
                    .prepare_cached("DELETE FROM blocks WHERE network = ? AND origin = ?")?
                    .execute(params![key.network.to_string(), key.origin]),
            },
            Item::Repeater(network) => match self.repeaters.get(network) {
                Some(Remembered { repeater, ends_at }) => to
                    .prepare_cached("INSERT OR REPLACE INTO repeaters VALUES (?, ?, ?, ?)")?
                    .execute(params![network.to_string(), repeater.times, column(repeater.forget_after), ends_at]),
                None => {
                    to.prepare_cached("DELETE FROM repeaters WHERE network = ?")?.execute(params![network.to_string()])
                }
            },
            Item::Allowed(network) => match self.allowed.get(network) {
                Some(entry) => to
                    .prepare_cached("INSERT OR REPLACE INTO allowed VALUES (?, ?)")?
                    .execute(params![network.to_string(), entry.note.as_deref()]),
                None => {
                    to.prepare_cached("DELETE FROM allowed WHERE network = ?")?.execute(params![network.to_string()])
                }
            },
        }
        .map(drop)
    }

    /// Reads what was when the file was last written, in this boot's time. What is over by now is left out, and comes as
    /// the lines of its end.
    pub(super) fn load(from: &Connection, when: &Since) -> rusqlite::Result<(Self, Restored, Vec<Line>)> {
        // In another boot all times are new ones.
        let mut present = Self { all: !when.same_boot, ..Self::default() };
        let (mut restored, mut ended) = (Restored::default(), Vec::new());
        let mut statement = from.prepare(
            "SELECT network, origin, rule, note, scope, since, since_at, until, ends_at, times, unverified FROM blocks",
        )?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let Some(Held { mut block, since_at, ends_at }) = held(row)? else {
                restored.unreadable += 1;
                continue;
            };
            let Some(key) = Key::of(&block) else { continue };
            if let (Some(until), Some(ends_at)) = (block.until, ends_at) {
                match when.until(block.since, until, ends_at) {
                    Some(until) => block.until = Some(until),
                    None => {
                        ended.extend(Line::unseen_end(&block, ends_at, when.now));
                        present.dirty.insert(Item::Block(key));
                        continue;
                    }
                }
            }
            block.since = when.since(block.since, since_at);
            let ends_at = if when.same_boot { ends_at } else { block.until.map(|until| when.now.wall_at(until)) };
            restored.blocks.push(block.clone());
            present.blocks.insert(key, Held { block, since_at, ends_at });
        }
        let mut statement = from.prepare("SELECT network, times, until, ends_at FROM repeaters")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let Some(network) = network(row)? else {
                restored.unreadable += 1;
                continue;
            };
            let ends_at = row.get(3)?;
            match when.until(Time::ZERO, time(row.get(2)?), ends_at) {
                Some(forget_after) => {
                    let repeater = Repeater { network, times: row.get(1)?, forget_after };
                    let ends_at = if when.same_boot { ends_at } else { when.now.wall_at(forget_after) };
                    restored.repeaters.push(repeater.clone());
                    present.repeaters.insert(network, Remembered { repeater, ends_at });
                }
                None => drop(present.dirty.insert(Item::Repeater(network))),
            }
        }
        let mut statement = from.prepare("SELECT network, note FROM allowed")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let Some(network) = network(row)? else {
                restored.unreadable += 1;
                continue;
            };
            let entry = AllowedEntry { network, note: row.get::<_, Option<String>>(1)?.map(Arc::from) };
            restored.allowed.push(entry.clone());
            present.allowed.insert(network, entry);
        }
        Ok((present, restored, ended))
    }
}

/// Takes changes into a map that holds so many; returns how many found no room.
fn take<K: Copy + Eq + Hash, V, T>(
    map: &mut HashMap<K, T>,
    changes: HashMap<K, Option<V>>,
    cap: usize,
    mut changed: impl FnMut(K),
    held: impl Fn(V, Option<&T>) -> T,
) -> u64 {
    let mut refused = 0;
    // What goes makes room for what comes.
    for (key, _) in changes.iter().filter(|(_, change)| change.is_none()) {
        map.remove(key);
        changed(*key);
    }
    for (key, value) in changes.into_iter().filter_map(|(key, change)| Some((key, change?))) {
        let before = map.get(&key);
        if before.is_none() && map.len() >= cap {
            refused += 1;
            continue;
        }
        let value = held(value, before);
        map.insert(key, value);
        changed(key);
    }
    refused
}

fn network(row: &Row<'_>) -> rusqlite::Result<Option<IpNet>> {
    Ok(row.get::<_, String>(0)?.parse().ok())
}

/// A block as it was written; `None` where it cannot be understood.
fn held(row: &Row<'_>) -> rusqlite::Result<Option<Held>> {
    let rule: Option<String> = row.get(2)?;
    let why = match row.get::<_, String>(1)?.as_str() {
        "automatic" => Rule::ALL.into_iter().find(|r| Some(r.name()) == rule.as_deref()).map(Why::Rule),
        "operator" => Some(Why::Operator { note: row.get::<_, Option<String>>(3)?.map(Arc::from) }),
        _ => None,
    };
    let scope: String = row.get(4)?;
    let scope = [Scope::All, Scope::Syn].into_iter().find(|s| s.name() == scope);
    let (until, ends_at): (Option<i64>, Option<i64>) = (row.get(7)?, row.get(8)?);
    let (Some(network), Some(why), Some(scope)) = (network(row)?, why, scope) else { return Ok(None) };
    // Only what an operator wants has no end.
    if until.is_some() != ends_at.is_some() || (until.is_none() && !matches!(why, Why::Operator { .. })) {
        return Ok(None);
    }
    let (since, times, unverified) = (time(row.get(5)?), row.get(9)?, row.get(10)?);
    let block = Block { network, why, scope, since, until: until.map(time), times, unverified };
    Ok(Some(Held { block, since_at: row.get(6)?, ends_at }))
}
