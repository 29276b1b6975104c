//! The line about something that happened, whether it comes from the history or happens now.

use std::time::SystemTime;

use super::{
    layout::{GLUE, harmless},
    screen::{Paint, Screen},
    story::{list, named, number, ranges, span, title},
    table::shorten,
};
use crate::{
    control::stream::{Passing, Told},
    history::{BlockRow, CommandRow, FoundRow, What, clock},
};

/// As wide as any IPv4 address.
const WHO: usize = 15;

/// What stands above the lines.
pub(super) fn header(screen: Screen) -> String {
    screen.paint(&format!("{:<14}  {:<WHO$}  WHAT", "TIME (UTC)", "WHO"), Paint::Bold)
}

/// `11-24 16:00:00  203.0.113.1      Port scan: blocked for 10 min (…)`, fitting the screen.
pub(super) fn line(time: SystemTime, what: &Told, screen: Screen) -> String {
    let (who, said) = match what {
        Told::Kept(What::Finding(found)) => {
            let who = found.source.as_ref().or(found.in_name_of.as_ref()).cloned();
            (who.unwrap_or_else(|| list(&named(&found.targets), Some(found.targets.len()))), finding(found))
        }
        Told::Kept(What::Block(row)) => (row.network.clone(), block(row, &clock::shown(time))),
        Told::Kept(What::Command(row)) => (alone(&row.argument), command(row)),
        Told::Passing(Passing::Connection { from, to }) => (from.to_string(), format!("-> {to}")),
        Told::Passing(Passing::Missed { events }) => {
            ("-".to_owned(), format!("{} missed: too slow a reader", number(*events, "event", "events")))
        }
        Told::Passing(Passing::Pulse(_)) => ("-".to_owned(), "A second is over".to_owned()),
    };
    // `2025-11-24T16:00:00.123Z`
    let time = clock::shown(time).replace('T', " ");
    let time = time.get(5..19).unwrap_or(&time);
    let line = format!("{time}  {who:<WHO$}  {said}");
    shorten(harmless(&line.replace(GLUE, " ")).trim_end(), screen.width)
}

/// An address without its length; a dash for nobody.
fn alone(argument: &str) -> String {
    if argument.is_empty() {
        return "-".to_owned();
    }
    argument
        .parse::<ipnet::IpNet>()
        .map_or_else(|_| argument.to_owned(), |network| crate::control::Named(&network).to_string())
}

fn finding(found: &FoundRow) -> String {
    let FoundRow { why, count, threshold, window_s, .. } = found;
    let decision = match found.decision.as_str() {
        "block" => format!("blocked {why}"),
        "extend" => format!("block extended, now {why}"),
        "observe" => format!("would be blocked {why}"),
        "suppressed" => format!("not blocked, {why}"),
        "alert" => "an alert".to_owned(),
        other => format!("{other} {why}"),
    };
    let all = (!found.truncated).then_some(found.ports.len());
    let ports = match list(&ranges(&found.ports), all) {
        none if none.is_empty() => none,
        ports => format!(", ports {ports}"),
    };
    format!("{}: {decision} ({count} of {threshold} in {}{ports})", title(&found.rule), span(*window_s))
}

fn block(row: &BlockRow, at: &str) -> String {
    let by = match row.origin.as_str() {
        "automatic" => format!("rule {}", row.why),
        "feed" => format!("feed {}", row.why),
        _ if row.why.is_empty() => "operator".to_owned(),
        _ => format!("operator: {}", row.why),
    };
    let until = row.until.as_ref().map_or_else(
        || "for ever".to_owned(),
        |until| {
            // Of the same day the time is enough.
            let from = if until.get(..10) == at.get(..10) { 11 } else { 5 };
            format!("until {}", until.get(from..19).unwrap_or(until).replace('T', " "))
        },
    );
    let after = row
        .packets
        .map_or_else(String::new, |count| format!(" after {}", number(count, "packet dropped", "packets dropped")));
    match row.event.as_str() {
        "begun" => format!("Block begun, {until}, by {by}"),
        "extended" => format!("Block extended, now {until}, by {by}"),
        "ended" => format!("Block over{after}; it was by {by}"),
        _ => format!("Block lifted by {}{after}; it was by {by}", row.by.as_deref().unwrap_or("somebody")),
    }
}

