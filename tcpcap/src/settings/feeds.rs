//! `[[feeds]]`: files that list networks.

use std::{path::PathBuf, sync::Arc};

use toml::Value;

use super::{
    problem::{Wrong, nearest},
    raw::{Raw, What},
    types::{AbsolutePath, Type},
};
use crate::lists::FeedConfig;

/// Longest name of a feed, in characters: it stands in log lines and tables.
const MAX_NAME_CHARS: usize = 64;

/// A feed: where it is, and what it is called.
pub(super) struct Feed;

impl Type for Feed {
    type Out = FeedConfig;

    fn rule(&self) -> String {
        "a table with the `path` of a file and, if it is to be called otherwise than the file, a `name`".to_owned()
    }

    fn read(&self, raw: &Raw) -> Result<FeedConfig, Vec<Wrong>> {
        let What::Table(entries) = &raw.what else { return Err(vec![Wrong::of(raw)]) };
        let (mut path, mut name, mut wrongs): (Option<PathBuf>, Option<&str>, _) = (None, None, Vec::new());
        let named = format!("a name of 1 to {MAX_NAME_CHARS} printable characters");
        for entry in entries {
            match entry.name.as_str() {
                "path" => match AbsolutePath.read(&entry.value) {
                    Ok(read) => path = Some(read),
                    Err(wrong) => wrongs.extend(wrong.into_iter().map(|w| w.part(&AbsolutePath.rule()))),
                },
                "name" => match entry.value.text().filter(|name| is_name(name)) {
                    Some(read) => name = Some(read),
                    None => wrongs.push(Wrong::of(&entry.value).part(&named)),
                },
                other => {
                    let key = Raw { line: entry.line, what: What::Text(other.to_owned()) };
                    let meant = nearest(other, ["path", "name"]);
                    wrongs.push(Wrong::of(&key).part("a key of a feed, which are `path` and `name`").meaning(meant));
                }
            }
        }
        if path.is_none() && wrongs.is_empty() {
            wrongs.push(Wrong::because(raw, "a feed needs the `path` of a file"));
        }
        let Some(path) = path.filter(|_| wrongs.is_empty()) else { return Err(wrongs) };
        let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = name.unwrap_or(&file_name);
        if !is_name(name) {
            return Err(vec![Wrong::because(raw, "the file's name is no name for a feed; give it a `name`")]);
        }
        Ok(FeedConfig { name: Arc::from(name), path })
    }

    fn show(&self, out: &FeedConfig) -> Value {
        let entry = |key: &str, value: String| (key.to_owned(), Value::String(value));
        Value::Table(
            [entry("name", out.name.to_string()), entry("path", out.path.display().to_string())].into_iter().collect(),
        )
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().count() <= MAX_NAME_CHARS && !name.contains(char::is_control)
}
