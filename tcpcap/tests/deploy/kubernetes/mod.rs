//! The manifests of `deploy/k8s`, rendered as `kubectl apply -k` does it.

mod configuration;
mod monitoring;
mod page;
mod pod;
mod rendered;
mod schemas;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use rendered::place;

/// The kustomizations that can be applied; components are parts of them.
const APPLICABLE: [&str; 4] = ["base", "overlays/detach", "overlays/example", "overlays/observe"];

/// The directories below `deploy/k8s` with a kustomization, and what it says.
fn kustomizations() -> Vec<(String, Value)> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.ends_with("kustomization.yaml") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&place(""), &mut found);
    found.sort();
    let read = |path: &PathBuf| {
        let name = path.parent().unwrap().strip_prefix(place("")).unwrap();
        (name.to_str().unwrap().to_owned(), serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap())
    };
    found.iter().map(read).collect()
}

#[test]
fn every_kustomization_is_looked_at_and_every_component_is_part_of_one() {
    let all = kustomizations();
    let of_kind = |kind: &str| -> Vec<&str> {
        all.iter().filter(|(_, said)| said["kind"] == kind).map(|(name, _)| name.as_str()).collect()
    };
    assert_eq!(of_kind("Kustomization"), APPLICABLE);
    let used: Vec<&str> = all
        .iter()
        .flat_map(|(_, said)| said["components"].as_array().into_iter().flatten())
        .map(|component| component.as_str().unwrap().trim_start_matches("../"))
        .collect();
    for component in of_kind("Component") {
        // The profile must lie on every node first, so nothing has it without being asked.
        let is_asked_for = component == "components/seccomp";
        assert_eq!(used.contains(&component), !is_asked_for, "{component}");
    }
}
