//! What metrics there are, as `docs/metrics.md` has them. That it has just those that are served, a test beside them sees to;
//! the suite `monitoring` holds a real scrape against what is asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use crate::panels::{Used, used};

/// A documented metric.
#[derive(Debug)]
pub struct Documented {
    /// Its labels.
    pub labels: BTreeSet<String>,
    /// The row of the table, which names the labels' values.
    row: String,
}

/// What may be named in a query.
#[derive(Debug)]
pub struct Vocabulary {
    documented: BTreeMap<String, Documented>,
    page: String,
}

/// Labels that Prometheus gives: whose it is, and the bound of a bucket.
const GIVEN: [&str; 3] = ["job", "instance", "le"];

/// Labels whose values are the user's own, or are told in another table of the page.
const OPEN: [&str; 2] = ["map", "end"];

impl Vocabulary {
    pub fn load() -> Self {
        let page = include_str!("../../../docs/metrics.md").to_owned();
        let mut documented = BTreeMap::new();
        for row in page.lines().filter_map(|line| line.strip_prefix("| `tcpcap_")) {
            let (head, rest) = row.split_once("` | ").unwrap();
            let kind = rest.split(" | ").next().unwrap();
            let (name, labels) = head.split_once('{').unwrap_or((head, ""));
            let labels: BTreeSet<String> =
                labels.trim_end_matches('}').split_terminator(',').map(str::to_owned).collect();
            let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            for suffix in suffixes {
                let entry = Documented { labels: labels.clone(), row: rest.to_owned() };
                documented.insert(format!("tcpcap_{name}{suffix}"), entry);
            }
        }
        assert!(documented.len() > 50);
        Self { documented, page }
    }

    /// Fails unless everything that a query names is there: metrics, labels, and their values.
    pub fn check(&self, expr: &str, place: &str) {
        let uses = used(expr);
        assert!(
            !uses.is_empty() || expr.contains("up{") || expr.contains("ALERTS{"),
            "{place} asks for nothing of tcpcap"
        );
        for Used { name, labels } in &uses {
            let documented = self.documented.get(name);
            let documented = documented.unwrap_or_else(|| panic!("{place}: {name} is not in docs/metrics.md"));
            for (label, values) in labels.iter().filter(|(label, _)| !GIVEN.contains(&label.as_str())) {
                assert!(documented.labels.contains(label), "{place}: {name} has no label {label}");
                let told = if OPEN.contains(&label.as_str()) { &self.page } else { &documented.row };
                for value in values {
                    assert!(told.contains(&format!("`{value}`")), "{place}: {name} has no {label} {value}");
                }
            }
        }
        for label in grouped(expr) {
            let known = |used: &Used| self.documented.get(&used.name).is_some_and(|d| d.labels.contains(&label));
            assert!(
                GIVEN.contains(&label.as_str()) || uses.iter().any(known),
                "{place}: no metric has the label {label}"
            );
        }
    }

    /// Labels that a metric has.
    pub fn labels(&self, name: &str) -> &BTreeSet<String> {
        &self.documented.get(name).unwrap_or_else(|| panic!("{name} is not in docs/metrics.md")).labels
    }
}

/// The labels that a query groups and joins by.
pub fn grouped(expr: &str) -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    for word in ["by (", "without (", "on ("] {
        for (at, _) in expr.match_indices(word) {
            let inner = expr[at + word.len()..].split_once(')').expect(expr).0;
            labels.extend(inner.split(',').map(|label| label.trim().to_owned()));
        }
    }
    labels
}

/// Runs one of Prometheus' tools, which has to accept what it is shown; returns what it says.
pub fn accepted(tool: &str, args: &[&str], files: &[&Path]) -> String {
    let output = Command::new(tool).args(args).args(files).output();
    let output =
        output.unwrap_or_else(|e| panic!("cannot run {tool}: {e}\n  run: cargo xtask setup --part monitoring"));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{tool} {}: {said}", args.join(" "));
    said
}

#[test]
fn what_a_query_names_is_found() {
    let expr = "sum by (le) (rate(tcpcap_a_bucket{job=~\"$job\", x!~\"b|c\"}[5m])) / on (job, x) tcpcap_b > 1";
    let labels =
        vec![("job".to_owned(), vec!["$job".to_owned()]), ("x".to_owned(), vec!["b".to_owned(), "c".to_owned()])];
    let expected = [Used { name: "tcpcap_a_bucket".into(), labels }, Used { name: "tcpcap_b".into(), labels: vec![] }];
    assert_eq!(used(expr), expected);
    assert_eq!(grouped(expr).into_iter().collect::<Vec<_>>(), ["job", "le", "x"]);
}
