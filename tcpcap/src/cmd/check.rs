//! `tcpcap check`: whether tcpcap would start with its configuration.

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::print;
use crate::{
    failure::Failure,
    settings::{ConfigArgs, DEFAULT_PATH, Problem, Report, ShowFormat},
};

/// What was typed after `tcpcap check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// What is checked.
    #[command(flatten)]
    pub config: ConfigArgs,

    /// How it looks
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: ShowFormat,
}

/// Says `ok` and what was read, or names everything that is wrong.
///
/// # Errors
/// Everything that is wrong.
pub fn run(args: &CheckArgs) -> Result<(), Failure> {
    let report = args.config.check();
    if args.output == ShowFormat::Json {
        print::json(&json(&report))?;
    } else {
        report.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    }
    if !report.ok {
        return Err(Problem::failure(&report.errors));
    }
    match args.output {
        ShowFormat::Json => Ok(()),
        ShowFormat::Text => print::text(&text(&report)),
    }
}

/// An error or warning, and the line that people read.
#[derive(Serialize)]
struct Told<'a> {
    message: String,
    #[serde(flatten)]
    problem: &'a Problem,
}

fn json(report: &Report) -> Value {
    let told = |problems: &[Problem]| {
        let told: Vec<_> =
            problems.iter().map(|problem| json!(Told { message: problem.to_string(), problem })).collect();
        told
    };
    json!({
        "ok": report.ok,
        "files": report.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>(),
        "keys_set": report.keys_set,
        "errors": told(&report.errors),
        "warnings": told(&report.warnings),
    })
}

fn text(report: &Report) -> String {
    let keys = match report.keys_set {
        1 => "1 key is set".to_owned(),
        number => format!("{number} keys are set"),
    };
    if report.files.is_empty() {
        return format!("ok: {keys}; there is no configuration file (looked for {DEFAULT_PATH})\n");
    }
    let files = if report.files.len() == 1 { "file" } else { "files" };
    let mut text = format!("ok: {keys}; {files} read:\n");
    report.files.iter().for_each(|file| text += &format!("  {}\n", file.display()));
    text
}
