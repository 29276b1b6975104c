//! Manifests against the schemas of Kubernetes and of the Prometheus operator, without a cluster.

use std::{collections::BTreeMap, fs, process::Command};

use tempfile::TempDir;

use super::{
    APPLICABLE,
    rendered::{Manifests, copy_with, render},
};
use crate::names::root;

/// Versions of Kubernetes: the oldest that has every field, and the newest whose schemas are at hand.
pub(super) const OLDEST: &str = "1.30";
const NEWEST: &str = "1.37";

/// What is wrong with each of these, by its place.
fn violations(rendered: &[String]) -> Vec<Vec<String>> {
    let python = root().join("target/python-kubernetes/bin/python");
    assert!(
        python.exists(),
        "{} is missing, so nothing of this is known to hold: run cargo xtask setup",
        python.display()
    );
    let script = root().join("tcpcap/tests/deploy/kubernetes/validate.py");
    let place = TempDir::new().unwrap();
    let mut args = vec!["-B".to_owned(), script.display().to_string(), format!("{OLDEST},{NEWEST}")];
    for (number, manifests) in rendered.iter().enumerate() {
        let file = place.path().join(number.to_string());
        fs::write(&file, manifests).unwrap();
        args.push(file.display().to_string());
    }
    let checked = Command::new(python).args(&args).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let found: BTreeMap<String, Vec<String>> = serde_json::from_slice(&checked.stdout).unwrap();
    args[3..].iter().map(|file| found[file].clone()).collect()
}

#[test]
fn manifests_are_as_the_schemas_want_them() {
    let mut rendered: Vec<String> = APPLICABLE.iter().map(|kustomization| Manifests::of(kustomization).text).collect();
    rendered.push(Manifests::with("base", "seccomp").text);
    for (violations, manifests) in violations(&rendered).iter().zip(&rendered) {
        assert!(violations.is_empty(), "{violations:?}:\n{manifests}");
    }
}

#[test]
fn a_broken_manifest_is_refused_by_the_name_of_what_is_wrong() {
    let good = Manifests::of("overlays/example").text;
    let cases = [
        ("readOnlyRootFilesystem:", "readonlyRootFilesystem:", "'readonlyRootFilesystem' was unexpected"),
        ("hostNetwork: true", "hostNetwork: 'yes'", "hostNetwork: 'yes' is not of type"),
        ("kind: DaemonSet", "kind: DeamonSet", "kind DeamonSet"),
        ("containerPort: 2112", "containerPort: http", "containerPort"),
        ("jobLabel:", "joblabel:", ".spec.joblabel is not in the schema"),
        ("interval: 15s", "interval: 15 seconds", "spec.endpoints.0.interval"),
        ("alert: TcpcapDown\n", "allert: TcpcapDown\n", "rules[0].allert is not in the schema"),
        ("for: 2m", "for: 2 minutes", "rules.0.for"),
    ];
    let broken = cases.map(|(from, to, _)| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    });
    for ((_, to, complaint), found) in cases.iter().zip(violations(&broken)) {
        assert!(found.iter().any(|violation| violation.contains(complaint)), "{to}: {found:?}");
    }
}

#[test]
fn a_kustomization_that_does_not_fit_is_not_rendered() {
    let patched = |path: &str| {
        let patch =
            format!("patches:\n  - target: {{kind: DaemonSet}}\n    patch: |\n      - {{op: remove, path: {path}}}\n");
        let (_home, own) = copy_with(&format!("resources: [../base]\n{patch}"));
        render(&own)
    };
    let why = patched("/spec/nowhere").unwrap_err();
    assert!(why.contains("/spec/nowhere"), "{why}");
    assert!(patched("/spec/minReadySeconds").is_ok_and(|rendered| !rendered.contains("minReadySeconds")));
}
