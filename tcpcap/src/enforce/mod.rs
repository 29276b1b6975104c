//! Enforcement: what is wanted, written into the kernel's lists, and written again until it is there.
//!
//! One operation does it all: `Enforcer::settle` makes the entry at a place what [`Wanted`] says it should be.
//! Everything else changes what is wanted, and settles; what fails is owed and settled again; what differs although
//! nobody changed it is drift, which `reconcile` finds and settles.

mod allowed;
mod reconcile;
mod wanted;

use std::{
    collections::{BTreeSet, VecDeque},
    io,
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

use aya::maps::MapError;
use ipnet::IpNet;
use tcpcap_common::record;
use tcpcap_core::{Scope, Source, Time};
use tracing::{info, warn};

use crate::{
    block::{Block, Why},
    kernel::{Blocks, Networks, chain, is_full},
    lists::{Diff, Plan},
    mirror::{self, Mirror},
    surface::metrics::{Metrics, gauge},
};

pub use allowed::Allowed;
use reconcile::Cursors;
pub use wanted::{Place, Wanted, is_automatic, is_listed};

/// Steps of a new plan taken at once: a millisecond of writing.
const STEPS_AT_ONCE: usize = 512;

/// Refused changes tried again at once.
const RETRIES_AT_ONCE: usize = 1024;

/// Room in the hash that lists leave to operators' own blocks.
const OPERATORS_ROOM: usize = 16_384;

/// The writer of the block lists.
pub struct Enforcer {
    blocks: Blocks,
    networks: Networks<record::Block>,
    wanted: Wanted,
    /// Places that the kernel refused to change.
    owed: BTreeSet<Place>,
    /// The last of them that was tried again.
    retried: Option<Place>,
    /// What an earlier daemon's lists left in the kernel and the present ones do not name.
    left_over: LeftOver,
    /// The way to a new plan, while it is under way.
    under_way: Option<Diff>,
    /// Automatic blocks that gave way, to be told of.
    given_way: VecDeque<Source>,
    cursors: Cursors,
    /// Sources of lists that there is room for.
    room_for_lists: u64,
    mirror: Option<(Mirror, mirror::Config)>,
    metrics: Arc<Metrics>,
}

/// What becomes of entries that an earlier daemon's feeds left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeftOver {
    /// There are none.
    None,
    /// They stay: a feed could not be read yet, and they may be its.
    Stays,
    /// They go, and are no drift.
    Goes,
}

/// What a place held before it was settled.
type Before = Option<record::Block>;

