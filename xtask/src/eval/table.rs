//! What came of an evaluation, for people and for machines.

use std::fmt;

use serde::Serialize;

use super::{
    Round,
    judge::{Finding, Judgement, Outcome},
    manifest::Label,
};

/// The sums over the captures of one label.
#[derive(Serialize)]
struct Sum {
    label: &'static str,
    captures: usize,
    /// Of `wanted`.
    found: usize,
    wanted: usize,
    false_alarms: usize,
    alerts: usize,
    attempts_before: Option<Attempts>,
}

/// Attempts of those that were found before they were.
#[derive(Serialize)]
struct Attempts {
    median: u64,
    worst: u64,
}

impl Attempts {
    fn of(judged: &[&Judgement]) -> Option<Self> {
        let mut all: Vec<_> = judged.iter().flat_map(|j| j.attempts_before()).collect();
        all.sort_unstable();
        Some(Self { median: *all.get(all.len() / 2)?, worst: *all.last()? })
    }
}

impl Sum {
    fn of(label: Label, round: &Round) -> Self {
        let judged: Vec<_> = round.judged.iter().filter(|(e, _)| e.label == label).map(|(_, j)| j).collect();
        let count = |wanted: fn(&Judgement) -> bool| judged.iter().filter(|j| wanted(j)).count();
        Self {
            label: label.name(),
            captures: judged.len(),
            found: count(|j| matches!(j.outcome, Outcome::Found | Outcome::OptionalFound)),
            wanted: count(|j| j.outcome != Outcome::Nothing),
            false_alarms: judged.iter().map(|j| j.false_alarms.len()).sum(),
            alerts: judged.iter().map(|j| j.alerts.len()).sum(),
            attempts_before: Attempts::of(&judged),
        }
    }
}

fn sums(round: &Round) -> impl Iterator<Item = Sum> {
    Label::ALL.into_iter().map(|label| Sum::of(label, round)).filter(|sum| sum.captures > 0)
}

/// One JSON object a line: a line for each capture, then one for each label.
pub(super) fn json(round: &Round) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Line<T> {
        r#type: &'static str,
        preset: &'static str,
        ack_delay_ms: u64,
        #[serde(flatten)]
        rest: T,
    }
    #[derive(Serialize)]
    struct Capture<'a> {
        file: &'a str,
        label: &'static str,
        right: bool,
        #[serde(flatten)]
        judgement: &'a Judgement,
    }
    let (preset, ack_delay_ms) = (round.way.preset.name(), round.delay_ms());
    let mut out = String::new();
    for (entry, judgement) in &round.judged {
        let (file, label, right) = (&*entry.file, entry.label.name(), judgement.is_right());
        let rest = Capture { file, label, right, judgement };
        out += &serde_json::to_string(&Line { r#type: "capture", preset, ack_delay_ms, rest })?;
        out.push('\n');
    }
    for rest in sums(round) {
        out += &serde_json::to_string(&Line { r#type: "label", preset, ack_delay_ms, rest })?;
        out.push('\n');
    }
    Ok(out)
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.judged.iter().map(|(e, _)| e.file.len()).max().unwrap_or(0);
        writeln!(f, "{:<name$}  {:<10}  {:<11}  rule and window (attempts before)", "capture", "label", "came of it")?;
        for (entry, judgement) in &self.judged {
            let fired: Vec<_> = judgement.fired.iter().map(with_attempts).collect();
            let line = format!(
                "{:<name$}  {:<10}  {:<11}  {}",
                entry.file,
                entry.label.name(),
                in_a_word(judgement),
                fired.join(", ")
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(
            f,
            "\n{:<10}  {:>8}  {:>8}  {:>12}  {:>6}  attempts before, median and worst",
            "label", "captures", "found", "false alarms", "alerts"
        )?;
        for sum in sums(self) {
            let found = if sum.wanted == 0 { "-".to_owned() } else { format!("{} of {}", sum.found, sum.wanted) };
            let attempts = sum.attempts_before.map_or_else(String::new, |a| format!("{}, {}", a.median, a.worst));
            let line = format!(
                "{:<10}  {:>8}  {found:>8}  {:>12}  {:>6}  {attempts}",
                sum.label, sum.captures, sum.false_alarms, sum.alerts
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        let problems = problems(self);
        if problems.is_empty() { writeln!(f, "\nnothing missed, no false alarm") } else { write!(f, "\n{problems}") }
    }
}

fn with_attempts(finding: &Finding) -> String {
    let rule = finding.rule_and_window();
    if finding.source.is_some() { format!("{rule} ({})", finding.attempts_before) } else { rule }
}

fn in_a_word(judgement: &Judgement) -> &'static str {
    match (judgement.outcome, judgement.false_alarms.is_empty()) {
        (Outcome::Missed, _) => "MISSED",
        (_, false) => "FALSE ALARM",
        (Outcome::Found | Outcome::OptionalFound, _) => "found",
        (Outcome::Nothing, _) => "quiet",
        (Outcome::OptionalMissed, _) => "optional",
    }
}

/// A line for each thing that went wrong, or that somebody should know.
pub(super) fn problems(round: &Round) -> String {
    let mut out = String::new();
    for (entry, judgement) in &round.judged {
        let file = &entry.file;
        let missed = judgement.missed.iter().map(|missed| format!("missed       {file}: {missed}\n"));
        let alarms = judgement.false_alarms.iter().map(|f| format!("false alarm  {file}: {}\n", f.in_words()));
        let alerts = judgement.alerts.iter().map(|f| format!("alert        {file}: {}\n", f.in_words()));
        out.extend(missed.chain(alarms).chain(alerts));
    }
    out
}
