//! The kinds of values: what each must be, in words and in code, once.

use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use clap::{ValueEnum, builder::PossibleValue};
use toml::Value;

use super::{
    problem::{Wrong, nearest},
    raw::{Raw, What},
};

/// A kind of value.
pub(super) trait Type: Send + Sync + 'static {
    /// What it is read into.
    type Out: Clone;

    /// What it must be, to be said after "is not": `true or false`.
    fn rule(&self) -> String;

    /// Reads and checks it.
    fn read(&self, raw: &Raw) -> Result<Self::Out, Vec<Wrong>>;

    /// As it stands in a file.
    fn show(&self, out: &Self::Out) -> Value;

    /// All values, where they can be named.
    fn choices(&self) -> Vec<PossibleValue> {
        Vec::new()
    }

    /// Whether it is a list.
    fn is_list(&self) -> bool {
        false
    }

    /// Whether it is a list, and those of several places add up.
    fn adds(&self) -> bool {
        false
    }

    /// What comes of two that add up.
    fn join(&self, _before: Self::Out, after: Self::Out) -> Self::Out {
        after
    }
}

fn wrong<T>(raw: &Raw) -> Result<T, Vec<Wrong>> {
    Err(vec![Wrong::of(raw)])
}

fn text<T>(raw: &Raw, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Vec<Wrong>> {
    raw.text().and_then(parse).map_or_else(|| wrong(raw), Ok)
}

/// Yes or no.
pub(super) struct Switch;

impl Type for Switch {
    type Out = bool;

    fn rule(&self) -> String {
        "true or false".to_owned()
    }

    fn read(&self, raw: &Raw) -> Result<bool, Vec<Wrong>> {
        match &raw.what {
            What::Boolean(is) => Ok(*is),
            What::Word(word) => match word.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Ok(true),
                "false" | "0" | "no" | "off" => Ok(false),
                _ => wrong(raw),
            },
            _ => wrong(raw),
        }
    }

    fn show(&self, out: &bool) -> Value {
        Value::Boolean(*out)
    }

    fn choices(&self) -> Vec<PossibleValue> {
        ["true", "false"].map(PossibleValue::new).into()
    }
}

/// One of a few names.
pub(super) struct Choice<T>(Vec<(PossibleValue, T)>);

impl<T> Choice<T> {
    /// What the command line knows by name.
    pub(super) fn of_enum() -> Self
    where
        T: ValueEnum,
    {
        let named = |value: &T| value.to_possible_value().map(|name| (name, value.clone()));
        Self(T::value_variants().iter().filter_map(named).collect())
    }

    pub(super) fn of(named: impl IntoIterator<Item = (&'static str, T)>) -> Self {
        Self(named.into_iter().map(|(name, value)| (PossibleValue::new(name), value)).collect())
    }

    /// Those that are not for tests alone.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(name, _)| !name.is_hide_set()).map(|(name, _)| name.get_name())
    }
}

impl<T: Clone + PartialEq + Send + Sync + 'static> Type for Choice<T> {
    type Out = T;

    fn rule(&self) -> String {
        format!("one of {}", self.names().collect::<Vec<_>>().join(", "))
    }

    fn read(&self, raw: &Raw) -> Result<T, Vec<Wrong>> {
        text(raw, |text| self.0.iter().find(|(name, _)| name.get_name() == text).map(|(_, value)| value.clone()))
            .map_err(|_| vec![Wrong::of(raw).meaning(raw.text().and_then(|text| nearest(text, self.names())))])
    }

    fn show(&self, out: &T) -> Value {
        let name = self.0.iter().find(|(_, value)| value == out).map(|(name, _)| name.get_name());
        Value::String(name.unwrap_or_default().to_owned())
    }

    fn choices(&self) -> Vec<PossibleValue> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }
}

/// A number of a range.
pub(super) struct Number<N>(pub(super) RangeInclusive<N>);

impl<N> Type for Number<N>
where
    N: Copy + PartialOrd + Display + TryFrom<i64> + TryInto<i64> + Send + Sync + 'static,
{
    type Out = N;

    fn rule(&self) -> String {
        format!("a number from {} to {}", self.0.start(), self.0.end())
    }

    fn read(&self, raw: &Raw) -> Result<N, Vec<Wrong>> {
        let number = raw.number().and_then(|n| N::try_from(n).ok()).filter(|n| self.0.contains(n));
        number.map_or_else(|| wrong(raw), Ok)
    }

    fn show(&self, out: &N) -> Value {
        Value::Integer((*out).try_into().unwrap_or(i64::MAX))
    }
}

/// A threshold, which can be switched off. More than its greatest is more than is kept of a source.
pub(super) struct Limit(pub(super) u32);

impl Type for Limit {
    type Out = Option<u32>;

    fn rule(&self) -> String {
        format!("a number from 1 to {}, or \"off\"", self.0)
    }

    fn read(&self, raw: &Raw) -> Result<Option<u32>, Vec<Wrong>> {
        match raw.text() {
            Some("off") => Ok(None),
            _ => Number(1..=self.0).read(raw).map(Some),
        }
    }

    fn show(&self, out: &Option<u32>) -> Value {
        out.map_or_else(|| Value::String("off".to_owned()), |n| Value::Integer(n.into()))
    }
}

/// A span of time.
pub(super) struct Time(pub(super) RangeInclusive<Duration>);

impl Type for Time {
    type Out = Duration;

    fn rule(&self) -> String {
        let [least, most] = [self.0.start(), self.0.end()].map(|time| span(*time));
        format!("a time from {least} to {most}, such as \"1h 30m\"")
    }

