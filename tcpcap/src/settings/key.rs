//! What a key is: everything that is known of it, in one place.

use std::fmt;

use clap::builder::PossibleValue;
use toml::Value;

use super::{Settings, problem::Wrong, raw::Raw, types::Type};

/// A key of the configuration.
pub(super) struct Key {
    /// `detect.port_scan.burst`
    pub(super) path: &'static str,
    /// What it is, in a line.
    pub(super) about: &'static str,
    /// The reason of its default, in a line.
    pub(super) why: &'static str,
    pub(super) flag: Option<Flag>,
    /// A variable that the program had which tcpcap replaces.
    pub(super) older_name: Option<&'static str>,
    /// A reload does not apply it.
    pub(super) needs_restart: bool,
    /// What it is where it is not set depends on this key.
    pub(super) follows: Option<&'static str>,
    /// What it might be set to, for those of which the default shows nothing.
    pub(super) example: Option<&'static str>,
    slot: Box<dyn Slot>,
}

/// A flag of `tcpcap run`.
#[derive(Clone, Copy)]
pub(super) struct Flag {
    /// Without dashes.
    pub(super) name: &'static str,
    pub(super) value: &'static str,
    pub(super) hidden: bool,
}

impl Key {
    /// A key that has no flag and takes a reload to change.
    pub(super) fn new<T: Type>(
        path: &'static str,
        kind: T,
        get: fn(&Settings) -> T::Out,
        set: fn(&mut Settings, T::Out),
    ) -> Self {
        Self {
            path,
            about: "",
            why: "",
            flag: None,
            older_name: None,
            needs_restart: false,
            follows: None,
            example: None,
            slot: Box::new(Field { kind, get, set }),
        }
    }

    pub(super) fn doc(self, about: &'static str, why: &'static str) -> Self {
        Self { about, why, ..self }
    }

    pub(super) fn flag(self, name: &'static str, value: &'static str) -> Self {
        Self { flag: Some(Flag { name, value, hidden: false }), ..self }
    }

    pub(super) fn hidden_flag(self, name: &'static str, value: &'static str) -> Self {
        Self { flag: Some(Flag { name, value, hidden: true }), ..self }
    }

    pub(super) fn older_name(self, name: &'static str) -> Self {
        Self { older_name: Some(name), ..self }
    }

    pub(super) fn restart(self) -> Self {
        Self { needs_restart: true, ..self }
    }

    pub(super) fn follows(self, key: &'static str) -> Self {
        Self { follows: Some(key), ..self }
    }

    pub(super) fn example(self, example: &'static str) -> Self {
        Self { example: Some(example), ..self }
    }

    /// The variables of the environment that set it, ours first: it wins.
    pub(super) fn variables(&self) -> Vec<String> {
        let named = self.flag.map(|_| format!("TCPCAP_{}", self.path.replace('.', "_").to_ascii_uppercase()));
        named.into_iter().chain(self.older_name.map(str::to_owned)).collect()
    }

    pub(super) fn rule(&self) -> String {
        self.slot.rule()
    }

    pub(super) fn choices(&self) -> Vec<PossibleValue> {
        self.slot.choices()
    }

    pub(super) fn is_list(&self) -> bool {
        self.slot.is_list()
    }

    /// Whether lists of several places add up.
    pub(super) fn adds(&self) -> bool {
        self.slot.adds()
    }

    pub(super) fn is_switch(&self) -> bool {
        matches!(self.show(&Settings::default()), Value::Boolean(_))
    }

    /// Its value as it would stand in a file.
    pub(super) fn show(&self, settings: &Settings) -> Value {
        self.slot.show(settings)
    }

    /// Sets it; where lists add up and it `was_set` before, adds to it. Nothing changes if the value is wrong.
    pub(super) fn take(&self, settings: &mut Settings, raw: &Raw, was_set: bool) -> Result<(), Vec<Wrong>> {
        self.slot.take(settings, raw, was_set)
    }

    /// Makes it what it is elsewhere.
    pub(super) fn copy(&self, from: &Settings, to: &mut Settings) {
        self.slot.copy(from, to);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)
    }
}

/// Where in the settings a key's value is, whatever its kind.
trait Slot: Send + Sync {
    fn rule(&self) -> String;
    fn choices(&self) -> Vec<PossibleValue>;
    fn is_list(&self) -> bool;
    fn adds(&self) -> bool;
    fn show(&self, settings: &Settings) -> Value;
    fn take(&self, settings: &mut Settings, raw: &Raw, was_set: bool) -> Result<(), Vec<Wrong>>;
    fn copy(&self, from: &Settings, to: &mut Settings);
}

struct Field<T: Type> {
    kind: T,
    get: fn(&Settings) -> T::Out,
    set: fn(&mut Settings, T::Out),
}

impl<T: Type> Slot for Field<T> {
    fn rule(&self) -> String {
        self.kind.rule()
    }

    fn choices(&self) -> Vec<PossibleValue> {
        self.kind.choices()
    }

    fn is_list(&self) -> bool {
        self.kind.is_list()
    }

    fn adds(&self) -> bool {
        self.kind.adds()
    }

    fn show(&self, settings: &Settings) -> Value {
        self.kind.show(&(self.get)(settings))
    }

    fn take(&self, settings: &mut Settings, raw: &Raw, was_set: bool) -> Result<(), Vec<Wrong>> {
        let read = self.kind.read(raw)?;
        let value = if was_set && self.kind.adds() { self.kind.join((self.get)(settings), read) } else { read };
        (self.set)(settings, value);
        Ok(())
    }

    fn copy(&self, from: &Settings, to: &mut Settings) {
        (self.set)(to, (self.get)(from));
    }
}
