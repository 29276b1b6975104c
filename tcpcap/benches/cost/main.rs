//! What a packet costs in the kernel program: `cargo xtask bench`. Needs root; attaches nothing to any interface.
//!
//! Each line of the table is one packet, or one kind of packet, that `BPF_PROG_TEST_RUN` sends through the program as the
//! kernel loaded it, with lists of some length. One file a group of lines:
//!
//! - [`floor`]: programs that do nothing, which everything else is held against
//! - [`blocks`]: blocked sources
//! - [`networks`]: blocked networks
//! - [`allowed`]: the never-block set
//! - [`settings`]: what the daemon switches on and off
//! - [`memory`]: what the lists take, no time

mod allowed;
mod bed;
mod blocks;
mod bpf;
mod floor;
mod line;
mod memory;
mod networks;
mod packets;
mod settings;
mod sweep;
mod table;

use std::{
    fmt::Display,
    fs,
    io::{Write as _, stdout},
    process::ExitCode,
};

use clap::{Parser, ValueEnum as _};
use line::{Line, Scale};
use tcpcap::{failure::Failure, host};

/// What a packet costs in the kernel program
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Args {
    /// Fewer packets and rounds
    #[arg(long)]
    quick: bool,
    /// Only these groups of lines, floor aside; may be repeated
    #[arg(long, value_enum, value_name = "GROUP")]
    only: Vec<Group>,
    /// How it is told: text, or one JSON object a line
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    output: Format,
    /// What cargo tells every bench
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Group {
    Blocks,
    Networks,
    Allowed,
    Settings,
    Memory,
}

impl Group {
    /// Its lines, with all that they need loaded.
    fn lines(self) -> Result<Vec<Line>, Failure> {
        match self {
            Self::Blocks => blocks::lines(),
            Self::Networks => networks::lines(),
            Self::Allowed => allowed::lines(),
            Self::Settings => settings::lines(),
            // It has figures of its own.
            Self::Memory => Ok(Vec::new()),
        }
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.exit_code)
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    // SAFETY: has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        return Err(Failure::failed("only root may load programs into the kernel", "run: cargo xtask bench"));
    }
    if let Err(e) = host::hurry() {
        eprintln!("other processes may disturb the figures: {e}");
    }
    bpf::stay_on_this_cpu().map_err(failed("cannot stay on one CPU"))?;
    let scale = if args.quick { Scale::QUICK } else { Scale::FULL };

    eprintln!("filling lists");
    let wanted = |group: &Group| args.only.is_empty() || args.only.contains(group);
    let memory = if wanted(&Group::Memory) { memory::all()? } else { Vec::new() };
    let mut lines: Vec<Line> = floor::lines()?;
    for group in Group::value_variants().iter().filter(|group| wanted(group)) {
        lines.extend(group.lines()?);
    }
    // Round by round, not line by line: what disturbs the machine for a while disturbs a round of each.
    for round in 1..=scale.rounds {
        eprintln!("round {round} of {}", scale.rounds);
        lines.iter_mut().try_for_each(|line| line.measure(&scale))?;
    }

    let report = table::Report::new(table::Machine::probe(), scale, &lines, &memory)?;
    let text = match args.output {
        Format::Text => report.to_string(),
        Format::Json => report.json().map_err(failed("cannot write JSON"))?,
    };
    stdout().write_all(text.as_bytes()).map_err(failed("cannot write the table"))
}

/// Whatever goes wrong here is told and ends it.
fn failed<E: Display>(what: &str) -> impl Fn(E) -> Failure {
    move |e| Failure::failed(format!("{what}: {e}"), "figures of a run that failed mean nothing; see the cause")
}

fn read(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default()
}
