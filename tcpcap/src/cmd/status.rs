//! `tcpcap status`: how the running daemon is doing.

use indicatif::HumanCount;
use serde::Serialize;

use super::{
    layout::{fold, harmless},
    print,
    screen::{Paint, Screen},
    unattended::{self, Blocks},
};
use crate::{
    control::{Counts, FeedShown, InterfaceShown, Named, PartShown, ProtectedShown, Status, readable},
    failure::Failure,
    kernel::Left,
    settings::{ShowArgs, ShowFormat},
};

/// Where the text begins behind the names.
const INDENT: usize = 13;

/// Prints it. Without a daemon what the kernel goes on doing is shown, and that is a failure all the same: scripts ask
/// `status` whether tcpcap runs.
///
/// # Errors
/// No daemon to be reached.
pub fn run(args: &ShowArgs) -> Result<(), Failure> {
    let client = args.socket.client()?;
    let nobody = match client.status() {
        Ok(status) => {
            return match args.output {
                ShowFormat::Text => print::text(&text(&status, Screen::here())),
                ShowFormat::Json => print::json(&status),
            };
        }
        Err(failure) => failure,
    };
    if client.if_running(|client| client.status())?.is_none() {
        let rest = match unattended::left()? {
            Some(left) => Rest::of(&left)?,
            None => Rest::default(),
        };
        match args.output {
            ShowFormat::Text => print::text(&rest.text(Screen::here()))?,
            ShowFormat::Json => print::json(&rest)?,
        }
    }
    Err(nobody)
}

/// What goes on without a daemon.
#[derive(Debug, Default, Serialize)]
struct Rest {
    /// Never true: what else it would be is a [`Status`].
    running: bool,
    /// The daemon's process, if one runs that does not listen there.
    pid: Option<u32>,
    mode: String,
    scope: String,
    interfaces: Vec<InterfaceShown>,
    blocks: Counts,
}

impl Rest {
    fn of(left: &Left) -> Result<Self, Failure> {
        let Blocks { in_force, listed, .. } = unattended::blocks(left)?;
        let (mode, scope) = unattended::mode(left);
        let automatic = in_force.iter().filter(|block| block.origin == "automatic").count();
        Ok(Self {
            running: false,
            pid: left.holder(),
            mode: mode.to_owned(),
            scope: scope.to_owned(),
            interfaces: unattended::interfaces(left),
            blocks: Counts { automatic, operator: in_force.len() - automatic, feed: listed, owed: 0 },
        })
    }

    fn text(&self, screen: Screen) -> String {
        let mut page = Page { screen, out: String::new() };
        if let Some(pid) = self.pid {
            page.title(&format!("tcpcap runs as process {pid}, but does not take commands here"));
        } else if self.interfaces.is_empty() {
            page.title("tcpcap does not run, and nothing of it is in the kernel: nothing is dropped");
            return page.out;
        } else {
            page.title(match self.mode.as_str() {
                "observe" => "tcpcap does not run; the kernel goes on counting what it would drop",
                _ => "tcpcap does not run; the kernel goes on with its blocks until each is over",
            });
        }
        page.section("mode", &[format!("{}, scope {}", self.mode, self.scope).into()]);
        let names = self.interfaces.iter().map(|i| (i.name.clone(), i.mode.clone(), false));
        page.section("interfaces", &table(names));
        page.section("blocks", &[counts(&self.blocks).into()]);
        page.out
    }
}

/// What is said, and whether somebody should look at it.
struct Said(String, bool);

impl From<String> for Said {
    fn from(said: String) -> Self {
        Self(said, false)
    }
}

impl From<&PartShown> for Said {
    fn from(part: &PartShown) -> Self {
        let is_unwell = part.state == "degraded";
        match &part.why {
            Some(why) => Self(format!("{}: {why}", part.state), is_unwell),
            None => Self(part.state.clone(), is_unwell),
        }
    }
}

/// A title, and lines behind names.
struct Page {
    screen: Screen,
    out: String,
}

impl Page {
    fn title(&mut self, title: &str) {
        fold(title, self.screen.width, 0, 0)
            .iter()
            .for_each(|line| self.out += &(self.screen.paint(line, Paint::Bold) + "\n"));
    }

