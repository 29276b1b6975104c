//! `tcpcap sources`: who is knocking.

use clap::Args;
use indicatif::HumanCount;

use super::{
    print,
    screen::Screen,
    table::{Column, table},
};
use crate::{
    control::{Named, SourceShown, readable},
    failure::Failure,
    settings::{ShowArgs, ShowFormat},
};

/// What was typed after `tcpcap sources`.
#[derive(Args, Debug)]
pub struct SourcesArgs {
    /// At most so many, those with the most attempts [default: 20; with -o json all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,

    /// How it is shown, and whom to ask.
    #[command(flatten)]
    pub show: ShowArgs,
}

/// Sources that a table shows unless told otherwise.
const SHOWN: usize = 20;

/// Prints them, those with the most attempts first.
///
/// # Errors
/// No daemon to be reached.
pub fn run(args: &SourcesArgs) -> Result<(), Failure> {
    let mut sources = args.show.socket.client()?.sources()?;
    let limit = args.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    match args.show.output {
        ShowFormat::Text => print::text(&text(&sources, limit.unwrap_or(SHOWN), Screen::here())),
        ShowFormat::Json => {
            sources.truncate(limit.unwrap_or(usize::MAX));
            print::json(&sources)
        }
    }
}

const COLUMNS: [Column; 9] = [
    Column::words("SOURCE"),
    Column::words("STATE"),
    Column::numbers("PER S").spare(),
    Column::numbers("ATTEMPTS"),
    Column::numbers("DROPPED").spare(),
    Column::numbers("PORTS").spare(),
    Column::numbers("HOSTS").spare(),
    Column::words("LAST SEEN").spare(),
    Column::words("WHAT"),
];

fn text(sources: &[SourceShown], limit: usize, screen: Screen) -> String {
    if sources.is_empty() {
        return "nobody has knocked of late\n".to_owned();
    }
    let rows: Vec<_> = sources.iter().take(limit).map(row).collect();
    let total = match (sources.len(), rows.len()) {
        (1, _) => "1 source\n".to_owned(),
        (all, shown) if all == shown => format!("{} sources\n", HumanCount(all as u64)),
        (all, shown) => format!("{} of {} sources; --limit shows more\n", shown, HumanCount(all as u64)),
    };
    table(&COLUMNS, &rows, screen) + &total
}

fn row(source: &SourceShown) -> [String; 9] {
    let what = [source.why.as_ref().or(source.rule.as_ref()), source.fingerprint.as_ref()]
        .into_iter()
        .flatten()
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    [
        Named(&source.source).to_string(),
        match source.left_s {
            Some(left) => format!("{} {}", source.state, brief(left)),
            None => source.state.clone(),
        },
        if source.per_second > 0.0 { format!("{:.1}", source.per_second) } else { "-".to_owned() },
        HumanCount(source.attempts).to_string(),
        HumanCount(source.dropped_packets).to_string(),
        HumanCount(source.ports as u64).to_string(),
        HumanCount(source.hosts as u64).to_string(),
        format!("{} ago", brief(source.last_seen_s)),
        if what.is_empty() { "-".to_owned() } else { what },
    ]
}

/// A duration in its larger unit alone: `9 min`.
fn brief(seconds: u64) -> String {
    readable(seconds).split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn source(source: &str, state: &str, attempts: u64) -> SourceShown {
        SourceShown {
            source: source.parse().unwrap(),
            state: state.to_owned(),
            attempts,
            last_seen_s: 75,
            ports: 1,
            hosts: 1,
            ..SourceShown::default()
        }
    }

    fn all() -> Vec<SourceShown> {
        vec![
            SourceShown {
                left_s: Some(560),
                per_second: 123.4,
                ports: 1234,
                rule: Some("port-scan".to_owned()),
                why: Some("port-scan".to_owned()),
                dropped_packets: 987,
                fingerprint: Some("nmap".to_owned()),
                ..source("203.0.113.1/32", "blocked", 12_345)
            },
            SourceShown { why: Some("operator: too curious".to_owned()), ..source("198.51.100.0/24", "blocked", 200) },
            source("2001:db8:1:2::/64", "protected", 7),
            source("192.0.2.8/32", "free", 1),
        ]
    }

    #[test]
    fn who_is_knocking_is_a_table_that_fits() {
        assert_snapshot!(text(&all(), 20, Screen { width: 120, colour: false }), @"
        SOURCE             STATE          PER S  ATTEMPTS  DROPPED  PORTS  HOSTS  LAST SEEN  WHAT
        203.0.113.1        blocked 9 min  123.4    12,345      987  1,234      1  1 min ago  port-scan, nmap
        198.51.100.0/24    blocked            -       200        0      1      1  1 min ago  operator: too curious
        2001:db8:1:2::/64  protected          -         7        0      1      1  1 min ago  -
        192.0.2.8          free               -         1        0      1      1  1 min ago  -
        4 sources
        ");
        let narrow = text(&all(), 20, Screen { width: 80, colour: false });
        assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
        assert_snapshot!(narrow, @"
        SOURCE             STATE          PER S  ATTEMPTS  DROPPED  PORTS  WHAT
        203.0.113.1        blocked 9 min  123.4    12,345      987  1,234  port-scan, n…
        198.51.100.0/24    blocked            -       200        0      1  operator: to…
        2001:db8:1:2::/64  protected          -         7        0      1  -
        192.0.2.8          free               -         1        0      1  -
        4 sources
        ");
    }

    #[test]
    fn how_many_there_are_is_told() {
        let screen = Screen { width: 80, colour: false };
        assert_eq!(text(&[], 20, screen), "nobody has knocked of late\n");
        assert!(text(&all(), 2, screen).ends_with("\n2 of 4 sources; --limit shows more\n"));
        assert!(text(&all()[..1], 2, screen).ends_with("\n1 source\n"));
    }
}
