//! A network namespace of a lab.

use std::{
    fs::{self, File},
    os::fd::AsRawFd,
    path::PathBuf,
    process::Command,
    sync::Arc,
    thread,
};

use anyhow::{Context, bail};

use crate::{
    card::{self, Card, Counters},
    ip::ip,
};

/// A namespace; a cheap handle. The [`crate::Lab`] that made it removes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace(Arc<str>);

impl Namespace {
    pub(crate) fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// Its name, as `ip netns` has it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The file that stands for it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&*self.0)
    }

    /// Runs a closure on a fresh thread inside the namespace. Sockets made there stay inside, wherever they are used.
    ///
    /// # Errors
    /// When the namespace is gone or must not be entered.
    ///
    /// # Panics
    /// As the closure does.
    pub fn enter<T: Send>(&self, run: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        let path = self.path();
        let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        thread::scope(|scope| {
            let inside = scope.spawn(move || {
                // SAFETY: setns moves this thread alone, and it ends with the closure.
                if unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(run())
            });
            match inside.join() {
                Ok(done) => done.with_context(|| format!("cannot enter {}\n  run as root", path.display())),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// A command that will run inside. By `nsenter`, because `ip netns exec` hides `/sys/fs/bpf`.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg("--").arg(program);
        command
    }

    /// Runs lines of `ip -batch` inside.
    ///
    /// # Errors
    /// When `ip` refuses one of them.
    pub fn ip(&self, lines: &str) -> anyhow::Result<()> {
        ip(&["-n", self.name(), "-batch", "-"], lines).map(drop)
    }

    /// Sets values below `/proc/sys/net`, such as `ipv4/ip_forward`.
    ///
    /// # Errors
    /// When one of them does not exist or cannot be set.
    pub fn sysctl(&self, values: &[(&str, &str)]) -> anyhow::Result<()> {
        self.enter(|| {
            values.iter().try_for_each(|(key, value)| {
                fs::write(format!("/proc/sys/net/{key}"), value).with_context(|| format!("cannot set net/{key}"))
            })
        })?
    }

    /// Index and hardware address of a card.
    ///
    /// # Errors
    /// When there is no card of that name.
    pub fn card(&self, name: &str) -> anyhow::Result<Card> {
        let found = self.enter(|| card::look_up(name))?;
        found.with_context(|| format!("{self} has no card {name}"))
    }

    /// What a card has counted.
    ///
    /// # Errors
    /// When there is no card of that name.
    pub fn counters(&self, card: &str) -> anyhow::Result<Counters> {
        let table = self.enter(|| fs::read_to_string("/proc/thread-self/net/dev"))??;
        match card::parse(&table, card) {
            Some(counters) => Ok(counters),
            None => bail!("{self} has no card {card}"),
        }
    }
}

impl std::fmt::Display for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
