//! The state, and what the screen looks like, without a terminal and without a daemon.

mod keys;
mod looks;
mod state;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Buffer,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
};

use super::{
    app::{App, Do},
    feed::{News, Seen, View},
    view,
};
use crate::{
    control::{
        BlockShown, Counts, InterfaceShown, PartShown, Sample, SourceShown, Status, Timeline,
        stream::{Happened, Told},
    },
    failure::Failure,
    history::{FoundRow, What},
};

/// An app and its clock.
pub(super) struct Stage {
    pub(super) app: App,
    pub(super) now: Instant,
}

impl Stage {
    /// One that has been told of the usual sources, on a screen of 80×24.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let mut stage = Self { app: App::new(false, now), now };
        stage.sees(View::Sources(sources()));
        stage.shown(80, 24);
        stage
    }

    pub(super) fn hears(&mut self, news: News) {
        self.app.hear(news, self.now);
    }

    pub(super) fn sees(&mut self, what: View) {
        let seen = Seen { at: at(300), status: status(), timeline: timeline(), what };
        self.hears(News::Seen(Ok(Box::new(seen))));
    }

    pub(super) fn fails(&mut self) {
        self.hears(News::Seen(Err(Failure::failed(
            "tcpcap is not running (nobody listens on /run/tcpcap/tcpcap.sock)",
            "start it with `tcpcap run` or `systemctl start tcpcap`; if it runs, name its socket with --socket",
        ))));
    }

    pub(super) fn passes(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    pub(super) fn press(&mut self, code: KeyCode) -> Option<Do> {
        self.app.key(KeyEvent::new(code, KeyModifiers::NONE), self.now)
    }

    /// Presses one key after the other; `\n` is Enter, `\t` Tab, `\u{1b}` Esc.
    pub(super) fn types(&mut self, text: &str) -> Option<Do> {
        let code = |c| match c {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '\u{1b}' => KeyCode::Esc,
            c => KeyCode::Char(c),
        };
        text.chars().filter_map(|c| self.press(code(c))).last()
    }

    /// The screen.
    pub(super) fn shown(&mut self, width: u16, height: u16) -> TestBackend {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal
            .draw(|frame| {
                self.app.fit(frame.area());
                view::draw(&self.app, self.now, frame.area(), frame.buffer_mut());
            })
            .unwrap();
        terminal.backend().clone()
    }

    pub(super) fn buffer(&mut self) -> Buffer {
        self.shown(80, 24).buffer().clone()
    }

    /// The sources in the order in which they are shown, the selected one behind a mark.
    pub(super) fn order(&self) -> Vec<String> {
        let drawn = self.app.rows().drawn(200);
        let mark = |n| if drawn.selected == Some(n) { ">" } else { "" };
        drawn.rows.iter().enumerate().map(|(n, row)| format!("{}{}", mark(n), row[0].0)).collect()
    }
}

pub(super) fn source(network: &str, state: &str, per_second: f64, attempts: u64) -> SourceShown {
    SourceShown {
        source: network.parse().unwrap(),
        state: state.to_owned(),
        per_second,
        attempts,
        refusals: attempts / 2,
        first_seen_s: Some(290),
        last_seen_s: 300 / (attempts + 1),
        ports: 1,
        hosts: 1,
        standing: Some("unverified".to_owned()),
        ..SourceShown::default()
    }
}

pub(super) fn sources() -> Vec<SourceShown> {
    let named = |text: &str| Some(text.to_owned());
    vec![
        SourceShown {
            left_s: Some(562),
            ports: 212,
            hosts: 4,
            fingerprint: named("masscan"),
            rule: named("port-scan"),
            why: named("port-scan"),
            dropped_packets: 98_765,
            ..source("203.0.113.56/32", "blocked", 0.0, 123_456)
        },
        SourceShown { completions: 40, standing: named("established"), ..source("198.51.100.23/32", "free", 2.2, 41) },
        SourceShown { rule: named("brute-force"), ..source("192.0.2.140/32", "protected", 6.0, 36) },
        SourceShown {
            left_s: None,
            fingerprint: named("nmap"),
            rule: named("stealth"),
            probes: 12,
            ..source("2001:db8:77:12::/64", "observed", 0.4, 9)
        },
    ]
}

pub(super) fn blocks() -> Vec<BlockShown> {
    let block = |network: &str, origin: &str, why: &str| BlockShown {
        network: network.parse().unwrap(),
        origin: origin.to_owned(),
        why: why.to_owned(),
        scope: "all".to_owned(),
        age_s: 38,
        left_s: Some(562),
        times: 1,
        packets: 3986,
        bytes: 215_244,
    };
    vec![
        block("203.0.113.56/32", "automatic", "port-scan"),
        BlockShown {
            age_s: 90_000,
            left_s: None,
            times: 0,
            packets: 0,
            bytes: 0,
            ..block("10.20.0.0/16", "operator", "too curious by far, and not for the first time this year")
        },
    ]
}

pub(super) fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + second)
}

pub(super) fn finding(second: u64, source: Option<&str>, rule: &str, decision: &str) -> Happened {
    let row = FoundRow {
        source: source.map(str::to_owned),
        in_name_of: None,
        rule: rule.to_owned(),
        window: "fast".to_owned(),
        count: 19,
        threshold: 18,
        window_s: 60,
        targets: vec!["198.51.100.7".parse().unwrap()],
        ports: vec![22, 80, 443],
        truncated: rule == "port-scan",
        flags: Vec::new(),
        attempts_before: 13,
        completions: 0,
        verified: false,
        standing: "unverified".to_owned(),
        fingerprint: Some("nmap".to_owned()),
        fingerprint_percent: None,
        decision: decision.to_owned(),
        times: 1,
        ttl_s: Some(600),
        scope: None,
        why: "for 10 min".to_owned(),
    };
    Happened { time: at(second), what: Told::Kept(What::Finding(row)) }
}

pub(super) fn findings() -> Vec<Happened> {
    vec![
        finding(280, Some("203.0.113.56"), "port-scan", "block"),
        finding(100, Some("2001:db8:77:12::/64"), "stealth", "observe"),
        finding(10, None, "flood", "alert"),
    ]
}

pub(super) fn status() -> Status {
    let interface = |name: &str, mode: &str| InterfaceShown {
        name: name.to_owned(),
        mode: mode.to_owned(),
        egress: "tcx".to_owned(),
    };
    Status {
        version: "0.1.0".to_owned(),
        uptime_s: 11_520,
        mode: "enforce".to_owned(),
        scope: "all".to_owned(),
        interfaces: vec![interface("eth0", "native"), interface("wlan0", "generic")],
        blocks: Counts { automatic: 1204, operator: 3, feed: 120_000, owed: 0 },
        history: PartShown { state: "degraded".to_owned(), why: Some("the disk is full".to_owned()) },
        allowed: vec!["192.0.2.0/24".parse().unwrap(), "192.0.2.128/25".parse().unwrap()],
        ..Status::default()
    }
}

/// Five minutes: attempts rise and fall, drops begin late.
pub(super) fn timeline() -> Timeline {
    let sample = |n: u64| Sample {
        at: 1_700_000_000 + n,
        span_s: 1,
        attempts: if n % 100 < 50 { n % 100 } else { 100 - n % 100 },
        dropped_packets: n.saturating_sub(200) * 10,
        ..Sample::default()
    };
    Timeline { seconds: (0..300).map(sample).collect(), minutes: Vec::new() }
}
