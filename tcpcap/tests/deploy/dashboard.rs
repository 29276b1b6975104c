//! The Grafana dashboard: its structure, and what it asks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    panels::{dashboard, deploy, queries, text, used},
    prometheus::alerts,
    vocabulary::{Vocabulary, accepted, grouped},
};

/// Units as Grafana names them, of those that are of use here.
const UNITS: [&str; 9] = ["none", "short", "cps", "pps", "Bps", "bytes", "s", "percentunit", "reqps"];

/// What a row must show, by its title.
const ROWS: [&str; 6] =
    ["Overview", "Packets: every one under one name", "Detection", "Enforcement", "Health", "Kernel side"];

fn panels() -> Vec<Value> {
    dashboard()["panels"].as_array().unwrap().clone()
}

fn title(panel: &Value) -> &str {
    panel["title"].as_str().unwrap()
}

#[test]
fn panels_have_ids_of_their_own_and_do_not_overlap() {
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeMap::new());
    let mut rows = Vec::new();
    for panel in panels() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}: its id is taken", title(&panel));
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("w") > 0 && at("h") > 0 && at("x") + at("w") <= 24, "{}: {}", title(&panel), panel["gridPos"]);
        for cell in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
            if let Some(other) = taken.insert(cell, title(&panel).to_owned()) {
                panic!("{} lies over {other}", title(&panel));
            }
        }
        if panel["type"] == "row" {
            rows.push(title(&panel).to_owned());
        }
    }
    assert_eq!(rows, ROWS);
}

#[test]
fn panels_say_what_they_show_in_units_that_grafana_knows() {
    let alerts = alerts();
    for panel in panels().iter().filter(|panel| panel["type"] != "row") {
        let name = title(panel);
        assert!(["stat", "timeseries", "table"].contains(&panel["type"].as_str().unwrap()), "{name}");
        let description = panel["description"].as_str().unwrap();
        assert!(description.len() > 10 && description.ends_with('.'), "{name}: {description}");
        for (at, _) in description.match_indices("Tcpcap") {
            let rest = &description[at..];
            let alert = &rest[..rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap()];
            assert!(alerts.iter().any(|known| known.name() == alert), "{name}: there is no {alert}");
        }
        let defaults = &panel["fieldConfig"]["defaults"];
        assert!(UNITS.contains(&defaults["unit"].as_str().unwrap()), "{name}: {}", defaults["unit"]);
        let steps = defaults["thresholds"]["steps"].as_array().unwrap();
        assert!(steps[0]["value"].is_null(), "{name}: thresholds begin with none");
        let bounds: Vec<f64> = steps[1..].iter().map(|step| step["value"].as_f64().unwrap()).collect();
        assert!(bounds.is_sorted(), "{name}: {bounds:?}");
        let ids: Vec<_> = panel["targets"].as_array().unwrap().iter().map(|t| t["refId"].as_str().unwrap()).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{name}");
    }
}

#[test]
fn whatever_has_a_name_has_the_same_colour_everywhere() {
    let mut colours = BTreeMap::new();
    for panel in panels() {
        for each in panel["fieldConfig"]["overrides"].as_array().into_iter().flatten() {
            let name = each["matcher"]["options"].as_str().unwrap().to_owned();
            let colour = each["properties"][0]["value"]["fixedColor"].as_str().unwrap().to_owned();
            assert_eq!(colours.entry(name).or_insert_with(|| colour.clone()), &colour, "{}", title(&panel));
        }
    }
    assert_eq!(colours.get("drop"), colours.get("automatic"), "{colours:?}");
    assert!(colours.len() > 10);
}

#[test]
fn the_data_source_is_the_users_choice_and_so_are_job_and_host() {
    let dashboard = dashboard();
    let variables: Vec<_> =
        dashboard["templating"]["list"].as_array().unwrap().iter().map(|v| v["name"].as_str().unwrap()).collect();
    assert_eq!(variables, ["datasource", "job", "instance"]);
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    for panel in panels().iter().filter(|panel| panel["type"] != "row") {
        assert_eq!(panel["datasource"], source, "{}", title(panel));
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"], source, "{}", title(panel));
            let expr = target["expr"].as_str().unwrap();
            for metric in used(expr) {
                let has = |label: &str| metric.labels.iter().any(|(own, _)| own == label);
                assert!(has("job") && has("instance"), "{}: {expr}", title(panel));
            }
        }
    }
    let schema = dashboard["schemaVersion"].as_u64().unwrap();
    assert!(schema >= 39, "Grafana 11 and later");
    assert!(dashboard["id"].is_null() && dashboard["uid"] == "tcpcap");
}

#[test]
fn what_panels_ask_for_is_documented() {
    let vocabulary = Vocabulary::load();
    for query in queries(&dashboard(), "1m") {
        let place = format!("{} {}", query.panel, query.id);
        vocabulary.check(&query.expr, &place);
        // A legend names labels that the series still have.
        for label in query.labels() {
            let all = || used(&query.expr).iter().all(|m| vocabulary.labels(&m.name).contains(label));
            let by = grouped(&query.expr);
            let is_kept = if query.expr.contains("by (") { by.contains(label) } else { label == "instance" || all() };
            assert!(is_kept, "{place} has no label {label} to show");
        }
    }
    for annotation in dashboard()["annotations"]["list"].as_array().unwrap() {
        if let Some(expr) = annotation["expr"].as_str() {
            vocabulary.check(expr, annotation["name"].as_str().unwrap());
        }
    }
}

#[test]
fn every_query_is_one_that_prometheus_understands() {
    let rules: Vec<_> = queries(&dashboard(), "1m")
        .into_iter()
        .enumerate()
        .map(|(n, query)| json!({ "record": format!("panel:{n}"), "expr": query.expr }))
        .collect();
    let number = rules.len();
    let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
    std::fs::write(file.path(), json!({ "groups": [{ "name": "dashboard", "rules": rules }] }).to_string()).unwrap();
    let said = accepted("promtool", &["check", "rules"], &[file.path()]);
    assert!(said.contains(&format!("{number} rules found")), "{said}");
}

#[test]
fn grafana_finds_the_dashboard_where_provisioning_says() {
    let provider: Value =
        serde_saphyr::from_str(&text(&deploy("grafana/provisioning/dashboards/tcpcap.yaml"))).unwrap();
    let path = provider["providers"][0]["options"]["path"].as_str().unwrap();
    assert!(include_str!("../../../docs/monitoring.md").contains(path), "docs/monitoring.md does not name {path}");
}
