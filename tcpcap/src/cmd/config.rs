//! `tcpcap config`: what can be set, and what is.

use clap::Args;

use super::print;
use crate::{
    failure::Failure,
    settings::{self, Problem, RunArgs, ShowFormat},
};

/// What was typed after `tcpcap config`.
#[derive(Args, Debug)]
pub struct ConfigVerbArgs {
    /// Print a configuration file with every key, its rule, its default, and why
    #[arg(long, conflicts_with_all = ["reference", "output"])]
    pub defaults: bool,

    /// Print every key's value and who won: flag, environment, file or default; done unless told otherwise
    #[arg(long, conflicts_with_all = ["defaults", "reference"])]
    pub effective: bool,

    /// Print docs/config.md.
    #[arg(long, hide = true)]
    pub reference: bool,

    /// How it looks
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: ShowFormat,

    /// As `tcpcap run` would be told.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Prints it.
///
/// # Errors
/// What holds cannot be told, for something is wrong with it.
pub fn run(args: &ConfigVerbArgs) -> Result<(), Failure> {
    if args.defaults {
        return print::text(&settings::defaults());
    }
    if args.reference {
        return print::text(&settings::reference());
    }
    let loaded = args.run.load().map_err(|problems| Problem::failure(&problems))?;
    match args.output {
        ShowFormat::Text => print::text(&loaded.effective_text()),
        ShowFormat::Json => print::json(&loaded.effective()),
    }
}
