//! A control group of its own for each machine: what runs in it is found, whoever started it, and ends with it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

/// How long killed processes may take to be gone.
const DYING: Duration = Duration::from_secs(10);

/// A control group below the root of the unified hierarchy.
#[derive(Debug)]
pub(super) struct Group(PathBuf);

impl Group {
    pub(super) fn new(name: &str) -> anyhow::Result<Self> {
        let group = Self::named(name);
        fs::create_dir(&group.0)
            .with_context(|| format!("cannot make the control group {}\n  run as root", group.0.display()))?;
        Ok(group)
    }

    /// Makes it anew: in one that has been killed, kernels may kill whoever is started into a part of it.
    pub(super) fn renew(&self) -> anyhow::Result<()> {
        self.kill()?;
        let renewed = Self::remove(&self.0).and_then(|()| fs::create_dir(&self.0));
        renewed.with_context(|| format!("cannot make {} anew", self.0.display()))
    }

    /// The one of this name, whether it exists or not.
    pub(super) fn named(name: &str) -> Self {
        // Where version 1 is in use, too, version 2 has a place of its own.
        let beside = Path::new("/sys/fs/cgroup/unified");
        let root = if beside.is_dir() { beside } else { Path::new("/sys/fs/cgroup") };
        Self(root.join(name))
    }

    /// The same command, inside.
    pub(super) fn enter(&self, command: &Command) -> Command {
        let mut inside = Command::new("sh");
        inside.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(self.0.join("cgroup.procs"));
        inside.arg(command.get_program()).args(command.get_args());
        inside.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        inside
    }

    /// Kills all that runs in it, and waits until it has gone.
    pub(super) fn kill(&self) -> anyhow::Result<()> {
        match fs::write(self.0.join("cgroup.kill"), "1") {
            Err(e) if e.kind() == io::ErrorKind::NotFound && !self.0.exists() => return Ok(()),
            killed => killed.with_context(|| format!("cannot kill what is in {} (Linux 5.14)", self.0.display()))?,
        }
        let populated = || fs::read_to_string(self.0.join("cgroup.events")).is_ok_and(|e| e.contains("populated 1"));
        let start = Instant::now();
        // On the way out after Ctrl-C too: hence no waiting that would end at once.
        while populated() && start.elapsed() < DYING {
            thread::sleep(crate::wait::INTERVAL);
        }
        ensure!(!populated(), "what is in {} does not die", self.0.display());
        Ok(())
    }

    /// Removes it, when nothing runs in it any more.
    fn remove(dir: &Path) -> io::Result<()> {
        for entry in fs::read_dir(dir)?.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            Self::remove(&entry.path())?;
        }
        fs::remove_dir(dir)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let gone = self.kill().and_then(|()| match Self::remove(&self.0) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).context("cannot remove it"),
            _ => Ok(()),
        });
        if let Err(error) = gone {
            eprintln!("{error:#}\n  look into {}", self.0.display());
        }
    }
}
