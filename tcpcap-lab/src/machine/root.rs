//! The Debian that machines boot: made once, kept below `target/`, and copied without copying.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, ensure};

use super::group::Group;
use crate::{Process, interrupt, sweep::alive};

/// What is in it beside the essential packages.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,iproute2,nftables";
/// Changes with whatever is done below to make one, so that one made otherwise is not used.
const RECIPE: u32 = 1;
/// One that is older lacks what has been mended meanwhile.
const FRESH: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long making one may take: half a minute where the mirror is near.
const MAKING: Duration = Duration::from_secs(600);
/// What the directories of copies begin with; then come the process and a number.
const PREFIX: &str = "tcpcap-machine-";

/// A Debian with systemd in a directory. Nobody writes to it.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

impl Root {
    /// The root of a Debian suite, such as `bookworm`; made below `target` unless a fresh one is there.
    ///
    /// # Errors
    /// When this is not root, or Debian's archive is out of reach.
    pub fn debian(target: &Path, suite: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(target)?;
        let name = format!("debian-{suite}-{RECIPE}-{}", PACKAGES.replace(',', "-"));
        let root = target.join(&name);
        let lock = File::create(target.join(format!("{name}.lock")))?;
        // Somebody else may be making it.
        lock.lock()?;
        if is_fresh(&root) {
            return Ok(Self(root));
        }
        let making = target.join(format!("{name}.making"));
        for stale in [&root, &making] {
            remove(stale)?;
        }
        let mut debootstrap = Command::new("debootstrap");
        debootstrap.args(["--variant=minbase", &format!("--include={PACKAGES}"), suite]).arg(&making);
        Process::spawn("debootstrap", debootstrap)?
            .succeed(MAKING)
            .with_context(|| format!("cannot make a Debian {suite}\n  is Debian's archive within reach?"))?;
        fs::rename(&making, &root)?;
        Ok(Self(root))
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// Whether there is one, not too old. It gets its name only when it is whole.
fn is_fresh(root: &Path) -> bool {
    let made = fs::metadata(root.join("var/lib/dpkg/status")).and_then(|about| about.modified());
    made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age < FRESH))
}

fn remove(dir: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// A writable copy of a [`Root`], and a BPF file system of its own. Both go with this value.
#[derive(Debug)]
pub struct Disk {
    dir: PathBuf,
}

impl Disk {
    /// Copies. What is written lies in the system's directory for temporary files.
    ///
    /// # Errors
    /// When this is not root, or the kernel knows no overlays.
    pub fn copy_of(root: &Root) -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        interrupt::install();
        interrupt::check()?;
        sweep();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("{PREFIX}{}-{number}", std::process::id()));
        // Made first: should something fail after it exists, it is removed nevertheless.
        let disk = Self { dir };
        for part in ["upper", "work", "root", "bpf"] {
            fs::create_dir_all(disk.dir.join(part))?;
        }
        fs::set_permissions(disk.dir.join("upper"), fs::Permissions::from_mode(0o755))?;
        let layers = format!(
            "lowerdir={},upperdir={},workdir={}",
            root.path().display(),
            disk.dir.join("upper").display(),
            disk.dir.join("work").display()
        );
        mount(&["-t", "overlay", "overlay", "-o", &layers], &disk.dir.join("root"))?;
        disk.mount_bpf()?;
        Ok(disk)
    }

    /// Where a file of the machine lies for us. Not for what stands in `/run`, `/tmp`, `/proc` and `/sys`.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        self.dir.join("root").join(inside.trim_start_matches('/'))
    }

    /// Its name, which no other on this host has.
    pub(super) fn name(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Where the machine's `/sys/fs/bpf` lies for us.
    #[must_use]
    pub fn bpf(&self) -> PathBuf {
        self.dir.join("bpf")
    }

    /// Puts a file there, with this mode, and the directories it needs.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn write(&self, inside: &str, content: impl AsRef<[u8]>, mode: u32) -> anyhow::Result<()> {
        let path = self.path(inside);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(())
    }

    /// Forgets all that is pinned, as a kernel that is started does.
    pub(super) fn forget_pins(&self) -> anyhow::Result<()> {
        unmount(&self.bpf());
        self.mount_bpf()
    }

    /// As systemd mounts it where it is the first process of a kernel.
    fn mount_bpf(&self) -> anyhow::Result<()> {
        mount(&["-t", "bpf", "bpf", "-o", "mode=700,nosuid,nodev,noexec"], &self.bpf())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        clear(&self.dir);
    }
}

fn mount(what: &[&str], to: &Path) -> anyhow::Result<()> {
    let out = Command::new("mount").args(what).arg(to).output().context("cannot run mount")?;
    let said = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "cannot mount {}: {}\n  run as root", to.display(), said.trim());
    Ok(())
}

fn unmount(path: &Path) {
    use std::os::unix::ffi::OsStrExt as _;
    let Ok(path) = std::ffi::CString::new(path.as_os_str().as_bytes()) else { return };
    // SAFETY: the path ends in a zero. What is not mounted needs no unmounting.
    unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
}

/// Takes a copy away. Never through a mount that could not be taken off: it lies on top of an empty directory only.
fn clear(dir: &Path) {
    let parts = ["bpf", "root"].map(|part| dir.join(part));
    parts.iter().for_each(|part| unmount(part));
    let left = parts.iter().any(|part| fs::remove_dir(part).is_err_and(|e| e.kind() != io::ErrorKind::NotFound));
    if left || remove(dir).is_err() {
        eprintln!("cannot remove {0}\n  run: umount {0}/root {0}/bpf; rm -r {0}", dir.display());
    }
}

/// Removes the copies of processes that are no more.
fn sweep() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if owner(&name).is_some_and(|pid| !alive(pid)) {
            // It may be running still.
            drop(Group::named(&name));
            clear(&entry.path());
        }
    }
}

/// The process that a copy's name carries, if it is one of ours.
fn owner(name: &str) -> Option<libc::pid_t> {
    let (pid, number) = name.strip_prefix(PREFIX)?.split_once('-')?;
    number.parse::<u32>().ok()?;
    pid.parse().ok().filter(|pid| *pid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_copies_of_ours_have_an_owner() {
        assert_eq!(owner("tcpcap-machine-12-0"), Some(12));
        for other in ["tcpcap-machine-12", "tcpcap-machine--1-0", "tcpcap-machine-x-0", "other-12-0", ""] {
            assert_eq!(owner(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_not_whole_or_old_is_not_used() {
        assert!(!is_fresh(Path::new("/nowhere")));
        let dir = std::env::temp_dir().join(format!("tcpcap-fresh-{}", std::process::id()));
        fs::create_dir_all(dir.join("var/lib/dpkg")).unwrap();
        fs::write(dir.join("var/lib/dpkg/status"), "").unwrap();
        assert!(is_fresh(&dir));
        let old = std::time::SystemTime::now() - FRESH - Duration::from_secs(1);
        File::options().write(true).open(dir.join("var/lib/dpkg/status")).unwrap().set_modified(old).unwrap();
        assert!(!is_fresh(&dir));
        fs::remove_dir_all(&dir).unwrap();
    }
}
