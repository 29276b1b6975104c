//! Who has an SSH session here, judged from what can be seen at one look after the other.
//!
//! Anybody may open a connection to the SSH port and hold it, so that alone protects nobody, or every scanner would do
//! it. A peer counts when its connection stands and
//! - the host has a record of a login from its address, or
//! - the connection is older than sshd waits for a login, by our own watch, or
//! - it stood when we first looked, and sshd may still be waiting for its login: only until that time is over, or
//! - tcpcap itself was started from there.
//!
//! Who has counted by one of these, the third apart, counts for a while after the end, to come back after a hiccup.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tcpcap_core::Time;

use super::{address, sockets::Connection, sshd};

/// sshd adds up to four seconds to its patience, by chance, and takes a moment to act.
const MARGIN: Duration = Duration::from_secs(6);

/// More peers are not protected: they must fit into the kernel's list.
pub(super) const MOST_PEERS: usize = 4096;

/// What was seen at one look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'a> {
    pub(super) now: Time,
    /// The connections to the SSH ports; `None` if the kernel did not tell.
    pub(super) connections: Option<&'a [Connection]>,
    /// Where the host says that people are logged in from.
    pub(super) logins: &'a BTreeSet<IpAddr>,
    /// How long sshd waits for a login; `None` for ever.
    pub(super) grace: Option<Duration>,
}

/// Since when a connection is known.
#[derive(Clone, Copy, Debug)]
struct Known {
    since: Time,
    /// It stood at the first look.
    from_start: bool,
}

/// Follows the sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    started_from: Option<StartedFrom>,
    /// How long a peer counts after its session has ended.
    linger: Duration,
    began: bool,
    connections: HashMap<Connection, Known>,
    /// Peers that have counted, and until when they do if nothing more is seen of them.
    peers: BTreeMap<IpAddr, Time>,
    /// Peers that may still be waiting for their login.
    waiting: BTreeSet<IpAddr>,
    /// The end of the protection of where we were started from.
    control: Option<(IpAddr, Time)>,
    left_out: u64,
}

impl Sessions {
    pub(super) fn new(started_from: Option<StartedFrom>, linger: Duration) -> Self {
        Self {
            started_from,
            linger,
            began: false,
            connections: HashMap::new(),
            peers: BTreeMap::new(),
            waiting: BTreeSet::new(),
            control: None,
            left_out: 0,
        }
    }

    /// Takes in what was seen.
    pub(super) fn take(&mut self, look: &Look) {
        let now = look.now;
        self.peers.retain(|_, until| now < *until);
        self.control = self.control.filter(|(_, until)| now < *until);
        let Some(connections) = look.connections else {
            // Blind: whoever counts goes on to, and a login alone is enough.
            self.peers.values_mut().for_each(|until| *until = now + self.linger);
            look.logins.iter().for_each(|ip| self.count(*ip, now));
            return;
        };
        let first = !std::mem::replace(&mut self.began, true);
        let mut before = std::mem::take(&mut self.connections);
        self.waiting.clear();
        for connection in connections {
            let known = before.remove(connection).unwrap_or(Known { since: now, from_start: first });
            self.connections.insert(*connection, known);
            let (peer, age) = (connection.peer.ip(), now.since(known.since));
            if peer.is_loopback() {
                continue;
            }
            let ours = self.started_from.is_some_and(|from| from.is(connection));
            if ours {
                self.control = Some((peer, now + self.linger));
            }
            if ours || look.logins.contains(&peer) || look.grace.is_some_and(|grace| age > grace + MARGIN) {
                self.count(peer, now);
            } else if known.from_start
                && age <= look.grace.unwrap_or(sshd::GRACE) + MARGIN
                && self.waiting.len() < MOST_PEERS
            {
                self.waiting.insert(peer);
            }
        }
    }

    /// Everybody who counts.
    pub(super) fn peers(&self) -> BTreeSet<IpAddr> {
        self.peers.keys().chain(&self.waiting).copied().take(MOST_PEERS).collect()
    }

    /// Where tcpcap was started from, while that session stands.
    pub(super) fn control(&self) -> Option<IpAddr> {
        self.control.map(|(ip, _)| ip)
    }

    /// How often a peer could not be protected for want of room.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    fn count(&mut self, peer: IpAddr, now: Time) {
        if self.peers.len() < MOST_PEERS || self.peers.contains_key(&peer) {
            self.peers.insert(peer, now + self.linger);
        } else {
            self.left_out += 1;
        }
    }
}

/// The SSH connection that tcpcap was started from, as sshd put it into the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StartedFrom {
    peer: SocketAddr,
    pub(super) port: u16,
}

impl StartedFrom {
    /// From `SSH_CONNECTION` (peer, its port, our address, our port) or `SSH_CLIENT` (peer, its port, our port).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let peer = SocketAddr::new(address(words.next()?)?, words.next()?.parse().ok()?);
        if peer.ip().is_loopback() {
            return None;
        }
        Some(Self { peer, port: words.last()?.parse().ok()? })
    }

    fn is(&self, connection: &Connection) -> bool {
        (connection.peer, connection.local.port()) == (self.peer, self.port)
    }
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
