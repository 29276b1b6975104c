//! From what is held to what is wanted, in steps that nft takes in one run each.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use tcpcap_core::Time;

use super::{
    layout::{Elements, Mode, NEVER, Role, SetId},
    wanted::Wanted,
};

/// Ends that differ by less are the same: timeouts are whole seconds.
const SAME: u64 = 500_000_000;
/// As much may an end that was read be off, in nanoseconds: nft rounds, and we read it a little later.
const READ_SLACK: u64 = 3_000_000_000;

/// What nft holds, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// There is a table, and it is ours.
    pub(super) table: bool,
    /// A set of ours is not as we make it, or an older version made all this.
    pub(super) misshapen: bool,
    /// The chain is there, at the right place.
    pub(super) chain: bool,
    /// The rules are there, all and no others, and are those of this mode.
    pub(super) rules: Option<Mode>,
    /// The sets there are, and what they hold.
    pub(super) sets: BTreeMap<SetId, Elements>,
    /// Sets that hold beside it what is not expressible as an element of ours.
    pub(super) odd: BTreeSet<SetId>,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    DeleteTable,
    AddTable,
    AddSet(SetId),
    DeleteChain,
    AddChain,
    /// Exchanges all rules.
    Rules(Mode),
    /// Empties a set.
    Flush(SetId),
    /// Takes out elements that may have ended by themselves.
    Drop(SetId, Vec<IpNet>),
    /// Puts in elements that are not there.
    Put(SetId, Vec<(IpNet, Time)>),
}

impl Step {
    fn weight(&self) -> usize {
        match self {
            Self::Drop(_, networks) => networks.len(),
            Self::Put(_, elements) => elements.len(),
            _ => 1,
        }
    }
}

/// Steps that happen together or not at all.
pub(super) type Batch = Vec<Step>;

impl Held {
    /// What is held after these steps.
    pub(super) fn follow(&mut self, batch: &Batch) {
        for step in batch {
            match step {
                Step::DeleteTable => *self = Self::default(),
                Step::AddTable => self.table = true,
                Step::AddSet(set) => {
                    self.sets.entry(*set).or_default();
                }
                Step::DeleteChain => (self.chain, self.rules) = (false, None),
                Step::AddChain => self.chain = true,
                Step::Rules(mode) => self.rules = Some(*mode),
                Step::Flush(set) => {
                    self.odd.remove(set);
                    self.sets.entry(*set).or_default().clear();
                }
                Step::Drop(set, networks) => {
                    let elements = self.sets.entry(*set).or_default();
                    for network in networks {
                        elements.remove(network);
                    }
                }
                Step::Put(set, elements) => self.sets.entry(*set).or_default().extend(elements.iter().copied()),
            }
        }
    }

    /// Forgets what has ended by itself.
    pub(super) fn expire(&mut self, now: Time) {
        self.sets.values_mut().for_each(|elements| elements.retain(|_, until| *until > now));
    }

    /// Gives each element the end that we know it to have, where it is about the one that was read.
    pub(super) fn settle(&mut self, known: impl Fn(SetId, &IpNet) -> [Option<Time>; 2]) {
        for (set, elements) in &mut self.sets {
            for (network, until) in elements {
                let about = |end: &Time| within(*end, *until, READ_SLACK);
                if let Some(end) = known(*set, network).into_iter().flatten().find(about) {
                    *until = end;
                }
            }
        }
    }

    /// Whether this is something else, not counting what is about to end anyway.
    pub(super) fn differs(&self, other: &Self, now: Time) -> bool {
        let lasting = |held: &Self| {
            let mut held = held.clone();
            held.expire(Time::from_nanos(now.as_nanos().saturating_add(READ_SLACK)));
            held
        };
        lasting(self) != lasting(other)
    }

    /// How many elements there are.
    pub(super) fn len(&self) -> usize {
        self.sets.values().map(Elements::len).sum()
    }
}

