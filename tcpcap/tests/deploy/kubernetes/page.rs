//! What docs/kubernetes.md has people type.

use std::fs;

use super::{
    APPLICABLE, kustomizations,
    rendered::{copy_with, render},
    schemas::OLDEST,
};
use crate::names::root;

/// What somebody makes, in the words of the page.
const OWN: &str = "overlays/my-cluster";

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
        let name = place.strip_prefix("deploy/k8s/").unwrap_or_else(|| panic!("{place}"));
        assert!(APPLICABLE.contains(&name) || name == OWN, "{place}");
    }
    for applied in ["base", "overlays/observe", "overlays/detach", OWN] {
        assert!(named.contains(&&*format!("deploy/k8s/{applied}")), "{applied}");
    }
}

#[test]
fn a_kustomization_of_ones_own_begins_as_the_page_says() {
    assert!(page().contains("\ncp -r deploy/k8s/overlays/example deploy/k8s/overlays/my-cluster\n"));
    let (home, _) = copy_with("");
    let own = home.path().join(OWN);
    fs::create_dir(&own).unwrap();
    for file in ["kustomization.yaml", "config.toml"] {
        fs::copy(home.path().join("overlays/example").join(file), own.join(file)).unwrap();
    }
    let rendered = render(&own).unwrap();
    assert!(rendered.contains("TCPCAP_OBSERVE") && rendered.contains("kind: ServiceMonitor"), "{rendered}");
    // What is to be taken out is a line each.
    let file = own.join("kustomization.yaml");
    let told = fs::read_to_string(&file).unwrap();
    let less: Vec<&str> = told.lines().filter(|line| !line.contains("components")).collect();
    fs::write(&file, less.join("\n")).unwrap();
    let rendered = render(&own).unwrap();
    assert!(!rendered.contains("TCPCAP_") && !rendered.contains("ServiceMonitor"), "{rendered}");
    assert!(rendered.contains("image: registry.example/security/tcpcap:"), "{rendered}");
    // Added to remove tcpcap.
    fs::write(
        &file,
        told.replace("  - ../../components/observe\n", "  - ../../components/observe\n  - ../../components/detach\n"),
    )
    .unwrap();
    let rendered = render(&own).unwrap();
    assert!(rendered.contains("TCPCAP_DETACH") && rendered.contains("TCPCAP_OBSERVE"), "{rendered}");
}

#[test]
fn the_page_names_every_part_and_the_oldest_kubernetes() {
    let page = page();
    for (name, _) in kustomizations() {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
    assert!(page.contains(&format!("Kubernetes {OLDEST} or newer")));
}
