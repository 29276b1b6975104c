//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tcpcap::{
    cmd::{self, check::CheckArgs, config::ConfigVerbArgs, detach::DetachArgs, doctor::DoctorArgs},
    failure::EXIT_FAILED,
    settings::{BlockArgs, ModeArgs, ReplayArgs, RunArgs, ShowArgs, SocketArgs, TargetArgs},
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
    /// Show what this kernel, card, capability set and container allow, with the remedy for what is amiss
    Doctor(DoctorArgs),
    /// Show how the running tcpcap is doing
    Status(ShowArgs),
    /// Show the blocks that are on, newest first
    List(ShowArgs),
    /// Block an address or network
    Block(BlockArgs),
    /// Let go of a blocked address or network
    Unblock(TargetArgs),
    /// Never block an address or network
    Allow(TargetArgs),
    /// Take back an `allow`
    Disallow(TargetArgs),
    /// Switch between dropping and observing, or what is dropped
    Mode(ModeArgs),
    /// Read configuration and feeds anew
    Reload(SocketArgs),
    /// Say whether tcpcap would start with its configuration, and everything that is wrong with it
    Check(CheckArgs),
    /// Show what can be configured, or what is and who said so
    Config(ConfigVerbArgs),
    /// Take out of the kernel what a daemon left there: programs, blocks, everything
    Detach(DetachArgs),
    /// Play capture files to the same detector, with no privileges and no kernel
    Replay(ReplayArgs),
}

fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Run(args) => cmd::run::run(args),
        Verb::Doctor(args) => match cmd::doctor::run(&args) {
            Ok(true) => Ok(()),
            // It has said what.
            Ok(false) => return ExitCode::from(EXIT_FAILED),
            Err(failure) => Err(failure),
        },
        Verb::Status(args) => cmd::status::run(&args),
        Verb::List(args) => cmd::list::run(&args),
        Verb::Block(args) => cmd::block::run(args),
        Verb::Unblock(args) => cmd::unblock::run(&args),
        Verb::Allow(args) => cmd::allow::run(&args),
        Verb::Disallow(args) => cmd::disallow::run(&args),
        Verb::Mode(args) => cmd::mode::run(&args),
        Verb::Reload(args) => cmd::reload::run(&args),
        Verb::Check(args) => cmd::check::run(&args),
        Verb::Config(args) => cmd::config::run(&args),
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
