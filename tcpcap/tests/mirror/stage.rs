//! A host with nft and a mirror.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;
use tcpcap::{
    host,
    mirror::{Change, Config, Mirror, Stats},
};
use tcpcap_core::{Scope, Time};
use tcpcap_lab::{Lab, Namespace, Process, wait_until};

/// Long against everything waited for, so that a slow machine fails nothing.
pub const SOON: Duration = Duration::from_secs(30);

/// A namespace of its own.
pub struct Stage {
    pub host: Namespace,
    /// Last, so that the namespace goes when everything else has gone.
    _lab: Lab,
}

impl Stage {
    pub fn new() -> Self {
        let lab = Lab::new().unwrap();
        Self { host: lab.namespace("host").unwrap(), _lab: lab }
    }

    pub fn mirror(&self, config: Config, first: impl IntoIterator<Item = Change> + Send) -> Mirror {
        mirror(&self.host, config, vec![], first)
    }

    pub fn nft(&self, args: &str) -> String {
        nft(&self.host, args)
    }

    /// Waits until nft lists this in our table.
    pub fn shows(&self, text: &str) {
        wait_until(&format!("`{text}` in nft"), SOON, || table(&self.host).contains(text)).unwrap();
    }

    /// Waits until nft no longer lists this in our table.
    pub fn shows_no(&self, text: &str) {
        wait_until(&format!("no `{text}` in nft"), SOON, || !table(&self.host).contains(text)).unwrap();
    }
}

/// Starts a mirror inside a namespace.
pub fn mirror(
    host: &Namespace,
    config: Config,
    allow: Vec<IpNet>,
    first: impl IntoIterator<Item = Change> + Send,
) -> Mirror {
    host.enter(|| Mirror::start(config, false, allow, first)).unwrap().unwrap()
}

/// One that looks often whether all is well.
pub fn watchful() -> Config {
    Config { reconcile_every: Duration::from_millis(50), ..Config::default() }
}

/// Runs nft, which has to succeed.
pub fn nft(host: &Namespace, args: &str) -> String {
    let mut command = host.command("nft");
    command.args(args.split(' '));
    let mut process = Process::spawn("nft", command).unwrap();
    process.succeed(SOON).unwrap();
    process.output()
}

/// What our table looks like; empty where there is none.
pub fn table(host: &Namespace) -> String {
    let mut command = host.command("nft");
    command.args(["list", "table", "inet", "tcpcap"]);
    let mut process = Process::spawn("nft", command).unwrap();
    if process.wait(SOON).unwrap().success() { process.output() } else { String::new() }
}

pub fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

pub fn ahead(seconds: u64) -> Option<Time> {
    Some(host::now() + Duration::from_secs(seconds))
}

pub fn put(network: &str, scope: Scope, until: Option<Time>) -> Change {
    Change::Put { network: net(network), scope, until }
}

/// Waits until the statistics are as wanted, and returns them.
pub fn stats(mirror: &Mirror, what: &str, holds: impl Fn(&Stats) -> bool) -> Stats {
    let waited = wait_until(what, SOON, || holds(&mirror.stats()));
    assert!(waited.is_ok(), "{waited:?}, but {:?}", mirror.stats());
    mirror.stats()
}

/// A program that stands in for nft.
pub struct Script {
    pub dir: tempfile::TempDir,
}

impl Script {
    pub fn new(text: &str) -> Self {
        let script = Self { dir: tempfile::tempdir().unwrap() };
        script.write(text);
        script
    }

    /// Replaces it, so that no half of it is ever run.
    pub fn write(&self, text: &str) {
        let draft = self.file("draft");
        fs::write(&draft, format!("#!/bin/sh\ncd {}\n{text}\n", self.dir.path().display())).unwrap();
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&draft, self.path()).unwrap();
    }

    pub fn path(&self) -> PathBuf {
        self.file("nft")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn config(&self) -> Config {
        Config { nft: self.path(), ..watchful() }
    }
}

/// What a file holds; nothing if there is none.
pub fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
