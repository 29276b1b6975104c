//! The command line.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tcpcap::{
    cmd::{
        self, check::CheckArgs, completions::CompletionsArgs, config::ConfigVerbArgs, detach::DetachArgs,
        doctor::DoctorArgs, events::EventsArgs, examples, explain::ExplainArgs, history::HistoryArgs, man::ManArgs,
        sources::SourcesArgs,
    },
    failure::EXIT_FAILED,
    settings::{BlockArgs, ModeArgs, ReplayArgs, RunArgs, ShowArgs, SocketArgs, TargetArgs},
};

/// Sees who tries to connect, knows who is scanning, and drops scanners at the network card
#[derive(Parser)]
#[command(name = "tcpcap", version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// In this order: running it, looking, acting, and what needs no daemon.
#[derive(Subcommand)]
enum Verb {
    /// Watch, detect and block, in the foreground, until SIGINT or SIGTERM
    #[command(after_help = examples::RUN)]
    Run(RunArgs),
    /// Say whether tcpcap would start with its configuration, and everything that is wrong with it
    Check(CheckArgs),
    /// Show what can be configured, or what is and who said so
    Config(ConfigVerbArgs),
    /// Show what this kernel, card, capability set and container allow, with the remedy for what is amiss
    Doctor(DoctorArgs),
    /// Show how the running tcpcap is doing
    #[command(after_help = examples::STATUS)]
    Status(ShowArgs),
    /// Watch who is knocking, live, and act on it
    Top(SocketArgs),
    /// Show the blocks that are on, newest first
    List(ShowArgs),
    /// Show who is knocking, those with the most attempts first
    #[command(after_help = examples::SOURCES)]
    Sources(SourcesArgs),
    /// Show what happens, as it happens
    #[command(after_help = examples::EVENTS)]
    Events(EventsArgs),
    /// Show what was found, decided and done, the latest last
    #[command(after_help = examples::HISTORY)]
    History(HistoryArgs),
    /// Tell the story of an address: whether it is blocked and why, what it did, what comes next
    #[command(after_help = examples::EXPLAIN)]
    Explain(ExplainArgs),
    /// Block an address or network
    #[command(after_help = examples::BLOCK)]
    Block(BlockArgs),
    /// Let go of a blocked address or network
    #[command(after_help = examples::UNBLOCK)]
    Unblock(TargetArgs),
    /// Never block an address or network
    #[command(after_help = examples::ALLOW)]
    Allow(TargetArgs),
    /// Take back an `allow`
    Disallow(TargetArgs),
    /// Switch between dropping and observing, or what is dropped
    #[command(after_help = examples::MODE)]
    Mode(ModeArgs),
    /// Read configuration and feeds anew
    Reload(SocketArgs),
    /// Take out of the kernel what a daemon left there: programs, blocks, everything
    Detach(DetachArgs),
    /// Play capture files to the same detector, with no privileges and no kernel
    #[command(after_help = examples::REPLAY)]
    Replay(ReplayArgs),
    /// Print what a shell needs to complete verbs and options
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print the manual page
    #[command(after_help = examples::MAN)]
    Man(ManArgs),
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
        Verb::Top(args) => cmd::top::run(&args),
        Verb::List(args) => cmd::list::run(&args),
        Verb::Sources(args) => cmd::sources::run(&args),
        Verb::Events(args) => cmd::events::run(&args),
        Verb::History(args) => cmd::history::run(&args),
        Verb::Explain(args) => cmd::explain::run(&args),
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
        Verb::Completions(args) => cmd::completions::run(&args, Cli::command()),
        Verb::Man(args) => cmd::man::run(&args, Cli::command()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.exit_code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_makes_sense() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_example_is_a_command_line() {
        let lines = examples::ALL.iter().flat_map(|text| text.lines()).filter(|line| line.starts_with("  "));
        let mut parsed = 0;
        for line in lines {
            // What explains it stands behind several spaces, what it is piped to or from is another program's.
            let command = line.trim().split("   ").next().unwrap();
            let command = command.split(['|', '>']).find(|part| part.trim().starts_with("tcpcap ")).unwrap();
            let words = command.split('"').enumerate().flat_map(|(n, part)| match n % 2 {
                0 => part.split_whitespace().collect::<Vec<_>>(),
                _ => vec![part],
            });
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
            parsed += 1;
        }
        assert!(parsed > 20, "{parsed}");
    }
}
