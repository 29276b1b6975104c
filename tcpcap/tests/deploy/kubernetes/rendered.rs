//! The manifests of `deploy/k8s` as `kubectl apply -k` renders them.
#![allow(dead_code, reason = "two suites have it, and neither wants all of it")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use serde_json::Value;
use tempfile::TempDir;

/// A node's address.
pub const NODE: &str = "192.0.2.10";

/// A rendered kustomization.
pub struct Manifests {
    pub text: String,
    pub all: Vec<Value>,
}

/// Something below `deploy/k8s`.
pub fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/k8s").join(name)
}

/// What a directory renders to.
///
/// # Errors
/// What kubectl says.
pub fn render(place: &Path) -> Result<String, String> {
    let mut kubectl = Command::new("kubectl");
    kubectl.arg("kustomize").arg(place).stdin(Stdio::null());
    let rendered = kubectl.output().map_err(|e| format!("cannot run kubectl: {e}\n  run: cargo xtask setup"))?;
    let said = String::from_utf8_lossy(&rendered.stderr);
    // What is deprecated works, and warns.
    if rendered.status.success() && said.is_empty() {
        return Ok(String::from_utf8_lossy(&rendered.stdout).into_owned());
    }
    Err(format!("{}: {said}\n  kubectl of 1.27 or newer is needed, see `kubectl version --client`", place.display()))
}

fn shown(place: &Path) -> String {
    render(place).unwrap_or_else(|why| panic!("{why}"))
}

/// Copies all of `deploy/k8s` and puts a kustomization beside it: what somebody makes of it.
pub fn copy_with(kustomization: &str) -> (TempDir, PathBuf) {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.as_ref().unwrap().file_name()));
            if from.is_dir() {
                copy(&from, &to);
            } else {
                fs::copy(&from, &to).unwrap();
            }
        }
    }
    let home = TempDir::new().unwrap();
    copy(&place(""), home.path());
    let own = home.path().join("own");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("kustomization.yaml"), kustomization).unwrap();
    (home, own)
}

impl Manifests {
    /// Of a kustomization that is shipped.
    pub fn of(kustomization: &str) -> Self {
        // Many ask for the same ones, and kubectl takes its time.
        static RENDERED: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
        let mut rendered = RENDERED.lock().unwrap_or_else(PoisonError::into_inner);
        let text = rendered.entry(kustomization.to_owned()).or_insert_with(|| shown(&place(kustomization)));
        Self::read(text.clone())
    }

    /// Of one with a component more.
    pub fn with(kustomization: &str, component: &str) -> Self {
        let own = format!("resources: [../{kustomization}]\ncomponents: [../components/{component}]\n");
        let (_home, own) = copy_with(&own);
        Self::read(shown(&own))
    }

    fn read(text: String) -> Self {
        let all = serde_saphyr::from_multiple(&text).unwrap();
        Self { text, all }
    }

    /// The one of a kind.
    pub fn only(&self, kind: &str) -> &Value {
        let found: Vec<&Value> = self.all.iter().filter(|manifest| manifest["kind"] == kind).collect();
        let [only] = found[..] else { panic!("{} of kind {kind}", found.len()) };
        only
    }

    pub fn has(&self, kind: &str) -> bool {
        self.all.iter().any(|manifest| manifest["kind"] == kind)
    }

    pub fn pod(&self) -> &Value {
        &self.only("DaemonSet")["spec"]["template"]["spec"]
    }

    pub fn container(&self) -> &Value {
        let containers = self.pod()["containers"].as_array().unwrap();
        assert_eq!((containers.len(), self.pod()["initContainers"].is_null()), (1, true));
        &containers[0]
    }

    /// The container's environment, with the node's address in the place of what the kubelet asks for.
    pub fn environment(&self) -> Vec<(String, String)> {
        let vars = self.container()["env"].as_array().cloned().unwrap_or_default();
        let of = |var: &Value| {
            let value = match &var["valueFrom"]["fieldRef"]["fieldPath"] {
                Value::String(field) if field == "status.hostIP" => NODE,
                Value::Null => var["value"].as_str().unwrap(),
                other => panic!("{other}"),
            };
            (var["name"].as_str().unwrap().to_owned(), value.replace("$(NODE_IP)", NODE))
        };
        vars.iter().map(of).collect()
    }
}
