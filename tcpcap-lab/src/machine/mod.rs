//! A machine: a Debian that a real systemd boots, inside one of the lab's namespaces.
//!
//! It has files of its own ([`Disk`]), processes of its own, a BPF file system of its own, and for a network the
//! namespace it is booted in, so that whoever is in the lab can scan it. It needs `debootstrap` and `systemd-nspawn`.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use std::path::Path;
//! use tcpcap_lab::{Internet, machine::{Disk, Machine, Root}};
//!
//! let net = Internet::build()?;
//! let root = Root::debian(Path::new("target"), "bookworm")?;
//! let machine = Machine::boot(Disk::copy_of(&root)?, &net.sensor)?;
//! println!("{}", machine.succeed(&["systemctl", "status"])?);
//! # Ok(())
//! # }
//! ```

mod group;
mod root;

use std::{
    fs,
    process::{Command, ExitStatus},
    time::Duration,
};

use anyhow::{Context, ensure};

use crate::{Namespace, Process, process::Stream, wait_for, wait_until};
use group::Group;
pub use root::{Disk, Root};

/// How long booting may take; a second is usual.
const BOOTING: Duration = Duration::from_secs(60);
/// How long what is run inside may take.
const RUNNING: Duration = Duration::from_secs(120);
/// How long it may take to end all services.
const ENDING: Duration = Duration::from_secs(60);

/// A booted machine. It is switched off, and its files are removed, when this value goes.
#[derive(Debug)]
pub struct Machine {
    nspawn: Process,
    /// Its first process, as we see it.
    leader: u32,
    namespace: Namespace,
    // In this order: the files go when nobody uses them any more.
    group: Group,
    disk: Disk,
}

/// What a command in the machine did.
#[derive(Clone, Debug)]
pub struct Ran {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to both outputs.
    pub output: String,
    /// What it wrote to standard output.
    pub out: String,
}

impl Machine {
    /// Boots, and waits until all services of its own are up.
    ///
    /// # Errors
    /// When it does not come up; the error shows its console.
    pub fn boot(disk: Disk, namespace: &Namespace) -> anyhow::Result<Self> {
        let group = Group::new(&disk.name())?;
        let (nspawn, leader) = boot(&disk, namespace, &group)?;
        Ok(Self { nspawn, leader, namespace: namespace.clone(), group, disk })
    }

    /// Powers off, and boots again. What was pinned is forgotten, the files stay.
    ///
    /// # Errors
    /// As [`Machine::boot`].
    pub fn reboot(&mut self) -> anyhow::Result<()> {
        self.power_off()?;
        self.disk.forget_pins()?;
        self.group.renew()?;
        (self.nspawn, self.leader) = boot(&self.disk, &self.namespace, &self.group)?;
        Ok(())
    }

    /// Ends all services in order, and waits for it.
    ///
    /// # Errors
    /// When it does not end in time; then it has been killed.
    pub fn power_off(&mut self) -> anyhow::Result<()> {
        if self.nspawn.ended().is_none() {
            // To the first process, which takes it for `systemctl poweroff`.
            // SAFETY: has no preconditions. nspawn has not ended, so the id is still its child's.
            unsafe { libc::kill(self.leader.cast_signed(), libc::SIGRTMIN() + 4) };
        }
        let ended = self.nspawn.wait(ENDING);
        self.nspawn.kill();
        self.group.kill()?;
        ended.map(drop)
    }

