//! What lines are about: the closed list of values of the field `event`.

/// Lines of one kind in a second. More say nothing new, and drown what does.
const USUAL: u32 = 100;

/// The same for what attackers and operators cause, each line of which is evidence: more than policy blocks in a minute
/// before the circuit breaker opens, so that a wave of scanners is in the log as a whole.
const EVIDENCE: u32 = 1_000;

/// The same for new connections. More are a flood: writing each line would cost more than judging it.
const CONNECTIONS: u32 = 10_000;

/// Lines of one place in the code that have no kind, in a second.
pub(super) const WITHOUT_KIND: u32 = USUAL;

/// What a line of the log is about. `docs/logs.md` shows each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Blocks of an earlier run go on.
    Adopted,
    /// A source is blocked.
    Block,
    /// Too many were blocked within a minute, or that is over.
    CircuitBreaker,
    /// An operator's command.
    Command,
    /// A new connection.
    Connection,
    /// The kernel's lists were not as wanted.
    Drift,
    /// A block lasts longer.
    Extend,
    /// A feed was read, or could not be.
    Feed,
    /// A rule fired.
    Finding,
    /// An automatic block made room for an operator's.
    GaveWay,
    /// Lines were held back.
    HeldBack,
    /// The history is missing, or may be.
    History,
    /// A block ended because its source must not be blocked.
    Lift,
    /// An entry of a list is not blocked.
    ListRefusal,
    /// The lists name more than there is room for.
    ListTooLong,
    /// Blocks were moved to a map of another size.
    Migrated,
    /// There is no control socket.
    NoControl,
    /// The journal cannot be reached.
    NoJournal,
    /// A source would be blocked.
    Observe,
    /// Somebody is never blocked from now on.
    Protect,
    /// The configuration was read again.
    Reload,
    /// A source is not blocked although a rule fired.
    Suppressed,
    /// A block is over.
    Unblock,
    /// Blocks will end with the process.
    Unpinned,
    /// Somebody is not protected any more.
    Unprotect,
}

impl Kind {
    /// All of them, by name.
    pub const ALL: [Self; 25] = [
        Self::Adopted,
        Self::Block,
        Self::CircuitBreaker,
        Self::Command,
        Self::Connection,
        Self::Drift,
        Self::Extend,
        Self::Feed,
        Self::Finding,
        Self::GaveWay,
        Self::HeldBack,
        Self::History,
        Self::Lift,
        Self::ListRefusal,
        Self::ListTooLong,
        Self::Migrated,
        Self::NoControl,
        Self::NoJournal,
        Self::Observe,
        Self::Protect,
        Self::Reload,
        Self::Suppressed,
        Self::Unblock,
        Self::Unpinned,
        Self::Unprotect,
    ];

    /// The value of the field `event`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Adopted => "adopted",
            Self::Block => "block",
            Self::CircuitBreaker => "circuit_breaker",
            Self::Command => "command",
            Self::Connection => "connection",
            Self::Drift => "drift",
            Self::Extend => "extend",
            Self::Feed => "feed",
            Self::Finding => "finding",
            Self::GaveWay => "gave_way",
            Self::HeldBack => "held_back",
            Self::History => "history",
            Self::Lift => "lift",
            Self::ListRefusal => "list_refusal",
            Self::ListTooLong => "list_too_long",
            Self::Migrated => "migrated",
            Self::NoControl => "no_control",
            Self::NoJournal => "no_journal",
            Self::Observe => "observe",
            Self::Protect => "protect",
            Self::Reload => "reload",
            Self::Suppressed => "suppressed",
            Self::Unblock => "unblock",
            Self::Unpinned => "unpinned",
            Self::Unprotect => "unprotect",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// How many lines of it a second are written.
    #[must_use]
    pub const fn per_second(self) -> u32 {
        match self {
            Self::Connection => CONNECTIONS,
            Self::Block
            | Self::Command
            | Self::Extend
            | Self::Finding
            | Self::Observe
            | Self::Suppressed
            | Self::Unblock => EVIDENCE,
            _ => USUAL,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name_and_none_has_two() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of(kind.name()), Some(kind));
        }
        assert!(Kind::ALL.windows(2).all(|pair| pair[0].name() < pair[1].name()));
        assert_eq!(Kind::of("flood"), None);
    }

    #[test]
    fn what_policy_decides_has_a_kind() {
        use tcpcap_core::{Outcome, Protection, Suppression, Time};
        let until = Time::ZERO;
        let why = Suppression::Protected(Protection::Own([10, 0, 0, 5].into()));
        for outcome in
            [Outcome::Block { until }, Outcome::Extend { until }, Outcome::Observe { until }, Outcome::Suppressed(why)]
        {
            assert!(Kind::of(outcome.name()).is_some(), "{outcome:?}");
        }
    }

    #[test]
    fn a_wave_of_blocks_up_to_the_circuit_breaker_is_logged_as_a_whole() {
        let most = tcpcap_core::decide::Caps::default().per_minute;
        assert!(Kind::Block.per_second() as usize > most, "{most} a minute");
    }

    #[test]
    fn every_event_in_the_source_is_of_a_kind_and_every_kind_is_in_the_source() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let (mut found, mut directories) = (Vec::new(), vec![source]);
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|e| e == "rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let names = text.split(concat!("event", " = \"")).skip(1).filter_map(|rest| rest.split('"').next());
                    found.extend(names.map(|name| (name.to_owned(), path.clone())));
                }
            }
        }
        for (name, path) in &found {
            assert!(Kind::of(name).is_some(), "{name} in {} is no kind", path.display());
            let is_told = path.ends_with("surface/tell/mod.rs") || path.ends_with("tests.rs");
            assert!(is_told, "{name} in {}: lines of a kind are written in surface::tell", path.display());
        }
        // Those of decisions take their name from the outcome.
        let decisions = ["block", "extend", "observe", "suppressed"];
        for kind in Kind::ALL.iter().map(|kind| kind.name()).filter(|name| !decisions.contains(name)) {
            assert!(found.iter().any(|(name, _)| name == kind), "no line is of the kind {kind}");
        }
    }
}
