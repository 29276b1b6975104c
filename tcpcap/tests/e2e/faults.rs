//! What goes wrong around the daemon, each with what is expected then and after it.

mod drift;
mod full;
mod host;
mod lists;
mod parts;
mod reload;

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use aya::maps::{Map, MapData};
use tcpcap::kernel::{Blocks, Networks};
use tcpcap_common::{
    LAYOUT_VERSION,
    record::{Block, map},
};
use tcpcap_lab::{
    Frame, Injector, Internet, Knocker, Namespace, http,
    layout::{CARD, SENSOR_V4},
};
use tempfile::TempDir;

use crate::sensor::{Sensor, pins};

/// A configuration file that can be changed while somebody reads it.
struct Config(TempDir);

impl Config {
    fn new(text: &str) -> Self {
        let config = Self(TempDir::new().unwrap());
        config.write(text);
        config
    }

    fn write(&self, text: &str) {
        self.file("config.toml", text);
    }

    fn path(&self) -> String {
        self.0.path().join("config.toml").to_str().unwrap().to_owned()
    }

    /// A file beside it, replaced at once.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let (draft, path) = (self.0.path().join("draft"), self.0.path().join(name));
        fs::write(&draft, text).unwrap();
        fs::rename(&draft, &path).unwrap();
        path
    }

    fn start(&self, namespace: &Namespace) -> Sensor {
        Sensor::start(namespace, &["--config", &self.path()])
    }

    /// Has a daemon read it again, and waits until it has.
    fn taken_over(&self, text: &str, sensor: &mut Sensor) {
        self.write(text);
        let mark = sensor.process.mark();
        sensor.process.signal(libc::SIGHUP);
        let taken = |line: &str| line.contains("on SIGHUP: Configuration ");
        sensor.process.wait_for_line_since(mark, crate::sensor::SOON, taken).unwrap();
    }
}

/// A pinned map, as anybody with enough rights can open it.
fn pinned(namespace: &Namespace, name: &str) -> MapData {
    let maps = pins(namespace).unwrap().join(format!("maps-v{LAYOUT_VERSION}"));
    MapData::from_pin(maps.join(name)).unwrap()
}

fn blocks(namespace: &Namespace) -> Blocks {
    Blocks::open(Map::HashMap(pinned(namespace, map::BLOCKS))).unwrap()
}

fn networks(namespace: &Namespace) -> Networks<Block> {
    Networks::open(Map::LpmTrie(pinned(namespace, map::NETWORKS))).unwrap()
}

fn allowed(namespace: &Namespace) -> Networks<u32> {
    Networks::open(Map::LpmTrie(pinned(namespace, map::ALLOWED))).unwrap()
}

/// SYNs of a source to so many of the sensor's ports, from the first on, none of which is open.
fn syns(net: &Internet, source: Ipv4Addr, first: u16, ports: u16) -> Vec<Vec<u8>> {
    let (from, to) = (net.internet.card("tosensor").unwrap().mac, net.sensor.card(CARD).unwrap().mac);
    let frame = |port| Frame::tcp((source, 40_000), (SENSOR_V4, port)).macs(from, to).build();
    (first..first + ports).map(frame).collect()
}

/// A scan that gets its source blocked, of ports that no other scan has tried.
fn scan(net: &Internet, source: Ipv4Addr) {
    static SCANS: AtomicU16 = AtomicU16::new(10);
    let injector = Injector::open(&net.internet, "tosensor").unwrap();
    let first = SCANS.fetch_add(1, Ordering::Relaxed) % 600 * 100;
    syns(net, source, first, 100).iter().for_each(|frame| injector.send(frame).unwrap());
}

/// Somebody who sends SYNs to one port all the time.
fn knocker(net: &Internet, source: Ipv4Addr) -> Knocker {
    Knocker::start(&net.internet, "tosensor", syns(net, source, 999, 1), Duration::from_micros(500)).unwrap()
}

/// Whether a page can be had from the first scanner's address.
fn gets_through(net: &Internet) -> bool {
    http::get(&net.scanner, (SENSOR_V4, 80).into(), "/").is_ok_and(|answer| answer.status == 200)
}

/// `203.0.113.n`, of whom there is only the address.
fn forged(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, n)
}

fn ip(source: Ipv4Addr) -> IpAddr {
    source.into()
}
