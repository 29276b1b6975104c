//! Scrape configuration, alerts, their tests and their runbook.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    thread,
};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    panels::{deploy, text, used},
    vocabulary::{Vocabulary, accepted},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[allow(dead_code, reason = "is there to be allowed")]
    name: String,
    rules: Vec<Alert>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Alert {
    alert: String,
    expr: String,
    #[serde(rename = "for")]
    #[allow(dead_code, reason = "is there to be allowed")]
    hold: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Tests {
    tests: Vec<Test>,
}

#[derive(Debug, Deserialize)]
struct Test {
    name: String,
    input_series: Vec<Series>,
    promql_expr_test: Vec<Moment>,
}

#[derive(Debug, Deserialize)]
struct Series {
    series: String,
}

#[derive(Debug, Deserialize)]
struct Moment {
    expr: String,
    exp_samples: Vec<Sample>,
}

#[derive(Debug, Deserialize)]
struct Sample {
    labels: String,
}

fn yaml<T: serde::de::DeserializeOwned>(file: &str) -> T {
    serde_saphyr::from_str(&text(&deploy(file))).unwrap_or_else(|e| panic!("{file}: {e}"))
}

pub fn alerts() -> Vec<Alerted> {
    let rules: Rules = yaml("prometheus/alerts.yml");
    rules.groups.into_iter().flat_map(|group| group.rules).map(Alerted).collect()
}

/// An alert.
#[derive(Debug)]
pub struct Alerted(Alert);

impl Alerted {
    pub fn name(&self) -> &str {
        &self.0.alert
    }
}

fn test_files() -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(deploy("prometheus/tests")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.iter().all(|file| file.extension().is_some_and(|e| e == "yml")), "{files:?}");
    files
}

fn tests() -> Vec<Test> {
    let read = |file: PathBuf| {
        let tests: Tests = serde_saphyr::from_str(&text(&file)).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        tests.tests
    };
    test_files().into_iter().flat_map(read).collect()
}

#[test]
fn prometheus_and_alertmanager_accept_what_is_theirs() {
    accepted("promtool", &["check", "config"], &[&deploy("prometheus/prometheus.yml")]);
    accepted("promtool", &["check", "rules", "--lint=all", "--lint-fatal"], &[&deploy("prometheus/alerts.yml")]);
    accepted("amtool", &["check-config"], &[&deploy("prometheus/alertmanager.yml")]);
}

#[test]
fn the_example_of_many_hosts_is_taken_where_the_configuration_looks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["prometheus.yml", "alerts.yml"] {
        fs::copy(deploy("prometheus").join(file), dir.path().join(file)).unwrap();
    }
    fs::create_dir(dir.path().join("targets")).unwrap();
    fs::copy(deploy("prometheus/targets/example.yml.off"), dir.path().join("targets/hosts.yml")).unwrap();
    let said = accepted("promtool", &["check", "config"], &[&dir.path().join("prometheus.yml")]);
    assert!(!said.contains("WARNING"), "{said}");
}

#[test]
fn every_alert_fires_on_its_series_and_no_other_does() {
    // Beside each other: those of days take seconds.
    thread::scope(|scope| {
        for file in test_files() {
            scope.spawn(move || accepted("promtool", &["test", "rules"], &[&file]));
        }
    });
}

#[test]
fn every_alert_has_a_test_in_which_it_is_silent_first() {
    let tests = tests();
    for Alerted(alert) in alerts() {
        let fires = |moment: &Moment| moment.exp_samples.iter().any(|s| s.labels.contains(&named(&alert.alert)));
        let own: Vec<_> = tests.iter().filter(|test| test.name.split(':').next() == Some(&alert.alert)).collect();
        let is_shown = own.iter().any(|test| {
            let moments = &test.promql_expr_test;
            !fires(&moments[0]) && moments[1..].iter().any(&fires)
        });
        assert!(is_shown, "no test shows {} silent and then firing: see deploy/prometheus/tests", alert.alert);
        for moment in own.iter().flat_map(|test| &test.promql_expr_test) {
            assert_eq!(moment.expr, "ALERTS{alertstate=\"firing\"}", "all that fire are to be told");
        }
    }
}