    fn read(&self, raw: &Raw) -> Result<Duration, Vec<Wrong>> {
        text(raw, |text| humantime::parse_duration(text).ok().filter(|time| self.0.contains(time)))
    }

    fn show(&self, out: &Duration) -> Value {
        Value::String(span(*out))
    }
}

/// In one unit if that is possible: weeks and months are nothing to reckon with.
fn span(time: Duration) -> String {
    const UNITS: [(&str, u64, u64); 4] = [("d", 86_400, 2), ("h", 3600, 1), ("m", 60, 1), ("s", 1, 0)];
    let seconds = time.as_secs();
    let unit = UNITS.iter().find(|(_, unit, least)| seconds.is_multiple_of(*unit) && seconds / unit >= *least);
    match unit {
        Some((name, unit, _)) if time.subsec_nanos() == 0 => format!("{}{name}", seconds / unit),
        _ => humantime::format_duration(time).to_string(),
    }
}

/// A number of bytes.
pub(super) struct Size(pub(super) RangeInclusive<u64>);

const UNITS: [(&str, u32); 3] = [("GiB", 30), ("MiB", 20), ("KiB", 10)];

impl Size {
    fn shown(bytes: u64) -> String {
        let unit = UNITS.iter().find(|(_, bits)| bytes >= 1 << bits && bytes.trailing_zeros() >= *bits);
        unit.map_or_else(|| format!("{bytes} B"), |(name, bits)| format!("{} {name}", bytes >> bits))
    }

    fn parsed(text: &str) -> Option<u64> {
        let (number, bits) = match UNITS.iter().find_map(|(name, bits)| Some((text.strip_suffix(name)?, *bits))) {
            Some(found) => found,
            None => (text.strip_suffix('B')?, 0),
        };
        number.trim().parse::<u64>().ok()?.checked_mul(1 << bits)
    }
}

impl Type for Size {
    type Out = u64;

    fn rule(&self) -> String {
        format!("a size from {} to {}, such as \"64 MiB\"", Self::shown(*self.0.start()), Self::shown(*self.0.end()))
    }

    fn read(&self, raw: &Raw) -> Result<u64, Vec<Wrong>> {
        text(raw, |text| Self::parsed(text).filter(|bytes| self.0.contains(bytes)))
    }

    fn show(&self, out: &u64) -> Value {
        Value::String(Self::shown(*out))
    }
}

/// A file or directory. In a file it begins at the root: a service's working directory is nobody's choice, and who asks
/// the daemon has another.
pub(super) struct AbsolutePath;

impl Type for AbsolutePath {
    type Out = PathBuf;

    fn rule(&self) -> String {
        "a path that begins with /".to_owned()
    }

    fn read(&self, raw: &Raw) -> Result<PathBuf, Vec<Wrong>> {
        let typed = matches!(raw.what, What::Word(_));
        text(raw, |text| (text.starts_with('/') || typed && !text.is_empty()).then(|| text.into()))
    }

    fn show(&self, out: &PathBuf) -> Value {
        Value::String(out.display().to_string())
    }
}

/// A program.
pub(super) struct Program;

impl Type for Program {
    type Out = PathBuf;

    fn rule(&self) -> String {
        "a program's name, or its path from / on".to_owned()
    }

    fn read(&self, raw: &Raw) -> Result<PathBuf, Vec<Wrong>> {
        text(raw, |text| (!text.is_empty() && (text.starts_with('/') || !text.contains('/'))).then(|| text.into()))
    }

    fn show(&self, out: &PathBuf) -> Value {
        AbsolutePath.show(out)
    }
}

/// Address and port.
pub(super) struct Endpoint;

impl Type for Endpoint {
    type Out = SocketAddr;

    fn rule(&self) -> String {
        "an address and a port, such as \"127.0.0.1:2112\" or \"[::1]:2112\"".to_owned()
    }

    fn read(&self, raw: &Raw) -> Result<SocketAddr, Vec<Wrong>> {
        text(raw, |text| text.parse().ok())
    }

    fn show(&self, out: &SocketAddr) -> Value {
        Value::String(out.to_string())
    }
}

/// A name of which only certain characters are part.
pub(super) struct Name {
    pub(super) rule: &'static str,
    pub(super) fits: fn(&str) -> bool,
}

impl Type for Name {
    type Out = String;

    fn rule(&self) -> String {
        self.rule.to_owned()
    }

    fn read(&self, raw: &Raw) -> Result<String, Vec<Wrong>> {
        text(raw, |text| (self.fits)(text).then(|| text.to_owned()))
    }

    fn show(&self, out: &String) -> Value {
        Value::String(out.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_one_unit_and_read_again() {
        for (seconds, said) in [(0, "0s"), (90, "90s"), (600, "10m"), (86_400, "24h"), (30 * 86_400, "30d")] {
            assert_eq!(span(Duration::from_secs(seconds)), said);
            assert_eq!(humantime::parse_duration(said), Ok(Duration::from_secs(seconds)));
        }
        assert_eq!(span(Duration::from_millis(1500)), "1s 500ms");
    }

    #[test]
    fn sizes_are_told_in_the_unit_that_fits_and_read_again() {
        for (bytes, said) in
            [(0, "0 B"), (1000, "1000 B"), (1 << 20, "1 MiB"), (3 << 29, "1536 MiB"), (2 << 30, "2 GiB")]
        {
            assert_eq!(Size::shown(bytes), said);
            assert_eq!(Size::parsed(said), Some(bytes));
        }
        for bad in ["", "MiB", "1", "-1 MiB", "1 MB", "99999999999 GiB"] {
            assert_eq!(Size::parsed(bad), None, "{bad}");
        }
    }
}
