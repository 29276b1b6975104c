//! What the Prometheus operator gets: the same alerts as any other Prometheus, and a way to the metrics.

use std::fs;

use serde_json::{Value, json};

use super::rendered::{Manifests, place};
use crate::names::root;

const RULE: &str = "components/prometheus-operator/prometheusrule.yaml";

/// The alerts as an object of the operator: every line of them, further in.
fn wrapped() -> String {
    let alerts = fs::read_to_string(root().join("deploy/prometheus/alerts.yml")).unwrap();
    let (_, groups) = alerts.split_once("\ngroups:\n").unwrap();
    let mut rule = "# Made from deploy/prometheus/alerts.yml by `cargo test -p tcpcap --test deploy -- --ignored prometheusrule`.\n\
        apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: tcpcap\n  namespace: tcpcap\n\
        spec:\n  groups:\n"
        .to_owned();
    for line in groups.lines() {
        rule += if line.is_empty() { "" } else { "  " };
        rule += line;
        rule += "\n";
    }
    rule
}

#[test]
fn the_operators_alerts_are_those_of_prometheus() {
    let rule = fs::read_to_string(place(RULE)).unwrap();
    assert!(rule == wrapped(), "{RULE} is not made from these alerts; its first line says how it is");
    let alerts: Value =
        serde_saphyr::from_str(&fs::read_to_string(root().join("deploy/prometheus/alerts.yml")).unwrap()).unwrap();
    let manifests = Manifests::of("overlays/example");
    let groups = &manifests.only("PrometheusRule")["spec"]["groups"];
    assert_eq!(*groups, alerts["groups"]);
    assert!(groups.as_array().unwrap().iter().any(|group| !group["rules"].as_array().unwrap().is_empty()));
}

#[test]
#[ignore = "it writes the file"]
fn prometheusrule() {
    fs::write(place(RULE), wrapped()).unwrap();
}

#[test]
fn prometheus_finds_the_pods_by_the_name_that_the_alerts_go_by() {
    let manifests = Manifests::of("overlays/example");
    let (service, monitor) = (manifests.only("Service"), manifests.only("ServiceMonitor"));
    let daemons = &manifests.only("DaemonSet")["spec"]["template"]["metadata"]["labels"];
    for (label, value) in service["spec"]["selector"].as_object().unwrap() {
        assert_eq!(daemons[label], *value, "{label}");
    }
    let labels = &service["metadata"]["labels"];
    for (label, value) in monitor["spec"]["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(labels[label], *value, "{label}");
    }
    assert_eq!(labels[monitor["spec"]["jobLabel"].as_str().unwrap()], "tcpcap");
    assert!(wrapped().contains("up{job=\"tcpcap\"}"));
    let [endpoint] = &monitor["spec"]["endpoints"].as_array().unwrap()[..] else { panic!("one endpoint") };
    let [port] = &service["spec"]["ports"].as_array().unwrap()[..] else { panic!("one port") };
    assert_eq!((&endpoint["port"], &endpoint["path"]), (&port["name"], &json!("/metrics")));
    assert_eq!(port["targetPort"], manifests.container()["ports"][0]["name"]);
    assert_eq!(service["metadata"]["namespace"], monitor["metadata"]["namespace"]);
}

#[test]
fn without_being_asked_the_port_is_not_shown_to_others() {
    for quiet in ["base", "overlays/observe", "overlays/detach"] {
        let manifests = Manifests::of(quiet);
        assert!(!manifests.has("Service") && !manifests.has("ServiceMonitor"), "{quiet}");
    }
}