    fn section(&mut self, name: &str, lines: &[Said]) {
        let none = [Said("none".to_owned(), false)];
        for (n, Said(said, alarming)) in if lines.is_empty() { &none } else { lines }.iter().enumerate() {
            // Names that are aligned stay so; what is longer than the line goes on below.
            let room = self.screen.width - INDENT;
            let rows = if said.chars().count() <= room { vec![harmless(said)] } else { fold(said, room, 0, 2) };
            for (row, text) in rows.into_iter().enumerate() {
                let name = if n == 0 && row == 0 { name } else { "" };
                let text = if *alarming { self.screen.paint(&text, Paint::Red) } else { text };
                self.out += &format!("{name:<INDENT$}{text}\n");
            }
        }
    }
}

fn text(status: &Status, screen: Screen) -> String {
    let Status { version, pid, uptime_s, mode, scope, preset, breaker_open, .. } = status;
    let mut page = Page { screen, out: String::new() };
    page.title(&format!("tcpcap {version}, pid {pid}, up {}", readable(*uptime_s)));
    page.section("mode", &[format!("{mode}, scope {scope}, preset {preset}").into()]);
    page.section("interfaces", &interfaces(status));
    page.section("blocks", &[Said(counts(&status.blocks), status.blocks.owed > 0)]);
    let breaker = if *breaker_open { "open: nobody new is blocked for now" } else { "closed" };
    page.section("breaker", &[Said(breaker.to_owned(), *breaker_open)]);
    for (name, part) in [("pins", &status.pins), ("history", &status.history), ("mirror", &status.mirror)] {
        page.section(name, &[part.into()]);
    }
    page.section("repaired", &[format!("{} differences in kernel and nft", HumanCount(status.drift_repaired)).into()]);
    let feeds = status.feeds.iter().map(|feed| (feed.name.clone(), entries(feed), feed.problem.is_some()));
    page.section("feeds", &table(feeds));
    let mut allowed: Vec<_> = status.allowed.iter().collect();
    allowed.sort();
    let allowed: Vec<_> = allowed.into_iter().map(|network| Named(network).to_string()).collect();
    let rows = fold(&allowed.join(", "), screen.width - INDENT, 0, 0).into_iter().map(Said::from);
    page.section("allowed", &if allowed.is_empty() { Vec::new() } else { rows.collect() });
    let mut never: Vec<_> = status.never_block.iter().collect();
    never.sort_by_key(|who| who.address);
    page.section("never block", &table(never.into_iter().map(|who| (who.address.to_string(), why(who), false))));
    page.out
}

/// Why somebody is never blocked, without who it is.
fn why(ProtectedShown { address, why }: &ProtectedShown) -> String {
    let rest = why.strip_prefix(&format!("{address} ")).unwrap_or(why);
    rest.strip_prefix("is ").unwrap_or(rest).to_owned()
}

/// Lines of a name and what is said of it, aligned.
fn table(rows: impl Iterator<Item = (String, String, bool)>) -> Vec<Said> {
    let rows: Vec<_> = rows.collect();
    let width = rows.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
    rows.into_iter().map(|(name, said, alarming)| Said(format!("{name:<width$}  {said}"), alarming)).collect()
}

fn interfaces(status: &Status) -> Vec<Said> {
    table(status.interfaces.iter().map(|interface| {
        let answers = match interface.egress.as_str() {
            "unseen" => "answers unseen".to_owned(),
            egress => format!("answers seen by {egress}"),
        };
        (interface.name.clone(), format!("{}, {answers}", interface.mode), interface.mode == "away")
    }))
}

