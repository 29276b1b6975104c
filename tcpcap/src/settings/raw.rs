//! A value as somebody wrote it, before any rule has looked at it.

use std::fmt;

use toml::{Spanned, de::DeTable, de::DeValue};

/// Longest value that an error repeats, in characters.
const SHOWN_CHARS: usize = 60;

/// A value, and the line it stands on if it stands in a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Raw {
    pub(super) line: Option<usize>,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// Of a flag or the environment, where everything is text.
    Word(String),
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Raw>),
    Table(Vec<Entry>),
    /// What no key takes: a float, a date, a number that is too large; as written.
    Other(String),
}

/// A name in a table, and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) line: Option<usize>,
    pub(super) value: Raw,
}

impl Raw {
    pub(super) fn word(text: &str) -> Self {
        Self { line: None, what: What::Word(text.to_owned()) }
    }

    pub(super) fn words<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self { line: None, what: What::List(texts.into_iter().map(Self::word).collect()) }
    }

    /// The text, if it is text.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.what {
            What::Word(text) | What::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub(super) fn number(&self) -> Option<i64> {
        match &self.what {
            What::Integer(n) => Some(*n),
            What::Word(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    fn of(value: &Spanned<DeValue<'_>>, lines: &Lines) -> Self {
        let what = match value.get_ref() {
            DeValue::String(text) => What::Text(text.to_string()),
            DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix())
                .map_or_else(|_| What::Other(n.as_str().to_owned()), What::Integer),
            DeValue::Boolean(is) => What::Boolean(*is),
            DeValue::Float(n) => What::Other(n.as_str().to_owned()),
            DeValue::Datetime(date) => What::Other(date.to_string()),
            DeValue::Array(items) => What::List(items.iter().map(|item| Self::of(item, lines)).collect()),
            DeValue::Table(table) => What::Table(entries(table, lines)),
        };
        Self { line: Some(lines.of(value.span().start)), what }
    }
}

/// As TOML would have it, cut short, on one line.
impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&cut(&self.whole()))
    }
}

/// Text that somebody wrote, short enough and fit for a line.
pub(super) fn cut(text: &str) -> String {
    let fit = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    let mut short: String = text.chars().take(SHOWN_CHARS).map(fit).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        short.push('…');
    }
    short
}

impl Raw {
    fn whole(&self) -> String {
        let joined = |parts: Vec<String>| parts.join(", ");
        match &self.what {
            What::Word(text) | What::Text(text) => format!("{text:?}"),
            What::Integer(n) => n.to_string(),
            What::Boolean(is) => is.to_string(),
            What::List(items) => format!("[{}]", joined(items.iter().map(Self::whole).collect())),
            What::Table(entries) => {
                let entry = |e: &Entry| format!("{} = {}", e.name.escape_debug(), e.value.whole());
                if entries.is_empty() {
                    return "{}".to_owned();
                }
                format!("{{ {} }}", joined(entries.iter().map(entry).collect()))
            }
            What::Other(text) => text.clone(),
        }
    }
}

/// Reads a TOML document.
///
/// # Errors
/// The first mistake, with its line.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, (usize, String)> {
    let lines = Lines::of_text(text);
    match DeTable::parse(text) {
        Ok(table) => Ok(entries(table.get_ref(), &lines)),
        Err(e) => Err((lines.of(e.span().map_or(0, |span| span.start)), e.message().to_owned())),
    }
}

/// In the order in which they stand in the file.
fn entries(table: &DeTable<'_>, lines: &Lines) -> Vec<Entry> {
    let mut found: Vec<_> = table.iter().collect();
    found.sort_by_key(|(name, _)| name.span().start);
    let entry = |(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &Spanned<std::borrow::Cow<'_, str>> = name;
        Entry {
            name: name.get_ref().to_string(),
            line: Some(lines.of(name.span().start)),
            value: Raw::of(value, lines),
        }
    };
    found.into_iter().map(entry).collect()
}

/// Where lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of_text(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The number of the line that a byte is on, from 1.
    fn of(&self, at: usize) -> usize {
        1 + self.0.partition_point(|end| *end < at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line_and_reads_as_it_was_written() {
        let entries = parse("a = 1\n\nb = [\n  \"x\",\n  0x10,\n]\n[t]\nc = { d = 1.5, e = true }\n").unwrap();
        let shown: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.line, e.value.to_string())).collect();
        assert_eq!(
            shown,
            [
                ("a", Some(1), "1".to_owned()),
                ("b", Some(3), "[\"x\", 16]".to_owned()),
                ("t", Some(7), "{ c = { d = 1.5, e = true } }".to_owned()),
            ]
        );
        let What::List(items) = &entries[1].value.what else { panic!("{entries:?}") };
        assert_eq!(items.iter().map(|i| i.line).collect::<Vec<_>>(), [Some(4), Some(5)]);
    }

    #[test]
    fn a_number_beyond_all_bounds_is_no_number_and_a_long_value_is_cut_short() {
        let entries = parse(&format!("a = 99999999999999999999\nb = \"{}\"\n", "ü".repeat(100))).unwrap();
        assert_eq!(entries[0].value.number(), None);
        assert_eq!(entries[1].value.to_string().chars().count(), SHOWN_CHARS + 1);
    }

    #[test]
    fn the_first_mistake_is_told_with_its_line() {
        let (line, said) = parse("a = 1\nb = \n").unwrap_err();
        assert_eq!((line, said.is_empty()), (2, false));
        assert_eq!(parse("a = 1\na = 2\n").unwrap_err().0, 2);
    }
}
