//! A block as all of userspace speaks of it: what is dropped, why, since when and until when.

use std::{fmt, sync::Arc};

use ipnet::IpNet;
use tcpcap_core::{Rule, Scope, Time};

/// A block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Whose packets: one address, the prefix that an IPv6 source is, or an operator's network.
    pub network: IpNet,
    /// Who wants it, and what for.
    pub why: Why,
    /// Which packets.
    pub scope: Scope,
    /// When it began.
    pub since: Time,
    /// When it ends; `None` for never. Only what an operator wants has no end.
    pub until: Option<Time>,
    /// How often in a row this source has been blocked; 0 where nobody counts.
    pub times: u32,
    /// The source never completed a handshake: its address may be forged.
    pub unverified: bool,
}

/// Who wants a block, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// A rule found it.
    Rule(Rule),
    /// An operator said so, by configuration or command.
    Operator {
        /// In the operator's own words.
        note: Option<Arc<str>>,
    },
    /// It stands in a feed.
    Feed(Arc<str>),
}

impl Why {
    /// The name used in metrics and for machines: a rule's, `operator` or `feed`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Rule(rule) => rule.name(),
            Self::Operator { .. } => "operator",
            Self::Feed(_) => "feed",
        }
    }

    /// Who wants it, for metrics and machines: `automatic`, `operator` or `feed`.
    #[must_use]
    pub const fn origin(&self) -> &'static str {
        match self {
            Self::Rule(_) => "automatic",
            Self::Operator { .. } => "operator",
            Self::Feed(_) => "feed",
        }
    }
}

/// `port-scan`, `operator: too curious`, `feed drop.txt`
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator { note: Some(note) } => write!(f, "operator: {note}"),
            Self::Feed(name) => write!(f, "feed {name}"),
            Self::Rule(_) | Self::Operator { note: None } => f.write_str(self.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_reads_as_who_wants_it_and_what_for() {
        for (why, shown, origin) in [
            (Why::Rule(Rule::PortScan), "port-scan", "automatic"),
            (Why::Operator { note: None }, "operator", "operator"),
            (Why::Operator { note: Some("too curious".into()) }, "operator: too curious", "operator"),
            (Why::Feed("drop.txt".into()), "feed drop.txt", "feed"),
        ] {
            assert_eq!((why.to_string().as_str(), why.origin()), (shown, origin));
        }
    }
}
