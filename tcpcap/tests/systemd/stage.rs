//! The service installed in a machine, and somebody to scan it.

use std::{fs, net::IpAddr, path::Path, path::PathBuf, time::Duration};

use serde_json::Value;
use tcpcap_lab::{
    Internet, Process,
    http::Server,
    layout::SENSOR_V4,
    machine::{Disk, Machine, Ran},
    scan, wait_until,
};

use crate::machine::root;

/// Long against everything waited for, so that a slow machine fails nothing.
pub const SOON: Duration = Duration::from_secs(60);
/// What is open in the machine.
pub const PORT: u16 = 80;
const UNIT: &str = "tcpcap";
const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/systemd");

pub struct Stage {
    // In this order: the machine goes before what it stands in.
    pub machine: Machine,
    _server: Server,
    pub net: Internet,
}

/// The package, where it was made.
fn package() -> Option<PathBuf> {
    let shipped = fs::read_dir(std::env::var_os("TCPCAP_DIST")?).ok()?;
    let mut packages = shipped.flatten().map(|entry| entry.path());
    packages.find(|path| path.extension().is_some_and(|e| e == "deb"))
}

impl Stage {
    /// Installed as its users do, with this configuration, and not started.
    pub fn installed(config: &str) -> Self {
        let net = Internet::build().unwrap();
        let server = Server::start(&net.sensor, &[PORT]).unwrap();
        let disk = Disk::copy_of(&root()).unwrap();
        let package = package();
        match &package {
            Some(package) => disk.write("/root/tcpcap.deb", fs::read(package).unwrap(), 0o644).unwrap(),
            None => copy(&disk),
        }
        // Not for the package to start by itself: each test says when.
        disk.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755).unwrap();
        let stage = Self { machine: Machine::boot(disk, &net.sensor).unwrap(), _server: server, net };
        if package.is_some() {
            stage.machine.succeed(&["dpkg", "--install", "/root/tcpcap.deb"]).unwrap();
            // As docs/install.md says: a package observes until it is told to drop.
            stage.machine.disk().write("/etc/tcpcap/config.d/enforce.toml", "observe = false\n", 0o644).unwrap();
        } else {
            stage.machine.succeed(&["systemd-sysusers"]).unwrap();
            stage.machine.succeed(&["systemctl", "enable", "--quiet", UNIT]).unwrap();
        }
        stage.configure(config);
        stage
    }

    /// The same, running.
    pub fn running(config: &str) -> Self {
        let stage = Self::installed(config);
        stage.systemctl(&["start", UNIT]);
        stage
    }

    pub fn configure(&self, config: &str) {
        self.machine.disk().write("/etc/tcpcap/config.d/test.toml", config, 0o644).unwrap();
    }

    /// Says something else in the unit, as `systemctl edit` does.
    pub fn edit(&self, lines: &str) {
        self.machine.disk().write("/etc/systemd/system/tcpcap.service.d/test.conf", lines, 0o644).unwrap();
        self.systemctl(&["daemon-reload"]);
    }

    /// Must succeed; returns what it said. What it could not do is in the journal.
    pub fn systemctl(&self, line: &[&str]) -> String {
        let ran = self.try_systemctl(line);
        assert!(ran.status.success(), "systemctl {}: {}\n{}", line.join(" "), ran.output, self.journal());
        ran.output
    }

    pub fn try_systemctl(&self, line: &[&str]) -> Ran {
        self.machine.run(&[&["systemctl"], line].concat()).unwrap()
    }

    pub fn property(&self, name: &str) -> String {
        self.machine.property(UNIT, name).unwrap()
    }

    pub fn journal(&self) -> String {
        self.machine.journal(UNIT).unwrap()
    }

    pub fn wait_for_journal(&self, text: &str) {
        self.machine.wait_for_journal(UNIT, text, SOON).unwrap();
    }

    /// Waits until it has been started so many times again, and is ready.
    pub fn wait_until_restarted(&self, times: u32) {
        let holds = || self.property("NRestarts") == times.to_string() && self.property("ActiveState") == "active";
        wait_until("the restart", SOON, holds).unwrap_or_else(|e| panic!("{e:#}\n{}", self.journal()));
    }

    /// Its process, as the machine numbers it.
    pub fn pid(&self) -> String {
        self.property("MainPID")
    }

    /// A verb as root; must succeed.
    pub fn tcpcap(&self, line: &[&str]) -> String {
        self.machine.succeed(&[&["tcpcap"], line].concat()).unwrap()
    }

    /// What is blocked, by address.
    pub fn blocked(&self) -> Vec<String> {
        let list: Value = serde_json::from_str(&self.tcpcap(&["list", "-o", "json"])).unwrap();
        let blocks = list.as_array().unwrap();
        blocks.iter().map(|block| block["network"].as_str().unwrap().to_owned()).collect()
    }

    /// Scans from an address that nobody has seen, until it is blocked.
    pub fn scan(&self) -> IpAddr {
        let source = self.net.fresh_source().unwrap().v4.into();
        let mut nmap = scan::nmap(&self.net, source);
        nmap.args(["-sS", "-T4", "-p1-200", "--max-retries=0", &SENSOR_V4.to_string()]);
        Process::spawn("nmap", nmap).unwrap().succeed(SOON).unwrap();
        let network = format!("{source}/32");
        wait_until("the block", SOON, || self.blocked().contains(&network))
            .unwrap_or_else(|e| panic!("{e:#}\n{}", self.journal()));
        source
    }

    /// Whether the server can be reached from one of the scanner's addresses.
    pub fn reaches(&self, source: IpAddr) -> bool {
        let mut nmap = scan::nmap(&self.net, source);
        nmap.args([
            "-sS",
            "--max-retries=1",
            "--max-rtt-timeout=300ms",
            "-p",
            &PORT.to_string(),
            &SENSOR_V4.to_string(),
        ]);
        let mut nmap = Process::spawn("nmap", nmap).unwrap();
        nmap.succeed(SOON).unwrap();
        let said = nmap.output();
        assert!(said.contains("80/tcp"), "{said}");
        said.contains("80/tcp open")
    }
}

/// What the package brings, put in its place.
fn copy(disk: &Disk) {
    let ours = |file: &str| fs::read(Path::new(SHIPPED).join(file)).unwrap();
    disk.write("/usr/bin/tcpcap", fs::read(env!("CARGO_BIN_EXE_tcpcap")).unwrap(), 0o755).unwrap();
    disk.write("/usr/lib/systemd/system/tcpcap.service", ours("tcpcap.service"), 0o644).unwrap();
    disk.write("/usr/lib/sysusers.d/tcpcap.conf", ours("sysusers.d/tcpcap.conf"), 0o644).unwrap();
    disk.write("/usr/lib/tmpfiles.d/tcpcap.conf", ours("tmpfiles.d/tcpcap.conf"), 0o644).unwrap();
    disk.write("/etc/tcpcap/config.toml", "", 0o644).unwrap();
}
