//! How it is.

use indicatif::{HumanBytes, HumanCount};

use super::{is_alone, moment::Moment, number};
use crate::control::{BlockShown, Named, Story};

/// The one sentence that says it.
pub(super) fn headline(story: &Story) -> String {
    let Story { address, source, now, .. } = story;
    let how = match now.state.as_str() {
        "protected" => "is never blocked",
        "observed" => "would be blocked, but tcpcap only observes",
        // A block of the whole address need not be its source's.
        _ if !now.blocks.is_empty() => "is blocked",
        _ => "is not blocked",
    };
    if is_alone(source, *address) {
        return format!("{address} {how}");
    }
    format!("{address} {how} (all of {source} counts as one source)")
}

pub(super) fn told(story: &Story, moment: &Moment) -> Vec<String> {
    let now = &story.now;
    let mut out = Vec::new();
    if now.state == "protected" {
        let why = now.protected.as_deref().unwrap_or("it is protected");
        out.push(format!("All its packets pass: {why}."));
    } else if now.blocks.is_empty() {
        out.push("All its packets pass: no rule, operator or list has it blocked.".to_owned());
    }
    out.extend(now.blocks.iter().map(|block| block_told(block, story, moment)));
    out
}

fn block_told(block: &BlockShown, story: &Story, moment: &Moment) -> String {
    let who = if is_alone(&block.network, story.address) { "it".to_owned() } else { Named(&block.network).to_string() };
    let what = if block.scope == "syn" { "New connections" } else { "All packets" };
    let is = match story.now.state.as_str() {
        "protected" | "observed" => "would be dropped",
        _ => "are dropped",
    };
    let until = match (block.left_s, block.origin.as_str()) {
        (Some(left), _) => format!(" until {}", moment.hence(left)),
        (None, "feed") => String::new(),
        (None, _) => " for ever".to_owned(),
    };
    let but = match story.now.state.as_str() {
        "protected" => ", were it not for that",
        "observed" => ", but observe mode lets them pass",
        _ => "",
    };
    let existing = if block.scope == "syn" { "; connections that exist go on" } else { "" };
    let by = match block.origin.as_str() {
        "automatic" => format!("rule {}", block.why),
        "feed" => format!("feed {}", block.why),
        _ if block.why.is_empty() || block.why == "operator" => "operator, without a reason".to_owned(),
        _ => format!("operator, who says: {}", block.why),
    };
    let times = if block.times > 1 { format!(", block number {} in a row", block.times) } else { String::new() };
    let dropped = match (story.now.state.as_str(), block.packets) {
        (_, 0) => "Nothing came since".to_owned(),
        ("observed", packets) => format!("{} would have been dropped", bytes(packets, block.bytes)),
        (_, packets) => format!("Dropped so far: {}", bytes(packets, block.bytes)),
    };
    let since = moment.ago(block.age_s);
    format!("{what} from {who} {is}{until}{but}{existing}. Blocked at {since} by {by}{times}. {dropped}.")
}

fn bytes(packets: u64, bytes: u64) -> String {
    format!("{} ({})", number(packets, "packet", "packets"), HumanBytes(bytes))
}

/// `1,234 packets`, for a block that is over.
pub(super) fn packets(count: u64) -> String {
    if count == 0 {
        "nothing".to_owned()
    } else {
        format!("{} packet{}", HumanCount(count), if count == 1 { "" } else { "s" })
    }
}
