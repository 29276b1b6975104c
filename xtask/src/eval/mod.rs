//! `cargo xtask eval`: labelled captures through the real binary, and how well it did.

mod delay;
mod judge;
mod manifest;
pub(crate) mod suite;
mod table;

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use flate2::read::MultiGzDecoder;
use tcpcap_core::Preset;

use crate::{needs::Part, run, setup, workspace};
use judge::{Finding, Judgement, judge};
use manifest::{Captures, Entry};

/// The directory of captures that comes with the source.
const KEPT: &str = "captures";

/// Replay labelled captures and tell what was found, missed and wrongly found
#[derive(clap::Args)]
pub(crate) struct Eval {
    /// Directory with captures and their MANIFEST.tsv [default: captures/ of this workspace]
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Let everything of the far side but its SYNs come this much later; repeatable
    #[arg(long, value_name = "MS", value_delimiter = ',', default_value = "0")]
    ack_delay: Vec<u64>,
    /// How much is a scan: strict, balanced, relaxed; repeatable. Only balanced has to be right
    #[arg(long, value_name = "PRESET", value_delimiter = ',', default_value = "balanced")]
    preset: Vec<Preset>,
    /// Do not look at the near side's answers, as on a host that cannot see them
    #[arg(long)]
    ingress_only: bool,
    /// How it is told: text, or one JSON object a line
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

/// How captures are replayed.
#[derive(Clone, Copy, Debug)]
struct Way {
    preset: Preset,
    /// So much further away is the far side.
    delay: Duration,
    ingress_only: bool,
}

/// All captures of a directory, replayed in one way.
struct Round {
    way: Way,
    judged: Vec<(Entry, Judgement)>,
}

impl Eval {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        setup::ensure(&[Part::Compile])?;
        let captures = Captures::read(&self.dir.clone().unwrap_or_else(|| workspace::root().join(KEPT)))?;
        let tcpcap = run::build()?;
        let mut wrong = 0;
        for &preset in &self.preset {
            for &delay in &self.ack_delay {
                let delay = Duration::from_millis(delay);
                let round = Round::play(&captures, &tcpcap, Way { preset, delay, ingress_only: self.ingress_only })?;
                match self.output {
                    Format::Text => println!("\n{}\n\n{round}", round.heading(&captures.dir)),
                    Format::Json => print!("{}", table::json(&round)?),
                }
                if preset == Preset::Balanced {
                    wrong += round.wrong().count();
                }
            }
        }
        ensure!(wrong == 0, "{wrong} captures missed or with false alarms\n  they are named above");
        Ok(())
    }
}

impl Round {
    /// Replays every capture.
    ///
    /// # Errors
    /// A capture cannot be replayed to its end.
    fn play(captures: &Captures, tcpcap: &Path, way: Way) -> anyhow::Result<Self> {
        let mut judged = Vec::new();
        for entry in &captures.entries {
            let file = captures.dir.join(&entry.file);
            let findings = replay(tcpcap, &file, entry, way).with_context(|| entry.file.clone())?;
            judged.push((entry.clone(), judge(entry, &findings)));
        }
        Ok(Self { way, judged })
    }

    /// The captures of which not everything is right.
    fn wrong(&self) -> impl Iterator<Item = &Entry> {
        self.judged.iter().filter(|(_, judgement)| !judgement.is_right()).map(|(entry, _)| entry)
    }

    /// What this round was.
    fn heading(&self, dir: &Path) -> String {
        let later = match self.delay_ms() {
            0 => String::new(),
            ms => format!(", ACKs {ms} ms later"),
        };
        let blind = if self.way.ingress_only { ", ingress only" } else { "" };
        format!("{} captures of {}: {}{later}{blind}", self.judged.len(), dir.display(), self.way.preset)
    }

    fn delay_ms(&self) -> u64 {
        u64::try_from(self.way.delay.as_millis()).unwrap_or(u64::MAX)
    }
}

/// What tcpcap finds in a capture that is replayed so.
fn replay(tcpcap: &Path, file: &Path, entry: &Entry, way: Way) -> anyhow::Result<Vec<Finding>> {
    let later = tempfile::Builder::new().suffix(".pcap").tempfile()?;
    let file = if way.delay.is_zero() {
        file
    } else {
        let capture = delay::delayed(&decompressed(fs::read(file)?)?, &entry.own, way.delay)?;
        fs::write(later.path(), capture)?;
        later.path()
    };
    let mut command = Command::new(tcpcap);
    command.args(["replay", "-o", "json", "--own", &entry.own_text, "--preset", way.preset.name()]).arg(file);
    if way.ingress_only {
        command.arg("--ingress-only");
    }
    let out = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", tcpcap.display()))?;
    if !out.status.success() {
        bail!("tcpcap replay ended with {}: {}", out.status, String::from_utf8_lossy(&out.stderr).trim());
    }
    findings(&String::from_utf8(out.stdout)?)
}

/// The bytes of a file that may be gzip-compressed.
fn decompressed(file: Vec<u8>) -> io::Result<Vec<u8>> {
    if !file.starts_with(&[0x1f, 0x8b]) {
        return Ok(file);
    }
    let mut bytes = Vec::new();
    MultiGzDecoder::new(&*file).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The findings of a replay; its last line is a summary.
fn findings(json: &str) -> anyhow::Result<Vec<Finding>> {
    let (mut findings, mut whole) = (Vec::new(), false);
    for line in json.lines() {
        let value: serde_json::Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
        match value["type"].as_str() {
            Some("finding") => {
                findings.push(serde_json::from_value(value).with_context(|| format!("no finding: {line}"))?);
            }
            Some("summary") => whole = true,
            _ => {}
        }
    }
    ensure!(whole, "tcpcap replay did not come to its summary");
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_without_its_last_line_is_no_result() {
        let finding = r#"{"type":"finding","source":"192.0.2.1","rule":"port-scan","decision":"block"}"#;
        assert!(findings(finding).is_err());
        assert_eq!(findings(&format!("{finding}\n{{\"type\":\"summary\"}}\n")).unwrap().len(), 1);
        assert!(findings(&finding.replace("192.0.2.1", "nobody")).is_err());
    }
}
