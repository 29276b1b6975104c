//! podman, as this machine can run it: where it cannot do as it is used to, it is told how it can.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Context;

use crate::{Namespace, Process};

/// Long against what podman takes to answer.
const PATIENCE: Duration = Duration::from_secs(120);
const SYS_RESOURCE: u32 = 24;

/// podman.
#[derive(Clone, Debug)]
pub struct Podman {
    /// What it is told beside its own configuration, if anything.
    config: Option<PathBuf>,
}

impl Podman {
    /// The one of this machine. What it must be told is written to a file in this directory.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn here(directory: &Path) -> anyhow::Result<Self> {
        let told = told(
            Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
            Path::new("/run/systemd/system").is_dir(),
            most_files(),
        );
        if told.is_empty() {
            return Ok(Self { config: None });
        }
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let path = directory.join("containers.conf");
        fs::write(&path, told).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { config: Some(path) })
    }

    /// podman with arguments.
    #[must_use]
    pub fn command<A: AsRef<OsStr>>(&self, args: &[A]) -> Command {
        let mut command = Command::new("podman");
        command.args(args);
        if let Some(config) = &self.config {
            command.env("CONTAINERS_CONF", config);
        }
        command
    }

    /// podman with arguments, run inside a namespace, which is the host's network to what it starts.
    #[must_use]
    pub fn command_in<A: AsRef<OsStr>>(&self, namespace: &Namespace, args: &[A]) -> Command {
        let outside = self.command(args);
        let mut inside = namespace.command(outside.get_program());
        inside.args(outside.get_args());
        inside.envs(outside.get_envs().filter_map(|(name, value)| Some((name, value?))));
        inside
    }

    /// Runs it to its end; returns its exit code and everything it said.
    ///
    /// # Errors
    /// When it cannot be started, or does not end.
    pub fn run<A: AsRef<OsStr>>(&self, args: &[A]) -> anyhow::Result<(i32, String)> {
        let mut process = Process::spawn("podman", self.command(args))?;
        let status = process.wait(PATIENCE)?;
        Ok((status.code().unwrap_or(-1), without_timers(&process.output())))
    }

    /// Runs it to its end and its success; returns everything it said.
    ///
    /// # Errors
    /// As [`Podman::run`], and when it fails.
    pub fn succeed<A: AsRef<OsStr>>(&self, args: &[A]) -> anyhow::Result<String> {
        let mut process = Process::spawn("podman", self.command(args))?;
        process.succeed(PATIENCE)?;
        Ok(without_timers(&process.output()))
    }
}

/// Without the lines about health checks that systemd cannot time, where there is none.
fn without_timers(said: &str) -> String {
    said.lines()
        .filter(|line| !line.contains("unable to get systemd connection"))
        .fold(String::new(), |all, line| all + line + "\n")
}

/// What podman must be told: which runtime knows these control groups, who makes them, and how many files a process can
/// be allowed to open, if that is limited.
fn told(unified_cgroups: bool, systemd: bool, most_files: Option<u64>) -> String {
    let (mut engine, mut containers) = (String::new(), String::new());
    if !unified_cgroups {
        engine += "runtime = \"runc\"\n";
    }
    if !systemd {
        engine += "cgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";
    }
    if let Some(most) = most_files {
        // podman 4.3 takes one for the other in pods, so they are the same.
        containers += &format!("default_ulimits = [\"nofile={most}:{most}\", \"nproc=4096:4096\"]\n");
    }
    let section = |name: &str, lines: String| if lines.is_empty() { lines } else { format!("[{name}]\n{lines}") };
    section("containers", containers) + &section("engine", engine)
}

/// How many files a process may be allowed to open, where this one may not allow more than it has.
fn most_files() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    if u64::from_str_radix(set.trim(), 16).ok()? & 1 << SYS_RESOURCE != 0 {
        return None;
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().nth(1)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn podman_is_told_what_it_cannot_know() {
        assert_eq!(told(true, true, None), "");
        assert_eq!(told(false, true, None), "[engine]\nruntime = \"runc\"\n");
        assert_eq!(
            told(true, false, Some(20_000)),
            "[containers]\ndefault_ulimits = [\"nofile=20000:20000\", \"nproc=4096:4096\"]\n\
             [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n"
        );
    }

    #[test]
    fn what_is_said_of_timers_is_not_passed_on() {
        let said = "time=\"x\" level=error msg=\"unable to get systemd connection to add healthchecks\"\nabc\n";
        assert_eq!(without_timers(said), "abc\n");
    }
}
