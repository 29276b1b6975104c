//! Watching a card: who sent what, and what a scanner got to see.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io,
    net::IpAddr,
    os::fd::{AsRawFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use anyhow::Context;
use tcpcap_common::wire::{self, Kind};

use crate::{
    namespace::Namespace,
    packet::{open, set_option, take_statistics},
    wait::wait_until,
};

/// As much of a frame as headers need, with every extension header that is read through in reason.
const SNAP: usize = 512;
/// How long the thread waits for a frame before it looks whether it is wanted otherwise.
const POLL_MS: libc::c_int = 2;
/// How long a snapshot may wait for the thread to catch up.
const CATCH_UP: Duration = Duration::from_secs(10);

/// An address and a port.
pub type Pair = (IpAddr, u16);

/// What was seen on a card.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Frames, of whatever kind.
    pub frames: u64,
    /// Frames that the kernel could not hand over: not zero means that nothing here may be relied on.
    pub lost: u64,
    /// TCP segments by source.
    pub from: HashMap<IpAddr, u64>,
    /// TCP segments by destination.
    pub to: HashMap<IpAddr, u64>,
    attempts: HashMap<IpAddr, HashSet<Pair>>,
    /// First and last of them.
    attempt_times: HashMap<IpAddr, (SystemTime, SystemTime)>,
    answers: HashMap<IpAddr, HashSet<Pair>>,
}

impl Seen {
    /// TCP segments that this address sent.
    #[must_use]
    pub fn from(&self, source: IpAddr) -> u64 {
        self.from.get(&source).copied().unwrap_or(0)
    }

    /// TCP segments sent to this address.
    #[must_use]
    pub fn to(&self, destination: IpAddr) -> u64 {
        self.to.get(&destination).copied().unwrap_or(0)
    }

    /// From where a SYN-ACK or RST came to this address: captured at a scanner, the ports it got to see.
    #[must_use]
    pub fn answered(&self, scanner: IpAddr) -> BTreeSet<Pair> {
        self.answers.get(&scanner).into_iter().flatten().copied().collect()
    }

    /// What this address sent a SYN to.
    #[must_use]
    pub fn tried(&self, scanner: IpAddr) -> BTreeSet<Pair> {
        self.attempts.get(&scanner).into_iter().flatten().copied().collect()
    }

    /// From the first SYN of this address to its last, by the kernel's clock. Behind an XDP program: how long it was
    /// let in.
    #[must_use]
    pub fn trying_for(&self, scanner: IpAddr) -> Duration {
        let times = self.attempt_times.get(&scanner);
        times.and_then(|(first, last)| last.duration_since(*first).ok()).unwrap_or_default()
    }

    /// Counts a frame; `arrived` is asked for attempts only.
    fn count(&mut self, frame: &[u8], arrived: impl FnOnce() -> SystemTime) {
        self.frames += 1;
        let Ok((network, segment)) = wire::parse(frame) else { return };
        let (from, to) = (network.from.to_ip(), network.to.to_ip());
        *self.from.entry(from).or_default() += 1;
        *self.to.entry(to).or_default() += 1;
        match segment.kind() {
            Kind::Attempt => {
                let at = arrived();
                self.attempt_times.entry(from).and_modify(|times| times.1 = at).or_insert((at, at));
                self.attempts.entry(from).or_default().insert((to, segment.to_port))
            }
            Kind::Reply => self.answers.entry(to).or_default().insert((from, segment.from_port)),
            Kind::Probe | Kind::Segment | Kind::TinyFragment => return,
        };
    }
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Seen>,
    stop: AtomicBool,
    /// Snapshots asked for, and those whose frames have all been read.
    asked: AtomicU64,
    caught_up: AtomicU64,
}

/// A running capture.
#[derive(Debug)]
pub struct Capture {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Capture {
    /// Watches what comes in. Behind an XDP program: what it let pass.
    ///
    /// # Errors
    /// When the card is not there.
    pub fn incoming(namespace: &Namespace, card: &str) -> anyhow::Result<Self> {
        Self::start(namespace, card, true)
    }

    /// Watches both directions.
    ///
    /// # Errors
    /// When the card is not there.
    pub fn both_ways(namespace: &Namespace, card: &str) -> anyhow::Result<Self> {
        Self::start(namespace, card, false)
    }

