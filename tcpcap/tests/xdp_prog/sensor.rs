//! The loaded program with its maps, and what a test does with them.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use aya::{
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf},
    programs::{TestRun as _, TestRunOptions},
};
use tcpcap::kernel::{Blocks, Kernel, Networks, OwnAddresses, Sources, Tally, Tuning, Wish};
use tcpcap_common::{
    Addr,
    flow::flow_hash,
    record::{
        Block, CpuState, Event, PENDING_SLOTS, Pending, Settings, Source, map,
        reason::{self, REASONS},
        scope,
    },
    tally::{self, End, Note, Verdict},
    wire,
};
use tcpcap_lab::Frame;

pub const OWN_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub const OWN_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 0, 0, 0, 1);

/// The least that `BPF_PROG_TEST_RUN` takes: an Ethernet header.
pub const SHORTEST_RUN: usize = 14;

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
/// On to whatever comes next: -1.
const TC_ACT_UNSPEC: u32 = u32::MAX;

/// As told when all interfaces show our answers.
pub const IN_VIEW: Wish = Wish { egress_view: true, ..Wish::DEFAULT };

/// A SYN to our address of the source's family, port 80.
pub fn syn(from: &str, port: u16) -> Frame {
    let from: IpAddr = from.parse().unwrap();
    let to: IpAddr = if from.is_ipv4() { OWN_V4.into() } else { OWN_V6.into() };
    Frame::tcp((from, port), (to, 80))
}

pub fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

/// How late the program may be about the time of a blocked packet: it reads the clock once a tick, and a machine that is
/// itself a guest may get its ticks late.
pub const TICK_NS: u64 = 100_000_000;

/// Nanoseconds of the clock that the program reads.
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place for the answer is ours.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) }, 0);
    u64::try_from(time.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap()
}

/// The CPUs that this thread may run on.
pub fn cpus() -> Vec<usize> {
    // SAFETY: a set of bits, for which zero is a value; the call fills it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        assert_eq!(libc::sched_getaffinity(0, size_of_val(&set), &raw mut set), 0);
        (0..usize::try_from(libc::CPU_SETSIZE).unwrap()).filter(|&cpu| libc::CPU_ISSET(cpu, &set)).collect()
    }
}

/// Keeps this thread, and with it the program that it runs, on one CPU.
pub fn stay_on(cpu: usize) {
    // SAFETY: a set of bits, for which zero is a value.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &raw const set), 0);
    }
}

/// What some packets added to the tally.
#[derive(Clone, Debug)]
pub struct Counted(Vec<u64>);

impl Counted {
    pub fn end(&self, end: End) -> u64 {
        self.0[end.index() as usize]
    }

    pub fn note(&self, note: Note) -> u64 {
        self.0[note.index() as usize]
    }

    /// Packets dropped, by reason.
    pub fn dropped(&self) -> Vec<u64> {
        (0..REASONS).map(|code| self.0[tally::dropped(code) as usize]).collect()
    }

    /// Packets that would have been dropped, whatever the reason.
    pub fn would_drop(&self) -> u64 {
        (0..REASONS).map(|code| self.0[tally::would_drop(code) as usize]).sum()
    }

    /// The notes that were counted, bytes aside.
    pub fn notes(&self) -> Vec<Note> {
        let counted = |note: &Note| *note != Note::DroppedBytes && self.note(*note) > 0;
        Note::ALL.iter().copied().filter(counted).collect()
    }
}

pub struct Sensor {
    kernel: Kernel,
    tuning: Tuning,
    pub blocks: Blocks,
    pub networks: Networks<Block>,
    allowed: Networks<u32>,
    own_networks: Networks<u32>,
    own: OwnAddresses,
    tally: Tally,
    counted: Vec<u64>,
    ring: RingBuf<MapData>,
    sources: Sources,
}

impl Sensor {
    /// The program as it was loaded, told nothing.
    ///
    /// # Panics
    /// Where it cannot be loaded: these tests need root, and never pass without having run.
    pub fn untold() -> Self {
        let mut kernel = Kernel::load().unwrap_or_else(|e| {
            let cause = e.cause.split_whitespace().collect::<Vec<_>>().join(" ");
            panic!("these tests run packets through the loaded program, as root (cargo xtask test): {cause}")
        });
        let (tuning, tally) = (kernel.tuning().unwrap(), kernel.tally().unwrap());
        let (blocks, own) = (kernel.blocks().unwrap(), kernel.own_addresses().unwrap());
        let (networks, allowed) = (kernel.networks().unwrap(), kernel.allowed().unwrap());
        let own_networks = kernel.own_networks().unwrap();
        let ring = open(&mut kernel, map::EVENTS);
        let sources = kernel.sources().unwrap();
        let counted = tally.read().unwrap();
        Self { kernel, tuning, blocks, networks, allowed, own_networks, own, tally, counted, ring, sources }
    }

