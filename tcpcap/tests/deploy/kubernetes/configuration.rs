//! What the pods' tcpcap is told: the configuration map and the environment, by the real binary.

use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    APPLICABLE,
    rendered::{Manifests, NODE},
};
use crate::names::tcpcap;

/// The mounted map: the file that the binary reads.
fn mounted(manifests: &Manifests, into: &Path) -> String {
    let map = manifests.only("ConfigMap");
    let name = map["metadata"]["name"].as_str().unwrap();
    // The hash behind it makes a changed configuration a new version of the DaemonSet.
    assert!(name.len() > "tcpcap-config-".len() && name.starts_with("tcpcap-config-"), "{name}");
    let volumes = manifests.pod()["volumes"].as_array().unwrap();
    let named: Vec<&Value> = volumes.iter().map(|v| &v["configMap"]["name"]).filter(|n| !n.is_null()).collect();
    assert_eq!(named, [name]);
    for (file, content) in map["data"].as_object().unwrap() {
        fs::write(into.join(file), content.as_str().unwrap()).unwrap();
    }
    into.join("config.toml").to_str().unwrap().to_owned()
}

#[test]
fn every_configuration_is_one_that_tcpcap_takes() {
    for kustomization in APPLICABLE {
        let manifests = Manifests::of(kustomization);
        let place = TempDir::new().unwrap();
        let config = mounted(&manifests, place.path());
        let (code, said) = tcpcap(&["check", "--config", &config], &manifests.environment());
        assert_eq!(code, 0, "{kustomization}: {said}");
        let warnings: Vec<&str> = said.lines().filter(|line| line.starts_with("warning")).collect();
        match (kustomization, &warnings[..]) {
            ("overlays/example", [listens]) if listens.contains("is there a firewall?") => {}
            (_, []) => {}
            _ => panic!("{kustomization}: {warnings:?}"),
        }

        let (code, effective) = tcpcap(&["config", "--effective", "--config", &config], &manifests.environment());
        assert_eq!(code, 0, "{effective}");
        let holds = |line: &str| effective.lines().any(|said| said.starts_with(line));
        let observes = kustomization != "base";
        assert!(holds(&format!("observe = {observes} ")), "{kustomization}: {effective}");
        assert!(holds(&format!("detach = {} ", kustomization == "overlays/detach")), "{kustomization}: {effective}");
        let listens = if kustomization == "overlays/example" { NODE } else { "127.0.0.1" };
        assert!(holds(&format!("listen = \"{listens}:2112\"")), "{kustomization}: {effective}");
    }
}

#[test]
fn a_configuration_with_a_mistake_is_not_taken() {
    let place = TempDir::new().unwrap();
    let config = mounted(&Manifests::of("base"), place.path());
    let told = fs::read_to_string(&config).unwrap();
    fs::write(&config, told.replace("allow = [", "alow = [")).unwrap();
    let (code, said) = tcpcap(&["check", "--config", &config], &[]);
    assert!(code == 2 && said.contains("alow"), "{said}");
}