    fn start(namespace: &Namespace, card: &str, incoming_only: bool) -> anyhow::Result<Self> {
        let socket = open(namespace, card).with_context(|| format!("cannot capture on {card} of {namespace}"))?;
        if incoming_only {
            set_option(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
        }
        let shared = Arc::new(Shared::default());
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.read(&socket)
        });
        Ok(Self { shared, thread: Some(thread) })
    }

    /// What was seen until now, every frame that reached the card before the call included.
    ///
    /// # Errors
    /// When the capture ended by itself or cannot keep up.
    pub fn snapshot(&self) -> anyhow::Result<Seen> {
        let ticket = self.shared.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let ended = || self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        wait_until("the capture to catch up", CATCH_UP, || {
            ended() || self.shared.caught_up.load(Ordering::SeqCst) >= ticket
        })?;
        anyhow::ensure!(!ended(), "the capture has ended: the card is gone");
        Ok(self.shared.lock().clone())
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, socket: &OwnedFd) -> io::Result<()> {
        let mut frame = [0; SNAP];
        while !self.stop.load(Ordering::Relaxed) {
            // Read first: what is queued now is what this many snapshots want.
            let asked = self.asked.load(Ordering::SeqCst);
            {
                let mut seen = self.lock();
                while let Some(len) = receive(socket, &mut frame)? {
                    seen.count(&frame[..len], || arrival(socket));
                }
                seen.lost += u64::from(take_statistics(socket)?.tp_drops);
            }
            self.caught_up.store(asked, Ordering::SeqCst);
            let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one valid pollfd. An error shows at the next read.
            unsafe { libc::poll(&raw mut poll, 1, POLL_MS) };
        }
        Ok(())
    }
}

/// Takes a queued frame, cut to the buffer's length; `None` if there is none.
fn receive(socket: &OwnedFd, frame: &mut [u8]) -> io::Result<Option<usize>> {
    // SAFETY: the kernel writes at most the buffer's length.
    let len = unsafe { libc::recv(socket.as_raw_fd(), frame.as_mut_ptr().cast(), frame.len(), libc::MSG_DONTWAIT) };
    match usize::try_from(len) {
        Ok(len) => Ok(Some(len)),
        Err(_) => match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            e if e.kind() == io::ErrorKind::Interrupted => Ok(None),
            e => Err(e),
        },
    }
}

/// When the frame taken last reached the card.
fn arrival(socket: &OwnedFd) -> SystemTime {
    /// `SIOCGSTAMPNS`, which the libc crate lacks.
    const REQUEST: libc::Ioctl = 0x8907;
    let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), REQUEST, &raw mut at) };
    match (u64::try_from(at.tv_sec), u32::try_from(at.tv_nsec)) {
        (Ok(seconds), Ok(nanos)) if done == 0 => SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos),
        // A kernel that does not say: now, which is a little late.
        _ => SystemTime::now(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Frame, flag};

    #[test]
    fn attempts_and_answers_are_told_apart() {
        let (scanner, host) = ("192.0.2.1:40000", "198.51.100.1:80");
        let mut seen = Seen::default();
        let mut now = SystemTime::UNIX_EPOCH;
        for frame in [
            Frame::tcp(scanner, host).flags(flag::SYN),
            Frame::tcp(scanner, host).flags(flag::SYN),
            Frame::tcp(host, scanner).flags(flag::SYN | flag::ACK),
            Frame::tcp("198.51.100.1:81", scanner).flags(flag::RST | flag::ACK),
            Frame::tcp("198.51.100.1:82", scanner).flags(flag::ACK),
        ] {
            now += Duration::from_millis(1);
            seen.count(&frame.build(), || now);
        }
        seen.count(&[0; 14], || now);
        let [scanner, host] = [scanner, host].map(|a| a.parse::<std::net::SocketAddr>().unwrap().ip());
        assert_eq!((seen.frames, seen.from(scanner), seen.to(scanner)), (6, 2, 3));
        assert_eq!(seen.tried(scanner), BTreeSet::from([(host, 80)]));
        assert_eq!(seen.answered(scanner), BTreeSet::from([(host, 80), (host, 81)]));
        assert!(seen.answered(host).is_empty());
        assert_eq!(seen.trying_for(scanner), Duration::from_millis(1), "between the two SYNs");
        assert_eq!(seen.trying_for(host), Duration::ZERO);
    }
}
