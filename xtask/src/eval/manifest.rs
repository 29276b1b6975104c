//! `MANIFEST.tsv` of a directory of captures: what each capture holds, and what is to be found in it.

use std::{
    fmt::Write as _,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, bail};
use ipnet::IpNet;
use sha2::{Digest, Sha256};
use tcpcap_core::Own;

/// What the file is called.
pub(crate) const NAME: &str = "MANIFEST.tsv";
/// Its columns.
const COLUMNS: [&str; 8] = ["file", "label", "flagged", "tolerated", "own", "expect", "how", "sha256"];
/// What stands where there is nothing to say.
const NOTHING: &str = "-";

/// What a capture is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Label {
    /// Many ports.
    Scan,
    /// One port of many hosts.
    Sweep,
    /// Probes without a readable SYN.
    Stealth,
    /// More attempts on one target than it can answer.
    Flood,
    /// Many whole connections to one service.
    BruteForce,
    /// Nobody is to be found.
    Benign,
}

impl Label {
    pub(crate) const ALL: [Self; 6] =
        [Self::Scan, Self::Sweep, Self::Stealth, Self::Flood, Self::BruteForce, Self::Benign];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Sweep => "sweep",
            Self::Stealth => "stealth",
            Self::Flood => "flood",
            Self::BruteForce => "bruteforce",
            Self::Benign => "benign",
        }
    }
}

impl FromStr for Label {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|l| l.name() == text)
            .ok_or_else(|| format!("there is no label `{text}`; there are {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// An own address that a flood is aimed at, and the port where it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) addr: IpAddr,
    pub(crate) port: Option<u16>,
}

/// A line of the manifest.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) file: String,
    pub(crate) label: Label,
    /// Whom a finding must name.
    pub(crate) flagged: Vec<IpNet>,
    /// Whom a finding may name.
    pub(crate) tolerated: Vec<IpNet>,
    /// As tcpcap is told of the own addresses.
    pub(crate) own_text: String,
    pub(crate) own: Own,
    /// What a flood is aimed at.
    pub(crate) target: Option<Target>,
    sha256: String,
}

/// A directory of captures whose contents are those that the manifest speaks of.
#[derive(Debug)]
pub(crate) struct Captures {
    pub(crate) dir: PathBuf,
    pub(crate) entries: Vec<Entry>,
}

impl Captures {
    /// Reads the manifest and looks at every file that it names.
    ///
    /// # Errors
    /// The manifest is missing or wrong, or files are missing or not those that were labelled: all of them are named.
    pub(crate) fn read(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(NAME);
        let text = fs::read_to_string(&path).with_context(|| {
            format!(
                "cannot read {}\n  a directory of captures has a {NAME}: captures/README.md tells its columns",
                path.display()
            )
        })?;
        let entries = parse(&text).with_context(|| path.display().to_string())?;
        let mut problems = String::new();
        for entry in &entries {
            if let Some(problem) = entry.problem(&dir.join(&entry.file)) {
                write!(problems, "\n  {}: {problem}", entry.file)?;
            }
        }
        if !problems.is_empty() {
            bail!("captures in {} are not those of its {NAME}:{problems}", dir.display());
        }
        Ok(Self { dir: dir.to_owned(), entries })
    }
}

/// Reads the lines below the heading.
pub(crate) fn parse(text: &str) -> anyhow::Result<Vec<Entry>> {
    let mut lines = text.lines().enumerate();
    let heading = COLUMNS.join("\t");
    if lines.next().map(|(_, line)| line) != Some(&*heading) {
        bail!("line 1: is not the heading `{}`", COLUMNS.join(" "));
    }
    let entries: Vec<_> = lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(i, line)| Entry::parse(line).map_err(|problem| anyhow::anyhow!("line {}: {problem}", i + 1)))
        .collect::<Result<_, _>>()?;
    if entries.is_empty() {
        bail!("names no capture");
    }
    Ok(entries)
}

impl Entry {
    fn parse(line: &str) -> Result<Self, String> {
        let columns: Vec<_> = line.split('\t').collect();
        let Ok([file, label, flagged, tolerated, own_text, expect, how, sha256]) = <[&str; 8]>::try_from(&*columns)
        else {
            return Err(format!("has {} columns, not {}", columns.len(), COLUMNS.len()));
        };
        if file.is_empty() || file.contains('/') {
            return Err(format!("`{file}` is no file beside it"));
        }
        let label = label.parse()?;
        let own = own(own_text)?;
        let target = (label == Label::Flood).then(|| target(expect, &own).or_else(|| target(how, &own))).flatten();
        if label == Label::Flood && target.is_none() {
            return Err("neither `expect` nor `how` names the own address that is flooded".to_owned());
        }
        let flagged = networks(flagged)?;
        if matches!(label, Label::Scan | Label::Sweep | Label::Stealth) && flagged.is_empty() {
            return Err(format!("`{}` without a source to be flagged", label.name()));
        }
        Ok(Self {
            file: file.to_owned(),
            label,
            flagged,
            tolerated: networks(tolerated)?,
            own_text: own_text.to_owned(),
            own,
            target,
            sha256: sha256.to_ascii_lowercase(),
        })
    }

    /// Why the file is not the one that was labelled.
    fn problem(&self, path: &Path) -> Option<String> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) => return Some(format!("missing: {e}")),
        };
        let found = hex(&Sha256::digest(&bytes));
        (found != self.sha256).then(|| format!("altered: its sha256 is {found}, not {}", self.sha256))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn network(text: &str) -> Result<IpNet, String> {
    let parsed = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse::<IpNet>());
    parsed.map_err(|_| format!("`{text}` is neither an address nor a network"))
}

