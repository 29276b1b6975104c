//! `cargo xtask test --kernels`: the kernel program and a short life of the daemon on other kernels, in an emulator without
//! a network, and on this machine's own.

mod archive;
mod boot;
mod guest;
mod version;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;

use self::{
    archive::{Archive, Kernel},
    boot::{Boot, Line, cause},
    guest::Program,
};
use crate::{needs::Part, tally::Tally, workspace};

/// The series that are tried unless others are named: the oldest that tcpcap supports, those of Debian's releases, and the
/// newest there is.
pub(crate) const SERIES: [&str; 4] = ["5.10", "6.1", "6.12", "7"];
/// This machine's own kernel, among series.
pub(crate) const OWN: &str = "own";
/// The test programs, and what the report calls them.
pub(crate) const PROGRAMS: [&str; 2] = ["xdp_prog", "kernels"];
/// Their package, and their tier in the report.
pub(crate) const PACKAGE: &str = "tcpcap";
pub(crate) const TIER: u8 = 5;
/// What is needed for it; the last one only for other kernels than this.
pub(crate) const PARTS: [Part; 4] = [Part::Compile, Part::Sandbox, Part::Bpffs, Part::Emulator];
/// What begins what is shown again at the end.
const COST: &str = "verifier: ";
/// Where kernels and what is made of them are kept, below the workspace.
const PLACE: &str = "target/kernels";
/// How many times longer a test waits under emulation.
const SLOW: &str = "4";
/// How many kernels at a time: each keeps one processor busy.
const AT_ONCE: usize = 2;
/// For one boot, on a machine that is busy with much else.
const WITHIN: Duration = Duration::from_secs(40 * 60);
/// The tests before and after a reboot begin so, and those after it.
pub(crate) const REBOOT: &str = "reboot::";
const AFTER_REBOOT: &str = "reboot::after";

/// What was built to be tried.
pub(crate) struct Built {
    /// The test programs, in the order of [`PROGRAMS`].
    pub(crate) programs: Vec<PathBuf>,
    /// tcpcap itself, which they start.
    pub(crate) tcpcap: PathBuf,
}

/// `cargo test` and what selects them; optimised, because emulation makes up for that many times over.
pub(crate) fn cargo_args() -> Vec<&'static str> {
    let mut args = vec!["test", "--release", "--package", PACKAGE];
    PROGRAMS.iter().for_each(|program| args.extend(["--test", *program]));
    args
}

impl Built {
    /// What cargo has built, by its messages; `None`: it has not.
    ///
    /// # Errors
    /// One of the programs is not named.
    pub(crate) fn new(messages: Option<Vec<u8>>) -> anyhow::Result<Option<Self>> {
        let Some(messages) = messages else { return Ok(None) };
        let find = |name: &str, is_test: bool| {
            let found =
                workspace::executables(&messages, |m| m["target"]["name"] == name && m["profile"]["test"] == is_test);
            found.into_iter().next().with_context(|| format!("cargo has built no {name}"))
        };
        let [packets, life] = PROGRAMS;
        Ok(Some(Self { programs: vec![find(packets, true)?, find(life, true)?], tcpcap: find("tcpcap", false)? }))
    }
}

/// What a program did on a kernel.
pub(crate) struct Tried {
    pub(crate) program: &'static str,
    /// The series, or `own`.
    pub(crate) kernel: String,
    pub(crate) tally: Tally,
    /// What the verifier had to do, one line a program in the kernel.
    pub(crate) costs: Vec<String>,
}

/// Tries it on the newest kernel of each series, several at once; whatever goes wrong is counted.
pub(crate) fn on(series: &[&str], built: &Built, args: &[String]) -> Vec<Tried> {
    // One after the other: they share an archive, and what is made for all.
    let guests: Vec<_> = series.iter().map(|series| Guest::new(series, built, args)).collect();
    let waiting = Mutex::new(series.iter().zip(guests).enumerate());
    let done = Mutex::new(Vec::new());
    let work = || {
        let next = || lock(&waiting).next();
        while let Some((place, (series, guest))) = next() {
            let mut tried = PROGRAMS.map(|program| Tried::new(program, series));
            if let Err(error) = guest.and_then(|guest| guest.try_all(&mut tried)) {
                tried[0].tally.fail(format!("{error:#}"));
            }
            lock(&done).push((place, tried));
        }
    };
    thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().flat_map(|(_, tried)| tried).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tried {
    pub(crate) fn new(program: &'static str, kernel: &str) -> Self {
        Self { program, kernel: kernel.to_owned(), tally: Tally::default(), costs: Vec::new() }
    }

    /// Its row in the report.
    pub(crate) fn name(&self) -> String {
        format!("{} on {}", self.program, self.kernel)
    }

    /// Takes a line of its output.
    pub(crate) fn read(&mut self, line: &str) {
        self.tally.read(line);
        // It may stand behind the name of the test that prints it.
        self.costs.extend(line.split_once(COST).map(|(_, cost)| cost.trim().to_owned()));
    }
}

impl AsMut<Tally> for Tried {
    fn as_mut(&mut self) -> &mut Tally {
        &mut self.tally
    }
}

/// A kernel, and all that is made for it.
struct Guest<'a> {
    series: &'a str,
    place: PathBuf,
    kernel: Kernel,
    common: PathBuf,
    built: &'a Built,
    args: &'a [String],
}

