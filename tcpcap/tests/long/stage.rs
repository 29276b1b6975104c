//! Who is there all the time: blocked ones that never stop, honest ones, a scan, and the watch over all of them.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::Duration,
};

use aya::maps::{Map, MapData};
use tcpcap::kernel::{Blocks, Networks};
use tcpcap_common::{
    Addr, LAYOUT_VERSION,
    record::{Block, map},
};
use tcpcap_lab::{
    Capture, Frame, Internet, Knocker, Process,
    http::{Client, Server},
    layout::{CARD, SENSOR_V4},
    wait_until,
};
use tempfile::TempDir;

/// Long against everything waited for, so that a slow machine fails nothing.
pub const SOON: Duration = Duration::from_secs(30);

/// Blocked by configuration, all the time.
pub const DENIED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 200);
/// In a network that is blocked by configuration, all the time.
pub const LISTED: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const LIST: &str = "198.18.0.0/24";

/// Blocked by a rule, all the time.
pub const FOUND: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 201);

/// Who never stops knocking, and is blocked.
const BLOCKED: [Ipv4Addr; 3] = [DENIED, LISTED, FOUND];

/// Between two packets of one that is blocked.
const PAUSE: Duration = Duration::from_micros(500);

/// The network with everybody in it.
pub struct Stage {
    honest: Client,
    _server: Server,
    knockers: [(Ipv4Addr, Knocker); 3],
    /// What the blocked ones' entries had counted when they began to knock.
    counted: [u64; 3],
    pub behind: Capture,
    scan: Process,
    pub state: TempDir,
    /// Last, so that it goes when everybody has left.
    pub net: Internet,
}

impl Stage {
    /// Begins with a daemon that has blocked both, and has them and an honest client start.
    pub fn begin(binary: &Path) -> (Self, Process) {
        let (net, state) = (Internet::build().unwrap(), TempDir::new().unwrap());
        let mut tcpcap = start(&net, state.path(), binary, &["--block-for", "1h"]);
        tcpcap.wait_for_line(SOON, |l| l.contains("tcpcap ready")).unwrap();
        let sender = tcpcap_lab::Injector::open(&net.internet, "tosensor").unwrap();
        syns(&net, FOUND, 2000..2100).iter().for_each(|frame| sender.send(frame).unwrap());
        tcpcap.wait_for_line(SOON, |l| l.contains("Blocked 203.0.113.201 for 1 h")).unwrap();
        let counted = BLOCKED.map(|source| dropped(&net, source));
        let behind = Capture::incoming(&net.sensor, CARD).unwrap();
        let knock = |source| {
            let frames = syns(&net, source, 999..1000);
            (source, Knocker::start(&net.internet, "tosensor", frames, PAUSE).unwrap())
        };
        let knockers = BLOCKED.map(knock);
        let server = Server::start(&net.sensor, &[80]).unwrap();
        let honest = Client::start(&net.client, &[(SENSOR_V4, 80).into()], Duration::from_millis(5)).unwrap();
        let scan = tcpcap_lab::scan::Masscan {
            source: net.first_scanner().v4.into(),
            target: SENSOR_V4.into(),
            ports: "1-65535",
            rate: 200,
        };
        let scan = Process::spawn("masscan", scan.command(&net).unwrap()).unwrap();
        (Self { honest, _server: server, knockers, counted, behind, scan, state, net }, tcpcap)
    }

    /// Starts a tcpcap; does not wait for it.
    pub fn start(&self, binary: &Path, args: &[&str]) -> Process {
        start(&self.net, self.state.path(), binary, args)
    }

    /// Asserts that nothing of those who are blocked has come through, that all of it was counted, and that nobody honest
    /// was ever kept waiting in vain.
    pub fn check(&self) {
        let seen = self.behind.snapshot().unwrap();
        assert_eq!(seen.lost, 0, "the capture cannot keep up");
        for source in BLOCKED {
            assert_eq!(seen.from(source.into()), 0, "packets of {source} passed");
        }
        let fared = self.honest.fared();
        assert_eq!(fared.failed, 0, "{fared:?}");
    }

