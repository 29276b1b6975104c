//! What docs/kubernetes.md has people type.

use std::fs;

use super::{APPLICABLE, kustomizations, schemas::OLDEST};
use crate::names::root;

fn page() -> String {
    fs::read_to_string(root().join("docs/kubernetes.md")).unwrap()
}

#[test]
fn every_command_of_the_page_names_a_kustomization_that_is_there() {
    let page = page();
    let named: Vec<&str> = page
        .lines()
        .filter(|line| line.contains("kubectl "))
        .filter_map(|line| line.split_once(" -k ")?.1.split([' ', '`', ')']).next())
        .collect();
    for place in &named {
        let known = place.strip_prefix("deploy/k8s/").is_some_and(|name| APPLICABLE.contains(&name));
        assert!(known || *place == "my-cluster", "{place}");
    }
    for applied in ["deploy/k8s/base", "deploy/k8s/overlays/observe", "deploy/k8s/overlays/detach", "my-cluster"] {
        assert!(named.contains(&applied), "{applied}");
    }
}

#[test]
fn the_page_names_every_part_and_the_oldest_kubernetes() {
    let page = page();
    for (name, _) in kustomizations() {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
    assert!(page.contains(&format!("Kubernetes {OLDEST} or newer")));
}
