//! `tcpcap replay`: captures through the detector, with no privileges and no kernel.
//!
//! Every file is opened before anything is read, so that a wrong name is told at once. The files are one stream in the
//! order given. Findings go to standard output; what is to be said about the files goes to standard error.

use std::io::{self, BufWriter, Write};

use tcpcap_core::{Own, Verdict};

use crate::{
    capture::{Capture, Packet},
    failure::Failure,
    replay::{Basis, Inference, Output, Player, Summary},
    settings::{ReplayArgs, ReplaySettings},
};

/// How many inferred addresses are named.
const NAMED: usize = 8;

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
pub fn run(args: ReplayArgs) -> Result<(), Failure> {
    let mut settings = args.resolve()?;
    for file in &settings.files {
        Capture::open(file)?;
    }
    if settings.own.networks.is_empty() {
        infer(&mut settings)?;
    }
    match replay(&settings) {
        Ok(0) => Ok(()),
        Ok(damaged) => Err(Failure::failed(
            format!(
                "{damaged} of {} captures damaged: what stands before the damage was replayed",
                settings.files.len()
            ),
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
fn replay(settings: &ReplaySettings) -> Result<usize, Abort> {
    let ReplaySettings { own, judging, .. } = settings;
    let mut output = Output::new(settings.output, BufWriter::new(io::stdout().lock()));
    let mut player = Player::new(own.clone(), judging.allow.clone(), &judging.engine());
    let mut verdicts = Vec::new();
    let mut damaged = 0;
    for file in &settings.files {
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

/// Adds the own addresses that the files suggest, and says so.
fn infer(settings: &mut ReplaySettings) -> Result<(), Failure> {
    let mut inference = Inference::default();
    for file in &settings.files {
        // Damage is told of when it is replayed.
        Capture::open(file)?.read(&mut |packet: Packet<'_>| {
            if let Ok((network, segment)) = packet.link.parse(packet.frame) {
                inference.see(&network, &segment);
            }
            Ok::<_, Failure>(())
        })?;
    }
    let (addresses, basis) = inference.finish();
    let own = &mut settings.own;
    own.addresses = addresses.into_iter().filter(|ip| !own.except.iter().any(|n| n.contains(ip))).collect();
    eprintln!("{}", inferred(own, basis));
    Ok(())
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
    fn few_of_many_inferred_addresses_are_named() {
        let own = Own { addresses: (1..=10).map(|n| [10, 0, 0, n].into()).collect(), ..Own::default() };
        let said = inferred(&own, Basis::Answered);
        assert!(said.contains("10.0.0.7, 10.0.0.8 and 2 more (inferred: they answered"), "{said}");
        assert!(inferred(&Own::default(), Basis::Tried).contains("--own"));
    }
}
