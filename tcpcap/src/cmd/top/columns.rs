//! The columns of each table.

use std::{cmp::Ordering, time::SystemTime};

use ipnet::IpNet;

use super::{
    figures::{count, rate, span, width},
    filter::Looks,
    table::{Column, Shown, Tone},
};
use crate::{
    control::{
        BlockShown, Named, SourceShown,
        stream::{Happened, Told},
    },
    history::{FoundRow, What},
    settings::parse_network,
};

/// Compares by what is taken from both.
fn by<T, K: Ord>(of: impl Fn(&T) -> K) -> impl Fn(&T, &T) -> Ordering {
    move |a, b| of(a).cmp(&of(b))
}

/// The least room for a source, so that the others do not jump about with each short one.
const NAME: usize = 10;

fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

impl Shown for SourceShown {
    type Key = IpNet;

    const COLUMNS: &'static [Column<Self>] = &[
        Column::<Self>::words(
            "SOURCE",
            'C',
            (NAME, 0),
            |s| Named(&s.source).to_string(),
            |a, b| by(|s: &Self| s.source)(a, b),
        ),
        Column::<Self>::words("STATE", 'T', (9, 0), |s| s.state.clone(), |a, b| a.state.cmp(&b.state)).toned(tone),
        Column::<Self>::figure("LEFT", 'L', (4, 9), left, |a, b| by(ends)(a, b)),
        Column::<Self>::figure(
            "ATT/S",
            'A',
            (5, 1),
            |s| rate(s.per_second),
            |a, b| a.per_second.total_cmp(&b.per_second),
        ),
        Column::<Self>::figure("ATTEMPTS", 'M', (8, 2), |s| count(s.attempts), |a, b| a.attempts.cmp(&b.attempts)),
        Column::<Self>::figure("PORTS", 'P', (5, 3), |s| count(s.ports as u64), |a, b| a.ports.cmp(&b.ports)),
        Column::<Self>::figure("HOSTS", 'H', (5, 4), |s| count(s.hosts as u64), |a, b| a.hosts.cmp(&b.hosts)),
        Column::<Self>::figure("DONE", 'D', (4, 5), |s| count(s.completions), |a, b| a.completions.cmp(&b.completions)),
        Column::<Self>::figure(
            "DROPPED",
            'R',
            (7, 8),
            |s| count(s.dropped_packets),
            |a, b| a.dropped_packets.cmp(&b.dropped_packets),
        ),
        Column::<Self>::figure("REFUSED", 'U', (7, 10), |s| count(s.refusals), |a, b| a.refusals.cmp(&b.refusals)),
        Column::<Self>::figure("PROBES", 'B', (6, 11), |s| count(s.probes), |a, b| a.probes.cmp(&b.probes)),
        Column::<Self>::figure("FIRST", 'F', (5, 13), first, |a, b| a.first_seen_s.cmp(&b.first_seen_s)),
        Column::<Self>::figure("SEEN", 'E', (4, 6), |s| span(s.last_seen_s), |a, b| a.last_seen_s.cmp(&b.last_seen_s))
            .smallest_first(),
        Column::<Self>::words(
            "STANDING",
            'G',
            (11, 12),
            |s| or_dash(s.standing.as_deref()),
            |a, b| a.standing.cmp(&b.standing),
        ),
        Column::<Self>::words(
            "TOOL",
            'O',
            (7, 7),
            |s| or_dash(s.fingerprint.as_deref()),
            |a, b| a.fingerprint.cmp(&b.fingerprint),
        )
        .greatest_first(),
        Column::<Self>::words("WHY", 'W', (11, 0), |s| or_dash(s.because()), |a, b| a.because().cmp(&b.because()))
            .greatest_first()
            .alone(why_and_tool),
    ];

    const SORTED_BY: char = 'A';

    fn key(&self) -> IpNet {
        self.source
    }

    fn network(&self) -> Option<IpNet> {
        Some(self.source)
    }

    fn looks(&self) -> Looks {
        let words = [
            Some(&self.state),
            self.fingerprint.as_ref(),
            self.rule.as_ref(),
            self.why.as_ref(),
            self.standing.as_ref(),
        ];
        Looks {
            name: Named(&self.source).to_string(),
            network: Some(self.source),
            words: words.into_iter().flatten().cloned().collect(),
        }
    }

    fn name_width(&self) -> usize {
        width(&Named(&self.source))
    }
}

