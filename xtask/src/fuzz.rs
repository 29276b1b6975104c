//! `cargo xtask fuzz`: searches for inputs that break something, for a bounded time.
//!
//! The targets are those of the crate `tcpcap-fuzz`. The engine is libFuzzer, guided by the code that an input reaches;
//! an ordinary compiler builds it, since what it needs of the compiler are stable flags.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::{
    needs::Part,
    setup,
    step::{self, line, seconds},
    tally::Tally,
    workspace,
};

/// What can be fuzzed: the name, and how long an input may be.
const TARGETS: [(&str, u32); 3] = [("headers", 256), ("replay", 4096), ("engine", 1540)];

/// How long the tests search each target. Of bugs planted for a trial, a table one entry too short was found in 0.7 s,
/// an overflow in pcapng's time resolution in about 7 s, and one that took three conditions not reliably in 80 s.
const IN_TESTS: Duration = Duration::from_secs(10);
/// An input that takes longer is a finding, too.
const SLOW: Duration = Duration::from_secs(5);
/// How much memory a program may take, in MiB. The replay counts for itself what it holds.
const MEMORY: u32 = 512;

/// What it needs of the machine beside a C++ compiler, which libFuzzer is written for.
pub(crate) const PARTS: &[Part] = &[Part::Compile, Part::Fuzz];

/// What tells libFuzzer where an input led: counters at each edge, and what was compared with what.
const GUIDE: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Search for inputs that break something
#[derive(clap::Args)]
pub(crate) struct Fuzz {
    /// Only this target; all of them without
    #[arg(value_parser = TARGETS.map(|(name, _)| name))]
    target: Option<String>,
    /// How long to search each
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Try this one input instead
    #[arg(long, value_name = "FILE", requires = "target")]
    repeat: Option<PathBuf>,
}

impl Fuzz {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        setup::ensure(PARTS)?;
        let programs = build()?;
        let wanted = |name: &str| self.target.as_deref().is_none_or(|target| target == name);
        let mut broken = Vec::new();
        for (name, max_len) in TARGETS.into_iter().filter(|(name, _)| wanted(name)) {
            let search = Search { name, max_len, program: &programs.join(name) };
            if let Some(input) = &self.repeat {
                return search.repeat(input);
            }
            if !search.run(Duration::from_secs(self.seconds))? {
                broken.push(name);
            }
        }
        if broken.is_empty() { Ok(()) } else { bail!("inputs that break something: {}", broken.join(", ")) }
    }
}

/// Searches each target for a short while, as a suite of tests in which a target is a test.
///
/// # Errors
/// When a program cannot be run.
pub(crate) fn suite(tally: &mut Tally) -> anyhow::Result<()> {
    let start = Instant::now();
    let programs = match build() {
        Ok(programs) => programs,
        Err(e) => {
            eprintln!("{e:#}");
            tally.fail("does not compile");
            return Ok(());
        }
    };
    tally.building = start.elapsed();
    let start = Instant::now();
    for (name, max_len) in TARGETS {
        if (Search { name, max_len, program: &programs.join(name) }).run(IN_TESTS)? {
            tally.passed += 1;
        } else {
            tally.fail(name);
        }
    }
    tally.running = start.elapsed();
    Ok(())
}

/// Builds the targets; returns the directory they lie in.
fn build() -> anyhow::Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let mut cargo = workspace::cargo_command(&["build", "--package", "tcpcap-fuzz", "--bins", "--features", "guided"]);
    // Named, the target gets these flags and build scripts do not.
    cargo.args(["--profile", "fuzz", "--target", &target]).env("CARGO_ENCODED_RUSTFLAGS", GUIDE.join("\x1f"));
    step::run("fuzz targets", "built", "see the messages above", &mut cargo)?;
    let target_dir = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace::root().join("target"), PathBuf::from);
    Ok(target_dir.join(target).join("fuzz"))
}

/// A target, and the program that searches it.
struct Search<'a> {
    name: &'a str,
    max_len: u32,
    program: &'a Path,
}