impl Enforcer {
    /// Takes over the lists as they stand. `sources` is the room in the hash, of which `automatic` are kept for rules.
    #[must_use]
    pub fn new(
        blocks: Blocks,
        networks: Networks<record::Block>,
        sources: usize,
        automatic: usize,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            blocks,
            networks,
            wanted: Wanted::default(),
            owed: BTreeSet::new(),
            retried: None,
            left_over: LeftOver::None,
            under_way: None,
            given_way: VecDeque::new(),
            cursors: Cursors::default(),
            room_for_lists: sources.saturating_sub(automatic + OPERATORS_ROOM) as u64,
            mirror: None,
            metrics,
        }
    }

    /// What is wanted.
    #[must_use]
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// The entry at a place, with what it has counted.
    #[must_use]
    pub fn counted(&self, place: Place) -> Before {
        match place {
            Place::Source(source) => self.blocks.get(source.0),
            Place::Network(network) => self.networks.longest(&network).filter(|found| is_of(found, network)),
        }
    }

    /// The longest blocked network around a source, and its entry. Cost: a system call if there are any networks.
    #[must_use]
    pub fn network_around(&self, source: Source) -> Option<(Place, record::Block)> {
        if self.networks.is_empty() {
            return None;
        }
        let source = source.network();
        let block = self.networks.longest(&source)?;
        let length = u8::try_from(record::block::prefix(block.flags)).ok()?;
        // An entry around an address is no longer than it is.
        let network = ipnet::IpNet::new(source.addr(), length).ok()?.trunc();
        Some((Place::Network(network), block))
    }

    /// How many changes the kernel refused that are still due.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.owed.len()
    }

    /// What the kernel's lists hold, whoever put it there.
    ///
    /// # Errors
    /// A list cannot be read.
    pub fn found(&self) -> io::Result<Vec<(Place, record::Block)>> {
        let mut found = Vec::new();
        self.blocks.walk(|source, block| found.push((Place::Source(Source(source)), block)))?;
        self.networks.walk(|network, block| found.push((Place::Network(network), block)))?;
        Ok(found)
    }

    /// Takes a rule's block over that is in the kernel, or is put there by [`Enforcer::reconcile_all`].
    pub fn adopt(&mut self, source: Source, block: record::Block) {
        self.wanted.put_automatic(source, block);
    }

    /// The same for an operator's.
    pub fn adopt_operator(&mut self, block: Block) {
        self.wanted.put_operator(block);
    }

    /// The first plan of lists, put into the kernel by [`Enforcer::reconcile_all`]. Where it is not `whole`, because a feed
    /// could not be read, what an earlier daemon's feeds left stays in force.
    pub fn begin(&mut self, plan: Arc<Plan>, whole: bool, now: Time) {
        self.wanted.set_plan(plan, now);
        self.left_over = if whole { LeftOver::None } else { LeftOver::Stays };
    }

    /// Every feed has been read by now: what is left over of earlier ones goes.
    pub fn drop_left_over(&mut self) {
        if self.left_over == LeftOver::Stays {
            self.left_over = LeftOver::Goes;
            self.cursors.restart();
        }
    }

    /// Whether the program has to look at networks: there are some, or soon will be.
    #[must_use]
    pub fn has_networks(&self) -> bool {
        self.wanted.has_networks() || !self.networks.is_empty()
    }

    /// Blocks a source from its next packet on. When the kernel refuses, it is tried again at each [`Enforcer::retry`].
    pub fn block(&mut self, source: Source, block: record::Block) {
        self.wanted.put_automatic(source, block);
        self.settle(Place::Source(source));
        self.show();
    }

    /// Ends a rule's block of a source; returns what its entry had counted.
    pub fn unblock(&mut self, source: Source) -> record::Block {
        self.wanted.drop_automatic(source);
        let before = self.settle(Place::Source(source));
        self.show();
        before.unwrap_or_default()
    }

    /// Blocks what an operator wants blocked. For want of room the oldest automatic block gives way.
    pub fn block_for_operator(&mut self, block: Block) {
        let place = self.wanted.put_operator(block);
        self.settle(place);
        self.show();
    }

    /// Ends an operator's block; returns it, and what its entry had counted.
    pub fn unblock_for_operator(&mut self, network: IpNet) -> Option<(Block, record::Block)> {
        let block = self.wanted.drop_operator(network)?;
        let before = self.settle(Place::of(network));
        self.show();
        Some((block, before.unwrap_or_default()))
    }

    /// The operators' blocks that are over by now.
    #[must_use]
    pub fn over(&self, now: Time) -> Vec<IpNet> {
        self.wanted.operator().filter(|b| b.until.is_some_and(|until| until <= now)).map(|b| b.network).collect()
    }

    /// Goes on to what lists deny now, in steps: see [`Enforcer::step`].
    ///
    /// # Errors
    /// There is no room for so many sources: how many are too many. What was in force stays so.
    pub fn follow(&mut self, plan: Arc<Plan>, now: Time) -> Result<(), u64> {
        let beyond = plan.counts().exact.saturating_sub(self.room_for_lists);
        self.metrics.enforcement.list_entries_beyond_room.set(gauge(usize::try_from(beyond).unwrap_or(usize::MAX)));
        if beyond > 0 {
            return Err(beyond);
        }
        // What is left of an earlier way is found by comparing.
        self.cursors.restart();
        let old = self.wanted.set_plan(Arc::clone(&plan), now);
        self.under_way = Some(Diff::new(old, plan));
        Ok(())
    }

    /// Whether there are steps to take.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Takes some steps of the way to a new plan.
    pub fn step(&mut self) {
        let Some(mut diff) = self.under_way.take() else { return };
        for _ in 0..STEPS_AT_ONCE {
            match diff.next() {
                Some(step) => {
                    let place = Place::from(&step.denied);
                    // What a feed alone wants is not in the mirror, and a million notes of that would be too many.
                    if matches!(step.denied.why, Why::Feed(_)) && !self.mirrors_feeds() {
                        self.bring_about(place);
                    } else {
                        self.settle(place);
                    }
                }
                None => {
                    self.arrive();
                    return self.show();
                }
            }
        }
        self.under_way = Some(diff);
        self.show();
    }

    fn arrive(&mut self) {
        let plan = self.wanted.plan();
        self.metrics.enforcement.list_entries.set(gauge(plan.len()));
        let refused = usize::try_from(plan.counts().refused).unwrap_or(usize::MAX);
        self.metrics.enforcement.list_entries_refused.set(gauge(refused));
    }

    /// Makes the entry at a place what it should be; returns what stood there, if it is gone now. Cost: two or three
    /// system calls.
    fn settle(&mut self, place: Place) -> Before {
        self.reflect(place, self.wanted.at(place).as_ref());
        self.bring_about(place)
    }

    /// The same, in the kernel alone.
    fn bring_about(&mut self, place: Place) -> Before {
        let wanted = self.wanted.at(place);
        match self.write(place, wanted) {
            Ok(before) => {
                self.owed.remove(&place);
                before
            }
            Err(e) if is_full(&e) && wanted.is_some_and(|w| w.reason == record::reason::OPERATOR) => {
                self.make_room();
                match self.write(place, wanted) {
                    Ok(before) => {
                        self.owed.remove(&place);
                        before
                    }
                    Err(e) => self.owe(place, &e),
                }
            }
            Err(e) => self.owe(place, &e),
        }
    }

    fn mirrors_feeds(&self) -> bool {
        self.mirror.as_ref().is_some_and(|(_, config)| config.include_feeds)
    }

    /// Tells the mirror.
    fn reflect(&self, place: Place, wanted: Option<&record::Block>) {
        if let Some((mirror, config)) = &self.mirror {
            mirror.set(change(place, wanted, config));
        }
    }

    /// Has everything mirrored from now on.
    ///
    /// # Errors
    /// The mirror's thread cannot be started.
    pub fn start_mirror(&mut self, config: mirror::Config, observe: bool, allowed: Vec<IpNet>) -> io::Result<()> {
        let (mut first, mut at) = (Vec::new(), None);
        while let Some(place) = self.wanted.next(at) {
            first.push(change(place, self.wanted.at(place).as_ref(), &config));
            at = Some(place);
        }
        if config.include_feeds {
            first.extend(self.wanted.plan().iter().map(|denied| {
                let place = Place::from(&denied);
                change(place, self.wanted.at(place).as_ref(), &config)
            }));
        }
        self.mirror = Some((Mirror::start(config.clone(), observe, allowed, first)?, config));
        Ok(())
    }

    /// The mirror, if there is one.
    #[must_use]
    pub fn mirror(&self) -> Option<&Mirror> {
        self.mirror.as_ref().map(|(mirror, _)| mirror)
    }

    fn write(&mut self, place: Place, wanted: Before) -> Result<Before, MapError> {
        match (place, wanted) {
            (Place::Source(source), Some(block)) => self.blocks.put(source.0, block).map(|()| None),
            (Place::Source(source), None) => self.blocks.remove(source.0),
            (Place::Network(network), Some(block)) => {
                let block = record::Block { flags: block.flags | of_prefix(network), ..block };
                let counting_on = |old: Before| match old {
                    Some(record::Block { packets, bytes, last_drop, .. }) => {
                        record::Block { packets, bytes, last_drop, ..block }
                    }
                    None => block,
                };
                self.networks.put_with(&network, counting_on).map(|()| None)
            }
            (Place::Network(network), None) => {
                let before = self.networks.longest(&network);
                Ok(if self.networks.remove(&network)? { before } else { None })
            }
        }
    }

    fn owe(&mut self, place: Place, e: &MapError) -> Before {
        self.metrics.enforcement.count_error("xdp");
        let network = place.network();
        let wanted = self.wanted.at(place);
        if self.owed.insert(place) {
            let e = chain(e);
            match wanted {
                Some(_) => warn!(
                    source = %network,
                    "{network} is not blocked yet, the kernel refuses the entry: {e}; it is tried again"
                ),
                // Its expiry is in the entry: the program does not honour it any more, it only takes up room.
                None => warn!(source = %network, "the block of {network} cannot be taken out: {e}; it is tried again"),
            }
        }
        None
    }

    /// Takes out the automatic block that began first.
    fn make_room(&mut self) {
        // One that is not in the kernel would leave no room behind.
        let takes_room = |source| !self.owed.contains(&Place::Source(source));
        if let Some(oldest) = self.wanted.oldest_automatic(takes_room) {
            self.wanted.drop_automatic(oldest);
            self.settle(Place::Source(oldest));
            self.metrics.enforcement.given_way.inc();
            self.given_way.push_back(oldest);
        }
    }

    /// An automatic block that gave way to an operator's, each once.
    pub fn take_given_way(&mut self) -> Option<Source> {
        self.given_way.pop_front()
    }

    /// Tries again what the kernel refused.
    pub fn retry(&mut self) {
        if self.owed.is_empty() {
            return;
        }
        // They stay owed meanwhile, so that each is told of once. Each has its turn, however many there are.
        let after = self.retried.map_or(Unbounded, Excluded);
        let mut turn: Vec<Place> = self.owed.range((after, Unbounded)).take(RETRIES_AT_ONCE).copied().collect();
        if turn.is_empty() {
            turn = self.owed.iter().take(RETRIES_AT_ONCE).copied().collect();
        }
        self.retried = turn.last().copied();
        for place in turn {
            self.settle(place);
            if !self.owed.contains(&place) && self.wanted.at(place).is_some() {
                let network = place.network();
                info!(source = %network, "{network} is blocked now");
            }
        }
        self.show();
    }

    fn show(&self) {
        let (automatic, operator) = self.wanted.counts();
        self.metrics.enforcement.set_blocks(automatic, operator, self.wanted.plan().len(), self.owed.len());
    }
}

/// What the mirror should do for a place.
fn change(place: Place, wanted: Option<&record::Block>, config: &mirror::Config) -> mirror::Change {
    match wanted.filter(|wanted| config.include_feeds || wanted.reason != record::reason::FEED) {
        Some(wanted) => mirror::Change::Put {
            network: place.network(),
            scope: if wanted.scope == record::scope::SYN { Scope::Syn } else { Scope::All },
            until: (wanted.until != 0).then(|| Time::from_nanos(wanted.until)),
        },
        None => mirror::Change::Remove(place.network()),
    }
}

/// The flags that make an entry of the trie known as this network's.
fn of_prefix(network: IpNet) -> u32 {
    record::block::of_prefix(u32::from(network.prefix_len()))
}

/// Whether an entry of the trie is this network's, and not one's around it.
fn is_of(found: &record::Block, network: IpNet) -> bool {
    record::block::prefix(found.flags) == u32::from(network.prefix_len())
}