    /// A sensor at its defaults, for one own address of each family.
    pub fn new() -> Self {
        let mut sensor = Self::untold();
        sensor.own(&[OWN_V4.into(), OWN_V6.into()]);
        sensor.tell(&Wish::default());
        sensor
    }

    pub fn tell(&mut self, wish: &Wish) {
        let wish = Wish {
            has_allowed: !self.allowed.is_empty(),
            has_networks: !self.networks.is_empty(),
            has_own_networks: !self.own_networks.is_empty(),
            ..*wish
        };
        self.tuning.set(&wish).unwrap();
    }

    pub fn own(&mut self, addresses: &[IpAddr]) {
        self.own.set(&BTreeSet::from_iter(addresses.iter().copied())).unwrap();
    }

    pub fn own_networks(&mut self, networks: &[&str]) {
        networks.iter().for_each(|n| self.own_networks.put(&n.parse().unwrap(), 1).unwrap());
        self.tell(&Wish::default());
    }

    pub fn allow(&mut self, networks: &[&str], wish: &Wish) {
        networks.iter().for_each(|n| self.allowed.put(&n.parse().unwrap(), 1).unwrap());
        self.tell(wish);
    }

    /// Blocks a source; `until` 0 is for ever.
    pub fn block(&mut self, source: &str, until: u64) -> Block {
        let block = Block { until, since: 1, reason: 7, ..Block::default() };
        self.blocks.put(addr(source), block).unwrap();
        block
    }

    /// Blocks a network as a feed does; the program looks at networks from then on.
    pub fn block_network(&mut self, network: &str, block: Block) -> Block {
        let block = Block { since: 1, reason: reason::FEED, ..block };
        self.networks.put(&network.parse().unwrap(), block).unwrap();
        self.tell(&Wish::default());
        block
    }

    pub fn network(&self, network: &str) -> Option<Block> {
        let (network, mut found) = (network.parse().unwrap(), None);
        self.networks.walk(|n, block| found = found.or((n == network).then_some(block))).unwrap();
        found
    }

    /// Blocks what opens something, for ever.
    pub fn block_opening(&mut self, source: &str) -> Block {
        let block = Block { since: 1, reason: 7, scope: scope::SYN, ..Block::default() };
        self.blocks.put(addr(source), block).unwrap();
        block
    }

    pub fn takes_several_buffers(&self) -> bool {
        self.kernel.program_name() == "tcpcap_frags"
    }

    /// Runs a frame through the program `times` times, and holds what was counted against what must hold for every
    /// packet: each has exactly one end, and the verdict is the end's.
    pub fn repeat(&mut self, frame: &[u8], times: u32) -> Counted {
        let options = TestRunOptions { data_in: Some(frame), repeat: times, ..TestRunOptions::new() };
        let verdict = match self.kernel.program().unwrap().test_run(options).unwrap().return_value {
            XDP_DROP => Verdict::Drop,
            XDP_PASS => Verdict::Pass,
            other => panic!("verdict {other} for {frame:02x?}"),
        };
        let counted = self.count();
        let ends: u64 = End::ALL.iter().map(|&e| counted.end(e)).sum();
        assert_eq!(ends, u64::from(times), "{counted:?} {frame:02x?}");
        assert!(End::ALL.iter().any(|&e| counted.end(e) > 0 && e.verdict() == verdict), "{verdict:?} {frame:02x?}");
        let dropped = if verdict == Verdict::Drop { frame.len() as u64 * u64::from(times) } else { 0 };
        assert_eq!(counted.note(Note::DroppedBytes), dropped, "{frame:02x?}");
        assert_eq!(
            counted.dropped().iter().sum::<u64>(),
            counted.end(End::Blocked) + counted.end(End::Held),
            "{frame:02x?}"
        );
        counted
    }

    /// Loads the program on the way out, and tells the other that it has.
    pub fn see_answers(&mut self) {
        self.kernel.load_egress().unwrap();
        self.tell(&IN_VIEW);
    }

    /// Runs a frame through the program on the way out; returns what was counted. The packet goes on as it was, and
    /// nothing is counted as received.
    pub fn leave(&mut self, frame: &Frame) -> Vec<Note> {
        let frame = frame.build();
        let mut out = vec![0; frame.len()];
        let options =
            TestRunOptions { data_in: Some(&frame), data_out: Some(&mut out), repeat: 1, ..TestRunOptions::new() };
        let run = self.kernel.egress().unwrap().test_run(options).unwrap();
        assert_eq!((run.return_value, &out), (TC_ACT_UNSPEC, &frame));
        let counted = self.count();
        assert!(End::ALL.iter().all(|&end| counted.end(end) == 0), "{counted:?}");
        let notes = counted.notes();
        assert!(notes.iter().all(|&note| counted.note(note) == 1), "{counted:?}");
        notes
    }

    /// What has been added to the tally.
    fn count(&mut self) -> Counted {
        let after = self.tally.read().unwrap();
        let counted = Counted(after.iter().zip(&self.counted).map(|(after, before)| after - before).collect());
        self.counted = after;
        counted
    }

