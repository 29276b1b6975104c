//! `cargo xtask test`: every tier of tests that exists, and what came of it.

use std::{
    io::{BufRead, BufReader, IsTerminal, Write, stdout},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, bail};

use crate::{
    eval, fuzz,
    kernels::{self, Built, OWN, PROGRAMS, SERIES, Tried},
    machine::{self, Root},
    needs::{ALL, Part},
    package, run, setup,
    step::seconds,
    sudo,
    suites::{SUITES, Suite, Targets, When},
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
    /// What compiles tcpcap once more: the image from a clone, and for aarch64; with --long after that, else alone
    #[arg(long)]
    builds: bool,
    /// The kernel program and a short life of the daemon on other kernels, emulated, and on this one; with --tier or
    /// --long after those, else alone
    #[arg(long)]
    kernels: bool,
    /// The same on this series of Debian's kernels (such as 6.1) or on this machine's own (own); may be repeated
    #[arg(long, value_name = "SERIES")]
    kernel: Vec<String>,
    /// For the test programs: part of a test's name, or their options
    #[arg(last = true)]
    args: Vec<String>,
}

/// A line of the report: what was run, its tiers, and what it did.
struct Outcome {
    name: String,
    tiers: String,
    tally: Tally,
}

impl Outcome {
    fn of(suite: &Suite, tally: Tally) -> Self {
        let tiers = suite.tiers.iter().map(u8::to_string).collect::<Vec<_>>().join(" ");
        Self { name: suite.name.to_owned(), tiers, tally }
    }
}

impl Test {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        let kernels = self.kernels();
        let others = (kernels.is_empty() && !self.builds) || self.long || !self.tier.is_empty();
        let asked = [(others, When::Always), (self.long, When::Long), (self.builds, When::Builds)];
        let when: Vec<When> = asked.into_iter().filter(|(asked, _)| *asked).map(|(_, when)| when).collect();
        let suites: Vec<&'static Suite> = SUITES.iter().filter(|s| s.is_wanted(&self.tier, &when)).collect();
        if suites.is_empty() && kernels.is_empty() {
            bail!("no suite belongs to tier {:?}\n  tiers with suites: 1, 2, 3, 4, 6", self.tier);
        }
        let for_kernels: &[Part] = match kernels.as_slice() {
            [] => &[],
            [own] if own == OWN => &kernels::PARTS[..3],
            _ => &kernels::PARTS,
        };
        let is_needed = |p: &Part| suites.iter().any(|s| s.parts().contains(p)) || for_kernels.contains(p);
        setup::ensure(&ALL.into_iter().filter(is_needed).collect::<Vec<_>>())?;

