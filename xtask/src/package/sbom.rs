//! The bill of materials of the binary, as `CycloneDX`: what it lists itself, and what no crate is.

use std::{fs, path::Path};

use anyhow::Context;
use serde_json::{Value, json};

use super::{
    crates::Crate,
    natives::Native,
    provenance::Source,
    sums::{hex, sha256},
};

/// The version of the format.
const FORMAT: &str = "1.6";

/// The crate that all is about.
const ROOT: &str = "tcpcap";
/// The one that runs in the kernel.
const KERNEL: &str = "tcpcap-ebpf";

/// Writes it. The same binary from the same commit has the same one.
pub(super) fn make(
    place: &Path,
    binary: &Path,
    crates: &[Crate],
    natives: &[Native],
    source: &Source,
) -> anyhow::Result<()> {
    let content = fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
    let bill = render(crates, natives, source, sha256(&content)).context("the binary does not name tcpcap itself")?;
    let name = format!("tcpcap-{}.cdx.json", env!("CARGO_PKG_VERSION"));
    let text = serde_json::to_string_pretty(&bill)? + "\n";
    fs::write(place.join(&name), text).with_context(|| format!("cannot write {name}"))
}

fn render(crates: &[Crate], natives: &[Native], source: &Source, sum: [u8; 32]) -> Option<Value> {
    let root = crates.iter().find(|found| found.name == ROOT)?;
    let others = crates.iter().filter(|found| found.name != ROOT);
    let mut components: Vec<Value> = others.map(component).collect();
    components.extend(natives.iter().map(native));
    let mut dependencies: Vec<Value> = Vec::new();
    for found in crates {
        let mut on: Vec<String> = found.needs.iter().map(|n| reference(&crates[*n])).collect();
        let natives = |place| natives.iter().filter(move |native| native.runs_in == place).map(native_reference);
        match found.name.as_str() {
            // It has the program that runs in the kernel inside, as bytes.
            ROOT => on.extend(crates.iter().filter(|c| c.name == KERNEL).map(reference).chain(natives("daemon"))),
            KERNEL => on.extend(natives("kernel")),
            _ => {}
        }
        dependencies.push(json!({ "ref": reference(found), "dependsOn": on }));
    }
    dependencies.extend(natives.iter().map(|native| json!({ "ref": native_reference(native) })));
    let mut about = component(root);
    about["type"] = "application".into();
    about["hashes"] = json!([{ "alg": "SHA-256", "content": hex(&sum) }]);
    Some(json!({
        "$schema": format!("http://cyclonedx.org/schema/bom-{FORMAT}.schema.json"),
        "bomFormat": "CycloneDX",
        "specVersion": FORMAT,
        "serialNumber": format!("urn:uuid:{}", uuid(&sum)),
        "version": 1,
        "metadata": {
            "timestamp": source.time,
            "component": about,
            "properties": [{ "name": "tcpcap:commit", "value": source.commit }],
        },
        "components": components,
        "dependencies": dependencies,
    }))
}

fn component(found: &Crate) -> Value {
    let places = [(found.in_daemon, "daemon"), (found.in_kernel, "kernel")];
    let places = places.iter().filter(|(inside, _)| *inside);
    let mut component = json!({
        "type": "library",
        "bom-ref": reference(found),
        "name": found.name,
        "version": found.version,
        "scope": "required",
        "licenses": [{ "expression": found.licence }],
        "purl": reference(found),
        "properties": places.map(|(_, place)| json!({ "name": "tcpcap:runs-in", "value": place })).collect::<Vec<_>>(),
    });
    if let Some(checksum) = &found.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(url) = &found.repository {
        component["externalReferences"] = json!([{ "type": "vcs", "url": url }]);
    }
    component
}

fn native(native: &Native) -> Value {
    json!({
        "type": "library",
        "bom-ref": native_reference(native),
        "name": native.name,
        "version": native.version,
        "scope": "required",
        "licenses": [{ "expression": native.licence }],
        "purl": native_reference(native),
        "properties": [{ "name": "tcpcap:runs-in", "value": native.runs_in }],
    })
}

/// A package URL. What was never published has no cargo URL: a crate of somebody else's may have its name.
fn reference(found: &Crate) -> String {
    let kind = if found.checksum.is_some() { "cargo" } else { "generic" };
    format!("pkg:{kind}/{}@{}", found.name, found.version.replace('+', "%2B"))
}

fn native_reference(native: &Native) -> String {
    format!("pkg:generic/{}@{}", native.name, native.version.replace('+', "%2B"))
}

/// A UUID of a kind of its own (version 8) that changes with the binary and with nothing else.
fn uuid(sum: &[u8; 32]) -> String {
    let mut bytes = sum[..16].to_vec();
    bytes[6] = bytes[6] & 0x0F | 0x80;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let [a, b, c, d, e] = [0..4, 4..6, 6..8, 8..10, 10..16].map(|range| hex(&bytes[range]));
    format!("{a}-{b}-{c}-{d}-{e}")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn found(name: &str, checksum: Option<&str>, needs: &[usize]) -> Crate {
        Crate {
            name: name.to_owned(),
            version: "1.0.0+a".to_owned(),
            licence: "MIT".to_owned(),
            repository: None,
            dir: PathBuf::new(),
            checksum: checksum.map(str::to_owned),
            in_daemon: true,
            in_kernel: name == KERNEL,
            needs: needs.to_vec(),
        }
    }

    #[test]
    fn the_bill_says_what_is_inside_and_what_needs_what() {
        let crates = [found("aya", Some("ab"), &[]), found("tcpcap", None, &[0]), found("tcpcap-ebpf", None, &[])];
        let natives = [Native {
            name: "glibc",
            version: "2".into(),
            runs_in: "daemon",
            licence: "LGPL-2.1-or-later",
            remark: None,
            texts: vec![],
        }];
        let source = Source { commit: "c0ffee".to_owned(), clean: true, time: "2026-01-01T00:00:00Z".to_owned() };
        let bill = render(&crates, &natives, &source, [0xFF; 32]).unwrap();
        assert_eq!(bill["serialNumber"], "urn:uuid:ffffffff-ffff-8fff-bfff-ffffffffffff");
        assert_eq!(bill["metadata"]["component"]["purl"], "pkg:generic/tcpcap@1.0.0%2Ba");
        assert_eq!(bill["components"][0]["purl"], "pkg:cargo/aya@1.0.0%2Ba");
        assert_eq!(bill["components"][0]["hashes"], json!([{ "alg": "SHA-256", "content": "ab" }]));
        let names: Vec<_> = bill["components"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
        assert_eq!(names, ["aya", "tcpcap-ebpf", "glibc"]);
        let on = ["pkg:cargo/aya@1.0.0%2Ba", "pkg:generic/tcpcap-ebpf@1.0.0%2Ba", "pkg:generic/glibc@2"];
        assert_eq!(bill["dependencies"][1]["dependsOn"], json!(on));
        assert_eq!(render(&crates[..1], &natives, &source, [0; 32]), None);
    }
}
