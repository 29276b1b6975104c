//! `tcpcap history`: what was found, decided and done.

use std::{
    ops::ControlFlow,
    time::{Duration, SystemTime},
};

use clap::{Args, ValueEnum};
use ipnet::IpNet;

use super::{
    happened, print,
    screen::Screen,
    unattended::{self, START, StateArgs},
};
use crate::{
    control::stream::Told,
    failure::Failure,
    history::{Problem, Question, Reader, Row, What},
    settings::{ShowArgs, ShowFormat, parse_network},
};

/// Rows that are asked for at once: what the daemon hands out at most.
const PAGE: usize = 1000;

/// What was typed after `tcpcap history`.
#[derive(Args, Debug)]
pub struct HistoryArgs {
    /// About this address or network, one that holds it, or one within it [default: everybody]
    #[arg(value_name = "ADDR[/LEN]", value_parser = parse_network)]
    pub about: Option<IpNet>,

    /// Not before: a time ago such as 7d or 90min, a date, or a time such as 2025-11-24T16:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = parse_when)]
    pub since: Option<SystemTime>,

    /// Before: as --since
    #[arg(long, value_name = "WHEN", value_parser = parse_when)]
    pub until: Option<SystemTime>,

    /// Of this kind alone: finding, block or command; repeatable
    #[arg(long = "type", value_name = "KIND", value_enum, hide_possible_values = true)]
    pub kinds: Vec<Kind>,

    /// At most so many, the latest
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,

    /// Where to look if no daemon runs.
    #[command(flatten)]
    pub state: StateArgs,

    /// How it is shown, and whom to ask.
    #[command(flatten)]
    pub show: ShowArgs,
}

/// A kind of entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A rule fired
    Finding,
    /// A block began, changed or ended
    Block,
    /// An operator gave a command
    Command,
}

impl Kind {
    const fn is_of(self, what: &What) -> bool {
        matches!(
            (self, what),
            (Self::Finding, What::Finding(_)) | (Self::Block, What::Block(_)) | (Self::Command, What::Command(_))
        )
    }
}

/// Prints it, the oldest first, so that what happened last stands last.
///
/// # Errors
/// There is no history to be had, from a daemon or from its file.
pub fn run(args: &HistoryArgs) -> Result<(), Failure> {
    let question = Question { since: args.since, until: args.until, about: args.about, limit: PAGE };
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let wanted = Wanted { question, kinds: &args.kinds, limit };
    let rows = wanted.of_either(&args.show, &args.state)?;
    if args.show.output == ShowFormat::Json {
        return rows.iter().try_for_each(print::json);
    }
    if rows.is_empty() {
        return print::line("nothing such happened, as far back as the history goes");
    }
    let screen = Screen::here();
    print::line(&happened::header(screen))?;
    rows.into_iter().try_for_each(|row| print::line(&happened::line(row.time, &Told::Kept(row.what), screen)))
}

/// What is looked for.
pub(super) struct Wanted<'a> {
    pub(super) question: Question,
    pub(super) kinds: &'a [Kind],
    pub(super) limit: usize,
}

