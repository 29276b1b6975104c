//! A host that somebody installs tcpcap on: a Debian in the lab, and a scanner that reaches it.

use std::{
    env, fs,
    net::Ipv4Addr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;
use tcpcap_lab::{
    Capture, Internet, Process,
    layout::{CARD, SENSOR_V4},
    machine::{Disk, Machine, Root},
    scan, wait_until,
};

use crate::document::commands;

/// Long against everything waited for, so that a slow machine fails nothing.
pub const SOON: Duration = Duration::from_secs(60);
/// Where downloads are.
const DOWNLOADS: &str = "/root/downloads";
/// There is none in a Debian as small as this one, and who runs commands is root.
const SUDO: &str = "#!/bin/sh\nexec \"$@\"\n";

/// What is shipped, of which there must be one whose name begins and ends so.
pub fn shipped(start: &str, end: &str) -> PathBuf {
    let dist = env::var("TCPCAP_DIST").expect("TCPCAP_DIST says where what is shipped lies: run cargo xtask test");
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with(start) && name.ends_with(end)
    };
    let mut found: Vec<_> = fs::read_dir(&dist).unwrap().map(|entry| entry.unwrap().path()).filter(named).collect();
    assert_eq!(found.len(), 1, "{start}*{end} in {dist}: {found:?}");
    found.remove(0)
}

pub fn deb() -> PathBuf {
    shipped("tcpcap_", ".deb")
}

pub fn tarball() -> PathBuf {
    shipped("tcpcap-", "-linux.tar.gz")
}

/// A Debian to copy.
pub fn debian(suite: &str) -> Root {
    Root::debian(Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap(), suite).unwrap()
}

/// Runs a command of this machine that must succeed; returns what it wrote.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// The host, booted.
pub struct Host {
    pub machine: Machine,
    pub net: Internet,
}

impl Host {
    /// A fresh one, with these downloads.
    pub fn boot(downloads: &[&Path]) -> Self {
        Self::of(Disk::copy_of(&debian("bookworm")).unwrap(), downloads)
    }

    /// One of this disk.
    pub fn of(disk: Disk, downloads: &[&Path]) -> Self {
        let net = Internet::build().unwrap();
        disk.write("/usr/local/bin/sudo", SUDO, 0o755).unwrap();
        // Nobody is there to be asked.
        disk.write("/etc/apt/apt.conf.d/yes", "APT::Get::Assume-Yes \"true\";\n", 0o644).unwrap();
        let host = Self { machine: Machine::boot(disk, &net.sensor).unwrap(), net };
        host.download(downloads);
        host
    }

    /// In the place of what was downloaded before; with their sums, as they are published.
    pub fn download(&self, files: &[&Path]) {
        let place = self.machine.disk().path(DOWNLOADS);
        if place.exists() {
            fs::remove_dir_all(&place).unwrap();
        }
        fs::create_dir_all(&place).unwrap();
        for file in files {
            fs::copy(file, place.join(file.file_name().unwrap())).unwrap();
        }
        let sums = run(Command::new("sh").args(["-c", "find . -type f -exec sha256sum {} +"]).current_dir(&place));
        fs::write(place.join("SHA256SUMS"), sums).unwrap();
    }

    /// Runs a script in a directory; returns whether it succeeded, and what it wrote.
    pub fn try_in(&self, directory: &str, script: &str) -> (bool, String) {
        let ran = self.machine.run(&["sh", "-euc", &format!("cd {directory}\n{script}")]).unwrap();
        (ran.status.success(), ran.output)
    }

    /// Runs a script that must succeed among the downloads; returns what it wrote.
    pub fn sh(&self, script: &str) -> String {
        let (done, said) = self.try_in(DOWNLOADS, script);
        assert!(done, "{script}:\n{said}\n{}", self.machine.journal("tcpcap").unwrap());
        said
    }

    /// Does what a block of docs/install.md says, among the downloads; returns what was written.
    pub fn does(&self, block: &str) -> String {
        self.sh(&commands(block))
    }

    /// The same in the directory that the tarball unpacks to.
    pub fn does_unpacked(&self, block: &str) -> String {
        self.sh(&format!("cd tcpcap-*-linux\n{}", commands(block)))
    }

