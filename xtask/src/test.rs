//! `cargo xtask test`: every tier of tests that exists, and what came of it.

use std::{
    io::{BufRead, BufReader, IsTerminal, Write, stdout},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, bail};

use crate::{
    eval, fuzz,
    machine::{self, Root},
    needs::ALL,
    package, run, setup,
    step::seconds,
    sudo,
    suites::{SUITES, Suite, Targets},
    tally::Tally,
    workspace,
};

/// Run the tests, cheapest first; those that need root through sudo
#[derive(clap::Args)]
pub(crate) struct Test {
    /// Only this tier (1 to 6); may be repeated
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=6))]
    tier: Vec<u8>,
    /// What takes minutes, too
    #[arg(long)]
    long: bool,
    /// For the test programs: part of a test's name, or their options
    #[arg(last = true)]
    args: Vec<String>,
}

/// A suite and what it did.
type Outcome = (&'static Suite, Tally);

impl Test {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        let suites: Vec<&'static Suite> = SUITES.iter().filter(|s| s.is_wanted(&self.tier, self.long)).collect();
        if suites.is_empty() {
            bail!("no suite belongs to tier {:?}\n  tiers with suites: 1, 2, 3, 4, 6", self.tier);
        }
        let parts: Vec<_> = ALL.into_iter().filter(|p| suites.iter().any(|s| s.parts().contains(p))).collect();
        setup::ensure(&parts)?;

        let mut outcomes: Vec<Outcome> = Vec::new();
        for suite in suites {
            outcomes.push((suite, self.suite(suite)?));
        }
        let mut total = Tally::default();
        outcomes.iter().for_each(|(_, tally)| total.add(tally));
        if total.ran() == 0 && total.failed == 0 {
            total.fail("no test ran at all");
        }
        report(&outcomes, &total);
        println!("\n{} in all", seconds(start.elapsed()));
        println!("{}", total.closing_line());
        if total.failed > 0 {
            bail!("{} failed\n  one again: cargo xtask test --tier N -- NAME", total.failed);
        }
        Ok(())
    }

    /// Builds and runs one suite. What goes wrong in it is counted, so that the next one still runs.
    fn suite(&self, suite: &Suite) -> anyhow::Result<Tally> {
        let profile = match suite.targets {
            Targets::Search => "fuzz",
            _ if suite.release => "release",
            _ => "dev",
        };
        let who = if suite.root { ", as root" } else { "" };
        println!("\n== {}: {} ({profile}{who})", suite.name, suite.about);
        let mut tally = Tally::default();
        match suite.targets {
            // There is one test a target, and no name to choose it by.
            Targets::Search if self.args.is_empty() => fuzz::suite(&mut tally)?,
            Targets::Search => {}
            _ => self.build_and_run(suite, &mut tally)?,
        }
        // A name may well match in one suite only.
        if tally.ran() == 0 && self.args.is_empty() {
            tally.fail("ran no tests");
        }
        tally.failures.iter_mut().for_each(|failure| *failure = format!("{}: {failure}", suite.name));
        println!("\n-- {}: {} in {}", suite.name, tally.closing_line(), seconds(tally.building + tally.running));
        Ok(tally)
    }

    fn build_and_run(&self, suite: &Suite, tally: &mut Tally) -> anyhow::Result<()> {
        if suite.targets == Targets::Captures {
            return self.captures(tally);
        }
        let args = suite.cargo_args();
        let start = Instant::now();
        let built = build(&args)?;
        tally.building = start.elapsed();
        let Some(programs) = built else {
            tally.fail("does not compile");
            return Ok(());
        };
        let shown = if suite.shows_tcpcap { Some(run::build()?) } else { None };
        let dist = match suite.ships {
            [] => None,
            wanted => match package::make(wanted) {
                Ok(place) => Some(place),
                Err(error) => {
                    tally.fail(format!("cannot be shipped: {error:#}"));
                    return Ok(());
                }
            },
        };
        tally.building = start.elapsed();
        let start = Instant::now();
        if suite.root {
            for program in &programs {
                match as_root(program, suite.packages[0], shown.as_deref(), dist.as_deref()) {
                    Some(mut command) => stream(command.args(self.harness_args(suite)), tally)?,
                    None => tally.fail("needs root, and there is no sudo to ask"),
                }
            }
        } else {
            let mut cargo = workspace::cargo_command(&args);
            cargo.envs(dist.map(|place| ("TCPCAP_DIST", place)));
            stream(cargo.arg("--").args(self.harness_args(suite)), tally)?;
        }
        tally.running = start.elapsed();
        Ok(())
    }

    fn captures(&self, tally: &mut Tally) -> anyhow::Result<()> {
        let start = Instant::now();
        let tcpcap = run::build()?;
        tally.building = start.elapsed();
        let start = Instant::now();
        let names: Vec<_> = self.args.iter().filter(|arg| !arg.starts_with('-')).map(String::as_str).collect();
        eval::suite::run(&tcpcap, &names, tally);
        tally.running = start.elapsed();
        Ok(())
    }

    fn harness_args(&self, suite: &Suite) -> Vec<String> {
        let mut args = Vec::new();
        if stdout().is_terminal() {
            args.push("--color=always".to_owned());
        }
        if suite.serial {
            args.push("--test-threads=1".to_owned());
        }
        args.extend(self.args.iter().cloned());
        args
    }
}

