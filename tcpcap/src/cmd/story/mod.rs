//! The story of an address, in the order in which a person would tell it: how it is now, how it came to that, what it did,
//! what comes next, and what can be done about it.

mod moment;
mod now;
mod past;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use indicatif::HumanCount;
use ipnet::IpNet;
use tcpcap_core::Rule;

use super::layout::{GLUE, NARROWEST, fold};
use crate::control::{BlockShown, Named, SourceShown, Story, readable};
use moment::Moment;

/// Ports and hosts that are named.
const NAMED: usize = 12;

/// The whole story in lines of at most `width` characters, or of 40 if that is less. Headings begin in the first
/// column, everything else behind an indent.
pub(crate) fn lines(story: &Story, width: usize) -> Vec<String> {
    let width = width.max(NARROWEST);
    let moment = Moment::of(&story.time);
    let mut out = fold(&now::headline(story), width, 0, 0);
    let mut section = |heading: &str, paragraphs: Vec<String>| {
        if !paragraphs.is_empty() {
            out.push(String::new());
            out.push(heading.to_owned());
        }
        paragraphs.iter().for_each(|text| out.extend(fold(text, width, 2, 4)));
    };
    section("Now", now::told(story, &moment));
    section("How it came to that", past::told(story, &moment));
    section("What it did", did(story.seen.as_ref(), &moment));
    section("What comes next", next(story, &moment));
    section("What you can do", remedies(story));
    out
}

/// What it did, as far as anybody remembers.
fn did(seen: Option<&SourceShown>, moment: &Moment) -> Vec<String> {
    let Some(seen) = seen else {
        return vec!["Nothing that the kernel or the detector remembers.".to_owned()];
    };
    let mut counted = number(seen.attempts, "attempt", "attempts");
    counted += &match seen.completions {
        0 => ": no handshake completed".to_owned(),
        some => format!(": {} completed", number(some, "handshake", "handshakes")),
    };
    if seen.refusals > 0 {
        counted += &format!(", {} refused by this host", HumanCount(seen.refusals));
    }
    for (count, one, many) in [
        (seen.retransmissions, "SYN sent again", "SYNs sent again"),
        (seen.probes, "probe, which no honest stack sends first", "probes, which no honest stack sends first"),
        (seen.strays, "segment of no known connection", "segments of no known connection"),
    ] {
        if count > 0 {
            counted += &format!("; {}", number(count, one, many));
        }
    }
    let mut out = vec![counted + "."];
    if seen.ports > 0 || seen.hosts > 0 {
        let (ports, hosts) = (list(&ranges(&seen.some_ports), Some(seen.ports)), named(&seen.some_hosts));
        // A finding is enough: from then on no more is counted.
        let when = if seen.rule.is_some() { "Until the latest finding" } else { "Of late" };
        out.push(format!(
            "{when} it tried {}{} on {}{}.",
            number(seen.ports as u64, "port", "ports"),
            in_brackets(&ports),
            number(seen.hosts as u64, "own address", "own addresses"),
            in_brackets(&list(&hosts, Some(seen.hosts)))
        ));
    }
    let first = seen.first_seen_s.map(|ago| format!("First seen at {}, last", moment.ago(ago)));
    let rate = if seen.per_second > 0.0 {
        format!(", now with {:.1} attempts a second", seen.per_second)
    } else {
        String::new()
    };
    out.push(format!("{} seen at {}{rate}.", first.as_deref().unwrap_or("Last"), moment.ago(seen.last_seen_s)));
    if let Some(tool) = &seen.fingerprint {
        out.push(format!("Its attempts bear the marks of {tool}."));
    }
    out.extend(match seen.standing.as_deref() {
        Some("unverified") => {
            Some("Unverified: it completed no handshake before, so its address may be forged.".to_owned())
        }
        Some("verified") => Some("Verified: it completed a handshake before, so its address is real.".to_owned()),
        Some("established") => {
            Some("Established: it completed at least as many handshakes as it left open.".to_owned())
        }
        _ => None,
    });
    if seen.events_withheld > 0 {
        let withheld = number(seen.events_withheld, "event was", "events were");
        out.push(format!("{withheld} too many for the detector; they are counted above."));
    }
    out
}

/// What is named, and for how many that stands.
pub(super) type Item = (String, usize);

pub(super) fn named<T: ToString>(items: &[T]) -> Vec<Item> {
    items.iter().map(|item| (item.to_string(), 1)).collect()
}

/// Ports in ascending order, three and more in a row as `22-36`.
pub(super) fn ranges(ports: &[u16]) -> Vec<Item> {
    let rows = ports.chunk_by(|a, b| a.checked_add(1) == Some(*b));
    rows.flat_map(|row| match row {
        [first, _, .., last] => vec![(format!("{first}-{last}"), row.len())],
        few => named(few),
    })
    .collect()
}

