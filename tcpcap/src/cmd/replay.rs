//! `tcpcap replay`: captures through the detector, with no privileges and no kernel.
//!
//! Every file is opened before anything is read, so that a wrong name is told at once. The files are one stream in the
//! order given; standard input is one of them if it is named `-`. Findings go to standard output; what is to be said about the files goes to standard error.

use std::io::{self, BufWriter, IsTerminal as _, Write};

use tcpcap_core::{Own, Verdict};

use crate::{
    capture::{Capture, Origin, Packet},
    failure::Failure,
    replay::{Basis, Inference, Output, Player, Progress, Summary},
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
    let mut captures = open(&settings)?;
    if settings.own.networks.is_empty() {
        infer(&captures, &mut settings.own)?;
    }
    let number = captures.len();
    match replay(&mut captures, &settings) {
        Ok(0) => Ok(()),
        Ok(damaged) => Err(Failure::failed(
            format!("{damaged} of {number} captures damaged: what stands before the damage was replayed"),
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

/// A capture that can be read, and what has been begun of it if it can be read only once.
type Opened = (Origin, Option<Capture>);

/// Opens every capture. A stream is kept where it has to be read twice, for the sake of own addresses.
fn open(settings: &ReplaySettings) -> Result<Vec<Opened>, Failure> {
    let mut origins = settings.files.iter().map(|file| Origin::named(file)).collect::<Result<Vec<_>, _>>()?;
    if origins.iter().filter(|origin| origin.is_stream()).count() > 1 {
        return Err(Failure::usage("standard input is named twice, and can be read once", "name `-` once"));
    }
    if settings.own.networks.is_empty() {
        origins.iter_mut().try_for_each(Origin::keep)?;
    }
    let begun = |origin: Origin| {
        let capture = Capture::open(&origin)?;
        let capture = origin.is_stream().then_some(capture);
        Ok((origin, capture))
    };
    origins.into_iter().map(begun).collect()
}

/// How many bytes all of them have, if that is known.
fn size(captures: &[Opened]) -> Option<u64> {
    captures.iter().map(|(origin, _)| origin.size()).sum()
}

/// Plays every capture; returns how many are damaged.
fn replay(captures: &mut [Opened], settings: &ReplaySettings) -> Result<usize, Abort> {
    let ReplaySettings { own, judging, .. } = settings;
    let mut progress = Progress::of("replaying", size(captures));
    let shares_terminal = io::stdout().is_terminal();
    let mut output = Output::new(settings.output, BufWriter::new(io::stdout().lock()));
    let mut player = Player::new(own.clone(), judging.allow.clone(), &judging.engine());
    if settings.ingress_only {
        player = player.ingress_only();
    }
    let mut verdicts = Vec::new();
    let mut damaged = 0;
    for (origin, begun) in captures {
        let capture = begun.take().map_or_else(|| Capture::open(origin), Ok)?;
        let taken = capture.taken();
        let damage = capture.read(&mut |packet| {
            player.play(&packet, &mut verdicts);
            progress.packet(taken.get());
            match verdicts.is_empty() {
                true => Ok(()),
                false if shares_terminal => progress.aside(|| {
                    write_out(&mut output, &mut verdicts)?;
                    Ok(output.flush()?)
                }),
                false => write_out(&mut output, &mut verdicts),
            }
        })?;
        progress.next_file(taken.get());
        if let Some(damage) = damage {
            damaged += 1;
            progress.aside(|| eprintln!("warning: {damage}"));
        }
    }
    drop(progress);
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

/// Adds the own addresses that the captures suggest, and says so.
fn infer(captures: &[Opened], own: &mut Own) -> Result<(), Failure> {
    let mut inference = Inference::default();
    let mut progress = Progress::of("looking for own addresses", size(captures));
    for (origin, _) in captures {
        let capture = Capture::open(origin)?;
        let taken = capture.taken();
        // Damage is told of when it is replayed.
        capture.read(&mut |packet: Packet<'_>| {
            progress.packet(taken.get());
            if let Ok((network, segment)) = packet.link.parse(packet.frame) {
                inference.see(&network, &segment);
            }
            Ok::<_, Failure>(())
        })?;
        progress.next_file(taken.get());
    }
    drop(progress);
    let (addresses, basis) = inference.finish();
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
