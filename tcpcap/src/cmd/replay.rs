//! `tcpcap replay`: captures through the detector, with no privileges and no kernel.
//!
//! Every file is opened before anything is read, so that a wrong name is told at once. The files are one stream in the
//! order given. Findings go to standard output; what is to be said about the files goes to standard error.

use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
    str::FromStr,
};

use clap::Args;
use ipnet::IpNet;
use tcpcap_core::{Own, Preset, Verdict};

use crate::{
    capture::{Capture, Packet},
    failure::Failure,
    replay::{Basis, Format, Inference, Output, Player, Summary},
    settings::parse_network,
};

/// How many inferred addresses are named.
const NAMED: usize = 8;

/// What was typed.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// Capture: pcap or pcapng, gzip-compressed or not; several are one stream in this order
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Protected address or network; `!CIDR` excludes; repeatable [default: inferred from who answers]
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub own: Vec<OwnArg>,

    /// How much is a scan: strict (3 ports in 60 s), balanced, relaxed
    #[arg(long, value_name = "PRESET", default_value_t)]
    pub preset: Preset,

    /// How findings look
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Format,
}

/// A network that is own, or one that is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnArg {
    /// `192.0.2.0/24`
    Is(IpNet),
    /// `!192.0.2.0/24`
    IsNot(IpNet),
}

impl FromStr for OwnArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix('!') {
            Some(network) => parse_network(network).map(Self::IsNot),
            None => parse_network(text).map(Self::Is),
        }
    }
}

/// Why a replay ends early.
enum Abort {
    Failed(Failure),
    Unwritable(io::Error),
}

impl From<Failure> for Abort {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<io::Error> for Abort {
    fn from(e: io::Error) -> Self {
        Self::Unwritable(e)
    }
}

/// Replays the files.
///
/// # Errors
/// A file cannot be read, is no capture, or is damaged; then what could be read of it has been replayed.
pub fn run(args: &ReplayArgs) -> Result<(), Failure> {
    for file in &args.files {
        Capture::open(file)?;
    }
    let own = own(args)?;
    match replay(args, own) {
        Ok(0) => Ok(()),
        Ok(damaged) => Err(Failure::failed(
            format!("{damaged} of {} captures damaged: what stands before the damage was replayed", args.files.len()),
            "capture again, or take it as it is",
        )),
        Err(Abort::Failed(failure)) => Err(failure),
        // Who reads has seen enough, `head` for example.
        Err(Abort::Unwritable(e)) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(Abort::Unwritable(e)) => {
            Err(Failure::failed(format!("cannot write what was found: {e}"), "is there room where the output goes?"))
        }
    }
}

/// Plays every file; returns how many are damaged.
fn replay(args: &ReplayArgs, own: Own) -> Result<usize, Abort> {
    let mut output = Output::new(args.output, BufWriter::new(io::stdout().lock()));
    let mut player = Player::new(own, args.preset);
    let mut verdicts = Vec::new();
    let mut damaged = 0;
    for file in &args.files {
        let damage = Capture::open(file)?.read(&mut |packet| {
            player.play(&packet, &mut verdicts);
            write_out(&mut output, &mut verdicts)
        })?;
        if let Some(damage) = damage {
            damaged += 1;
            eprintln!("warning: {damage}");
        }
    }
    let summary = player.finish(&mut verdicts);
    write_out(&mut output, &mut verdicts)?;
    output.summary(&summary)?;
    warn_of(&summary);
    Ok(damaged)
}

fn write_out(output: &mut Output<impl Write>, verdicts: &mut Vec<Verdict>) -> Result<(), Abort> {
    for verdict in verdicts.drain(..) {
        output.verdict(&verdict)?;
    }
    Ok(())
}

/// What may have made the result worse than it could be.
fn warn_of(summary: &Summary) {
    if summary.backwards > 0 {
        eprintln!(
            "warning: {} packets are older than one before them and count as of then; are the files in order?",
            summary.backwards
        );
    }
    // A few share a slot by chance, however few there are.
    if summary.displaced > summary.attempts / 50 {
        eprintln!(
            "warning: {} of {} handshakes were not followed to their end for want of room",
            summary.displaced, summary.attempts
        );
    }
    if summary.evicted > 0 {
        eprintln!("warning: {} sources were forgotten for want of room", summary.evicted);
    }
}

/// The own addresses: those that were named, or else those that the files suggest.
fn own(args: &ReplayArgs) -> Result<Own, Failure> {
    let mut own = Own::default();
    for arg in &args.own {
        match *arg {
            OwnArg::Is(network) => own.networks.push(network),
            OwnArg::IsNot(network) => own.except.push(network),
        }
    }
    if own.networks.is_empty() {
        let mut inference = Inference::default();
        for file in &args.files {
            // Damage is told of when it is replayed.
            Capture::open(file)?.read(&mut |packet: Packet<'_>| {
                if let Ok((network, segment)) = packet.link.parse(packet.frame) {
                    inference.see(&network, &segment);
                }
                Ok::<_, Failure>(())
            })?;
        }
        let (addresses, basis) = inference.finish();
        own.addresses = addresses.into_iter().filter(|ip| !own.except.iter().any(|n| n.contains(ip))).collect();
        eprintln!("{}", inferred(&own, basis));
    }
    Ok(own)
}

/// What was inferred, for people.
fn inferred(own: &Own, basis: Basis) -> String {
    let mut addresses: Vec<_> = own.addresses.iter().collect();
    addresses.sort();
    if addresses.is_empty() {
        return "own addresses: none, for nobody tried to connect; name them with --own".to_owned();
    }
    let mut named = addresses.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if addresses.len() > NAMED {
        named += &format!(" and {} more", addresses.len() - NAMED);
    }
    let why = match basis {
        Basis::Answered => "they answered connection attempts",
        Basis::Tried => "they received connection attempts, and nobody answered any",
    };
    format!("own addresses: {named} (inferred: {why}; --own overrides)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_network_may_be_excluded() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        assert_eq!("192.0.2.1/24".parse(), Ok(OwnArg::Is(net("192.0.2.0/24"))));
        assert_eq!("!2001:db8::1".parse(), Ok(OwnArg::IsNot(net("2001:db8::1/128"))));
        for bad in ["", "!", "!!192.0.2.1", "example.org"] {
            bad.parse::<OwnArg>().unwrap_err();
        }
    }

    #[test]
    fn few_of_many_inferred_addresses_are_named() {
        let own = Own { addresses: (1..=10).map(|n| [10, 0, 0, n].into()).collect(), ..Own::default() };
        let said = inferred(&own, Basis::Answered);
        assert!(said.contains("10.0.0.7, 10.0.0.8 and 2 more (inferred: they answered"), "{said}");
        assert!(inferred(&Own::default(), Basis::Tried).contains("--own"));
    }
}
