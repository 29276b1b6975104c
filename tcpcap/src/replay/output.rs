//! What a replay prints: for people as the daemon logs it, for machines one JSON object a line.

use std::{
    io::{self, Write},
    net::IpAddr,
    time::{Duration, UNIX_EPOCH},
};

use serde::Serialize;
use tcpcap_core::{Finding, Time, Verdict};

use super::Summary;

/// How it looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// A writer in a format.
pub struct Output<W> {
    format: Format,
    out: W,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[allow(clippy::large_enum_variant, reason = "one at a time, written at once")]
enum Line<'a> {
    Finding {
        time: String,
        source: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        in_name_of: Option<String>,
        rule: &'static str,
        window: &'static str,
        count: u32,
        threshold: u32,
        window_s: u64,
        targets: &'a [IpAddr],
        ports: &'a [u16],
        #[serde(skip_serializing_if = "Vec::is_empty")]
        flags: Vec<String>,
        attempts_before: u64,
        completions: u64,
        verified: bool,
        fingerprint: Option<&'static str>,
        decision: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        scope: Option<&'static str>,
        why: String,
    },
    Summary {
        packets: u64,
        attempts: u64,
        probes: u64,
        sources: usize,
        findings: u64,
        unparsed: u64,
    },
}

impl<W: Write> Output<W> {
    /// Writes to `out`.
    pub fn new(format: Format, out: W) -> Self {
        Self { format, out }
    }

    /// Writes a finding and what became of it.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn verdict(&mut self, verdict: &Verdict) -> io::Result<()> {
        let Verdict { finding, decision } = verdict;
        let time = rfc3339(finding.time);
        match self.format {
            Format::Text => {
                writeln!(self.out, "{time} {finding}\n{time} {}", verdict.supposed())
            }
            Format::Json => {
                let Finding { rule, window, count, threshold, span, targets, ports, .. } = finding;
                self.json(&Line::Finding {
                    time,
                    source: finding.source.map(|s| s.to_string()),
                    in_name_of: finding.in_name_of.map(|s| s.to_string()),
                    rule: rule.name(),
                    window,
                    count: *count,
                    threshold: *threshold,
                    window_s: span.as_secs(),
                    targets,
                    ports,
                    attempts_before: finding.attempts_before,
                    flags: finding.flags_text(),
                    completions: finding.completions,
                    verified: finding.verified(),
                    fingerprint: finding.fingerprint.map(|f| f.tool.name()),
                    decision: decision.outcome.name(),
                    scope: decision.entry_until().map(|_| decision.scope.name()),
                    why: decision.to_string(),
                })
            }
        }
    }

    /// Writes the last line, and out what is still in a buffer.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn summary(&mut self, s: &Summary) -> io::Result<()> {
        match self.format {
            Format::Text => {
                let more = if s.more_sources { "more than " } else { "" };
                writeln!(
                    self.out,
                    "{}, {} unreadable: {} and {} from {more}{}, {}",
                    count(s.packets, "packet"),
                    s.unparsed,
                    count(s.attempts, "attempt"),
                    count(s.probes, "probe"),
                    count(s.sources as u64, "source"),
                    count(s.findings, "finding"),
                )?;
            }
            Format::Json => self.json(&Line::Summary {
                packets: s.packets,
                attempts: s.attempts,
                probes: s.probes,
                sources: s.sources,
                findings: s.findings,
                unparsed: s.unparsed,
            })?,
        }
        self.out.flush()
    }

    /// Writes out what is still in a buffer.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn json(&mut self, line: &Line<'_>) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        writeln!(self.out)
    }
}

/// `1 packet`, `2 packets`.
fn count(n: u64, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

/// As the daemon's log has it. [`Time`] ends in the year 2554, which the format can say.
fn rfc3339(time: Time) -> String {
    humantime::format_rfc3339_micros(UNIX_EPOCH + Duration::from_nanos(time.as_nanos())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_in_the_log() {
        assert_eq!(rfc3339(Time::from_nanos(1_764_000_000_123_456_789)), "2025-11-24T16:00:00.123456Z");
        assert_eq!(rfc3339(Time::from_nanos(u64::MAX)), "2554-07-21T23:34:33.709551Z");
    }

    #[test]
    fn a_summary_reads_in_singular_and_plural() {
        let said = |s: &Summary, format| {
            let mut out = Vec::new();
            Output::new(format, &mut out).summary(s).unwrap();
            String::from_utf8(out).unwrap()
        };
        let one = Summary { packets: 1, attempts: 1, probes: 0, sources: 1, findings: 2, ..Summary::default() };
        assert_eq!(
            said(&one, Format::Text),
            "1 packet, 0 unreadable: 1 attempt and 0 probes from 1 source, 2 findings\n"
        );
        assert_eq!(
            said(&one, Format::Json),
            "{\"type\":\"summary\",\"packets\":1,\"attempts\":1,\"probes\":0,\"sources\":1,\"findings\":2,\"unparsed\":0}\n"
        );
        let many = Summary { sources: 9, more_sources: true, ..one };
        assert!(said(&many, Format::Text).contains("from more than 9 sources"));
    }
}