impl Search<'_> {
    /// Searches; returns whether nothing was found.
    fn run(&self, time: Duration) -> anyhow::Result<bool> {
        let fuzz = workspace::root().join("fuzz");
        let corpus = fuzz.join("corpus").join(self.name);
        let failures = fuzz.join("failures").join(self.name);
        let seeds = corpus.join("seeds");
        let found = corpus.join("found");
        for dir in [&seeds, &found, &failures] {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        let before = files(&failures)?;
        let log = failures.with_extension("log");
        let to_log = || fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()));
        let said = to_log()?;
        let status = Command::new(self.program)
            .arg(format!("-max_total_time={}", time.as_secs()))
            .arg(format!("-max_len={}", self.max_len))
            .args([format!("-timeout={}", SLOW.as_secs()), format!("-rss_limit_mb={MEMORY}")])
            .args(["-use_value_profile=1", "-print_final_stats=1", "-reload=0"])
            // The trailing slash makes it a directory.
            .arg(format!("-artifact_prefix={}/", failures.display()))
            .args([&found, &seeds])
            .env("TCPCAP_FUZZ_SEEDS", &seeds)
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .status()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        if status.success() {
            line(self.name, &summary(&text, files(&found)?.len() + files(&seeds)?.len()));
            return Ok(true);
        }
        line(self.name, &format!("FAILED: {}", cause(&text).unwrap_or(&status.to_string())));
        println!("    all that it said: {}", log.display());
        for input in files(&failures)?.iter().filter(|input| !before.contains(input)) {
            println!("    an input: {}", input.display());
            println!("    again: cargo xtask fuzz {} --repeat {}", self.name, input.display());
        }
        Ok(false)
    }

    /// Tries one input, with all that it says shown.
    fn repeat(&self, input: &Path) -> anyhow::Result<()> {
        let status = Command::new(self.program).arg(input).env("RUST_BACKTRACE", "1").status()?;
        if status.success() {
            line(self.name, "holds");
            return Ok(());
        }
        bail!("{} breaks {}", input.display(), self.name)
    }
}

fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
}

/// What a search did, in a line.
fn summary(said: &str, corpus: usize) -> String {
    let stat = |name: &str| {
        let (_, rest) = said.rsplit_once(name)?;
        rest.split_whitespace().next()
    };
    let tried = stat("stat::number_of_executed_units:").unwrap_or("?");
    let reached = stat(" cov: ").unwrap_or("?");
    let took = said.rsplit_once(" runs in ").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    let took = took.map_or_else(|| "?".to_owned(), |s| seconds(Duration::from_secs(s)));
    format!("ok: {tried} inputs in {took}, {corpus} kept, {reached} edges reached")
}

/// What broke: the message of a panic, or else what libFuzzer says.
fn cause(said: &str) -> Option<&str> {
    let mut lines = said.lines();
    if lines.any(|line| line.starts_with("thread '") && line.contains("panicked at")) {
        return lines.next();
    }
    said.lines().find(|line| line.contains("ERROR: libFuzzer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_program_for_each_target_and_a_target_for_each_program() {
        let names = |mut names: Vec<String>| {
            names.sort();
            names
        };
        let programs = files(&workspace::root().join("fuzz/src/bin")).unwrap();
        let programs = programs.iter().map(|p| p.file_stem().unwrap().display().to_string()).collect();
        assert_eq!(names(programs), names(TARGETS.map(|(name, _)| name.to_owned()).to_vec()));
    }

    #[test]
    fn what_a_search_did_is_read_from_what_it_said() {
        let said = "#32\tINITED cov: 145 ft: 205 corp: 21/1922b exec/s: 0 rss: 27Mb\n\
                    #57\tDONE   cov: 212 ft: 300 corp: 40/9b exec/s: 5 rss: 28Mb\n\
                    Done 57 runs in 11 second(s)\nstat::number_of_executed_units: 57\n";
        assert_eq!(summary(said, 3), "ok: 57 inputs in 11 s, 3 kept, 212 edges reached");
        assert_eq!(summary("", 0), "ok: ? inputs in ?, 0 kept, ? edges reached");
    }

    #[test]
    fn what_broke_is_the_panics_message() {
        let said = "INFO: Seed: 1\n\nthread '<unnamed>' (7) panicked at src/wire.rs:1:2:\nindex out of bounds\nnote: run\n\
                    ==7== ERROR: libFuzzer: deadly signal\n";
        assert_eq!(cause(said), Some("index out of bounds"));
        assert_eq!(
            cause("==7== ERROR: libFuzzer: timeout after 5 seconds"),
            Some("==7== ERROR: libFuzzer: timeout after 5 seconds")
        );
    }
}