fn named(alert: &str) -> String {
    format!("alertname=\"{alert}\"")
}

#[test]
fn where_all_is_well_every_metric_that_alerts_ask_for_is_there() {
    let healthy: Tests = yaml("prometheus/tests/healthy.yml");
    for test in &healthy.tests {
        let there: BTreeSet<_> = test.input_series.iter().map(|s| s.series.split('{').next().unwrap()).collect();
        for Alerted(alert) in alerts() {
            for metric in used(&alert.expr) {
                assert!(there.contains(metric.name.as_str()), "{} is not among {}", metric.name, test.name);
            }
        }
        assert!(test.promql_expr_test.iter().all(|m| m.expr == "ALERTS" && m.exp_samples.is_empty()));
    }
}

#[test]
fn what_alerts_ask_for_is_documented() {
    let vocabulary = Vocabulary::load();
    for Alerted(alert) in alerts() {
        vocabulary.check(&alert.expr, &alert.alert);
    }
    for series in tests().iter().flat_map(|test| &test.input_series).filter(|s| s.series.starts_with("tcpcap_")) {
        let labels = used(&series.series).remove(0).labels;
        let name = series.series.split('{').next().unwrap();
        let known = vocabulary.labels(name);
        let given = ["job", "instance", "le"];
        assert!(labels.iter().all(|(l, _)| given.contains(&l.as_str()) || known.contains(l)), "{}", series.series);
        let all = known.iter().all(|l| labels.iter().any(|(own, _)| own == l));
        assert!(all, "{} lacks a label of {known:?}", series.series);
    }
}

#[test]
fn every_alert_says_what_is_so_how_much_and_what_to_do_first() {
    for Alerted(Alert { alert, expr, labels, annotations, .. }) in alerts() {
        assert!(alert.starts_with("Tcpcap") && alert.bytes().all(|b| b.is_ascii_alphabetic()), "{alert}");
        let severity = labels.get("severity").map(String::as_str);
        assert!(labels.len() == 1 && matches!(severity, Some("critical" | "warning" | "info")), "{alert}: {labels:?}");
        assert_eq!(
            annotations.keys().map(String::as_str).collect::<Vec<_>>(),
            ["description", "runbook_url", "summary"]
        );
        let (summary, description) = (&annotations["summary"], &annotations["description"]);
        assert!(summary.len() < 100 && !summary.ends_with('.'), "{alert}: {summary}");
        let (_, first) =
            description.split_once("First: ").unwrap_or_else(|| panic!("{alert}: what is to be done first?"));
        assert!(first.contains('`') || first.starts_with("look at"), "{alert}: {first}");
        assert!(!description.contains('\n') && description.ends_with(['.', '?']), "{alert}: {description}");
        // A number is told where there is one that says more than yes or no.
        let is_number = expr.contains("> ") && !expr.trim_end().ends_with("_fallbacks_total > 0");
        let is_told = description.contains("$value");
        let is_silence = expr.contains("== 0") && !expr.contains("unless");
        assert!(is_told || !is_number || is_silence || alert == "TcpcapDown", "{alert} does not tell its value");
    }
}

#[test]
fn what_is_said_names_only_labels_that_the_alert_has() {
    let tests = tests();
    for Alerted(alert) in alerts() {
        let moments = tests.iter().flat_map(|test| &test.promql_expr_test);
        let fired = moments.flat_map(|m| &m.exp_samples).find(|s| s.labels.contains(&named(&alert.alert))).unwrap();
        for said in alert.annotations.values() {
            for (at, word) in said.match_indices("$labels.") {
                let rest = &said[at + word.len()..];
                let label = &rest[..rest.find(|c: char| !(c == '_' || c.is_ascii_alphanumeric())).unwrap()];
                assert!(fired.labels.contains(&format!("{label}=\"")), "{} has no label {label}", alert.alert);
            }
        }
    }
}