    /// What a verb of tcpcap says to machines.
    pub fn json(&self, verb: &str) -> Value {
        let said = self.sh(&format!("tcpcap {verb} -o json"));
        serde_json::from_str(&said).unwrap_or_else(|e| panic!("{verb}: {e}: {said}"))
    }

    /// The block of an address, if it is listed.
    pub fn block_of(&self, source: Ipv4Addr) -> Option<Value> {
        let list = self.json("list");
        list.as_array().unwrap().iter().find(|block| block["network"] == format!("{source}/32")).cloned()
    }

    /// Does the first steps up to those that have it drop, and looks that nothing was dropped until then.
    pub fn first_steps(&self) {
        assert!(self.does("first-look").contains("observ"), "a fresh one observes");
        let source = self.net.fresh_source().unwrap().v4;
        self.scan(source);
        wait_until("who would be blocked", SOON, || self.block_of(source).is_some())
            .unwrap_or_else(|e| panic!("{e}\n{}", self.machine.journal("tcpcap").unwrap()));
        // The history has it when the disk does.
        let both = || self.does("first-observe").matches(&source.to_string()).count() >= 2;
        wait_until("list and history to name it", SOON, both)
            .unwrap_or_else(|e| panic!("{e}\n{}", self.does("first-observe")));
        assert!(self.reaches(source), "only observed");
        self.does("first-enforce");
    }

    /// A real scan, which gets to see some ports, or none.
    pub fn scan(&self, source: Ipv4Addr) {
        let mut nmap = scan::nmap(&self.net, source.into());
        nmap.args(["-sS", "-T5", "--max-retries", "0", "-p", "1-200", &SENSOR_V4.to_string()]);
        Process::spawn("nmap", nmap).unwrap().succeed(SOON).unwrap();
    }

    /// Scans until the block is there, and sees that nothing comes through any more.
    pub fn scan_is_blocked(&self, source: Ipv4Addr) {
        self.scan(source);
        wait_until("the block", SOON, || self.block_of(source).is_some()).unwrap();
        assert!(!self.reaches(source), "it is dropped");
    }

    /// Whether packets of the scanner get behind the card.
    pub fn reaches(&self, source: Ipv4Addr) -> bool {
        let behind = Capture::incoming(&self.net.sensor, CARD).unwrap();
        let mut nmap = scan::nmap(&self.net, source.into());
        nmap.args(["-sS", "-T5", "--max-retries", "0", "-p", "9", &SENSOR_V4.to_string()]);
        Process::spawn("nmap", nmap).unwrap().succeed(SOON).unwrap();
        behind.snapshot().unwrap().from(source.into()) > 0
    }

    /// Whether anything of tcpcap is in the kernel.
    pub fn is_in_the_kernel(&self) -> bool {
        let links = run(self.net.sensor.command("ip").args(["link", "show", "dev", CARD]));
        links.contains("xdp") || self.pins().exists()
    }

    /// Whether a place for pins is there, even an empty one.
    pub fn has_a_place_for_pins(&self) -> bool {
        self.machine.disk().bpf().join("tcpcap").exists()
    }

    /// Everything that packages and their scripts may leave, but what records that they were there.
    pub fn files(&self) -> Vec<String> {
        let found =
            self.sh("find /etc /usr /opt /srv /home /var /run -xdev ! -path '/run/systemd/*' ! -path '/run/log*'");
        let is_record = |path: &str| {
            [
                "/var/log",
                "/var/lib/dpkg",
                "/var/cache",
                "/var/lib/apt",
                "/var/lib/systemd/timers",
                "/var/tmp",
                "/run/agetty.reload",
                "/run/udev",
            ]
            .iter()
            .any(|record| path.starts_with(record))
                || path.ends_with('-')
        };
        let mut files: Vec<_> = found.lines().map(str::to_owned).filter(|path| !is_record(path)).collect();
        files.sort();
        files
    }

    /// Pins of this host's network.
    pub fn pins(&self) -> PathBuf {
        let number = fs::metadata(self.net.sensor.path()).unwrap().ino();
        self.machine.disk().bpf().join(format!("tcpcap/net-{number}"))
    }
}
