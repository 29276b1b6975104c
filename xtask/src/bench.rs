//! `cargo xtask bench`: what a packet costs in the kernel program.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, bail};

use crate::{
    machine::{self, Root},
    needs::Part,
    setup, step, sudo,
    workspace::{self, cargo_command},
};

const BUILD: [&str; 6] = ["bench", "--package", "tcpcap", "--bench", "cost", "--no-run"];

/// Measure what a packet costs in the kernel program, beside lists of many lengths
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// Fewer packets and rounds
    #[arg(long)]
    quick: bool,
    /// Only this group of lines: blocks, networks, allowed, settings, memory; may be repeated
    #[arg(long, value_name = "GROUP")]
    only: Vec<String>,
    /// How it is told: text, or one JSON object a line
    #[arg(short, long, value_name = "FORMAT", value_parser = ["text", "json"], default_value = "text")]
    output: String,
}

impl Bench {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        setup::ensure(&[Part::Compile])?;
        let program = build()?;
        let root = machine::root();
        let Some(mut command) = sudo::as_root(root, &program, []) else {
            bail!(
                "only root may load programs into the kernel, and there is no sudo to ask\n  {}",
                self.by_hand(&program)
            );
        };
        if root == Root::Sudo {
            eprintln!("this runs as root, through sudo, which may ask for your password: it loads programs");
        }
        let status = command.args(self.args()).status();
        let status = status.with_context(|| format!("cannot run {}", command.get_program().display()))?;
        if !status.success() {
            bail!("the benchmark ended with {status}\n  its message stands above");
        }
        Ok(())
    }

    /// What the program is told.
    fn args(&self) -> Vec<String> {
        let mut args = vec!["--output".to_owned(), self.output.clone()];
        args.extend(self.quick.then(|| "--quick".to_owned()));
        args.extend(self.only.iter().flat_map(|group| ["--only".to_owned(), group.clone()]));
        args
    }

    fn by_hand(&self, program: &Path) -> String {
        format!("run as root: {} {}", program.display(), self.args().join(" "))
    }
}

/// Builds the program, and asks cargo where it is.
fn build() -> anyhow::Result<PathBuf> {
    step::run("benchmark", "built", "see the messages above", &mut cargo_command(&BUILD))?;
    let mut again = cargo_command(&BUILD);
    again.arg("--message-format=json-render-diagnostics").stderr(Stdio::null());
    let out = again.output().context("cannot run cargo")?;
    let found = workspace::executables(&out.stdout, |m| m["target"]["name"] == "cost");
    found.into_iter().next().context("cargo does not say where it has put the benchmark")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        bench: Bench,
    }

    #[test]
    fn the_program_is_told_what_we_were_told() {
        let line = "bench --quick -o json --only blocks --only memory";
        let typed = Line::try_parse_from(line.split(' ')).unwrap().bench;
        assert_eq!(typed.args().join(" "), "--output json --quick --only blocks --only memory");
        assert_eq!(Line::try_parse_from(["bench"]).unwrap().bench.args().join(" "), "--output text");
    }
}