#[test]
fn every_alert_has_a_section_in_the_runbook_and_every_section_an_alert() {
    let page = include_str!("../../../docs/monitoring.md");
    let sections: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("### Tcpcap")).collect();
    let alerts = alerts();
    let names: Vec<_> = alerts.iter().map(|alert| alert.name().trim_start_matches("Tcpcap")).collect();
    assert_eq!(sections, names, "in the order of alerts.yml");
    for Alerted(alert) in &alerts {
        let url = format!("docs/monitoring.md#{}", alert.alert.to_lowercase());
        assert_eq!(alert.annotations["runbook_url"], url);
        let section = page.split_once(&format!("### {}\n", alert.alert)).unwrap().1.split("\n### ").next().unwrap();
        assert!(section.contains(&format!("*{}*", alert.labels["severity"])), "{}: {section}", alert.alert);
        assert!(section.contains("tcpcap ") || section.contains('`'), "{}: {section}", alert.alert);
    }
}

#[test]
fn alertmanager_knows_the_severities_and_only_alerts_that_there_are() {
    let alerts = alerts();
    let file = deploy("prometheus/alertmanager.yml");
    let config = text(&file);
    for (severity, receiver) in [("critical", "page"), ("warning", "ticket"), ("info", "nobody")] {
        let severity = format!("severity={severity}");
        let flag = format!("--config.file={}", file.display());
        let told = accepted("amtool", &["config", "routes", "test", &flag, &severity], &[]);
        assert_eq!(told.lines().next(), Some(receiver), "{severity}");
    }
    for (at, _) in config.match_indices("Tcpcap") {
        let rest = &config[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap();
        let (name, after) = rest.split_at(end);
        assert!(after.starts_with(".+") || alerts.iter().any(|alert| alert.name() == name), "there is no {name}");
    }
}

#[test]
fn the_scrape_configuration_names_the_job_that_alerts_and_dashboard_go_by() {
    let config: Value = yaml("prometheus/prometheus.yml");
    let jobs: Vec<_> = config["scrape_configs"].as_array().unwrap().iter().map(|job| &job["job_name"]).collect();
    assert_eq!(jobs, ["tcpcap"]);
    assert_eq!(config["rule_files"][0], "alerts.yml");
    assert_eq!(config["scrape_configs"][0]["static_configs"][0]["targets"][0], "127.0.0.1:2112");
    for Alerted(alert) in alerts().iter().filter(|a| a.0.expr.contains("up{")) {
        assert!(alert.expr.contains("up{job=\"tcpcap\"}"), "{}", alert.alert);
    }
    let datasource: Value = yaml("grafana/provisioning/datasources/prometheus.yaml");
    assert_eq!(datasource["datasources"][0]["jsonData"]["timeInterval"], config["global"]["scrape_interval"]);
}

/// The commands of tcpcap that a text names in backticks: verb and long flags.
fn commands(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut commands = BTreeMap::<String, BTreeSet<String>>::new();
    for command in text.split('`').skip(1).step_by(2).filter_map(|quoted| quoted.strip_prefix("tcpcap ")) {
        let command = command.split(" | ").next().unwrap_or(command);
        let mut words = command.split_whitespace();
        let flags = commands.entry(words.next().unwrap().to_owned()).or_default();
        flags.extend(words.filter(|word| word.starts_with("--")).map(str::to_owned));
    }
    commands
}

#[test]
fn every_command_that_is_named_is_there() {
    let runbook = include_str!("../../../docs/monitoring.md").split_once("## Runbook").unwrap().1;
    let rules: String = alerts().iter().map(|alert| alert.0.annotations["description"].clone()).collect();
    for (verb, flags) in [commands(runbook), commands(&rules)].into_iter().flatten() {
        if verb == "--version" {
            continue;
        }
        let help = accepted(env!("CARGO_BIN_EXE_tcpcap"), &[&verb, "--help"], &[]);
        assert!(flags.iter().all(|flag| help.contains(flag.as_str())), "{verb} has not all of {flags:?}");
    }
}
