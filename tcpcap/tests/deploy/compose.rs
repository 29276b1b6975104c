//! `deploy/docker/compose.yaml`, as far as it may go: a key that is not listed here is a mistake.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "not every suite reads everything")]
pub struct Compose {
    pub name: String,
    pub services: BTreeMap<String, Service>,
    pub volumes: BTreeMap<String, Option<()>>,
}

/// One container.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "not every suite reads everything")]
pub struct Service {
    pub image: String,
    pub command: Vec<String>,
    pub restart: String,
    pub user: Option<String>,
    pub network_mode: String,
    pub read_only: bool,
    pub cap_drop: Vec<String>,
    #[serde(default)]
    pub cap_add: Vec<String>,
    pub security_opt: Vec<String>,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    pub volumes: Vec<String>,
}

impl Compose {
    /// The one that is shipped.
    pub fn shipped() -> Self {
        let path = directory().join("compose.yaml");
        let text = fs::read_to_string(&path).unwrap();
        serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }
}

impl Service {
    /// podman's options for it but those of network and volumes.
    #[allow(dead_code, reason = "for the test that runs it")]
    pub fn options(&self) -> Vec<String> {
        let mut options = Vec::new();
        options.extend(self.user.iter().map(|user| format!("--user={user}")));
        options.extend(self.read_only.then(|| "--read-only".to_owned()));
        options.extend(self.cap_drop.iter().map(|cap| format!("--cap-drop={cap}")));
        options.extend(self.cap_add.iter().map(|cap| format!("--cap-add={cap}")));
        options.extend(self.security_opt.iter().map(|option| match option.strip_prefix("seccomp=./") {
            Some(file) => format!("--security-opt=seccomp={}", directory().join(file).display()),
            None => format!("--security-opt={option}"),
        }));
        options.extend(self.environment.iter().map(|(name, value)| format!("--env={name}={value}")));
        options
    }
}

/// Where it lies, and what is beside it.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/docker").canonicalize().unwrap()
}