    /// Its files.
    #[must_use]
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// A command that will run inside, as root.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        inside(self.leader, program)
    }

    /// The process that is known by this number inside, as we number it.
    #[must_use]
    pub fn outside(&self, inside: u32) -> Option<u32> {
        let processes = |pid: &u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let ours = processes(&self.leader)?;
        let pids = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| processes(pid).as_ref() == Some(&ours)).find(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            numbers.and_then(|numbers| numbers.split_whitespace().last()?.parse().ok()) == Some(inside)
        })
    }

    /// Runs a command inside, and waits for its end.
    ///
    /// # Errors
    /// When it cannot be started, or does not end in time.
    pub fn run(&self, line: &[&str]) -> anyhow::Result<Ran> {
        run(self.leader, line)
    }

    /// Runs a command inside that must succeed; returns what it wrote to standard output.
    ///
    /// # Errors
    /// As [`Machine::run`], and when it fails.
    pub fn succeed(&self, line: &[&str]) -> anyhow::Result<String> {
        let Ran { status, output, out } = self.run(line)?;
        ensure!(status.success(), "{} ended with {status}:\n{output}", line.join(" "));
        Ok(out)
    }

    /// A property of a unit, as `systemctl show` has it.
    ///
    /// # Errors
    /// As [`Machine::succeed`].
    pub fn property(&self, unit: &str, name: &str) -> anyhow::Result<String> {
        Ok(self.succeed(&["systemctl", "show", "--value", "--property", name, unit])?.trim_end().to_owned())
    }

    /// What the journal has of a unit in this boot: the lines without their time.
    ///
    /// # Errors
    /// As [`Machine::succeed`].
    pub fn journal(&self, unit: &str) -> anyhow::Result<String> {
        self.succeed(&["journalctl", "--boot", "--no-pager", "--output", "cat", "--unit", unit])
    }

    /// Waits until the journal of a unit has a line with this text.
    ///
    /// # Errors
    /// When it does not come in time; the error shows the journal.
    pub fn wait_for_journal(&self, unit: &str, text: &str, within: Duration) -> anyhow::Result<()> {
        wait_until(text, within, || self.journal(unit).is_ok_and(|journal| journal.contains(text)))
            .with_context(|| format!("the journal of {unit}:\n{}", self.journal(unit).unwrap_or_default()))
    }
}

fn boot(disk: &Disk, namespace: &Namespace, group: &Group) -> anyhow::Result<(Process, u32)> {
    // Inside the namespace from the beginning: nspawn's own way there would show it our /sys/class/net.
    let mut command = namespace.command("systemd-nspawn");
    command
        .args(["--quiet", "--register=no", "--keep-unit", "--link-journal=no", "--resolv-conf=off", "--timezone=off"])
        .args(["--hostname=exposed", "--kill-signal=SIGRTMIN+3"])
        .args(["--capability=CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON", "--system-call-filter=bpf perf_event_open"])
        .arg(format!("--machine={}", disk.name()))
        .arg(format!("--directory={}", disk.path("").display()))
        .arg(format!("--bind={}:/sys/fs/bpf", disk.bpf().display()))
        .arg("--boot")
        .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");
    let mut nspawn = Process::spawn("systemd-nspawn", group.enter(&command))?;
    let up = wait_for("the machine", BOOTING, || {
        if let Some(status) = nspawn.ended() {
            return Some(Err(status));
        }
        let leader = first_child(nspawn.id())?;
        let state = run(leader, &["systemctl", "is-system-running"]).ok()?.output;
        matches!(state.trim(), "running" | "degraded").then_some(Ok(leader))
    });
    match up {
        Ok(Ok(leader)) => Ok((nspawn, leader)),
        Ok(Err(status)) => anyhow::bail!("the machine did not boot ({status}):\n{}", nspawn.output()),
        Err(error) => Err(error.context(format!("it did not boot:\n{}", nspawn.output()))),
    }
}

fn first_child(pid: u32) -> Option<u32> {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?.split_whitespace().next()?.parse().ok()
}

fn inside(leader: u32, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--target={leader}")).args(["--all", "--", program]);
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("LANG", "C.UTF-8").env("SYSTEMD_PAGER", "cat").env("HOME", "/root");
    command
}

fn run(leader: u32, line: &[&str]) -> anyhow::Result<Ran> {
    let (program, args) = line.split_first().context("no command")?;
    let mut command = inside(leader, program);
    command.args(args);
    let mut process = Process::spawn(&line.join(" "), command)?;
    let status = process.wait(RUNNING)?;
    let lines = process.lines().into_iter().filter(|line| line.stream == Stream::Out);
    Ok(Ran { status, output: process.output(), out: lines.map(|line| line.text + "\n").collect() })
}
