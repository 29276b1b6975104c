//! `cargo xtask setup`: everything that building and testing need, installed once; a second run finds nothing to do.

use std::{process::Command, time::Instant};

use anyhow::{Context, bail};

use crate::{
    machine::{Machine, Root},
    needs::{ALL, Part},
    plan::{Action, Obstacle, Plan, plan},
    step::{self, line, seconds},
    workspace,
};

/// Install what building and testing need
#[derive(clap::Args)]
pub(crate) struct Setup {
    /// Only say what is missing
    #[arg(long)]
    check: bool,
    /// Only what this takes; may be repeated
    #[arg(long, value_enum, value_name = "WHAT")]
    part: Vec<Part>,
}

impl Setup {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        let machine = Machine::probe();
        let parts = if self.part.is_empty() { &ALL[..] } else { &self.part };
        let plan = plan(&machine, parts);
        show(&plan);
        if plan.actions.is_empty() && plan.obstacle.is_none() {
            eprintln!("nothing is missing ({})", seconds(start.elapsed()));
            return Ok(());
        }
        if self.check {
            refuse(&plan, machine.root)?;
            eprintln!("to be done:");
            print_commands(&plan, machine.root);
            bail!("something is missing\n  run: cargo xtask setup");
        }
        execute(&plan, machine.root)?;
        verify(parts)?;
        eprintln!("ready ({})", seconds(start.elapsed()));
        Ok(())
    }
}

/// Sees to it that these parts are there, and says nothing but one line if they are.
///
/// # Errors
/// When something is missing and cannot be installed.
pub(crate) fn ensure(parts: &[Part]) -> anyhow::Result<()> {
    let start = Instant::now();
    let machine = Machine::probe();
    let plan = plan(&machine, parts);
    if plan.actions.is_empty() && plan.obstacle.is_none() {
        line("setup", &format!("ok ({})", seconds(start.elapsed())));
        return Ok(());
    }
    show(&plan);
    execute(&plan, machine.root)?;
    verify(parts)
}

fn show(plan: &Plan) {
    for need in &plan.needs {
        match (&need.found, need.met) {
            (_, false) => line(need.name, &format!("missing: {}", need.why)),
            (Some(found), true) => line(need.name, &format!("ok ({found})")),
            (None, true) => line(need.name, "ok"),
        }
    }
}

fn execute(plan: &Plan, root: Root) -> anyhow::Result<()> {
    refuse(plan, root)?;
    if root == Root::Sudo && plan.actions.iter().any(Action::needs_root) {
        eprintln!("these run as root, through sudo, which may ask for your password:");
        plan.actions.iter().filter(|a| a.needs_root()).for_each(|a| eprintln!("  {}", shell(a, root)));
        // Asked for here, before a spinner draws over the prompt.
        let status = Command::new("sudo").arg("-v").status().context("cannot run sudo")?;
        if !status.success() {
            bail!("sudo refuses\n  run the commands above as root, then cargo xtask setup again");
        }
    }
    let cargo = workspace::cargo();
    for action in &plan.actions {
        let (vars, words) = action.command(&cargo);
        let mut command = if action.needs_root() && root == Root::Sudo {
            let mut sudo = Command::new("sudo");
            // sudo does not pass the environment on.
            sudo.arg("env").args(vars.iter().map(|(name, value)| format!("{name}={value}")));
            sudo.args(&words);
            sudo
        } else {
            let mut plain = Command::new(&words[0]);
            plain.args(&words[1..]).envs(vars);
            plain
        };
        // bpf-linker is built like any program, wherever this workspace is built to.
        command.env_remove("CARGO_TARGET_DIR");
        step::run(&action.label(), action.done(), action.remedy(), &mut command)?;
    }
    Ok(())
}

/// Says why nothing can be done, if so, and what the user can do instead.
fn refuse(plan: &Plan, root: Root) -> anyhow::Result<()> {
    match &plan.obstacle {
        None => Ok(()),
        Some(Obstacle::NoRoot) => {
            eprintln!("to be done, # as root and $ as yourself:");
            print_commands(plan, root);
            bail!(
                "installing needs root, and there is no sudo to ask\n  run the commands above, then cargo xtask setup again"
            )
        }
        Some(Obstacle::UnknownDistribution(missing)) => {
            eprintln!("missing, by whatever name this distribution has them:");
            missing.iter().for_each(|m| eprintln!("  {m}"));
            bail!("this is no Debian (there is no apt-get)\n  install the above, then run cargo xtask setup again")
        }
        Some(Obstacle::BadOverride(why)) => bail!(
            "{} names a compiler that cannot build for BPF: {why}\n  unset it, then run cargo xtask setup again",
            bpf_toolchain::OVERRIDE
        ),
    }
}

fn print_commands(plan: &Plan, root: Root) {
    plan.actions.iter().for_each(|action| eprintln!("  {}", shell(action, root)));
}

/// The command as one would type it.
fn shell(action: &Action, root: Root) -> String {
    let (vars, words) = action.command("cargo");
    let vars: Vec<String> = vars.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let who = match (action.needs_root(), root) {
        (true, Root::Sudo) if vars.is_empty() => Some("sudo"),
        (true, Root::Sudo) => Some("sudo env"),
        (true, Root::Unavailable) => Some("#"),
        (false, Root::Unavailable) => Some("$"),
        _ => None,
    };
    let who = who.map(str::to_owned);
    who.into_iter().chain(vars).chain(words).collect::<Vec<_>>().join(" ")
}

/// A package that installs and does not bring what it was installed for must not go unnoticed.
fn verify(parts: &[Part]) -> anyhow::Result<()> {
    let after = plan(&Machine::probe(), parts);
    let missing: Vec<&str> = after.needs.iter().filter(|n| !n.met).map(|n| n.name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("still missing after all was installed: {}\n  install by hand what provides it", missing.join(", "))
}
