//! `tcpcap doctor`: what this kernel, card, capability set and container allow.

use clap::Args;

use super::{print, screen::Screen};
use crate::{
    doctor::{Host, Level, examine},
    failure::Failure,
    settings::{Loaded, Problem, RunArgs, ShowFormat},
};

/// What was typed after `tcpcap doctor`: what `tcpcap run` would be told, so that the same is looked at.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// What the daemon would be told.
    #[command(flatten)]
    pub run: RunArgs,

    /// How to print it
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub output: ShowFormat,
}

/// Runs all checks and prints what they say. `false`: one of them failed.
///
/// # Errors
/// Nothing can be printed.
pub fn run(args: &DoctorArgs) -> Result<bool, Failure> {
    let (loaded, wrong) = match args.run.load() {
        Ok(loaded) => (loaded, None),
        // What is right of it still says where to look.
        Err(wrong) => (args.run.lenient(), Some(Problem::failure(&wrong))),
    };
    let Loaded { settings, files, .. } = loaded;
    let report = examine(&Host::new(settings, files.into_iter().next(), wrong));
    match args.output {
        ShowFormat::Text => print::text(&report.text(Screen::here().colour))?,
        ShowFormat::Json => {
            let value =
                report.json().map_err(|e| Failure::failed(format!("cannot be written as JSON: {e}"), "report this"))?;
            print::json(&value)?;
        }
    }
    Ok(report.count(Level::Fail) == 0)
}
