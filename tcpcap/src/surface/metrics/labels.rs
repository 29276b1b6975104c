//! The sets of labels.

use prometheus_client::encoding::EncodeLabelSet;

/// Verdict and end of a packet.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct PacketLabels {
    pub(super) verdict: &'static str,
    pub(super) end: &'static str,
}

/// What became of something.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct OutcomeLabels {
    pub(super) outcome: &'static str,
}

/// Why: a source is blocked, an entry of the history lost.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ReasonLabels {
    pub(super) reason: &'static str,
}

/// Which rule fired in which window.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct RuleLabels {
    pub(super) rule: &'static str,
    pub(super) window: &'static str,
}

/// An interface.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct InterfaceLabels {
    pub(super) interface: String,
}

/// An interface and the XDP mode it got.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ModeLabels {
    pub(super) interface: String,
    pub(super) mode: &'static str,
}

/// An interface and how the program hangs on its way out.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct EgressLabels {
    pub(super) interface: String,
    pub(super) kind: &'static str,
}

/// Who wants something blocked, and whether its packets are dropped.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct BlockLabels {
    pub(super) origin: &'static str,
    pub(super) state: &'static str,
}

/// Where blocks are written to.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct BackendLabels {
    pub(super) backend: &'static str,
}

/// A part that may be off or unwell.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct PartLabels {
    pub(super) part: &'static str,
}

/// A map of the kernel, by its name there.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct MapLabels {
    pub(super) map: &'static str,
}

/// A feed, by the name that the configuration gives it.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct FeedLabels {
    pub(super) feed: String,
}

/// A kind of log lines.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct EventLabels {
    pub(super) event: &'static str,
}