fn networks(list: &str) -> Result<Vec<IpNet>, String> {
    if list == NOTHING { Ok(Vec::new()) } else { list.split(',').map(network).collect() }
}

/// `10.0.0.0/8,!10.9.0.0/16`: what is own, and what of it is not.
fn own(list: &str) -> Result<Own, String> {
    let mut own = Own::default();
    for part in list.split(',') {
        match part.strip_prefix('!') {
            Some(excluded) => own.except.push(network(excluded)?),
            None => own.networks.push(network(part)?),
        }
    }
    if own.networks.is_empty() { Err(format!("`{list}` names no own network")) } else { Ok(own) }
}

/// The first own address in a sentence, with the port behind it: `flood alarm on 10.80.0.10:80; block no source`.
fn target(sentence: &str, own: &Own) -> Option<Target> {
    sentence.split_whitespace().find_map(|word| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && !"[]:".contains(c));
        let target = match word.parse::<std::net::SocketAddr>() {
            Ok(socket) => Target { addr: socket.ip(), port: Some(socket.port()) },
            Err(_) => Target { addr: word.trim_matches(['[', ']']).parse().ok()?, port: None },
        };
        own.holds(target.addr.into()).then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(columns: [&str; 8]) -> String {
        format!("{}\n{}\n", COLUMNS.join("\t"), columns.join("\t"))
    }

    fn flood(expect: &str, how: &str) -> anyhow::Result<Vec<Entry>> {
        parse(&line(["f.pcap", "flood", "-", "-", "10.80.0.0/24", expect, how, "00"]))
    }

    #[test]
    fn a_line_tells_whom_to_find_whom_to_tolerate_and_what_is_own() {
        let own = "10.80.0.0/24,!10.80.0.9,fd80::/64";
        let text = line(["a.pcap", "scan", "10.81.0.1,fd81::9:1", "10.81.0.2", own, "-", "nmap", "AB"]);
        let entry = parse(&text).unwrap().remove(0);
        assert_eq!((entry.label, entry.flagged.len(), entry.tolerated.len()), (Label::Scan, 2, 1));
        assert_eq!((&*entry.own_text, &*entry.sha256, entry.target), (own, "ab", None));
        let holds = |ip: &str| entry.own.holds(ip.parse::<IpAddr>().unwrap().into());
        assert!(holds("10.80.0.8") && holds("fd80::7") && !holds("10.80.0.9") && !holds("10.81.0.1"));
    }

    #[test]
    fn a_flood_is_aimed_at_the_first_own_address_that_is_named() {
        let target = |expect, how| {
            let target = flood(expect, how).unwrap().remove(0).target.unwrap();
            (target.addr.to_string(), target.port)
        };
        let alarm = "flood alarm on 10.80.0.10:80; block no source";
        assert_eq!(target(alarm, "to 10.80.0.11"), ("10.80.0.10".to_owned(), Some(80)));
        let how = "hping3 -S -p 443 -a 10.81.12.6 -c 1500 10.80.0.10 (never completes)";
        assert_eq!(target("flood alarm; the source is unverified", how), ("10.80.0.10".to_owned(), None));
        assert!(format!("{:#}", flood("flood alarm", "hping3").unwrap_err()).contains("line 2: neither"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (columns, problem) in [
            (["a", "scam", "-", "-", "10.0.0.0/8", "-", "-", "-"], "no label `scam`; there are scan, sweep"),
            (["a", "scan", "-", "-", "10.0.0.0/8", "-", "-", "-"], "without a source to be flagged"),
            (["a", "benign", "x", "-", "10.0.0.0/8", "-", "-", "-"], "`x` is neither"),
            (["a", "benign", "-", "-", "!10.0.0.0/8", "-", "-", "-"], "names no own network"),
            (["../a", "benign", "-", "-", "10.0.0.0/8", "-", "-", "-"], "no file beside it"),
        ] {
            let said = format!("{:#}", parse(&line(columns)).unwrap_err());
            assert!(said.contains("line 2: ") && said.contains(problem), "{said}");
        }
        assert!(parse("file\tlabel\n").is_err());
        assert!(parse(&COLUMNS.join("\t")).is_err());
    }

    #[test]
    fn files_that_are_missing_or_altered_are_all_named() {
        let dir = tempfile::tempdir().unwrap();
        let entry = |file: &str, sum: &str| format!("{file}\tbenign\t-\t-\t10.0.0.0/8\t-\t-\t{sum}\n");
        let empty = hex(&Sha256::digest(b""));
        let text = [COLUMNS.join("\t") + "\n", entry("a", &empty), entry("b", "00"), entry("c", &empty)].concat();
        fs::write(dir.path().join(NAME), text).unwrap();
        fs::write(dir.path().join("a"), "").unwrap();
        fs::write(dir.path().join("b"), "").unwrap();
        let said = format!("{:#}", Captures::read(dir.path()).unwrap_err());
        assert!(said.contains("b: altered: its sha256 is e3b0c442") && said.contains("c: missing: "), "{said}");
        assert!(!said.contains("\n  a: "), "{said}");
        fs::write(dir.path().join(NAME), COLUMNS.join("\t") + "\n" + &entry("a", &empty)).unwrap();
        assert_eq!(Captures::read(dir.path()).unwrap().entries.len(), 1);
    }
}
