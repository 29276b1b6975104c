//! From what files, environment and command line say to what holds, and who said so.

use std::{collections::BTreeMap, path::PathBuf};

use toml::Value;

use super::{
    Settings, across,
    files::{self, Source},
    key::Key,
    keys::keys,
    problem::{Origin, Problem},
    raw::{Raw, What},
};

/// What somebody said of a key.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) key: &'static Key,
    pub(super) origin: Origin,
    pub(super) raw: Raw,
}

/// The variables of the environment that may be meant. Empty ones are as good as none.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// This process's.
    pub(super) fn of_process() -> Self {
        let text = |name: std::ffi::OsString, value: std::ffi::OsString| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        };
        Self::of(std::env::vars_os().map(|(name, value)| text(name, value)))
    }

    pub(super) fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Forgets what sets other keys than these.
    pub(super) fn keep(&mut self, paths: &[&str]) {
        let kept = |name: &String| keys().iter().any(|key| paths.contains(&key.path) && key.variables().contains(name));
        self.0.retain(|name, _| kept(name));
    }

    fn given(&self) -> impl Iterator<Item = Given> {
        keys().iter().flat_map(move |key| {
            key.variables().into_iter().rev().filter_map(move |name| {
                let value = self.get(&name)?;
                let raw = if key.is_list() { Raw::words(value.split(',').map(str::trim)) } else { Raw::word(value) };
                Some(Given { key, origin: Origin::Environment { name }, raw })
            })
        })
    }
}

/// What holds.
#[derive(Debug)]
pub struct Loaded {
    /// The values of all keys.
    pub settings: Settings,
    /// The files that were read, in order.
    pub files: Vec<PathBuf>,
    who: Vec<Who>,
}

/// Who set a key.
#[derive(Clone, Debug, Default)]
struct Who {
    /// Whoever has a part in its value.
    set: Vec<Origin>,
    /// Of a list, who named each.
    items: Vec<Origin>,
}

impl Loaded {
    /// Lays flags over environment over files over defaults.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(super) fn of(source: &Source, environment: &Environment, flags: &[Given]) -> Result<Self, Vec<Problem>> {
        let said = files::read(source);
        let given: Vec<_> = said.given.into_iter().chain(environment.given()).chain(flags.iter().cloned()).collect();
        let mut problems: Vec<_> = said.missing.into_iter().chain(said.problems).collect();
        let loaded = Self::resolve(&given, said.files, &mut problems);
        problems.extend(across::errors(&loaded, &problems));
        if problems.is_empty() {
            return Ok(loaded);
        }
        loaded.in_order(&mut problems);
        Err(problems)
    }

    /// The same of whatever is right, as far as it can be read; and the file that was named and is not there.
    pub(super) fn lenient(source: &Source, environment: &Environment, flags: &[Given]) -> (Self, Option<Problem>) {
        let said = files::read(source);
        let given: Vec<_> = said.given.into_iter().chain(environment.given()).chain(flags.iter().cloned()).collect();
        (Self::resolve(&given, said.files, &mut Vec::new()), said.missing)
    }

    fn resolve(given: &[Given], files: Vec<PathBuf>, problems: &mut Vec<Problem>) -> Self {
        let mut settings = Settings::default();
        let mut who = Vec::with_capacity(keys().len());
        for key in keys() {
            let mut by = Who::default();
            for Given { origin, raw, .. } in given.iter().filter(|given| given.key.path == key.path) {
                match key.take(&mut settings, raw, !by.set.is_empty()) {
                    Ok(()) => by.note(origin, raw, &key.show(&settings)),
                    Err(wrongs) => {
                        problems.extend(wrongs.into_iter().map(|w| Problem::broken(origin, key.path, &key.rule(), w)));
                    }
                }
            }
            who.push(by);
        }
        Self { settings, files, who }
    }

    /// Sorts by file and line; what stands in no file comes last.
    pub(super) fn in_order(&self, problems: &mut [Problem]) {
        problems.sort_by_key(|problem| match &problem.origin {
            Origin::File { path, line } => {
                let number = self.files.iter().position(|file| **file == **path);
                (number.unwrap_or(0), line.unwrap_or(0))
            }
            _ => (usize::MAX, 0),
        });
    }

    /// How many keys were set by somebody.
    #[must_use]
    pub fn number_set(&self) -> usize {
        self.who.iter().filter(|who| !who.set.is_empty()).count()
    }

    /// Whoever has a part in a key's value.
    pub(super) fn origins(&self, key: &Key) -> Vec<Origin> {
        match (self.who_of(key.path), key.follows) {
            (who, _) if !who.set.is_empty() => who.set,
            (_, Some(followed)) if !self.who_of(followed).set.is_empty() => vec![Origin::Follows { key: followed }],
            _ => vec![Origin::Default],
        }
    }

    /// Who set a key last.
    pub(super) fn last(&self, path: &str) -> Option<Origin> {
        self.who_of(path).set.pop()
    }

    /// Who named each item of a list.
    pub(super) fn items(&self, path: &str) -> Vec<Origin> {
        self.who_of(path).items
    }

    fn who_of(&self, path: &str) -> Who {
        let at = keys().iter().position(|key| key.path == path);
        at.and_then(|at| self.who.get(at)).cloned().unwrap_or_default()
    }
}

impl Who {
    /// The key's value is this now.
    fn note(&mut self, origin: &Origin, raw: &Raw, now: &Value) {
        let items: Vec<_> = match &raw.what {
            What::List(items) => items.iter().map(|item| origin.at(item.line)).collect(),
            _ => Vec::new(),
        };
        let added = now.as_array().is_some_and(|all| all.len() == self.items.len() + items.len());
        if !added || self.items.is_empty() {
            *self = Self::default();
        }
        self.set.push(origin.clone());
        self.items.extend(items);
    }
}