/// `22-36, 80 and 9 more`; of nothing, nothing. `all` is how many there are, if that is known.
pub(super) fn list(items: &[Item], all: Option<usize>) -> String {
    let (shown, rest) = items.split_at(items.len().min(NAMED));
    let text = shown.iter().map(|item| item.0.as_str()).collect::<Vec<_>>().join(", ");
    match all.map(|all| all.saturating_sub(shown.iter().map(|item| item.1).sum())) {
        _ if items.is_empty() => text,
        Some(0) if rest.is_empty() => text,
        Some(more) if more > 0 => format!("{text} and {} more", HumanCount(more as u64)),
        _ => format!("{text} and more"),
    }
}

fn in_brackets(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

fn next(story: &Story, moment: &Moment) -> Vec<String> {
    let next = &story.next;
    if story.now.state == "protected" {
        return vec!["Whatever rules find, it is not blocked as long as that holds.".to_owned()];
    }
    let mut out: Vec<_> = story.now.blocks.iter().map(|block| end_of(block, moment)).collect();
    let would = if story.now.state == "observed" { "would be" } else { "is" };
    let is_judged = story.now.blocks.is_empty() || next.ends_s.is_some();
    if !has_daemon(story) {
        out.push("Nobody looks at what it does until tcpcap runs again.".to_owned());
    }
    if is_judged && has_daemon(story) {
        // More if its address is known to be real by then.
        let least = if next.repeat_s < tcpcap_core::decide::MAX_TTL.as_secs() { "at least " } else { "" };
        let lasts = format!("it {would} blocked for {least}{}", span(next.repeat_s));
        out.push(match next.times {
            0 => format!("If a rule fires, {lasts}."),
            times => format!("If a rule fires again, {lasts}, as block number {} in a row.", times + 1),
        });
    }
    if let Some(left) = next.forgotten_s {
        out.push(format!("If none does, it counts as a stranger again after {}.", moment.hence(left)));
    }
    out
}

fn end_of(block: &BlockShown, moment: &Moment) -> String {
    let what = match block.origin.as_str() {
        "automatic" => format!("The block by the rule {}", block.why),
        "feed" => {
            return format!("The feed {} keeps {} blocked as long as it names it.", block.why, Named(&block.network));
        }
        _ => format!("The operator's block of {}", Named(&block.network)),
    };
    match block.left_s {
        Some(left) => format!("{what} ends by itself at {}.", moment.hence(left)),
        None => format!("{what} has no end: it stays until it is taken back."),
    }
}

/// Whether a daemon tells the story: without one nobody knows what the next block would be.
fn has_daemon(story: &Story) -> bool {
    story.next.repeat_s > 0
}

fn remedies(story: &Story) -> Vec<String> {
    let Story { address, now, .. } = story;
    if !has_daemon(story) {
        return vec![
            "tcpcap run  (start it: only then single addresses can be let go or allowed)".to_owned(),
            "tcpcap detach  (let go of all blocks, and take tcpcap out of the kernel)".to_owned(),
        ];
    }
    if now.state == "protected" {
        let allowed = now.protected.as_deref().and_then(|why| why.strip_suffix(" is allowed"));
        return allowed.map(|network| format!("tcpcap disallow {network}  (take that back)")).into_iter().collect();
    }
    let mut out: Vec<_> = now
        .blocks
        .iter()
        .filter(|block| block.origin != "feed")
        .map(|block| (format!("tcpcap unblock {}", Named(&block.network)), "let it go"))
        .collect();
    if now.blocks.is_empty() {
        out.push((format!("tcpcap block {address} --for 1h"), "drop its packets for an hour"));
    }
    out.push((format!("tcpcap allow {address}"), "let it pass, and never block it"));
    out.into_iter().map(|(command, does)| format!("{command}  ({does})")).collect()
}

/// Whole seconds as people write them, in one piece.
pub(super) fn span(seconds: u64) -> String {
    readable(seconds).replace(' ', &GLUE.to_string())
}

/// `1 port`, `1,234 ports`
pub(super) fn number(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", HumanCount(count), if count == 1 { one } else { many })
}

/// Whether a network is one address, this one.
fn is_alone(network: &IpNet, address: IpAddr) -> bool {
    *network == IpNet::from(address)
}

/// A rule's name as it stands in a sentence.
pub(super) fn title(rule: &str) -> String {
    Rule::ALL.iter().find(|known| known.name() == rule).map_or(rule, |known| known.title()).to_owned()
}
