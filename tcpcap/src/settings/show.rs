//! What holds and who said so, and what is different between two configurations.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
};

use serde::Serialize;
use toml::Value;

use super::{Settings, key::Key, keys::keys, layers::Loaded, problem::Origin};

/// Items of a list that are told one by one when it changes.
const ITEMS_TOLD: usize = 8;

/// The widest that key and value are where who said so stands in a column, in characters.
const COLUMN: usize = 50;

/// A value as people say it: without quotes.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// A key whose value is another than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its path.
    pub key: &'static str,
    /// What it is now, `before → after`.
    pub said: String,
    /// The daemon goes on with the value before until it starts again.
    pub needs_restart: bool,
}

/// `observe: false → true`
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.said)
    }
}

/// Every key that is not the same.
#[must_use]
pub fn changes(before: &Settings, after: &Settings) -> Vec<Change> {
    let change = |key: &Key| {
        let (old, new) = (key.show(before), key.show(after));
        let (path, needs_restart) = (key.path, key.needs_restart);
        (old != new).then(|| Change { key: path, said: difference(&old, &new), needs_restart })
    };
    keys().iter().filter_map(change).collect()
}

fn difference(old: &Value, new: &Value) -> String {
    if let (Value::Array(old), Value::Array(new)) = (old, new)
        && old.len().max(new.len()) > ITEMS_TOLD
    {
        let [before, after] = [old, new].map(|items| items.iter().map(plain).collect::<BTreeSet<_>>());
        let come = after.difference(&before).map(|item| format!("+{item}"));
        let gone = before.difference(&after).map(|item| format!("−{item}"));
        let mut told: Vec<_> = come.chain(gone).take(ITEMS_TOLD + 1).collect();
        if told.len() > ITEMS_TOLD {
            told.truncate(ITEMS_TOLD);
            told.push("…".to_owned());
        }
        return format!("{} → {} entries ({})", old.len(), new.len(), told.join(" "));
    }
    format!("{} → {}", plain(old), plain(new))
}

/// A key, its value, and who said so.
#[derive(Clone, Debug, Serialize)]
pub struct Effective {
    /// Its path.
    pub key: &'static str,
    /// Its value, as it would stand in a file.
    pub value: Value,
    /// Whoever has a part in it; the last one won, and of a list all did that are named.
    pub origins: Vec<Origin>,
    #[serde(skip)]
    items: Vec<Origin>,
}

impl Loaded {
    /// All keys.
    #[must_use]
    pub fn effective(&self) -> Vec<Effective> {
        let effective = |key: &Key| Effective {
            key: key.path,
            value: key.show(&self.settings),
            origins: self.origins(key),
            items: self.items(key.path),
        };
        keys().iter().map(effective).collect()
    }

    /// The same as a file of its own, in which everything is said, with who said it behind it.
    #[must_use]
    pub fn effective_text(&self) -> String {
        let mut lines = Vec::new();
        for Effective { key, value, origins, items } in self.effective() {
            match value.as_array() {
                Some(values) if values.len() > 1 && values.len() == items.len() => {
                    lines.push((format!("{key} = ["), String::new()));
                    let item = |(value, origin): (&Value, &Origin)| (format!("    {value},"), origin.to_string());
                    lines.extend(values.iter().zip(&items).map(item));
                    lines.push(("]".to_owned(), String::new()));
                }
                _ => {
                    let who = origins.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                    lines.push((format!("{key} = {value}"), who));
                }
            }
        }
        let widths = lines.iter().map(|(said, _)| said.chars().count());
        let column = widths.filter(|width| *width <= COLUMN).max().unwrap_or(0);
        let mut text = String::new();
        for (said, who) in lines {
            // A string takes everything that is written to it.
            let _written =
                if who.is_empty() { writeln!(text, "{said}") } else { writeln!(text, "{said:<column$}  # {who}") };
        }
        text
    }
}