/// Compiles the test programs and names them; `None` when they do not compile, which cargo has then said.
fn build(args: &[&str]) -> anyhow::Result<Option<Vec<PathBuf>>> {
    let mut cargo = workspace::cargo_command(args);
    cargo.args(["--no-run", "--message-format=json-render-diagnostics"]).stderr(Stdio::inherit());
    let out = cargo.output().context("cannot run cargo")?;
    if !out.status.success() {
        return Ok(None);
    }
    Ok(Some(workspace::executables(&out.stdout, |m| m["profile"]["test"] == true)))
}

/// The test program as cargo would start it, but as root. `None` if that cannot be.
fn as_root(program: &Path, package: &str, shown: Option<&Path>, dist: Option<&Path>) -> Option<Command> {
    let dir = workspace::root().join(package);
    let root = machine::root();
    let vars = [("CARGO_MANIFEST_DIR", Some(dir.as_path())), ("TCPCAP_BUILT", shown), ("TCPCAP_DIST", dist)];
    let vars = vars.into_iter().filter_map(|(name, path)| Some((name.to_owned(), path?.display().to_string())));
    let mut command = sudo::as_root(root, program, vars)?;
    if root == Root::Sudo {
        println!("through sudo: {}", program.display());
    }
    command.current_dir(dir);
    Some(command)
}

/// Runs a command whose standard output is shown as it comes, and counted.
fn stream(command: &mut Command, tally: &mut Tally) -> anyhow::Result<()> {
    let failed_before = tally.failed;
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let mut line = Vec::new();
    let mut from = BufReader::new(child.stdout.take().context("the test program has no output")?);
    loop {
        // By chunks, not by lines: a test's name shows while the test runs.
        let chunk = from.fill_buf()?;
        if chunk.is_empty() {
            break;
        }
        let mut shown = stdout().lock();
        shown.write_all(chunk)?;
        shown.flush()?;
        for &byte in chunk {
            line.push(byte);
            if byte == b'\n' {
                tally.read(&String::from_utf8_lossy(&line));
                line.clear();
            }
        }
        let taken = chunk.len();
        from.consume(taken);
    }
    let status = child.wait()?;
    // A program that was killed has no line to say so.
    if !status.success() && tally.failed == failed_before {
        tally.fail(format!("ended with {status}"));
    }
    Ok(())
}

fn report(outcomes: &[Outcome], total: &Tally) {
    println!(
        "\n{:<12} {:<8} {:>7} {:>7} {:>8} {:>13} {:>13}",
        "suite", "tiers", "passed", "failed", "skipped", "building", "running"
    );
    let row = |name: &str, tiers: &str, t: &Tally| {
        let (building, running) = (seconds(t.building), seconds(t.running));
        println!("{name:<12} {tiers:<8} {:>7} {:>7} {:>8} {building:>13} {running:>13}", t.passed, t.failed, t.skipped);
    };
    for (suite, tally) in outcomes {
        let tiers = suite.tiers.iter().map(u8::to_string).collect::<Vec<_>>().join(" ");
        row(suite.name, &tiers, tally);
    }
    row("total", "", total);
    if !total.failures.is_empty() {
        println!("\nfailed:");
        total.failures.iter().for_each(|failure| println!("  {failure}"));
    }
}
