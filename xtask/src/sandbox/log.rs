//! What of tcpcap's log is shown: of a source's new connections the first few, and how many were left out.

use std::{collections::HashMap, net::SocketAddr};

use tcpcap_core::Source;

use super::narrate::Tone;

/// How many new connections of a source are shown.
const FIRST_FEW: u64 = 3;

/// A line to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) time: String,
    pub(super) text: String,
    pub(super) tone: Tone,
}

/// The filter; it remembers what it has left out.
#[derive(Debug, Default)]
pub(super) struct Filter {
    connections: HashMap<String, Connections>,
    /// Only what is unusual is shown.
    pub(super) muted: bool,
}

#[derive(Debug, Default)]
struct Connections {
    all: u64,
    left_out: u64,
}

impl Filter {
    /// Takes a line of the log, and returns what is to be shown now.
    pub(super) fn take(&mut self, line: &str) -> Vec<Shown> {
        let (time, text) = split_time(line);
        let shown = |tone| Shown { time: time.clone(), text: text.to_owned(), tone };
        if let Some(source) = connection(text) {
            let muted = self.muted;
            let connections = self.connections.entry(source).or_default();
            connections.all += 1;
            if !muted && connections.all <= FIRST_FEW {
                return vec![shown(Tone::Plain)];
            }
            connections.left_out += 1;
            return vec![];
        }
        let finding = text.strip_prefix("Port scan detected: ");
        let decision = ["Blocked ", "Would block ", "Not blocked "].iter().find_map(|begin| text.strip_prefix(begin));
        match (finding, decision) {
            (None, None) => vec![shown(Tone::Plain)],
            _ if self.muted => vec![],
            (None, Some(_)) => vec![shown(Tone::Bad)],
            (Some(finding), _) => {
                let source = finding.split(' ').next().unwrap_or_default();
                self.rest_of(source).into_iter().chain([shown(Tone::Notice)]).collect()
            }
        }
    }

    /// The line that says how many new connections of a source were left out since it was last asked, if any were.
    pub(super) fn rest_of(&mut self, source: &str) -> Option<Shown> {
        let left_out = std::mem::take(&mut self.connections.get_mut(source)?.left_out);
        let text = format!("({left_out} more of {source} not shown)");
        (left_out > 0).then(|| Shown { time: " ".repeat(CLOCK.len()), text, tone: Tone::Aside })
    }
}

/// As much of the time as is shown.
const CLOCK: &str = "16:40:01.123";

/// `2026-11-24T16:40:01.123456Z text` → the clock time, and the text. A line without a time, from before the log
/// began, is all text.
fn split_time(line: &str) -> (String, &str) {
    let clock = |stamp: &str| {
        let (_, clock) = stamp.strip_suffix('Z')?.split_once('T')?;
        clock.get(..CLOCK.len()).map(str::to_owned)
    };
    match line.split_once(' ') {
        Some((stamp, text)) => clock(stamp).map_or((String::new(), line), |clock| (clock, text)),
        None => (String::new(), line),
    }
}

/// Whose new connection a line tells of.
fn connection(text: &str) -> Option<String> {
    let (from, to) = text.strip_prefix("New connection: ")?.split_once(" -> ")?;
    let [from, to] = [from, to].map(|end| end.parse::<SocketAddr>().ok());
    Some(Source::of(from?.ip().into(), to?.ip().into()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(from: &str, to: &str) -> String {
        format!("2026-11-24T16:40:01.123456Z New connection: {from} -> {to}")
    }

    fn texts(shown: &[Shown]) -> Vec<&str> {
        shown.iter().map(|s| s.text.as_str()).collect()
    }

    #[test]
    fn of_a_scan_the_first_few_connections_are_shown_and_the_others_counted() {
        let mut filter = Filter::default();
        let ports = 1..=32;
        let shown = ports.map(|port| filter.take(&connection(&format!("203.0.113.1:{port}"), "198.51.100.1:80")).len());
        assert_eq!(shown.sum::<usize>(), 3);
        let finding =
            filter.take("2026-11-24T16:40:02.000001Z Port scan detected: 203.0.113.1 -> 198.51.100.1 on ports 1");
        assert_eq!(
            texts(&finding),
            ["(29 more of 203.0.113.1 not shown)", "Port scan detected: 203.0.113.1 -> 198.51.100.1 on ports 1"]
        );
        assert_eq!((finding[1].time.as_str(), finding[1].tone), ("16:40:02.000", Tone::Notice));
        filter.take(&connection("203.0.113.1:99", "198.51.100.1:80"));
        assert_eq!(filter.rest_of("203.0.113.1").unwrap().text, "(1 more of 203.0.113.1 not shown)");
        assert_eq!(filter.rest_of("203.0.113.1"), None);
    }

    #[test]
    fn the_addresses_of_an_ipv6_source_are_one() {
        let mut filter = Filter::default();
        let shown =
            (1..=9).map(|n| filter.take(&connection(&format!("[2001:db8:1::{n}]:9"), "[2001:db8:51::1]:80")).len());
        assert_eq!(shown.sum::<usize>(), 3);
        assert!(filter.rest_of("2001:db8:1::/64").unwrap().text.starts_with("(6 more"));
    }

    #[test]
    fn whatever_else_is_said_is_shown_even_when_muted() {
        let mut filter = Filter { muted: true, ..Filter::default() };
        assert_eq!(texts(&filter.take("2026-11-24T16:40:02.000001Z WARN the card is gone")), ["WARN the card is gone"]);
        assert_eq!(
            filter.take("error: no time"),
            [Shown { time: String::new(), text: "error: no time".to_owned(), tone: Tone::Plain }]
        );
        assert!(filter.take("2026-11-24T16:40:02.000001Z Blocked 203.0.113.1 for 10 min").is_empty());
    }
}