fn counts(blocks: &Counts) -> String {
    let count = |n: usize| HumanCount(n as u64);
    let Counts { automatic, operator, feed, owed } = *blocks;
    let mut text =
        format!("{} automatic, {} by operators, {} by lists", count(automatic), count(operator), count(feed));
    if owed > 0 {
        text += &format!("; {} not in force", count(owed));
    }
    text
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

    const SCREEN: Screen = Screen { width: 80, colour: false };

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
                protected("198.51.100.9", "198.51.100.9 has an SSH session on this host"),
                protected("10.0.0.1", "10.0.0.1 is a default gateway"),
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
blocks       1,204 automatic, 3 by operators, 120,000 by lists; 2 not in force
breaker      closed
pins         on
history      degraded: the disk is full
mirror       off
repaired     0 differences in kernel and nft
feeds        drop.txt  120,000 entries, 3 bad lines
allowed      10.0.0.0/8, 192.0.2.1
never block  10.0.0.1      a default gateway
             198.51.100.9  has an SSH session on this host
";
        assert_eq!(text(&status(), SCREEN), expected);
    }

    #[test]
    fn what_there_is_none_of_is_said_and_an_open_breaker_explains_itself() {
        let status = Status { breaker_open: true, ..Status::default() };
        let text = text(&status, SCREEN);
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

    #[test]
    fn what_is_longer_than_the_screen_goes_on_below_and_what_is_unwell_is_red() {
        let mut status = status();
        status.allowed = (0..9).map(|n| format!("10.0.{n}.0/24").parse().unwrap()).collect();
        status.history.why = Some("the disk is full, and has been for longer than anybody would like it".to_owned());
        let narrow = text(&status, Screen { width: 50, colour: false });
        assert!(narrow.lines().all(|line| line.chars().count() <= 50), "{narrow}");
        insta::assert_snapshot!(narrow, @"
        tcpcap 0.1.0, pid 4242, up 3 h 12 min
        mode         enforce, scope all, preset balanced
        interfaces   eth0   native, answers seen by tcx
                     wlan0  generic, answers unseen
        blocks       1,204 automatic, 3 by operators,
                       120,000 by lists; 2 not in force
        breaker      closed
        pins         on
        history      degraded: the disk is full, and has
                       been for longer than anybody would
                       like it
        mirror       off
        repaired     0 differences in kernel and nft
        feeds        drop.txt 120,000 entries, 3 bad lines
        allowed      10.0.0.0/24, 10.0.1.0/24,
                     10.0.2.0/24, 10.0.3.0/24,
                     10.0.4.0/24, 10.0.5.0/24,
                     10.0.6.0/24, 10.0.7.0/24, 10.0.8.0/24
        never block  10.0.0.1      a default gateway
                     198.51.100.9 has an SSH session on
                       this host
        ");
        let painted = text(&status, Screen { width: 80, colour: true });
        assert!(painted.contains("history      \u{1b}[31mdegraded: the disk is full"), "{painted}");
    }

    #[test]
    fn without_a_daemon_the_kernel_is_told_of() {
        let interface = InterfaceShown { name: "eth0".to_owned(), mode: "native".to_owned(), egress: "tcx".to_owned() };
        let rest = Rest {
            mode: "enforce".to_owned(),
            scope: "all".to_owned(),
            interfaces: vec![interface],
            blocks: Counts { automatic: 3, operator: 1, feed: 0, owed: 0 },
            ..Rest::default()
        };
        insta::assert_snapshot!(rest.text(SCREEN), @"
        tcpcap does not run; the kernel goes on with its blocks until each is over
        mode         enforce, scope all
        interfaces   eth0  native
        blocks       3 automatic, 1 by operators, 0 by lists
        ");
        insta::assert_snapshot!(serde_json::to_string(&rest).unwrap(), @r#"
        {"running":false,"pid":null,"mode":"enforce","scope":"all","interfaces":[{"name":"eth0","mode":"native","egress":"tcx"}],"blocks":{"automatic":3,"operator":1,"feed":0,"owed":0}}
        "#);
        insta::assert_snapshot!(Rest { mode: "observe".to_owned(), ..rest }.text(SCREEN), @"
        tcpcap does not run; the kernel goes on counting what it would drop
        mode         observe, scope all
        interfaces   eth0  native
        blocks       3 automatic, 1 by operators, 0 by lists
        ");
        let elsewhere = Rest { pid: Some(4242), ..Rest::default() }.text(SCREEN);
        assert!(
            elsewhere.starts_with("tcpcap runs as process 4242, but does not take commands here\nmode "),
            "{elsewhere}"
        );
        insta::assert_snapshot!(Rest::default().text(SCREEN), @"
        tcpcap does not run, and nothing of it is in the kernel: nothing is dropped
        ");
    }
}
