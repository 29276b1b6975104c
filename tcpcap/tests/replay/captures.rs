//! Captures made by hand.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use tcpcap_lab::frame::{Frame, flag};

/// 2026-01-02T03:04:05Z
pub const START: u64 = 1_767_323_045;

pub const SCANNER: &str = "192.0.2.7";
pub const CLIENT: &str = "192.0.2.99";
pub const HOST: &str = "10.0.0.1";

/// Microseconds after the start, and an Ethernet frame.
pub type Packet = (u64, Vec<u8>);

fn tcp(at: u64, from: (&str, u16), to: (&str, u16), flags: u8, seq: u32, ack: u32) -> Packet {
    let end = |(ip, port): (&str, u16)| format!("{ip}:{port}");
    (at, Frame::tcp(&*end(from), &*end(to)).flags(flags).seq(seq, ack).build())
}

/// A scan of `ports` closed ports, one each millisecond.
pub fn scan(ports: u16) -> Vec<Packet> {
    (0..ports)
        .flat_map(|n| {
            let (at, from, to) = (u64::from(n) * 1000, (SCANNER, 40_000), (HOST, 1 + n));
            [
                tcp(at, from, to, flag::SYN, u32::from(n), 0),
                tcp(at + 50, to, from, flag::RST | flag::ACK, 0, u32::from(n) + 1),
            ]
        })
        .collect()
}

/// The same behind a firewall that swallows everything.
pub fn unanswered_scan(ports: u16) -> Vec<Packet> {
    scan(ports).into_iter().step_by(2).collect()
}

/// A client that opens `connections` ports at once, all of which answer a tenth of a second later.
pub fn honest(connections: u16) -> Vec<Packet> {
    let each = |step: u64, flags, back: bool, seq, ack| {
        (0..connections).map(move |n| {
            let (from, to) = ((CLIENT, 50_000 + n), (HOST, 2000 + n));
            let (from, to) = if back { (to, from) } else { (from, to) };
            tcp(step + u64::from(n), from, to, flags, seq, ack)
        })
    };
    each(0, flag::SYN, false, 10, 0)
        .chain(each(50_000, flag::SYN | flag::ACK, true, 90, 11))
        .chain(each(100_000, flag::ACK, false, 11, 91))
        .collect()
}

/// How a classic capture is written.
#[derive(Clone, Copy)]
pub struct Classic {
    pub big_endian: bool,
    pub nanos: bool,
    pub link: u32,
    /// What takes the place of the Ethernet header.
    pub header: Option<&'static [u8]>,
    pub snap: usize,
}

impl Default for Classic {
    fn default() -> Self {
        Self { big_endian: false, nanos: false, link: 1, header: None, snap: 65_535 }
    }
}

impl Classic {
    pub fn write(self, packets: &[Packet]) -> Vec<u8> {
        let word = |w: u32| if self.big_endian { w.to_be_bytes() } else { w.to_le_bytes() };
        let half = |h: u16| if self.big_endian { h.to_be_bytes() } else { h.to_le_bytes() };
        let mut file = word(if self.nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }).to_vec();
        file.extend([half(2), half(4)].concat());
        file.extend([0, 0, 65_535, self.link].into_iter().flat_map(word));
        for (at, frame) in packets {
            let frame = match self.header {
                Some(header) => [header, &frame[14..]].concat(),
                None => frame.clone(),
            };
            let caught = &frame[..frame.len().min(self.snap)];
            let part = at % 1_000_000 * if self.nanos { 1000 } else { 1 };
            for number in [START + at / 1_000_000, part, caught.len() as u64, frame.len() as u64] {
                file.extend(word(u32::try_from(number).unwrap()));
            }
            file.extend(caught);
        }
        file
    }
}

/// The packets as pcapng.
pub fn pcapng(packets: &[Packet]) -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>();
    let block = |kind: u32, content: &[u8]| {
        let padding = content.len().next_multiple_of(4) - content.len();
        let len = u32::try_from(content.len() + padding + 12).unwrap();
        [words(&[kind, len]), content.to_vec(), vec![0; padding], words(&[len])].concat()
    };
    let mut file = block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]));
    file.extend(block(1, &words(&[1, 0])));
    for (at, frame) in packets {
        let stamp = START * 1_000_000 + at;
        let (high, low) = (u32::try_from(stamp >> 32).unwrap(), u32::try_from(stamp & 0xffff_ffff).unwrap());
        let len = u32::try_from(frame.len()).unwrap();
        file.extend(block(6, &[words(&[0, high, low, len, len]), frame.clone()].concat()));
    }
    file
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// A file that goes away with it.
pub struct Temporary(PathBuf);

impl Temporary {
    pub fn with(bytes: &[u8]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tcpcap-replay-{}-{n}.pcap", std::process::id()));
        fs::write(&path, bytes).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

/// What the program said.
#[derive(Debug)]
pub struct Said {
    pub out: String,
    pub err: String,
    pub code: i32,
}

/// Runs `tcpcap replay` over files with these contents.
pub fn replay(files: &[Vec<u8>], args: &[&str]) -> Said {
    let files: Vec<_> = files.iter().map(|bytes| Temporary::with(bytes)).collect();
    run(&[files.iter().map(|f| f.path().to_str().unwrap()).collect(), args.to_vec()].concat())
}

/// Runs `tcpcap replay`.
pub fn run(args: &[&str]) -> Said {
    piped(args, Vec::new())
}

/// Runs `tcpcap replay` with these bytes coming through a pipe to its standard input.
pub fn piped(args: &[&str], bytes: Vec<u8>) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpcap"));
    command.arg("replay").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Who does not read it all, does not have to.
    let writer = thread::spawn(move || stdin.write_all(&bytes).is_ok());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    said(output)
}

/// Runs `tcpcap replay` with its standard input redirected from a file.
pub fn redirected(args: &[&str], file: &Path) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpcap"));
    said(command.arg("replay").args(args).stdin(fs::File::open(file).unwrap()).output().unwrap())
}

fn said(output: Output) -> Said {
    Said {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
    }
}
