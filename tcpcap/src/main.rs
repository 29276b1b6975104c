//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tcpcap::{
    cmd::{self, detach::DetachArgs},
    settings::{ReplayArgs, RunArgs},
};

/// Sees who tries to connect, knows who is scanning, and drops scanners at the network card
#[derive(Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Watch, detect and block, in the foreground, until SIGINT or SIGTERM
    Run(RunArgs),
    /// Take out of the kernel what a daemon left there: programs, blocks, everything
    Detach(DetachArgs),
    /// Play capture files to the same detector, with no privileges and no kernel
    Replay(ReplayArgs),
}

fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Run(args) => cmd::run::run(args),
        Verb::Detach(args) => cmd::detach::run(args),
        Verb::Replay(args) => cmd::replay::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.exit_code)
        }
    }
}
