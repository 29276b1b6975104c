//! An image as podman saves it, made the same whenever it is the same: without the names and times of its making, packed.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Write},
    path::Path,
};

use anyhow::{Context, bail};
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Rewrites the archive that `podman save --format docker-archive` made; returns the image's id.
///
/// # Errors
/// When it cannot be read or written, or is something else.
pub(super) fn tidy(from: &Path, to: &Path) -> anyhow::Result<String> {
    let saved = File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
    let out = File::create(to).with_context(|| format!("cannot write {}", to.display()))?;
    let packed = GzBuilder::new().mtime(0).write(out, Compression::best());
    let (packed, id) = rewrite(saved, packed).with_context(|| format!("{} is no image", from.display()))?;
    packed.finish()?.sync_all()?;
    Ok(id)
}

fn rewrite<W: Write>(saved: impl Read, to: W) -> anyhow::Result<(W, String)> {
    let mut files = files(saved)?;
    let manifest: Value = serde_json::from_slice(files.get("manifest.json").context("it has no manifest.json")?)?;
    let [image] = manifest.as_array().map_or(&[][..], Vec::as_slice) else { bail!("it does not hold one image") };
    let name = image["Config"].as_str().context("it does not name its configuration")?;
    let mut config: Value = serde_json::from_slice(files.get(name).context("it lacks its configuration")?)?;
    forget(&mut config);
    let config = serde_json::to_vec(&config)?;
    let id: String = Sha256::digest(&config).iter().map(|byte| format!("{byte:02x}")).collect();

    let mut tar = tar::Builder::new(to);
    let layers: Vec<&str> = image["Layers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for layer in &layers {
        add(&mut tar, layer, &files.remove(*layer).with_context(|| format!("it lacks {layer}"))?)?;
    }
    let config_name = format!("{id}.json");
    add(&mut tar, &config_name, &config)?;
    let manifest = json!([{"Config": config_name, "RepoTags": image["RepoTags"], "Layers": layers}]);
    add(&mut tar, "manifest.json", &serde_json::to_vec(&manifest)?)?;
    Ok((tar.into_inner()?, id))
}

/// What says how it was made, not what it is: names of containers and of images in between.
fn forget(config: &mut Value) {
    let Some(all) = config.as_object_mut() else { return };
    for made in ["container", "container_config", "parent"] {
        all.remove(made);
    }
    if let Some(run) = all.get_mut("config").and_then(Value::as_object_mut) {
        run.remove("Hostname");
    }
    for step in all.get_mut("history").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(step) = step.as_object_mut() {
            step.remove("comment");
        }
    }
}

fn files(saved: impl Read) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(saved).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            found.insert(entry.path()?.to_string_lossy().into_owned(), content);
        }
    }
    Ok(found)
}

fn add<W: Write>(tar: &mut tar::Builder<W>, name: &str, content: &[u8]) -> anyhow::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, content)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As podman saves it, made in a container of that name.
    fn saved(container: &str) -> Vec<u8> {
        let config = json!({
            "created": "1970-01-01T00:00:00Z", "container": container, "container_config": {"Hostname": container},
            "parent": container, "config": {"Hostname": container, "User": "61112"},
            "history": [{"created_by": "COPY", "comment": format!("FROM {container}")}],
        });
        let mut tar = tar::Builder::new(Vec::new());
        let name = format!("{container}.json");
        add(&mut tar, "layer.tar", b"files").unwrap();
        add(&mut tar, &name, &serde_json::to_vec(&config).unwrap()).unwrap();
        let manifest = json!([{"Config": name, "RepoTags": ["localhost/tcpcap:1"], "Layers": ["layer.tar"]}]);
        add(&mut tar, "manifest.json", &serde_json::to_vec(&manifest).unwrap()).unwrap();
        tar.into_inner().unwrap()
    }

    #[test]
    fn an_image_that_is_the_same_is_the_same_whoever_made_it() {
        let [(one, id), (other, same)] = ["a1", "b2"].map(|name| rewrite(&saved(name)[..], Vec::new()).unwrap());
        assert_eq!((one.clone(), &id), (other, &same));
        let files = files(&one[..]).unwrap();
        let config: Value = serde_json::from_slice(&files[&format!("{id}.json")]).unwrap();
        assert_eq!(config["config"], json!({"User": "61112"}));
        let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        assert_eq!(manifest[0]["RepoTags"], json!(["localhost/tcpcap:1"]));
        assert_eq!(files["layer.tar"], b"files");
    }

    #[test]
    fn what_is_no_image_is_refused() {
        assert!(rewrite(&b""[..], Vec::new()).is_err());
    }
}
