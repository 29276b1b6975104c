//! What is wrong with a configuration, where it stands, and who set a key.

use std::{fmt, path::Path, sync::Arc};

use serde::{Serialize, Serializer};

use super::raw::Raw;
use crate::failure::Failure;

/// Who set a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Origin {
    /// Nobody.
    Default,
    /// Nobody, but it follows another key that was set.
    Follows {
        /// That key.
        key: &'static str,
    },
    /// A configuration file.
    File {
        /// Its path.
        #[serde(serialize_with = "as_text")]
        path: Arc<Path>,
        /// Counted from 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<usize>,
    },
    /// The environment.
    Environment {
        /// The variable.
        name: String,
    },
    /// The command line.
    Flag {
        /// With its dashes.
        name: String,
    },
}

fn as_text<S: Serializer>(path: &Arc<Path>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

impl Origin {
    /// The same file, at another line if that is known.
    pub(super) fn at(&self, line: Option<usize>) -> Self {
        match (self, line) {
            (Self::File { path, .. }, Some(_)) => Self::File { path: Arc::clone(path), line },
            _ => self.clone(),
        }
    }
}

/// `default`, `/etc/tcpcap/config.toml:3`, `TCPCAP_MODE`, `--mode`
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Follows { key } => write!(f, "follows {key}"),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::Environment { name } | Self::Flag { name } => f.write_str(name),
        }
    }
}

/// An error, or a warning, of a configuration: one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where it stands.
    #[serde(flatten)]
    pub origin: Origin,
    /// The key it is about, if it is about one.
    pub key: Option<String>,
    /// The value as written, cut short.
    pub value: Option<String>,
    /// What is wrong: of a value, what it is not.
    pub said: String,
    /// The nearest valid key or value.
    pub did_you_mean: Option<String>,
    #[serde(skip)]
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It cannot be read at all.
    Unreadable,
    /// The value is not as its rule says; what is said goes on after it.
    Broken,
    /// Said is a whole sentence.
    Other,
}

impl Problem {
    /// A file that cannot be read.
    pub(super) fn unreadable(path: &Path, why: &dyn fmt::Display) -> Self {
        let said = format!("cannot read the configuration {}: {why}", path.display());
        let origin = Origin::File { path: path.into(), line: None };
        Self { kind: Kind::Unreadable, ..Self::told(origin, None, said) }
    }

    /// A sentence about a place, and a key if there is one.
    pub(super) fn told(origin: Origin, key: Option<&str>, said: impl Into<String>) -> Self {
        let key = key.map(str::to_owned);
        Self { origin, key, value: None, said: said.into(), did_you_mean: None, kind: Kind::Other }
    }

    /// There is no such key.
    pub(super) fn unknown(origin: Origin, key: &str, nearest: Option<String>) -> Self {
        let said = format!("there is no key `{key}`");
        Self { did_you_mean: nearest, ..Self::told(origin, Some(key), said) }
    }

    /// Something valid is spelt nearly so.
    pub(super) fn meaning(self, nearest: String) -> Self {
        Self { did_you_mean: Some(nearest), ..self }
    }

    /// A value that breaks its key's rule.
    pub(super) fn broken(origin: &Origin, key: &str, rule: &str, wrong: Wrong) -> Self {
        let Wrong { line, value, rule: own, why, nearest } = wrong;
        let rule = own.as_deref().unwrap_or(rule);
        let said = why.map_or_else(|| format!("is not {rule}"), |why| format!("cannot be taken: {why}"));
        let told = Self::told(origin.at(line), Some(key), said);
        Self { value: Some(value), did_you_mean: nearest, kind: Kind::Broken, ..told }
    }

    /// All of them as what ends a verb.
    #[must_use]
    pub fn failure(problems: &[Self]) -> Failure {
        let remedy = if problems.iter().all(|p| p.kind == Kind::Unreadable) {
            "check --config and the file's permissions"
        } else {
            "correct that; `tcpcap config --defaults` shows every key with its rule and default"
        };
        Failure::usage_all(problems.iter().map(ToString::to_string).collect(), remedy)
    }
}

/// One line: where, which key, which value, which rule, and what may have been meant.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, key, value, said, did_you_mean, kind } = self;
        let one_line = said.split_whitespace().collect::<Vec<_>>().join(" ");
        match (kind, key) {
            (Kind::Unreadable, _) => f.write_str(&one_line)?,
            (Kind::Broken, Some(key)) => {
                write!(f, "{origin}: ")?;
                if matches!(origin, Origin::File { .. }) {
                    write!(f, "{key}: ")?;
                }
                write!(f, "{} {one_line}", value.as_deref().unwrap_or_default())?;
            }
            _ => write!(f, "{origin}: {one_line}")?,
        }
        match did_you_mean {
            Some(meant) => write!(f, "; did you mean `{meant}`?"),
            None => Ok(()),
        }
    }
}

/// A value that is not as it must be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) line: Option<usize>,
    value: String,
    /// What part of the value breaks, if it is not the whole.
    rule: Option<String>,
    why: Option<String>,
    nearest: Option<String>,
}

impl Wrong {
    /// Its rule says enough.
    pub(super) fn of(raw: &Raw) -> Self {
        Self { line: raw.line, value: raw.to_string(), rule: None, why: None, nearest: None }
    }

    /// It is as its rule says, and cannot be taken all the same.
    pub(super) fn because(raw: &Raw, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..Self::of(raw) }
    }

    /// It is a part of the value, and has a rule of its own.
    pub(super) fn part(self, rule: &str) -> Self {
        Self { rule: self.rule.or_else(|| Some(rule.to_owned())), ..self }
    }

    /// Something valid is spelt nearly so.
    pub(super) fn meaning(self, nearest: Option<String>) -> Self {
        Self { nearest, ..self }
    }
}

/// Of these names the one that is nearest to what was written, if any is near.
pub(super) fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let last = |name: &'a str| name.rsplit('.').next().unwrap_or(name);
    let written_last = written.rsplit('.').next().unwrap_or(written);
    let distance = |name: &'a str| {
        let whole = strsim::damerau_levenshtein(written, name);
        // In the wrong table, it may be: then the last word alone is right, or nearly so.
        let part = 1 + strsim::damerau_levenshtein(written_last, last(name));
        if whole <= part { (whole, written.len()) } else { (part, written_last.len()) }
    };
    let (best, (far, length)) = names.into_iter().map(|name| (name, distance(name))).min_by_key(|(_, d)| d.0)?;
    (far <= 1 + length / 3).then(|| best.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_in_other_tables_too_and_nothing_far_away() {
        let names =
            ["observe", "preset", "listen", "detect.port_scan.burst", "detect.port_scan", "mirror.nftables.hook"];
        for (written, meant) in [
            ("observed", Some("observe")),
            ("presett", Some("preset")),
            ("detect.portscan.burst", Some("detect.port_scan.burst")),
            ("burst", Some("detect.port_scan.burst")),
            ("portscan", Some("detect.port_scan")),
            ("mirror.hook", Some("mirror.nftables.hook")),
            ("colour", None),
        ] {
            assert_eq!(nearest(written, names).as_deref(), meant, "{written}");
        }
        assert_eq!(nearest("x", []), None);
    }
}