impl<'a> Guest<'a> {
    fn new(series: &'a str, built: &'a Built, args: &'a [String]) -> anyhow::Result<Self> {
        anyhow::ensure!(
            std::env::consts::ARCH == "x86_64",
            "other kernels are emulated on x86_64 alone\n  leave out --kernels, or name `--kernel {OWN}`"
        );
        let top = workspace::root().join(PLACE);
        let place = top.join(format!("guest-{series}"));
        fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
        let kernel = Archive::new(&top).kernel(series)?;
        let files: Vec<&Path> = built.programs.iter().chain([&built.tcpcap]).map(PathBuf::as_path).collect();
        let common = guest::common(&place, &files, &workspace::root())?;
        Ok(Self { series, place, kernel, common, built, args })
    }

    fn try_all(&self, tried: &mut [Tried]) -> anyhow::Result<()> {
        self.say(&format!("== {}: the kernel program, and a short life of the daemon", self.kernel.release));
        let disk = self.place.join("disk.img");
        boot::disk(&disk)?;
        let first: Vec<&str> =
            ["--skip", AFTER_REBOOT].into_iter().chain(self.args.iter().map(String::as_str)).collect();
        let is_well = self.boot(&disk, &self.programs(&PROGRAMS, &first), tried)?;
        if is_well && (self.args.is_empty() || self.args.iter().any(|arg| arg.starts_with("reboot"))) {
            self.boot(&disk, &self.programs(&PROGRAMS[1..], &[AFTER_REBOOT]), tried)?;
        }
        Ok(())
    }

    fn programs(&self, names: &[&'static str], args: &[&str]) -> Vec<Program> {
        let directory = workspace::root().join("tcpcap");
        let paths = PROGRAMS.iter().zip(&self.built.programs).filter(|(name, _)| names.contains(name));
        let program = |(name, path): (&&'static str, &PathBuf)| Program {
            name,
            path: path.clone(),
            directory: directory.clone(),
            args: ["--test-threads=1"].iter().chain(args).map(|arg| (*arg).to_owned()).collect(),
            vars: [("TCPCAP_SLOW", SLOW), ("TCPCAP_KEPT", "/kept"), ("RUST_BACKTRACE", "0")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        };
        paths.map(program).collect()
    }

    /// A line of this kernel: several are tried at once.
    fn say(&self, line: &str) {
        println!("{:<5}| {line}", self.series);
    }

    fn say_last_words(&self, boot: &Boot<'_>) {
        self.say("the kernel's last words:");
        boot.last_words().lines().for_each(|line| self.say(line));
    }

    /// Boots it; says whether it came to its end.
    fn boot(&self, disk: &Path, programs: &[Program], tried: &mut [Tried]) -> anyhow::Result<bool> {
        let special = guest::special(&self.place, &self.kernel, programs)?;
        let boot = Boot {
            kernel: &self.kernel,
            files: &[self.common.clone(), special],
            disk,
            console: self.place.join("console"),
            within: WITHIN,
        };
        let (mut running, mut start, mut ended, mut failed_before) = (0, Instant::now(), 0, 0);
        let code = boot.run(|line| match line {
            Line::Up(after) => self.say(&format!("up after {after}")),
            Line::Begin(name) => {
                running = tried.iter().position(|tried| tried.program == name).unwrap_or(0);
                (start, failed_before) = (Instant::now(), tried[running].tally.failed);
            }
            Line::End(name, code) => {
                let tally = &mut tried[running].tally;
                tally.running += start.elapsed();
                ended += 1;
                // A program that was killed has no line to say so.
                if code != 0 && tally.failed == failed_before {
                    tally.fail(format!("{name} ended with {code}"));
                }
            }
            Line::Said(text) => {
                self.say(text);
                tried[running].read(text);
            }
        })?;
        let tally = &mut tried[running].tally;
        if let Some(cause) = cause(code, ended == programs.len(), WITHIN) {
            self.say_last_words(&boot);
            tally.fail(format!("{} {cause}", self.kernel.release));
            return Ok(false);
        }
        if let Some(complaint) = boot.complaint() {
            self.say_last_words(&boot);
            tally.fail(format!("{} complained: {complaint}", self.kernel.release));
        }
        Ok(true)
    }
}

/// The table of what verifying costs on each kernel.
pub(crate) fn print_costs(tried: &[Tried]) {
    let rows: Vec<_> = tried.iter().flat_map(|t| t.costs.iter().map(move |cost| (&t.kernel, cost))).collect();
    if rows.is_empty() {
        return;
    }
    println!("\n{:<8} what verifying each program costs (the kernel's limit: 1,000,000 instructions)", "kernel");
    for (kernel, cost) in rows {
        println!("{kernel:<8} {cost}");
    }
}
