//! Debian's kernels: found and fetched with an apt state of our own, so that no suite of another release ever reaches the
//! machine's sources, and kept unpacked below `target/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context, bail, ensure};

use super::version::{is_of, newest, offered, packages, sites};
use crate::step;

/// Suites that have kernels for virtual machines: below the archive of Debian, and below that of its security updates.
const SUITES: [&[&str]; 2] = [&["trixie-backports"], &["bullseye-security", "bookworm-security", "trixie-security"]];
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// How long a list of what there is will do.
const FRESH: Duration = Duration::from_secs(12 * 60 * 60);
const REMEDY: &str = "the archive that apt uses must be reachable; then try again";

/// The archive, and what was fetched from it.
pub(super) struct Archive {
    place: PathBuf,
}

/// A kernel, unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kernel {
    /// As `uname -r` has it.
    pub(super) release: String,
    /// What was in its packages, from `/` on.
    pub(super) place: PathBuf,
}

impl Kernel {
    /// The image that is booted.
    pub(super) fn image(&self) -> anyhow::Result<PathBuf> {
        let release = &self.release;
        let places = [format!("boot/vmlinuz-{release}"), format!("usr/lib/modules/{release}/vmlinuz")];
        let found = places.iter().map(|path| self.place.join(path)).find(|path| path.exists());
        found.with_context(|| format!("the packages of {release} bring no image"))
    }
}

impl Archive {
    pub(super) fn new(place: &Path) -> Self {
        Self { place: place.to_owned() }
    }

    /// The newest kernel of a series: fetched, or as it was fetched before. With no archive in reach an older one does.
    ///
    /// # Errors
    /// There is none, or it cannot be fetched.
    pub(super) fn kernel(&self, series: &str) -> anyhow::Result<Kernel> {
        let newest = self.names().and_then(|names| {
            newest(&names, series).with_context(|| format!("Debian has no kernel of the series {series}"))
        });
        let release = match (newest, self.fetched(series)) {
            (Ok(newest), _) => newest,
            (Err(error), Some(old)) => {
                step::line("kernel", &format!("{old}, as fetched before: {error:#}"));
                old
            }
            (Err(error), None) => return Err(error),
        };
        let kernel = Kernel { place: self.place.join(&release), release };
        if !kernel.place.exists() {
            self.fetch(&kernel)?;
            self.forget_older(series, &kernel.release);
        }
        Ok(kernel)
    }

    /// The newest one of the series that is here.
    fn fetched(&self, series: &str) -> Option<String> {
        let names = fs::read_dir(&self.place).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        newest(&names.map(|name| format!("linux-image-{name}\n")).collect::<String>(), series)
    }

    fn forget_older(&self, series: &str, but: &str) {
        let Ok(entries) = fs::read_dir(&self.place) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| is_of(name, series) && name != but) {
                // What stays takes room and does no harm.
                fs::remove_dir_all(entry.path()).ok();
            }
        }
    }

    /// The names of all kernels that there are.
    fn names(&self) -> anyhow::Result<String> {
        let apt = self.place.join("apt");
        let stamp = apt.join("stamp");
        let age = fs::metadata(&stamp)
            .and_then(|m| m.modified())
            .ok()
            .and_then(|at| SystemTime::now().duration_since(at).ok());
        if age.is_none_or(|age| age > FRESH) {
            self.configure(&apt)?;
            step::run("kernels on offer", "listed", REMEDY, self.apt("apt-get").args(["-q", "update"]))?;
            fs::write(&stamp, "")?;
        }
        said(self.apt("apt-cache").args(["pkgnames", "linux-image-"]))
    }

    /// Writes the configuration of an apt that shares nothing with the machine's but the address of the archive.
    fn configure(&self, apt: &Path) -> anyhow::Result<()> {
        ensure!(
            Path::new(KEYS).exists(),
            "the keys of Debian's archive are not at {KEYS}\n  install the package debian-archive-keyring"
        );
        let used = said(Command::new("apt-get").args(["indextargets", "--format", "$(SITE)", "Created-By: Packages"]))?;
        let (debian, security) = sites(&used).with_context(|| {
            "apt uses no archive of Debian here\n  kernels come from Debian: run this on Debian, or without --kernels"
        })?;
        for place in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(apt.join(place))?;
        }
        let mut sources = String::new();
        for (site, suites) in [debian, security].iter().zip(SUITES) {
            for suite in suites {
                sources += &format!("deb [arch=amd64 signed-by={KEYS}] {site} {suite} main\n");
            }
        }
        fs::write(apt.join("sources"), sources)?;
        let at = apt.display();
        let settings = format!(
            "Dir::Etc::sourcelist \"{at}/sources\";\nDir::Etc::sourceparts \"-\";\nDir::State::lists \"{at}/lists\";\n\
             Dir::Cache \"{at}/cache\";\nDir::State::status \"/dev/null\";\nAPT::Sandbox::User \"root\";\n\
             Acquire::Languages \"none\";\nAcquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n"
        );
        Ok(fs::write(apt.join("settings"), settings)?)
    }

    /// A command of apt, on our own state.
    fn apt(&self, command: &str) -> Command {
        let mut command = Command::new(command);
        command.env("APT_CONFIG", self.place.join("apt/settings"));
        command
    }

    fn fetch(&self, kernel: &Kernel) -> anyhow::Result<()> {
        let release = &kernel.release;
        let names = offered(&said(self.apt("apt-cache").arg("madison").args(packages(release)))?);
        ensure!(!names.is_empty(), "the archive has no package of {release} any more\n  {REMEDY}");
        let debs = tempfile::tempdir_in(&self.place)?;
        let download = format!("fetch {}", release.trim_end_matches("-cloud-amd64"));
        step::run(
            &download,
            "fetched",
            REMEDY,
            self.apt("apt-get").args(["-q", "download"]).args(names).current_dir(debs.path()),
        )?;
        // Beside its place until it is whole.
        let new = tempfile::tempdir_in(&self.place)?;
        for deb in fs::read_dir(debs.path())? {
            said(Command::new("dpkg-deb").arg("-x").arg(deb?.path()).arg(new.path()))?;
        }
        let modules = new.path().join("lib");
        if !modules.exists() {
            std::os::unix::fs::symlink("usr/lib", &modules)?;
        }
        said(Command::new(tool("depmod")).arg("-b").arg(new.path()).arg(release))?;
        let whole = new.keep();
        fs::rename(&whole, &kernel.place).with_context(|| format!("cannot move {} to its place", whole.display()))
    }
}

/// A command of root's that is not on every user's PATH.
pub(super) fn tool(name: &str) -> PathBuf {
    let usual = Path::new("/usr/sbin").join(name);
    if usual.exists() { usual } else { name.into() }
}

/// Runs a short command to its end, and returns what it wrote.
///
/// # Errors
/// It fails; the error holds its last words.
pub(super) fn said(command: &mut Command) -> anyhow::Result<String> {
    let program = command.get_program().display().to_string();
    let out = command.output().with_context(|| format!("cannot run {program}\n  run: cargo xtask setup"))?;
    if !out.status.success() {
        bail!("{program} ended with {}: {}", out.status, String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
