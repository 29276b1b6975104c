//! SHA256SUMS: what `sha256sum -c` holds the artefacts against.

use std::{fs, path::Path};

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::step;

const NAME: &str = "SHA256SUMS";

/// Writes the sums of all files of the place.
pub(super) fn write(place: &Path) -> anyhow::Result<()> {
    let mut lines = String::new();
    for name in files(place)? {
        let content = fs::read(place.join(&name)).with_context(|| format!("cannot read {name}"))?;
        lines.push_str(&format!("{}  {name}\n", hex(&sha256(&content))));
    }
    fs::write(place.join(NAME), lines).with_context(|| format!("cannot write {NAME}"))
}

/// Tells what there is, and how large.
pub(super) fn show(place: &Path) -> anyhow::Result<()> {
    for name in files(place)? {
        let size = fs::metadata(place.join(&name))?.len();
        step::line(&format!("{:.1} MB", size as f64 / 1e6), &name);
    }
    Ok(())
}

/// The sum of these bytes.
pub(super) fn sha256(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
}

/// As sums are written.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn files(place: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(place)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_file() && name != NAME {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