fn tone(source: &SourceShown) -> Tone {
    match source.state.as_str() {
        "blocked" => Tone::Bad,
        "observed" => Tone::Warn,
        "protected" => Tone::Good,
        _ => Tone::Plain,
    }
}

/// When its block ends, where it is in one.
fn ends(source: &SourceShown) -> u64 {
    match source.state.as_str() {
        "blocked" | "observed" => source.left_s.unwrap_or(u64::MAX),
        _ => 0,
    }
}

fn left(source: &SourceShown) -> String {
    match ends(source) {
        0 => "-".to_owned(),
        u64::MAX => "ever".to_owned(),
        seconds => span(seconds),
    }
}

fn first(source: &SourceShown) -> String {
    source.first_seen_s.map_or_else(|| "-".to_owned(), span)
}

fn why_and_tool(source: &SourceShown) -> String {
    match (source.because(), source.fingerprint.as_deref()) {
        (Some(why), Some(tool)) => format!("{why} {tool}"),
        (why, tool) => or_dash(why.or(tool)),
    }
}

impl Shown for BlockShown {
    type Key = (IpNet, String);

    const COLUMNS: &'static [Column<Self>] = &[
        Column::<Self>::words(
            "SOURCE",
            'C',
            (NAME, 0),
            |b| Named(&b.network).to_string(),
            |a, b| by(|b: &Self| b.network)(a, b),
        ),
        Column::<Self>::figure(
            "LEFT",
            'L',
            (4, 1),
            |b| b.left_s.map_or_else(|| "ever".to_owned(), span),
            |a, b| by(|b: &Self| b.left_s.unwrap_or(u64::MAX))(a, b),
        ),
        Column::<Self>::figure("AGE", 'A', (4, 2), |b| span(b.age_s), |a, b| a.age_s.cmp(&b.age_s)).smallest_first(),
        Column::<Self>::figure("TIMES", 'T', (5, 5), times, |a, b| a.times.cmp(&b.times)),
        Column::<Self>::figure("PACKETS", 'P', (7, 3), |b| count(b.packets), |a, b| a.packets.cmp(&b.packets)),
        Column::<Self>::figure("BYTES", 'B', (5, 6), |b| count(b.bytes), |a, b| a.bytes.cmp(&b.bytes)),
        Column::<Self>::words("SCOPE", 'O', (5, 7), |b| b.scope.clone(), |a, b| a.scope.cmp(&b.scope)),
        Column::<Self>::words("ORIGIN", 'R', (9, 4), |b| b.origin.clone(), |a, b| a.origin.cmp(&b.origin)),
        Column::<Self>::words("WHY", 'W', (24, 0), |b| b.why.clone(), |a, b| a.why.cmp(&b.why)),
    ];

    const SORTED_BY: char = 'A';

    fn key(&self) -> Self::Key {
        (self.network, self.origin.clone())
    }

    fn network(&self) -> Option<IpNet> {
        Some(self.network)
    }

    fn looks(&self) -> Looks {
        Looks {
            name: Named(&self.network).to_string(),
            network: Some(self.network),
            words: vec![self.origin.clone(), self.why.clone(), self.scope.clone()],
        }
    }

    fn name_width(&self) -> usize {
        width(&Named(&self.network))
    }
}

fn times(block: &BlockShown) -> String {
    if block.times == 0 { "-".to_owned() } else { count(block.times.into()) }
}

/// A finding, and how old it was when it was told.
#[derive(Clone, Debug)]
pub(super) struct Found {
    at: SystemTime,
    age_s: u64,
    network: Option<IpNet>,
    row: FoundRow,
}

impl Found {
    /// Out of what happened, if it was a finding.
    pub(super) fn new(happened: Happened, now: SystemTime) -> Option<Self> {
        let Told::Kept(What::Finding(row)) = happened.what else { return None };
        let age_s = now.duration_since(happened.time).map_or(0, |age| age.as_secs());
        let who = row.source.as_ref().or(row.in_name_of.as_ref());
        let network = who.and_then(|who| parse_network(who).ok());
        Some(Self { at: happened.time, age_s, network, row })
    }

