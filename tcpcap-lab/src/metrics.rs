//! tcpcap's metrics, read as Prometheus would read them.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};

use crate::{http, namespace::Namespace, wait::wait_for};

/// Where tcpcap serves them by default.
pub const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 2112);

/// One scrape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(Vec<Sample>);

/// One line of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric's name.
    pub name: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: f64,
}

impl Metrics {
    /// Scrapes the tcpcap that runs in a namespace.
    ///
    /// # Errors
    /// When nobody answers, or not with metrics.
    pub fn fetch(namespace: &Namespace) -> anyhow::Result<Self> {
        Self::fetch_from(namespace, ADDRESS)
    }

    /// Scrapes another address.
    ///
    /// # Errors
    /// As [`Metrics::fetch`].
    pub fn fetch_from(namespace: &Namespace, address: SocketAddr) -> anyhow::Result<Self> {
        let answer = http::get(namespace, address, "/metrics")?;
        ensure!(answer.status == 200, "{address}/metrics answers {}", answer.status);
        Self::parse(&answer.body)
    }

    /// Scrapes until a condition holds, and returns that scrape: the daemon refreshes its counters once a second.
    ///
    /// # Errors
    /// When it does not hold in time; the error shows the last scrape.
    pub fn wait_until(
        namespace: &Namespace,
        what: &str,
        within: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<Self> {
        let mut last = Ok(Self::default());
        let found = wait_for(what, within, || {
            last = Self::fetch(namespace);
            last.as_ref().ok().filter(|metrics| holds(metrics)).cloned()
        });
        found.or_else(|error| match last {
            _ if error.is::<crate::interrupt::Interrupted>() => Err(error),
            Ok(metrics) => Err(error).with_context(|| format!("in the metrics\n{metrics}")),
            Err(no_metrics) => Err(no_metrics.context(error)),
        })
    }

    /// Reads the text format.
    ///
    /// # Errors
    /// When a line is none of it.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(|line| sample(line).with_context(|| format!("no metric: {line}"))).collect::<Result<_, _>>().map(Self)
    }

    /// All samples.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.0
    }

    /// Sum over all samples of a name that have at least these labels; `None` if there is no such sample.
    #[must_use]
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |s: &Sample| labels.iter().all(|(k, v)| s.labels.iter().any(|(sk, sv)| sk == k && sv == v));
        self.0.iter().filter(|s| s.name == name && has(s)).map(|s| s.value).reduce(|a, b| a + b)
    }

    /// As [`Metrics::get`], for counters: 0 if there is no such sample.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counters are whole and far below 2^53")]
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.get(name, labels).unwrap_or(0.0) as u64
    }

    /// Packets received, whatever became of them.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.count("tcpcap_packets_total", &[])
    }

    /// Packets let through.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.count("tcpcap_packets_total", &[("verdict", "pass")])
    }

    /// Packets dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.count("tcpcap_packets_total", &[("verdict", "drop")])
    }
}

impl std::fmt::Display for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for Sample { name, labels, value } in &self.0 {
            let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
            writeln!(f, "    {name}{{{}}} {value}", labels.join(","))?;
        }
        Ok(())
    }
}

/// `name value` or `name{label="value",…} value`, perhaps with a time or an exemplar behind it.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (key, value) = rest.split_once("=\"")?;
            let (value, after) = quoted(value)?;
            labels.push((key.to_owned(), value));
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// A label's value up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_and_summed() {
        let text = "# HELP x y\nplain 3\np_total{verdict=\"pass\",end=\"attempt\"} 5\n\
                    p_total{verdict=\"pass\",end=\"segment\"} 6.0 1700000000\np_total{verdict=\"drop\",end=\"a \\\"b}\"} 7\n# EOF\n";
        let metrics = Metrics::parse(text).unwrap();
        assert_eq!(metrics.get("plain", &[]), Some(3.0));
        assert_eq!(metrics.get("p_total", &[]), Some(18.0));
        assert_eq!(metrics.count("p_total", &[("verdict", "pass")]), 11);
        assert_eq!(metrics.count("p_total", &[("verdict", "drop"), ("end", "a \"b}")]), 7);
        assert_eq!(metrics.get("p_total", &[("verdict", "maybe")]), None);
    }

    #[test]
    fn what_is_no_metric_is_refused() {
        for line in ["<html>", "name", "name{a=\"b} 1", "name{} x"] {
            assert!(Metrics::parse(line).is_err(), "{line}");
        }
    }
}
