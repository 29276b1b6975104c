//! The reference of all keys, as a page and as a file to begin with.

use std::fmt::Write as _;

use super::{
    Settings,
    key::Key,
    keys::{keys, tables},
};

/// The width that lines of the file keep to, in characters.
const WIDTH: usize = 80;

/// Sentences above the keys of the file.
const HEAD: &str = "\
# tcpcap's configuration: every key, what it must be, the flag and the variable
# that set it too, and the reason of its default. What begins with # and no
# space is a key with its default: take the # away to set it.
#
# Read are /etc/tcpcap/config.toml, then config.d/*.toml beside it in the order
# of their names. Flags win over the environment, the environment over files,
# later files over earlier ones; `tcpcap config --effective` says who won. Lists
# add up, unless it says otherwise. `tcpcap check` names every error; `tcpcap
# reload` applies all but what takes a restart.
";

/// A configuration in which nothing is set and everything explained: it is what holds without any.
#[must_use]
pub fn defaults() -> String {
    let mut text = HEAD.to_owned();
    let mut table = "";
    for key in keys() {
        let (of, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if of != table {
            table = of;
            text += &format!("\n[{table}]\n");
        }
        let mut facts = vec![upper(&rule(key))];
        facts.extend(set_by(key));
        if key.needs_restart {
            facts.push("takes a restart".to_owned());
        }
        text += "\n";
        text += &wrapped(&format!("{}.", key.about));
        text += &wrapped(&format!("{}.", facts.join("; ")));
        text += &wrapped(&format!("Default because {}.", key.why));
        if let Some(example) = key.example {
            text += &format!("# Example: {name} = {example}\n");
        }
        text += &format!("#{name} = {}\n", key.show(&Settings::default()));
    }
    text
}

/// Words in lines of a comment.
fn wrapped(said: &str) -> String {
    let mut text = String::new();
    let mut line = "#".to_owned();
    for word in said.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            text += &line;
            text += "\n";
            line = "#".to_owned();
        }
        line += " ";
        line += word;
    }
    text + &line + "\n"
}

fn upper(said: &str) -> String {
    let mut chars = said.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// What a key must be, and how several of its lists become one.
fn rule(key: &Key) -> String {
    match (key.is_list(), key.adds()) {
        (true, false) => format!("{}; the last one stands", key.rule()),
        _ => key.rule(),
    }
}

/// Flag and environment.
fn set_by(key: &Key) -> Option<String> {
    let flag = key.flag.filter(|flag| !flag.hidden).map(|flag| format!("--{}", flag.name));
    let all: Vec<_> = flag.into_iter().chain(key.variables()).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// `docs/config.md`.
#[must_use]
pub fn reference() -> String {
    let mut text = include_str!("reference.md").to_owned();
    let mut sections = vec![""];
    for table in tables() {
        if !sections.contains(&table) && keys().iter().any(|key| table_of(key) == table) {
            sections.push(table);
        }
    }
    for section in sections {
        let title = if section.is_empty() { "Keys of no table".to_owned() } else { format!("`[{section}]`") };
        text += &format!(
            "\n## {title}\n\n| key | must be | default | what for, and why the default | set by | changes |\n"
        );
        text += "|---|---|---|---|---|---|\n";
        for key in keys().iter().filter(|key| table_of(key) == section) {
            text += &row(key);
        }
    }
    text
}

fn table_of(key: &Key) -> &'static str {
    key.path.rsplit_once('.').map_or("", |(table, _)| table)
}

fn row(key: &Key) -> String {
    let name = key.path.rsplit('.').next().unwrap_or(key.path);
    let mut default = format!("`{}`", key.show(&Settings::default()));
    if let Some(followed) = key.follows {
        // A string takes everything that is written to it.
        let _written = write!(default, ", follows `{followed}`");
    }
    let set_by = set_by(key).map_or_else(|| "files".to_owned(), |all| format!("`{}`", all.replace(", ", "`, `")));
    let example = key.example.map(|example| format!(" For example `{example}`.")).unwrap_or_default();
    let changes = if key.needs_restart { "restart" } else { "reload" };
    let cells = [
        format!("`{name}`"),
        rule(key),
        default,
        format!("{}. *Default because* {}.{example}", key.about, key.why),
        set_by,
        changes.to_owned(),
    ];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_file_fit_a_terminal() {
        assert!(wrapped(&"word ".repeat(100)).lines().all(|line| line.len() <= WIDTH));
    }
}
