//! `cargo xtask <verb>`: the workspace's own tools, one file a verb.

mod bench;
mod eval;
mod fuzz;
mod kernels;
mod lint;
mod machine;
mod needs;
mod package;
mod plan;
mod run;
mod sandbox;
mod setup;
mod step;
mod sudo;
mod suites;
mod tally;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::Parser;
use tcpcap_lab::interrupt::Interrupted;

/// As shells report a process that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The workspace's own tools")]
enum Verb {
    Setup(setup::Setup),
    Run(run::Run),
    Test(test::Test),
    Fuzz(fuzz::Fuzz),
    Lint(lint::Lint),
    Eval(eval::Eval),
    Bench(bench::Bench),
    Package(package::Package),
}

fn main() -> ExitCode {
    let done = match Verb::parse() {
        Verb::Setup(verb) => verb.run(),
        Verb::Run(verb) => verb.run(),
        Verb::Test(verb) => verb.run(),
        Verb::Fuzz(verb) => verb.run(),
        Verb::Lint(verb) => verb.run(),
        Verb::Eval(verb) => verb.run(),
        Verb::Bench(verb) => verb.run(),
        Verb::Package(verb) => verb.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.downcast_ref::<Interrupted>().is_some() => {
            eprintln!("interrupted; the sandbox has been cleared away");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