    /// The source; or whom it is about, where the source is forged or many.
    fn name(&self) -> String {
        match (&self.row.source, &self.row.in_name_of, self.row.targets.first()) {
            (Some(source), ..) => source.clone(),
            (None, Some(forged), _) => forged.clone(),
            (None, None, Some(target)) => format!("to {target}"),
            (None, None, None) => "-".to_owned(),
        }
    }
}

impl Shown for Found {
    type Key = (SystemTime, String, String);

    const COLUMNS: &'static [Column<Self>] = &[
        Column::<Self>::words("SOURCE", 'C', (NAME, 0), Self::name, |a, b| {
            a.network.cmp(&b.network).then_with(|| a.name().cmp(&b.name()))
        }),
        Column::<Self>::figure("AGE", 'A', (4, 1), |f| span(f.age_s), |a, b| b.at.cmp(&a.at)).smallest_first(),
        Column::<Self>::words("RULE", 'R', (12, 0), |f| f.row.rule.clone(), |a, b| a.row.rule.cmp(&b.row.rule)),
        Column::<Self>::words("WINDOW", 'N', (6, 7), |f| f.row.window.clone(), |a, b| a.row.window.cmp(&b.row.window)),
        Column::<Self>::figure(
            "COUNT",
            'U',
            (5, 3),
            |f| count(f.row.count.into()),
            |a, b| a.row.count.cmp(&b.row.count),
        ),
        Column::<Self>::figure(
            "LIMIT",
            'I',
            (5, 8),
            |f| count(f.row.threshold.into()),
            |a, b| a.row.threshold.cmp(&b.row.threshold),
        ),
        Column::<Self>::figure(
            "PORTS",
            'P',
            (5, 4),
            |f| some(&f.row, f.row.ports.len()),
            |a, b| a.row.ports.len().cmp(&b.row.ports.len()),
        ),
        Column::<Self>::figure(
            "HOSTS",
            'H',
            (5, 5),
            |f| some(&f.row, f.row.targets.len()),
            |a, b| a.row.targets.len().cmp(&b.row.targets.len()),
        ),
        Column::<Self>::words(
            "TOOL",
            'O',
            (7, 6),
            |f| or_dash(f.row.fingerprint.as_deref()),
            |a, b| a.row.fingerprint.cmp(&b.row.fingerprint),
        ),
        Column::<Self>::words(
            "DECISION",
            'D',
            (10, 2),
            |f| f.row.decision.clone(),
            |a, b| a.row.decision.cmp(&b.row.decision),
        )
        .toned(|f| match f.row.decision.as_str() {
            "block" | "extend" => Tone::Bad,
            "observe" | "alert" => Tone::Warn,
            _ => Tone::Plain,
        }),
        Column::<Self>::words("WHY", 'W', (14, 0), |f| f.row.why.clone(), |a, b| a.row.why.cmp(&b.row.why)),
    ];

    const SORTED_BY: char = 'A';

    fn key(&self) -> Self::Key {
        (self.at, self.name(), self.row.rule.clone())
    }

    fn network(&self) -> Option<IpNet> {
        self.network
    }

    fn looks(&self) -> Looks {
        let FoundRow { rule, window, decision, why, fingerprint, .. } = &self.row;
        let mut words = vec![rule.clone(), window.clone(), decision.clone(), why.clone()];
        words.extend(fingerprint.clone());
        Looks { name: self.name(), network: self.network, words }
    }

    fn name_width(&self) -> usize {
        self.name().chars().count()
    }
}

/// How many are named, and whether there were more.
fn some(row: &FoundRow, named: usize) -> String {
    count(named as u64) + if row.truncated { "+" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Shown>() {
        let mut letters: Vec<char> = T::COLUMNS.iter().map(|column| column.letter).collect();
        for Column { title, letter, width, .. } in T::COLUMNS {
            assert!(title.contains(*letter) && *letter != 'S' && *width >= title.len(), "{title}");
        }
        letters.sort_unstable();
        letters.dedup();
        assert_eq!(letters.len(), T::COLUMNS.len());
        assert!(letters.contains(&T::SORTED_BY));
    }

    #[test]
    fn each_column_is_sorted_by_a_letter_of_its_title_that_no_other_has_and_that_does_not_reverse() {
        check::<SourceShown>();
        check::<BlockShown>();
        check::<Found>();
    }
}