    /// The blocked ones with how many packets each has sent, and how many of them were dropped.
    pub fn sent_and_dropped(&self) -> [(Ipv4Addr, u64, u64); 3] {
        [0, 1, 2].map(|n| {
            let (source, knocker) = &self.knockers[n];
            let sent = knocker.sent();
            (*source, sent, dropped(&self.net, *source) - self.counted[n])
        })
    }

    /// Waits until so many more pages were fetched and so many more packets knocked.
    pub fn goes_on(&self) {
        let before = (self.honest.fared().ok, self.sent_and_dropped());
        wait_until("traffic", SOON, || {
            let knocked = self.sent_and_dropped().iter().zip(&before.1).all(|(now, then)| now.2 > then.2);
            self.honest.fared().ok > before.0 && knocked
        })
        .unwrap();
    }

    /// Ends it all, and holds what was sent against what was dropped.
    pub fn end(mut self) {
        assert!(self.scan.ended().is_none(), "the scan has gone on all the time");
        self.scan.kill();
        self.check();
        let Self { knockers, counted, honest, net, .. } = self;
        for ((source, knocker), before) in knockers.into_iter().zip(counted) {
            let sent = knocker.stop();
            let dropped = dropped(&net, source) - before;
            println!("{source}: {sent} packets sent, {dropped} dropped");
            assert_eq!(dropped, sent, "every packet of {source} was dropped and counted");
        }
        let fared = honest.stop();
        println!("honest: {} pages, the slowest in {} ms", fared.ok, fared.slowest.as_millis());
        assert_eq!(fared.failed, 0, "{fared:?}");
        assert!(fared.ok > 100, "{fared:?}");
    }
}

fn start(net: &Internet, state: &Path, binary: &Path, args: &[&str]) -> Process {
    let mut command = net.sensor.command(binary);
    command.env_remove("INTERFACE_NAME").env_remove("PUBLIC_IP").env_remove("RUST_LOG");
    command.env("TCPCAP_CONFIG", "/dev/null");
    command.args(["run", "--iface", CARD, "--deny", &DENIED.to_string(), "--deny", LIST, "--state"]).arg(state);
    command.arg("--socket").arg(state.join("tcpcap.sock")).args(args);
    Process::spawn("tcpcap", command).unwrap()
}

/// SYNs of a source to these of the sensor's ports.
pub fn syns(net: &Internet, source: Ipv4Addr, ports: std::ops::Range<u16>) -> Vec<Vec<u8>> {
    let (from, to) = (net.internet.card("tosensor").unwrap().mac, net.sensor.card(CARD).unwrap().mac);
    ports.map(|port| Frame::tcp((source, 40_000), (SENSOR_V4, port)).macs(from, to).build()).collect()
}

/// A pinned map.
fn pinned(net: &Internet, name: &str) -> MapData {
    let number = fs::metadata(net.sensor.path()).unwrap().ino();
    let path = format!("/sys/fs/bpf/tcpcap/net-{number}/maps-v{LAYOUT_VERSION}/{name}");
    MapData::from_pin(path).unwrap()
}

/// The blocked sources in the kernel.
pub fn blocks(net: &Internet) -> Blocks {
    Blocks::open(Map::HashMap(pinned(net, map::BLOCKS))).unwrap()
}

pub fn entry(blocks: &Blocks, source: Ipv4Addr) -> Option<Block> {
    blocks.get(Addr::from(IpAddr::from(source)))
}

/// What the entry of one that is blocked all the time has counted.
fn dropped(net: &Internet, source: Ipv4Addr) -> u64 {
    let block = if source == LISTED {
        let networks = Networks::<Block>::open(Map::LpmTrie(pinned(net, map::NETWORKS))).unwrap();
        networks.longest(&LIST.parse().unwrap())
    } else {
        entry(&blocks(net), source)
    };
    block.unwrap().packets
}
