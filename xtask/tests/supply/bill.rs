//! The bill of materials against what the binary itself says and against the lock file; the licences against the bill.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::{dist, place, root, sha256};

fn bill() -> Value {
    let name = format!("tcpcap-{}.cdx.json", env!("CARGO_PKG_VERSION"));
    serde_json::from_slice(&dist(&name)).unwrap()
}

/// Name and version of the components that run there.
fn running(bill: &Value, place: &str) -> BTreeSet<(String, String)> {
    let here = |component: &&Value| array(&component["properties"]).iter().any(|p| p["value"] == place);
    let all = array(&bill["components"]).iter().chain([&bill["metadata"]["component"]]).filter(here);
    all.filter(|component| text(&component["purl"]).starts_with("pkg:cargo/") || is_ours(component)).map(id).collect()
}

fn is_ours(component: &Value) -> bool {
    text(&component["name"]).starts_with("tcpcap")
}

fn id(package: &Value) -> (String, String) {
    (text(&package["name"]).to_owned(), text(&package["version"]).to_owned())
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn the_bill_names_the_crates_that_the_binary_names() {
    let json = auditable_info::json_from_file(&place().join("tcpcap"), auditable_info::Limits::default()).unwrap();
    let said: Value = serde_json::from_str(&json).unwrap();
    let inside: BTreeSet<_> = array(&said["packages"]).iter().filter(|p| p["kind"] != "build").map(id).collect();
    assert!(inside.len() > 100, "{} crates", inside.len());
    assert_eq!(running(&bill(), "daemon"), inside);
}

#[test]
fn the_bill_names_the_crates_of_the_program_in_the_kernel() {
    let names: Vec<_> = running(&bill(), "kernel").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["aya-ebpf", "aya-ebpf-bindings", "aya-ebpf-cty", "tcpcap-common", "tcpcap-ebpf"]);
}

#[test]
fn every_crate_of_others_is_in_the_lock_file_with_its_sum() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for component in array(&bill()["components"]).iter().filter(|c| text(&c["purl"]).starts_with("pkg:cargo/")) {
        let (name, version) = id(component);
        let locked = lock.split("[[package]]").find(|entry| {
            entry.contains(&format!("name = \"{name}\"\n")) && entry.contains(&format!("version = \"{version}\"\n"))
        });
        let sum = text(&component["hashes"][0]["content"]);
        assert_eq!(sum.len(), 64, "{name}");
        assert!(locked.unwrap_or_else(|| panic!("{name} {version} is not locked")).contains(sum), "{name} {version}");
    }
}

#[test]
fn the_bill_is_of_this_binary_and_whole() {
    let bill = bill();
    assert_eq!((text(&bill["bomFormat"]), text(&bill["specVersion"])), ("CycloneDX", "1.6"));
    let about = &bill["metadata"]["component"];
    assert_eq!(text(&about["hashes"][0]["content"]), sha256(&dist("tcpcap")));
    let mut references: BTreeSet<&str> = BTreeSet::from([text(&about["bom-ref"])]);
    for component in array(&bill["components"]) {
        assert!(references.insert(text(&component["bom-ref"])), "{} is there twice", component["bom-ref"]);
        assert!(!text(&component["licenses"][0]["expression"]).is_empty(), "{}", component["name"]);
    }
    let listed = array(&bill["dependencies"]);
    assert_eq!(listed.iter().map(|entry| text(&entry["ref"])).collect::<BTreeSet<_>>(), references);
    for on in listed.iter().flat_map(|entry| array(&entry["dependsOn"])) {
        assert!(references.contains(text(on)), "{on} is nowhere");
    }
    let used: BTreeSet<&str> = listed.iter().flat_map(|entry| array(&entry["dependsOn"])).map(text).collect();
    let unused: Vec<_> = references.iter().filter(|r| !used.contains(*r) && **r != text(&about["bom-ref"])).collect();
    assert!(unused.is_empty(), "nothing needs {unused:?}");
}

#[test]
fn every_part_stands_in_the_licences() {
    let licences = String::from_utf8(dist("THIRD-PARTY-LICENSES.txt")).unwrap();
    for component in array(&bill()["components"]).iter().filter(|component| !is_ours(component)) {
        let (name, version) = id(component);
        let row = licences.lines().find(|line| line.trim_start().starts_with(&format!("{name} {version} ")));
        let licence = text(&component["licenses"][0]["expression"]);
        assert!(row.is_some_and(|row| row.ends_with(licence)), "{name} {version}: {row:?}");
    }
    for text in ["Permission is hereby granted, free of charge", "GNU LESSER GENERAL PUBLIC LICENSE"] {
        assert!(licences.contains(text), "{text}");
    }
}
