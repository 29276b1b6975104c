//! A line of the table: a packet, the program it goes through, and how long that took.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    rc::Rc,
};

use tcpcap::failure::Failure;
use tcpcap_common::tally::End;

use crate::{
    bed::Bed,
    bpf, failed,
    packets::{Family, Packet, Packets},
    sweep::{Sweep, Sweeper},
};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub rounds: u32,
    /// Of one line in one round.
    pub packets: u32,
}

impl Scale {
    pub const FULL: Self = Self { rounds: 5, packets: 1_000_000 };
    pub const QUICK: Self = Self { rounds: 3, packets: 200_000 };
}

/// A round's packets are sent in so many runs. The fastest is the round's figure: whatever else goes on, in this machine
/// or in the one below it, makes a run slower and never faster.
const RUNS: u32 = 10;

/// Enough that every flow of a sweep has been seen.
const WARM_UP: u32 = 200_000;

/// Which program that does nothing a line is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// The empty one by itself.
    Plain,
    /// The empty one behind the program that makes every packet another.
    Swept,
}

/// What is said of a line.
#[derive(Clone, Debug)]
pub struct About {
    pub group: &'static str,
    pub family: Family,
    pub what: &'static str,
    pub packets: &'static str,
    /// Entries of the list that the group is about.
    pub listed: u32,
}

/// What is sent, and how it must end.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub what: &'static str,
    pub packet: Packet,
    pub packets: Packets,
    pub end: End,
}

impl About {
    pub const fn of(group: &'static str, family: Family, kind: &Kind, listed: u32) -> Self {
        Self { group, family, what: kind.what, packets: kind.packets.name(), listed }
    }
}

/// The lines of a group for one family: each kind, for each length of the list that the group is about.
///
/// # Errors
/// As [`Line::new`].
pub fn lines(
    group: &'static str,
    family: Family,
    beds: &[(u32, Rc<Bed>)],
    kinds: &[Kind],
) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    for kind in kinds {
        for (listed, bed) in beds.iter().filter(|(listed, _)| *listed > 0 || !kind.packets.are_listed()) {
            lines.push(Line::new(bed, About::of(group, family, kind, *listed), kind)?);
        }
    }
    Ok(lines)
}

/// A program to send packets through.
enum Program {
    Empty(OwnedFd),
    Loaded(Rc<Bed>),
    Swept(Sweeper),
}

impl Program {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Empty(program) => program.as_fd(),
            Self::Loaded(bed) => bed.program.as_fd(),
            Self::Swept(sweeper) => sweeper.program.as_fd(),
        }
    }
}

pub struct Line {
    pub about: About,
    pub floor: Floor,
    program: Program,
    frame: Vec<u8>,
    expected: Option<(Rc<Bed>, End)>,
    rounds: Vec<u32>,
}

impl Line {
    /// A line of a program that does nothing.
    pub fn of_floor(about: About, floor: Floor, program: OwnedFd, sweep: Option<Sweep>) -> io::Result<Self> {
        let frame = about.family.frame(Packet::Ack, 1);
        let program = match sweep {
            None => Program::Empty(program),
            Some(sweep) => Program::Swept(Sweeper::before(program.as_fd(), false, sweep)?),
        };
        Ok(Self { about, floor, program, frame, expected: None, rounds: Vec::new() })
    }

    /// Packets through the loaded program.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn new(bed: &Rc<Bed>, about: About, kind: &Kind) -> Result<Self, Failure> {
        let sweep = kind.packets.sweep(about.family, about.listed);
        let (program, floor) = match sweep {
            None => (Program::Loaded(Rc::clone(bed)), Floor::Plain),
            Some(sweep) => {
                let sweeper = Sweeper::before(bed.program.as_fd(), bed.takes_several_buffers(), sweep);
                (Program::Swept(sweeper.map_err(failed("the program that varies packets"))?), Floor::Swept)
            }
        };
        let frame = about.family.frame(kind.packet, kind.packets.source());
        let expected = Some((Rc::clone(bed), kind.end));
        let line = Self { about, floor, program, frame, expected, rounds: Vec::new() };
        line.send(WARM_UP)?;
        Ok(line)
    }

    fn send(&self, packets: u32) -> Result<u32, Failure> {
        bpf::run(self.program.fd(), &self.frame, packets).map_err(failed("BPF_PROG_TEST_RUN"))
    }

    /// Measures one round.
    ///
    /// # Errors
    /// The kernel refuses it, or the packets do not end as they should: then something else was measured.
    pub fn measure(&mut self, scale: &Scale) -> Result<(), Failure> {
        let before = self.ended()?;
        let runs = (0..RUNS).map(|_| self.send(scale.packets / RUNS)).collect::<Result<Vec<_>, _>>()?;
        if let (Some((so, all)), Some((so_before, all_before))) = (self.ended()?, before) {
            let (so, all) = (so - so_before, all - all_before);
            // A flow in a thousand may share its slot with others and be taken for a new one.
            if all != u64::from(scale.packets) || so < all - all / 1000 {
                let what = &self.about;
                return Err(failed("not what was to be measured")(format!("{so} of {all} packets, {what:?}")));
            }
        }
        self.rounds.extend(runs.into_iter().min());
        Ok(())
    }

    fn ended(&self) -> Result<Option<(u64, u64)>, Failure> {
        self.expected.as_ref().map(|(bed, end)| bed.ended(*end)).transpose()
    }

    /// Nanoseconds a packet: the median round, the fastest and the slowest.
    pub fn figures(&self) -> (u32, u32, u32) {
        let mut rounds = self.rounds.clone();
        rounds.sort_unstable();
        let at = |place: usize| rounds.get(place).copied().unwrap_or(0);
        (at(rounds.len() / 2), at(0), at(rounds.len().saturating_sub(1)))
    }
}