impl Wanted<'_> {
    /// From the daemon, or from the file if there is none; the oldest first.
    pub(super) fn of_either(&self, show: &ShowArgs, state: &StateArgs) -> Result<Vec<Row>, Failure> {
        let client = show.socket.client()?;
        if let Some(rows) = client.if_running(|client| self.rows(|question| client.history(question)))? {
            return Ok(rows);
        }
        let file = state.history(&show.socket)?;
        let failed = |problem: Problem| {
            let cause = format!("tcpcap is not running, and {}", problem.cause);
            Failure::failed(cause, format!("{START}; or name where the history is with --state"))
        };
        let reader = Reader::open(&file).map_err(failed)?;
        let instead = format!("this is from {}", file.display());
        eprintln!("{}", unattended::warning(client.path(), None, &instead));
        self.rows(|question| reader.ask(question).map_err(failed))
    }

    fn rows(&self, mut ask: impl FnMut(&Question) -> Result<Vec<Row>, Failure>) -> Result<Vec<Row>, Failure> {
        let (mut found, mut question): (Vec<Row>, _) = (Vec::new(), self.question);
        let mut oldest_id = i64::MAX;
        loop {
            let page = ask(&question)?;
            let more = match (page.len() == question.limit, page.last()) {
                // What has the same time as the last one may have been cut off, so it is asked for again.
                (true, Some(last)) => {
                    let until = last.time.checked_add(Duration::from_millis(1));
                    let is_new = question.until != until;
                    question.until = until;
                    if is_new { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                }
                _ => ControlFlow::Break(()),
            };
            for row in page {
                let is_wanted = self.kinds.is_empty() || self.kinds.iter().any(|kind| kind.is_of(&row.what));
                let is_known = row.id >= oldest_id && found.iter().rev().take(PAGE).any(|known| known.id == row.id);
                oldest_id = oldest_id.min(row.id);
                if is_wanted && !is_known {
                    found.push(row);
                }
            }
            if more.is_break() || found.len() >= self.limit {
                found.truncate(self.limit);
                found.reverse();
                return Ok(found);
            }
        }
    }
}

/// `7d`, `2025-11-24`, `2025-11-24T16:00:00Z`
fn parse_when(text: &str) -> Result<SystemTime, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return SystemTime::now().checked_sub(ago).ok_or_else(|| format!("{text} ago is before all times"));
    }
    let whole = if text.len() == "2025-11-24".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    humantime::parse_rfc3339_weak(&whole)
        .map_err(|_| format!("`{text}` is neither a time ago such as 7d nor a time such as 2025-11-24T16:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    fn row(id: i64, millis: u64, kind: &str) -> Row {
        let what = match kind {
            "command" => r#"{"type":"command","who":"w","verb":"v","argument":"a","result":"r"}"#,
            _ => {
                r#"{"type":"block","network":"n","event":"begun","origin":"operator","why":"","scope":"all",
                "until":null,"times":0,"unverified":false}"#
            }
        };
        Row { id, time: at(millis), what: serde_json::from_str(what).unwrap() }
    }

    /// A history of 2,500 entries, five in each millisecond, every fifth a command.
    fn asked(kinds: &[Kind], limit: usize) -> Vec<i64> {
        let all: Vec<Row> =
            (0..2500).map(|id| row(id, id as u64 / 5, if id % 5 == 0 { "command" } else { "block" })).collect();
        let wanted = Wanted { question: Question { limit: PAGE, ..Question::default() }, kinds, limit };
        let ask = |question: &Question| {
            let fits = |row: &&Row| question.until.is_none_or(|until| row.time < until);
            Ok(all.iter().rev().filter(fits).take(question.limit).cloned().collect())
        };
        wanted.rows(ask).unwrap().into_iter().map(|row| row.id).collect()
    }

    #[test]
    fn the_latest_of_what_is_wanted_come_over_as_many_pages_as_it_takes_each_once_and_in_order() {
        assert_eq!(asked(&[], 3), [2497, 2498, 2499]);
        assert_eq!(asked(&[], 10_000), (0..2500).collect::<Vec<_>>());
        assert_eq!(asked(&[Kind::Command], 2), [2490, 2495]);
        assert_eq!(asked(&[Kind::Command], 10_000), (0..2500).step_by(5).collect::<Vec<_>>());
        assert_eq!(asked(&[Kind::Finding], 10), Vec::<i64>::new());
    }

    #[test]
    fn a_time_is_so_long_ago_or_a_date_or_a_moment() {
        let week_ago = parse_when("7d").unwrap();
        let ago = SystemTime::now().duration_since(week_ago).unwrap().as_secs();
        assert!((604_800..604_860).contains(&ago));
        assert_eq!(parse_when("1970-01-02").unwrap(), at(86_400_000));
        for moment in ["1970-01-01T00:00:01Z", "1970-01-01 00:00:01"] {
            assert_eq!(parse_when(moment).unwrap(), at(1000));
        }
        for bad in ["", "soon", "2025-13-01", "99999999999999999999d"] {
            assert!(parse_when(bad).unwrap_err().contains("is neither a time ago"), "{bad}");
        }
    }
}