fn command(row: &CommandRow) -> String {
    let CommandRow { who, verb, result, .. } = row;
    match result.strip_prefix("refused: ") {
        Some(why) => format!("{verb} refused: {why} ({who})"),
        None => format!("{result} ({verb} by {who})"),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn shown(what: What, width: usize) -> String {
        let time = humantime::parse_rfc3339("2025-11-24T16:00:40.123Z").unwrap();
        line(time, &Told::Kept(what), Screen { width, colour: false })
    }

    fn kept(json: &str) -> What {
        serde_json::from_str(json).unwrap()
    }

    fn all() -> Vec<What> {
        let found = |source: &str, decision: &str, why: &str| {
            kept(&format!(
                r#"{{"type":"finding","source":{source},"rule":"port-scan","window":"burst","count":15,"threshold":15,
                "window_s":10,"targets":["198.51.100.7"],"ports":[22,23,24,80],"attempts_before":14,"completions":0,
                "verified":false,"standing":"unverified","fingerprint":null,"decision":"{decision}","times":1,"ttl_s":600,
                "scope":"all","why":"{why}"}}"#
            ))
        };
        let block = |event: &str, origin: &str, why: &str, rest: &str| {
            kept(&format!(
                r#"{{"type":"block","network":"203.0.113.1","event":"{event}","origin":"{origin}","why":"{why}",
                "scope":"all","times":1,"unverified":true{rest}}}"#
            ))
        };
        let until = r#","until":"2025-11-24T16:10:40.123Z""#;
        let tomorrow = r#","until":"2025-11-25T16:10:40.123Z""#;
        vec![
            found("\"203.0.113.1\"", "block", "for 10 min"),
            found("\"2001:db8:1:2::/64\"", "extend", "for 20 min, block number 2 in a row"),
            found("\"203.0.113.1\"", "observe", "for 10 min"),
            found("\"203.0.113.1\"", "suppressed", "203.0.113.0/24 is allowed"),
            found("null", "alert", "this is told, and nobody is blocked for it"),
            block("begun", "automatic", "port-scan", until),
            block("begun", "operator", "too curious", r#","until":null"#),
            block("extended", "operator", "", tomorrow),
            block("ended", "automatic", "port-scan", r#","until":null,"packets":1234,"bytes":1"#),
            block("lifted", "operator", "", r#","until":null,"packets":1,"bytes":1,"by":"an operator""#),
            kept(
                r#"{"type":"command","who":"uid 0, pid 4711","verb":"unblock","argument":"203.0.113.1/32",
                "result":"203.0.113.1 is not blocked any more"}"#,
            ),
            kept(
                r#"{"type":"command","who":"uid 0, pid 4711","verb":"reload","argument":"",
                "result":"refused: preset: no such one"}"#,
            ),
        ]
    }

    #[test]
    fn everything_that_is_kept_has_a_line() {
        let lines: Vec<_> = all().into_iter().map(|what| shown(what, 140)).collect();
        assert_snapshot!([header(Screen { width: 140, colour: false })].into_iter().chain(lines).collect::<Vec<_>>().join("\n"), @"
        TIME (UTC)      WHO              WHAT
        11-24 16:00:40  203.0.113.1      Port scan: blocked for 10 min (15 of 15 in 10 s, ports 22-24, 80)
        11-24 16:00:40  2001:db8:1:2::/64  Port scan: block extended, now for 20 min, block number 2 in a row (15 of 15 in 10 s, ports 22-24, 80)
        11-24 16:00:40  203.0.113.1      Port scan: would be blocked for 10 min (15 of 15 in 10 s, ports 22-24, 80)
        11-24 16:00:40  203.0.113.1      Port scan: not blocked, 203.0.113.0/24 is allowed (15 of 15 in 10 s, ports 22-24, 80)
        11-24 16:00:40  198.51.100.7     Port scan: an alert (15 of 15 in 10 s, ports 22-24, 80)
        11-24 16:00:40  203.0.113.1      Block begun, until 16:10:40, by rule port-scan
        11-24 16:00:40  203.0.113.1      Block begun, for ever, by operator: too curious
        11-24 16:00:40  203.0.113.1      Block extended, now until 11-25 16:10:40, by operator
        11-24 16:00:40  203.0.113.1      Block over after 1,234 packets dropped; it was by rule port-scan
        11-24 16:00:40  203.0.113.1      Block lifted by an operator after 1 packet dropped; it was by operator
        11-24 16:00:40  203.0.113.1      203.0.113.1 is not blocked any more (unblock by uid 0, pid 4711)
        11-24 16:00:40  -                reload refused: preset: no such one (uid 0, pid 4711)
        ");
    }

    #[test]
    fn a_line_is_never_longer_than_the_screen() {
        for width in [40, 80, 120] {
            assert!(all().into_iter().all(|what| shown(what, width).chars().count() <= width), "{width}");
        }
    }

    #[test]
    fn connections_and_what_was_missed_have_a_line_too() {
        let screen = Screen { width: 80, colour: false };
        let (from, to) = ("192.0.2.56:5973".parse().unwrap(), "10.0.0.5:80".parse().unwrap());
        assert_snapshot!(line(SystemTime::UNIX_EPOCH, &Told::Passing(Passing::Connection { from, to }), screen), @"
        01-01 00:00:00  192.0.2.56:5973  -> 10.0.0.5:80
        ");
        assert_snapshot!(line(SystemTime::UNIX_EPOCH, &Told::Passing(Passing::Missed { events: 1 }), screen), @"
        01-01 00:00:00  -                1 event missed: too slow a reader
        ");
    }
}
