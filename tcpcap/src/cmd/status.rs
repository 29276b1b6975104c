//! `tcpcap status`: how the running daemon is doing.

use indicatif::HumanCount;

use super::print;
use crate::{
    control::{Counts, FeedShown, Named, PartShown, Status, readable},
    failure::Failure,
    settings::{ShowArgs, ShowFormat},
};

/// Where the text begins behind the names.
const INDENT: usize = 13;

/// Prints it.
///
/// # Errors
/// No daemon to be reached.
pub fn run(args: &ShowArgs) -> Result<(), Failure> {
    let status = args.socket.client()?.status()?;
    match args.output {
        ShowFormat::Text => print::text(&text(&status)),
        ShowFormat::Json => print::json(&status),
    }
}

fn text(status: &Status) -> String {
    let Status { version, pid, uptime_s, mode, scope, preset, .. } = status;
    let breaker = if status.breaker_open { "open: nobody new is blocked for now" } else { "closed" };
    let drift = format!("{} differences in kernel and nft", HumanCount(status.drift_repaired));
    let mut sections = vec![
        ("mode", vec![format!("{mode}, scope {scope}, preset {preset}")]),
        ("interfaces", interfaces(status)),
        ("blocks", vec![counts(&status.blocks)]),
        ("breaker", vec![breaker.to_owned()]),
        ("pins", vec![part(&status.pins)]),
        ("history", vec![part(&status.history)]),
        ("mirror", vec![part(&status.mirror)]),
        ("repaired", vec![drift]),
    ];
    sections.push(("feeds", table(status.feeds.iter().map(|feed| (feed.name.clone(), entries(feed))))));
    let mut allowed: Vec<_> = status.allowed.iter().collect();
    allowed.sort();
    let allowed: Vec<_> = allowed.into_iter().map(|network| Named(network).to_string()).collect();
    sections.push(("allowed", if allowed.is_empty() { Vec::new() } else { vec![print::wrapped(&allowed, INDENT)] }));
    let mut never: Vec<_> = status.never_block.iter().collect();
    never.sort_by_key(|who| who.address);
    sections.push(("never block", table(never.into_iter().map(|who| (who.address.to_string(), who.why.clone())))));

    let mut out = format!("tcpcap {version}, pid {pid}, up {}\n", readable(*uptime_s));
    for (name, lines) in sections {
        let none = vec!["none".to_owned()];
        for (n, line) in if lines.is_empty() { &none } else { &lines }.iter().enumerate() {
            out += &format!("{:<INDENT$}{line}\n", if n == 0 { name } else { "" });
        }
    }
    out
}

/// Lines of a name and what is said of it, aligned.
fn table(rows: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let rows: Vec<_> = rows.collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    rows.iter().map(|(name, said)| format!("{name:<width$}  {said}")).collect()
}

fn interfaces(status: &Status) -> Vec<String> {
    table(status.interfaces.iter().map(|interface| {
        let answers = match interface.egress.as_str() {
            "unseen" => "answers unseen".to_owned(),
            egress => format!("answers seen by {egress}"),
        };
        (interface.name.clone(), format!("{}, {answers}", interface.mode))
    }))
}

fn counts(blocks: &Counts) -> String {
    let count = |n: usize| HumanCount(n as u64);
    let Counts { automatic, operator, feed, owed } = *blocks;
    let mut text =
        format!("{} automatic, {} by operators, {} by lists", count(automatic), count(operator), count(feed));
    if owed > 0 {
        text += &format!("; {} not in force yet", count(owed));
    }
    text
}

fn part(part: &PartShown) -> String {
    match &part.why {
        Some(why) => format!("{}: {why}", part.state),
        None => part.state.clone(),
    }
}

fn entries(feed: &FeedShown) -> String {
    let mut text = format!("{} entries", HumanCount(feed.entries as u64));
    if feed.bad_lines > 0 {
        text += &format!(", {} bad lines", HumanCount(feed.bad_lines as u64));
    }
    match &feed.problem {
        Some(problem) => text + ": " + problem,
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{InterfaceShown, ProtectedShown};

    fn on() -> PartShown {
        PartShown { state: "on".to_owned(), why: None }
    }

    fn status() -> Status {
        let interface = |name: &str, mode: &str, egress: &str| InterfaceShown {
            name: name.to_owned(),
            mode: mode.to_owned(),
            egress: egress.to_owned(),
        };
        let protected =
            |address: &str, why: &str| ProtectedShown { address: address.parse().unwrap(), why: why.to_owned() };
        Status {
            version: "0.1.0".to_owned(),
            pid: 4242,
            uptime_s: 11_520,
            mode: "enforce".to_owned(),
            scope: "all".to_owned(),
            preset: "balanced".to_owned(),
            interfaces: vec![interface("eth0", "native", "tcx"), interface("wlan0", "generic", "unseen")],
            blocks: Counts { automatic: 1204, operator: 3, feed: 120_000, owed: 2 },
            breaker_open: false,
            pins: on(),
            history: PartShown { state: "degraded".to_owned(), why: Some("the disk is full".to_owned()) },
            mirror: PartShown { state: "off".to_owned(), why: None },
            feeds: vec![FeedShown { name: "drop.txt".to_owned(), entries: 120_000, bad_lines: 3, problem: None }],
            never_block: vec![
                protected("198.51.100.9", "peer of an SSH session"),
                protected("10.0.0.1", "default gateway"),
            ],
            allowed: vec!["192.0.2.1/32".parse().unwrap(), "10.0.0.0/8".parse().unwrap()],
            drift_repaired: 0,
        }
    }

    #[test]
    fn the_status_is_aligned_sorted_and_whole() {
        let expected = "\
tcpcap 0.1.0, pid 4242, up 3 h 12 min
mode         enforce, scope all, preset balanced
interfaces   eth0   native, answers seen by tcx
             wlan0  generic, answers unseen
blocks       1,204 automatic, 3 by operators, 120,000 by lists; 2 not in force yet
breaker      closed
pins         on
history      degraded: the disk is full
mirror       off
repaired     0 differences in kernel and nft
feeds        drop.txt  120,000 entries, 3 bad lines
allowed      10.0.0.0/8, 192.0.2.1
never block  10.0.0.1      default gateway
             198.51.100.9  peer of an SSH session
";
        assert_eq!(text(&status()), expected);
    }

    #[test]
    fn what_there_is_none_of_is_said_and_an_open_breaker_explains_itself() {
        let status = Status { breaker_open: true, ..Status::default() };
        let text = text(&status);
        for line in ["feeds        none\n", "allowed      none\n", "never block  none\n", "interfaces   none\n"] {
            assert!(text.contains(line), "{text}");
        }
        assert!(text.contains("breaker      open: nobody new is blocked"), "{text}");
        assert!(!text.contains("not in force"), "{text}");
    }

    #[test]
    fn a_feed_tells_what_is_wrong_with_it() {
        let feed = FeedShown { problem: Some("cannot be read".to_owned()), ..FeedShown::default() };
        assert_eq!(entries(&feed), "0 entries: cannot be read");
    }
}
