//! The dashboard's panels, what they ask, and what a query names. The suite `monitoring` has these as well.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A file below `deploy/`.
pub fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file)
}

/// A file's text.
pub fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The dashboard.
pub fn dashboard() -> Value {
    serde_json::from_str(&text(&deploy("grafana/tcpcap.json"))).unwrap()
}

/// A query of a panel, as Grafana would send it.
#[derive(Clone, Debug)]
pub struct Query {
    /// The panel's title.
    pub panel: String,
    /// Which of its queries.
    pub id: String,
    /// With the dashboard's variables put in.
    pub expr: String,
    /// How its series are named.
    pub legend: String,
}

impl Query {
    /// The labels that name its series.
    pub fn labels(&self) -> Vec<&str> {
        self.legend.split("{{").skip(1).map(|rest| rest.split_once("}}").expect(&self.legend).0).collect()
    }
}

/// Every query of every panel, over all hosts; rates are taken over `interval`.
pub fn queries(dashboard: &Value, interval: &str) -> Vec<Query> {
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |key: &str| target[key].as_str().unwrap_or_else(|| panic!("{key} of {panel}")).to_owned();
            let expr =
                text("expr").replace("$__rate_interval", interval).replace("$job", "tcpcap").replace("$instance", ".*");
            assert!(!expr.contains('$'), "a variable that is not known: {expr}");
            let panel = panel["title"].as_str().unwrap().to_owned();
            queries.push(Query { panel, id: text("refId"), expr, legend: text("legendFormat") });
        }
    }
    assert!(!queries.is_empty());
    queries
}

/// A metric that a query names, and what it asks of its labels.
#[derive(Debug, PartialEq, Eq)]
pub struct Used {
    pub name: String,
    pub labels: Vec<(String, Vec<String>)>,
}

/// The metrics of tcpcap that a query names.
pub fn used(expr: &str) -> Vec<Used> {
    let mut all = Vec::new();
    for (at, _) in expr.match_indices("tcpcap_") {
        let rest = &expr[at..];
        let end = rest.find(|c: char| !(c == '_' || c.is_ascii_alphanumeric())).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let matchers = rest.strip_prefix('{').map_or("", |inner| inner.split_once('}').expect(expr).0);
        let labels = matchers.split_terminator(',').map(|matcher| {
            let (label, value) = matcher.split_once('"').expect(expr);
            let values = value.trim_end().trim_end_matches('"').split('|').map(str::to_owned).collect();
            (label.trim().trim_end_matches(['=', '~', '!']).to_owned(), values)
        });
        all.push(Used { name: name.to_owned(), labels: labels.collect() });
    }
    all
}