    /// Runs a frame; returns its end and what else was counted, each of it once.
    pub fn run(&mut self, frame: &[u8]) -> (End, Vec<Note>) {
        let counted = self.repeat(frame, 1);
        let notes = counted.notes();
        assert!(notes.iter().all(|&note| counted.note(note) == 1), "{counted:?}");
        (End::ALL.iter().copied().find(|&e| counted.end(e) == 1).unwrap(), notes)
    }

    pub fn send(&mut self, frame: &Frame) -> (End, Vec<Note>) {
        self.run(&frame.build())
    }

    /// Runs a frame, for its end alone.
    pub fn end(&mut self, frame: &Frame) -> End {
        self.send(frame).0
    }

    /// Takes out of the ring what is in it.
    pub fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(record) = self.ring.next() {
            assert_eq!(record.len(), size_of::<Event>());
            // SAFETY: the length is an event's, and an event has no forbidden bit patterns.
            events.push(unsafe { record.as_ptr().cast::<Event>().read_unaligned() });
        }
        events
    }

    /// All sources' records, as the daemon reads them.
    pub fn records(&mut self) -> Vec<(Addr, Source)> {
        let sources: HashMap<MapData, Addr, Source> = self.map(map::SOURCES);
        sources.iter().map(Result::unwrap).collect()
    }

    /// The records as the daemon holds them, to write to them.
    pub fn sources(&mut self) -> &mut Sources {
        &mut self.sources
    }

    pub fn record(&mut self, source: &str) -> Option<Source> {
        let sources: HashMap<MapData, Addr, Source> = self.map(map::SOURCES);
        sources.get(&addr(source), 0).ok()
    }

    /// A map, opened once more beside whoever holds it.
    pub fn map<T: TryFrom<Map, Error = MapError>>(&mut self, name: &str) -> T {
        open(&mut self.kernel, name)
    }

    /// Lets time pass for a pending handshake: its SYN was here `ns` earlier than it was.
    pub fn age_handshake(&mut self, frame: &Frame, ns: u64) {
        let slot = self.slot(frame);
        let mut pending: Array<MapData, Pending> = self.map(map::PENDING);
        let held = pending.get(&slot, 0).unwrap();
        assert_ne!(held.time, 0, "no handshake is pending");
        pending.set(slot, Pending { time: held.time - ns, ..held }, 0).unwrap();
    }

    /// The slot of a frame's flow among the pending handshakes.
    pub fn slot(&mut self, frame: &Frame) -> u32 {
        let settings: Settings = self.map::<Array<MapData, Settings>>(map::SETTINGS).get(&0, 0).unwrap();
        let (network, segment) = wire::parse(&frame.build()).unwrap();
        let hash = flow_hash(&network.from, &network.to, segment.from_port, segment.to_port, &settings.seed);
        u32::try_from(hash & u64::from(PENDING_SLOTS - 1)).unwrap()
    }

    /// Lets time pass for a source's budget.
    pub fn age_source(&mut self, source: &str, ns: u64) {
        let mut sources: HashMap<MapData, Addr, Source> = self.map(map::SOURCES);
        let record = sources.get(&addr(source), 0).unwrap();
        sources.insert(addr(source), Source { window_start: record.window_start - ns, ..record }, 0).unwrap();
    }

    /// Lets time pass for what the reflex knows of a source.
    pub fn age_reflex(&mut self, source: &str, ns: u64) {
        let mut sources: HashMap<MapData, Addr, Source> = self.map(map::SOURCES);
        let mut record = sources.get(&addr(source), 0).unwrap();
        record.reflex_start = record.reflex_start.saturating_sub(ns);
        record.held_until = record.held_until.saturating_sub(ns);
        sources.insert(addr(source), record, 0).unwrap();
    }

    /// Lets time pass for the CPUs' budgets.
    pub fn age_cpus(&mut self, ns: u64) {
        let mut cpus: PerCpuArray<MapData, CpuState> = self.map(map::CPU);
        let mut states = cpus.get(&0, 0).unwrap().to_vec();
        states.iter_mut().for_each(|s| s.window_start = s.window_start.saturating_sub(ns));
        cpus.set(0, states.try_into().unwrap(), 0).unwrap();
    }
}

fn open<T: TryFrom<Map, Error = MapError>>(kernel: &mut Kernel, name: &str) -> T {
    let ids = kernel.program().unwrap().info().unwrap().map_ids().unwrap().unwrap();
    let maps = ids.into_iter().map(|id| MapData::from_id(id).unwrap());
    let data = maps.into_iter().find(|m| m.info().unwrap().name_as_str() == Some(name)).unwrap();
    T::try_from(Map::from_map_data(data).unwrap()).unwrap()
}

/// Runs a table of frames, each with its end and notes, one after the other.
pub fn check(sensor: &mut Sensor, table: &[(&str, Frame, End, &[Note])]) {
    for (what, frame, end, notes) in table {
        assert_eq!(sensor.send(frame), (*end, notes.to_vec()), "{what}");
    }
}
