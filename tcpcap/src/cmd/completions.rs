//! `tcpcap completions`: what a shell needs to complete verbs and options.

use clap::{Args, Command, ValueEnum};
use clap_complete::{
    Generator,
    shells::{Bash, Fish, Zsh},
};

use super::print;
use crate::failure::Failure;

/// What was typed after `tcpcap completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: Shell,
}

/// A shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU Bash
    Bash,
    /// The Z shell
    Zsh,
    /// The friendly interactive shell
    Fish,
}

/// Prints it.
///
/// # Errors
/// It cannot be written.
pub fn run(args: &CompletionsArgs, tcpcap: Command) -> Result<(), Failure> {
    let script = match args.shell {
        Shell::Bash => script(&Bash, tcpcap),
        Shell::Zsh => script(&Zsh, tcpcap),
        Shell::Fish => script(&Fish, tcpcap),
    };
    print::text(&String::from_utf8_lossy(&script?))
}

fn script(shell: &impl Generator, mut tcpcap: Command) -> Result<Vec<u8>, Failure> {
    tcpcap.set_bin_name("tcpcap");
    tcpcap.build();
    let mut script = Vec::new();
    shell
        .try_generate(&tcpcap, &mut script)
        .map_err(|e| Failure::failed(format!("cannot make the completions: {e}"), "report this"))?;
    Ok(script)
}
