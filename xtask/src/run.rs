//! `cargo xtask run`: tcpcap at work, in a sandbox or on a card of this machine.

use std::{
    env,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};
use tcpcap_core::Preset;

use crate::{
    machine::{self, Root},
    needs::Part,
    sandbox, setup, step, sudo,
    workspace::{self, cargo_command},
};

const BUILD: [&str; 6] = ["build", "--release", "--package", "tcpcap", "--bin", "tcpcap"];

/// Show tcpcap at work: in a sandbox, or on an interface that is named
#[derive(clap::Args)]
pub(crate) struct Run {
    /// Watch this interface of the machine instead of the sandbox's; may be repeated
    #[arg(long, value_name = "IF")]
    iface: Vec<String>,
    /// How much is a scan: strict, balanced, relaxed
    #[arg(long, value_name = "PRESET")]
    preset: Option<Preset>,
    /// Without the table of what each scanner gets to see
    #[arg(long, conflicts_with = "iface")]
    quick: bool,
    /// The tcpcap that was built already: so we call ourselves through sudo
    #[arg(long, value_name = "FILE", hide = true, conflicts_with = "iface")]
    built: Option<PathBuf>,
    /// For tcpcap run itself, wherever it runs, such as --observe
    #[arg(last = true)]
    args: Vec<String>,
}

impl Run {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if let Some(tcpcap) = &self.built {
            return self.sandbox(tcpcap);
        }
        if self.iface.is_empty() {
            sandbox::check_args(&self.args)?;
            setup::ensure(&[Part::Compile, Part::Sandbox, Part::Bpffs])?;
        } else {
            setup::ensure(&[Part::Compile])?;
        }
        let tcpcap = build()?;
        let root = machine::root();
        match (self.iface.is_empty(), root) {
            (true, Root::Already) => self.sandbox(&tcpcap),
            (true, _) => {
                let us = env::current_exe().context("cannot find this program")?;
                let why = "the sandbox is made of network namespaces, which only root may make";
                become_root(root, &us, why, &self.for_ourselves(&tcpcap))
            }
            (false, _) => {
                become_root(root, &tcpcap, "only root may load a program into a network card", &self.for_tcpcap())
            }
        }
    }

    fn sandbox(&self, tcpcap: &Path) -> anyhow::Result<()> {
        let play = sandbox::Play { tcpcap, preset: self.preset, args: &self.args, quick: self.quick };
        play.run()
    }

    /// What we tell ourselves when we come back as root.
    fn for_ourselves(&self, tcpcap: &Path) -> Vec<String> {
        let mut args = vec!["run".to_owned(), "--built".to_owned(), tcpcap.display().to_string()];
        args.extend(self.preset.iter().flat_map(|preset| ["--preset".to_owned(), preset.to_string()]));
        args.extend(self.quick.then(|| "--quick".to_owned()));
        args.push("--".to_owned());
        args.extend(self.args.iter().cloned());
        args
    }

    /// What tcpcap is told on a card of this machine. Who tries it does not want it to stay in the kernel.
    fn for_tcpcap(&self) -> Vec<String> {
        let mut args = vec!["run".to_owned(), "--detach".to_owned()];
        args.extend(self.iface.iter().flat_map(|name| ["--iface".to_owned(), name.clone()]));
        args.extend(self.preset.iter().flat_map(|preset| ["--preset".to_owned(), preset.to_string()]));
        args.extend(self.args.iter().cloned());
        args
    }
}

/// Builds tcpcap, and asks cargo where it is.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    step::run("tcpcap", "built", "see the messages above", &mut cargo_command(&BUILD))?;
    let mut again = cargo_command(&BUILD);
    again.arg("--message-format=json-render-diagnostics").stderr(Stdio::null());
    let out = again.output().context("cannot run cargo")?;
    let found = workspace::executables(&out.stdout, |m| m["target"]["name"] == "tcpcap");
    found.into_iter().next().context("cargo does not say where it has put tcpcap\n  run: cargo build --release")
}

/// Goes on as this program, as root: on success this one is no more, so that signals and the exit code are its own.
fn become_root(root: Root, program: &Path, why: &str, args: &[String]) -> anyhow::Result<()> {
    let Some(mut command) = sudo::as_root(root, program, []) else {
        bail!("{why}, and there is no sudo to ask\n  run as root: {} {}", program.display(), args.join(" "));
    };
    command.args(args);
    if root == Root::Sudo {
        eprintln!("this runs as root, through sudo, which may ask for your password: {why}");
    }
    eprintln!("  {}", shown(&command));
    Err(command.exec()).with_context(|| format!("cannot run {}", command.get_program().display()))
}

fn shown(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        run: Run,
    }

    fn typed(line: &str) -> Run {
        Line::try_parse_from(line.split(' ')).unwrap().run
    }

    #[test]
    fn on_a_card_everything_is_handed_to_tcpcap_which_leaves_nothing() {
        let run = typed("run --iface eth0 --iface eth1 --preset strict -- --observe --block-for 1h");
        assert_eq!(
            run.for_tcpcap().join(" "),
            "run --detach --iface eth0 --iface eth1 --preset strict --observe --block-for 1h"
        );
    }

    #[test]
    fn as_root_we_are_told_what_we_were_told_before() {
        let again = typed("run --preset relaxed --quick -- --observe").for_ourselves(Path::new("/t/tcpcap"));
        let run = typed(&again.join(" "));
        assert_eq!(run.built, Some(PathBuf::from("/t/tcpcap")));
        assert_eq!((run.preset, run.quick, run.args), (Some(Preset::Relaxed), true, vec!["--observe".to_owned()]));
    }

    #[test]
    fn the_table_is_not_of_a_card_of_this_machine() {
        assert!(Line::try_parse_from(["run", "--iface", "eth0", "--quick"]).is_err());
    }
}