/// What to do, in runs of at most `chunk` elements (more only where elements must be exchanged at once).
///
/// Allowed networks come before blocked ones, and rules that only count before anything else.
pub(super) fn plan(held: &Held, wanted: &mut Wanted, now: Time, chunk: usize) -> Vec<Batch> {
    let rebuilt = !held.table || held.misshapen;
    if rebuilt {
        wanted.touch_all();
    }
    let touched = wanted.take_touched();
    let nothing = Held::default();
    let seen = if rebuilt { &nothing } else { held };
    let mut packer = Packer { batches: Vec::new(), open: 0, chunk };

    let mut structure = Vec::new();
    if held.table && rebuilt {
        structure.push(Step::DeleteTable);
    }
    if rebuilt {
        structure.push(Step::AddTable);
    }
    structure.extend(SetId::all().filter(|set| !seen.sets.contains_key(set)).map(Step::AddSet));
    let mode = wanted.mode;
    let replace_chain = !seen.chain;
    // Whoever makes the chain makes the rules with it: they carry the marker.
    let arm_last = seen.chain && seen.rules == Some(Mode::Observe) && mode == Mode::Enforce;
    if replace_chain && !rebuilt {
        structure.push(Step::DeleteChain);
    }
    if replace_chain {
        structure.push(Step::AddChain);
    }
    if replace_chain || (seen.rules != Some(mode) && !arm_last) {
        structure.push(Step::Rules(mode));
    }
    if !structure.is_empty() {
        packer.add(structure);
    }
    let (allowed, blocked): (Vec<_>, Vec<_>) = touched.into_iter().partition(|set| set.role() == Role::Allowed);
    for set in allowed.into_iter().chain(blocked) {
        static NONE: Elements = Elements::new();
        let there = seen.sets.get(&set).unwrap_or(&NONE);
        let units = if set.is_interval() { intervals } else { sources };
        for unit in units(set, there, wanted.elements(set), seen.odd.contains(&set), now, chunk) {
            packer.add(unit);
        }
    }
    if arm_last {
        packer.add(vec![Step::Rules(mode)]);
    }
    packer.batches
}

/// Packs units, in order, into runs.
struct Packer {
    batches: Vec<Batch>,
    /// The weight of the last run.
    open: usize,
    chunk: usize,
}

impl Packer {
    fn add(&mut self, unit: Vec<Step>) {
        let weight = unit.iter().map(Step::weight).sum::<usize>();
        match self.batches.last_mut() {
            Some(last) if self.open + weight <= self.chunk => {
                self.open += weight;
                last.extend(unit);
            }
            _ => {
                self.open = weight;
                self.batches.push(unit);
            }
        }
    }
}

fn same(a: Time, b: Time) -> bool {
    within(a, b, SAME)
}

fn within(a: Time, b: Time, nanos: u64) -> bool {
    a == b || (a != NEVER && b != NEVER && a.nanos_since(b).max(b.nanos_since(a)) < nanos)
}

/// What is wanted and not held until the same time.
fn missing(there: &Elements, wanted: &Elements, now: Time) -> Vec<(IpNet, Time)> {
    let is_there = |network: &IpNet, until| there.get(network).is_some_and(|held| same(*held, until));
    wanted.iter().filter(|(n, until)| **until > now && !is_there(n, **until)).map(|(n, until)| (*n, *until)).collect()
}

/// A set of hashes takes single changes. An element keeps its timeout when it is added again, so it is taken out first.
fn sources(set: SetId, there: &Elements, wanted: &Elements, odd: bool, now: Time, chunk: usize) -> Vec<Vec<Step>> {
    if odd {
        return rewrite(set, wanted, now, chunk);
    }
    let mut units = Vec::new();
    let unwanted: Vec<IpNet> = there.keys().filter(|network| !wanted.contains_key(network)).copied().collect();
    units.extend(unwanted.chunks(chunk).map(|networks| vec![Step::Drop(set, networks.to_vec())]));
    // A renewal counts twice.
    for elements in missing(there, wanted, now).chunks((chunk / 2).max(1)) {
        let renewed: Vec<IpNet> = elements.iter().map(|(n, _)| *n).filter(|n| there.contains_key(n)).collect();
        let drop = (!renewed.is_empty()).then_some(Step::Drop(set, renewed));
        units.push(drop.into_iter().chain([Step::Put(set, elements.to_vec())]).collect());
    }
    units
}

/// A set of intervals takes additions; nft needs milliseconds for each deletion, and takes no addition in place of what
/// the same run deletes. So it is written anew where anything must go.
fn intervals(set: SetId, there: &Elements, wanted: &Elements, odd: bool, now: Time, chunk: usize) -> Vec<Vec<Step>> {
    let missing = missing(there, wanted, now);
    let stays = there.iter().all(|(network, until)| wanted.get(network).is_some_and(|w| same(*w, *until)));
    if odd || !stays {
        return rewrite(set, wanted, now, chunk);
    }
    missing.chunks(chunk).map(|elements| vec![Step::Put(set, elements.to_vec())]).collect()
}

fn rewrite(set: SetId, wanted: &Elements, now: Time, chunk: usize) -> Vec<Vec<Step>> {
    let all: Vec<(IpNet, Time)> = wanted.iter().filter(|(_, u)| **u > now).map(|(n, u)| (*n, *u)).collect();
    let mut units: Vec<Vec<Step>> = all.chunks(chunk).map(|e| vec![Step::Put(set, e.to_vec())]).collect();
    match units.first_mut() {
        Some(first) => first.insert(0, Step::Flush(set)),
        None => units.push(vec![Step::Flush(set)]),
    }
    units
}
