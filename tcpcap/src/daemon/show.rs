//! What the daemon tells of itself.

use std::fmt;

use tcpcap_common::record;

use super::Daemon;
use crate::{
    block::Why,
    control::{BlockShown, Counts, PartShown, ProtectedShown, Status},
    enforce::Place,
    host,
    settings::ScopeChoice,
    translate,
};

impl Daemon {
    /// How it is going.
    pub(super) fn status(&self) -> Status {
        let (automatic, operator) = self.enforcer.wanted().counts();
        let mode = if self.settings.judging.observe { "observe" } else { "enforce" };
        let scope = if self.settings.scope == ScopeChoice::Syn { "syn" } else { "all" };
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: host::now().since(self.started).as_secs(),
            mode: mode.to_owned(),
            scope: scope.to_owned(),
            preset: self.settings.judging.preset.to_string(),
            interfaces: self.interfaces.shown(),
            blocks: Counts {
                automatic,
                operator,
                feed: self.enforcer.wanted().plan().len(),
                owed: self.enforcer.owed(),
            },
            breaker_open: self.engine.is_breaker_open(host::now()),
            pins: match &self.pins {
                Ok(_) => PartShown { state: "on".to_owned(), why: None },
                Err(why) => PartShown { state: "off".to_owned(), why: Some(why.clone()) },
            },
            history: self.chronicle.shown(),
            mirror: match self.enforcer.mirror().map(|mirror| mirror.stats().degraded) {
                None => PartShown { state: "off".to_owned(), why: None },
                Some(None) => PartShown { state: "on".to_owned(), why: None },
                Some(Some(why)) => PartShown { state: "degraded".to_owned(), why: Some(why.to_string()) },
            },
            feeds: self.denying.shown(),
            never_block: self
                .protected
                .iter()
                .map(|(address, why)| ProtectedShown { address, why: why.to_string() })
                .collect(),
            allowed: self.protected.allowed().to_vec(),
            drift_repaired: self.metrics.enforcement.drift(),
        }
    }

    /// The blocks of rules and operators. Cost: a system call each.
    pub(super) fn blocks(&self) -> Vec<BlockShown> {
        let (mut shown, mut at) = (Vec::new(), None);
        while let Some(place) = self.enforcer.wanted().next(at) {
            at = Some(place);
            shown.extend(self.block_shown(place));
        }
        shown
    }

    pub(super) fn block_shown(&self, place: Place) -> Option<BlockShown> {
        self.block_shown_with(place, &self.enforcer.counted(place).unwrap_or_default())
    }

    /// The same, of which it is known what its entry has counted.
    pub(super) fn block_shown_with(&self, place: Place, counted: &record::Block) -> Option<BlockShown> {
        let wanted = self.enforcer.wanted().at(place)?;
        let block = translate::block_of(place.network(), &wanted)?;
        // The kernel does not know an operator's words.
        let why = match (&block.why, self.enforcer.wanted().operator_at(place).map(|operators| &operators.why)) {
            (Why::Operator { .. }, Some(Why::Operator { note })) => note.as_deref().unwrap_or_default().to_owned(),
            (Why::Rule(rule), _) => rule.name().to_owned(),
            _ => self.enforcer.wanted().plan().get(&block.network).map(words).unwrap_or_default(),
        };
        Some(translate::block_shown(&block, why, counted, host::now()))
    }

    /// What stays in force when this process ends, for the log's last line.
    pub(super) fn left_behind(&self) -> String {
        let (automatic, operator) = self.enforcer.wanted().counts();
        let blocks = automatic + operator + self.enforcer.wanted().plan().len();
        if self.pins.is_ok() && !self.settings.detach {
            format!("the kernel goes on with its blocks ({blocks}) until each is over; `tcpcap detach` lets go of them")
        } else {
            format!("it lets go of its blocks: {blocks}")
        }
    }
}

/// A reason without who wants it.
fn words(why: &Why) -> String {
    match why {
        Why::Rule(rule) => rule.name().to_owned(),
        Why::Operator { note } => note.as_deref().unwrap_or_default().to_owned(),
        Why::Feed(name) => name.to_string(),
    }
}

/// `watching eth0 (native) for 3 own addresses, balanced preset`
impl fmt::Display for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.network.addresses.len();
        write!(f, "watching {} for {own} own addresses, {} preset", self.interfaces, self.settings.judging.preset)?;
        let (automatic, operator) = self.enforcer.wanted().counts();
        if automatic + operator > 0 {
            write!(f, ", going on with {} blocks", automatic + operator)?;
        }
        if self.settings.judging.observe { f.write_str(", observing only") } else { Ok(()) }
    }
}