        let mut outcomes: Vec<Outcome> = Vec::new();
        for suite in suites {
            outcomes.push(Outcome::of(suite, self.suite(suite)?));
        }
        if !kernels.is_empty() {
            outcomes.extend(self.on_kernels(&kernels)?);
        }
        let mut total = Tally::default();
        outcomes.iter().for_each(|outcome| total.add(&outcome.tally));
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
        let Some(messages) = built else {
            tally.fail("does not compile");
            return Ok(());
        };
        let programs = workspace::executables(&messages, |m| m["profile"]["test"] == true);
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
                    Some(mut command) => stream(command.args(self.harness_args(suite)), tally, Tally::read)?,
                    None => tally.fail("needs root, and there is no sudo to ask"),
                }
            }
        } else {
            let mut cargo = workspace::cargo_command(&args);
            cargo.envs(dist.map(|place| ("TCPCAP_DIST", place)));
            stream(cargo.arg("--").args(self.harness_args(suite)), tally, Tally::read)?;
        }
        tally.running = start.elapsed();
        Ok(())
    }

    /// The kernels to be tried, by series.
    fn kernels(&self) -> Vec<String> {
        match (self.kernel.is_empty(), self.kernels || self.tier.contains(&kernels::TIER)) {
            (false, _) => self.kernel.clone(),
            (true, true) => SERIES.iter().chain([&OWN]).map(|series| (*series).to_owned()).collect(),
            (true, false) => Vec::new(),
        }
    }

    /// Builds what is tried on other kernels, and tries it on each.
    fn on_kernels(&self, kernels: &[String]) -> anyhow::Result<Vec<Outcome>> {
        let start = Instant::now();
        let Some(built) = Built::new(build(&kernels::cargo_args())?)? else {
            let mut tally = Tally::default();
            tally.fail("what is tried on other kernels does not compile");
            return Ok(vec![Outcome { name: "kernels".to_owned(), tiers: kernels::TIER.to_string(), tally }]);
        };
        let building = start.elapsed();
        let others: Vec<&str> = kernels.iter().map(String::as_str).filter(|series| *series != OWN).collect();
        let mut tried = kernels::on(&others, &built, &self.args);
        if kernels.iter().any(|series| series == OWN) {
            tried.extend(self.on_this_kernel(&built)?);
        }
        if let Some(first) = tried.first_mut() {
            first.tally.building = building;
        }
        kernels::print_costs(&tried);
        let outcomes = tried.into_iter().map(|tried| {
            let name = tried.name();
            let mut tally = tried.tally;
            // A name may well match in one program only.
            if tally.ran() == 0 && self.args.is_empty() {
                tally.fail("ran no tests");
            }
            tally.failures.iter_mut().for_each(|failure| *failure = format!("{name}: {failure}"));
            Outcome { name, tiers: kernels::TIER.to_string(), tally }
        });
        Ok(outcomes.collect())
    }

    fn on_this_kernel(&self, built: &Built) -> anyhow::Result<Vec<Tried>> {
        println!("\n== on this machine's own kernel: the kernel program, and a short life of the daemon");
        let mut all = Vec::new();
        for (name, path) in PROGRAMS.into_iter().zip(&built.programs) {
            let mut tried = Tried::new(name, OWN);
            let start = Instant::now();
            match as_root(path, kernels::PACKAGE, None, None) {
                // It is not booted for this.
                Some(mut command) => {
                    command.args(["--test-threads=1", "--skip", kernels::REBOOT]).args(&self.args);
                    stream(&mut command, &mut tried, Tried::read)?;
                }
                None => tried.tally.fail("needs root, and there is no sudo to ask"),
            }
            tried.tally.running = start.elapsed();
            all.push(tried);
        }
        Ok(all)
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
        if suite.when == When::Builds {
            args.push("--ignored".to_owned());
        }
        args.extend(self.args.iter().cloned());
        args
    }
}

/// Compiles the test programs, and returns cargo's messages; `None` when they do not compile, which cargo has then said.
fn build(args: &[&str]) -> anyhow::Result<Option<Vec<u8>>> {
    let mut cargo = workspace::cargo_command(args);
    cargo.args(["--no-run", "--message-format=json-render-diagnostics"]).stderr(Stdio::inherit());
    let out = cargo.output().context("cannot run cargo")?;
    Ok(out.status.success().then_some(out.stdout))
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

/// Runs a command whose standard output is shown as it comes, and each line of which is read.
fn stream<T>(command: &mut Command, into: &mut T, read: impl Fn(&mut T, &str)) -> anyhow::Result<()>
where
    T: AsMut<Tally>,
{
    let failed_before = into.as_mut().failed;
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
                read(into, &String::from_utf8_lossy(&line));
                line.clear();
            }
        }
        let taken = chunk.len();
        from.consume(taken);
    }
    let status = child.wait()?;
    // A program that was killed has no line to say so.
    if !status.success() && into.as_mut().failed == failed_before {
        into.as_mut().fail(format!("ended with {status}"));
    }
    Ok(())
}

fn report(outcomes: &[Outcome], total: &Tally) {
    let width = outcomes.iter().map(|outcome| outcome.name.len()).max().unwrap_or(0).max(12);
    println!(
        "\n{:<width$} {:<6} {:>6} {:>6} {:>7} {:>12} {:>12}",
        "suite", "tiers", "passed", "failed", "skipped", "building", "running"
    );
    let row = |name: &str, tiers: &str, t: &Tally| {
        let (building, running) = (seconds(t.building), seconds(t.running));
        println!(
            "{name:<width$} {tiers:<6} {:>6} {:>6} {:>7} {building:>12} {running:>12}",
            t.passed, t.failed, t.skipped
        );
    };
    for outcome in outcomes {
        row(&outcome.name, &outcome.tiers, &outcome.tally);
    }
    row("total", "", total);
    if !total.failures.is_empty() {
        println!("\nfailed:");
        total.failures.iter().for_each(|failure| println!("  {failure}"));
    }
}
