//! The maps that userspace reads and writes, each as what it means.

use std::{collections::BTreeSet, io, net::IpAddr, os::fd::OwnedFd};

use aya::{
    Pod,
    maps::{HashMap, LpmTrie, MapData, MapError, PerCpuArray, lpm_trie::Key},
};
use ipnet::IpNet;
use tcpcap_common::{
    Addr,
    record::{Block, Source, V4_PREFIX_OFFSET, map},
    tally::TALLY_LEN,
};

use super::{Kernel, batch, os_error, refused};
use crate::failure::Failure;

/// A network as key of a longest-prefix trie.
fn trie_key(network: &IpNet) -> Key<Addr> {
    let offset = if matches!(network, IpNet::V4(_)) { V4_PREFIX_OFFSET } else { 0 };
    Key::new(offset + u32::from(network.prefix_len()), network.network().into())
}

/// The network of a trie's key; `None` for a key that [`trie_key`] never makes.
fn network_of(key: Key<Addr>) -> Option<IpNet> {
    let (len, ip) = (key.prefix_len(), key.data().to_ip());
    let offset = if ip.is_ipv4() { V4_PREFIX_OFFSET } else { 0 };
    IpNet::new(ip, u8::try_from(len.checked_sub(offset)?).ok()?).ok()
}

/// Whether there was no such entry: the library passes on what the kernel answers to a removal.
fn is_absent(e: &MapError) -> bool {
    matches!(e, MapError::KeyNotFound) || os_error(e) == Some(libc::ENOENT)
}

/// Only if there is none yet (include/uapi/linux/bpf.h).
const BPF_NOEXIST: u64 = 1;

/// The blocked sources.
pub struct Blocks {
    map: HashMap<MapData, Addr, Block>,
    fd: OwnedFd,
}

/// A longest-prefix trie, and how many networks are in it.
pub struct Networks<V: Pod> {
    map: LpmTrie<MapData, Addr, V>,
    fd: OwnedFd,
    held: usize,
}

/// The own addresses, and what is in the map of them.
pub struct OwnAddresses {
    map: HashMap<MapData, Addr, u32>,
    written: BTreeSet<IpAddr>,
}

/// The sources' records.
pub struct Sources(OwnedFd);

/// The counters of ends and notes.
pub struct Tally(PerCpuArray<MapData, u64>);

impl Kernel {
    /// The blocked sources.
    ///
    /// # Errors
    /// The map was taken before.
    pub fn blocks(&mut self) -> Result<Blocks, Failure> {
        let fd = self.descriptor(map::BLOCKS)?;
        Ok(Blocks { map: self.take(map::BLOCKS)?, fd })
    }

    /// The blocked networks.
    ///
    /// # Errors
    /// The map was taken before, or cannot be read.
    pub fn networks(&mut self) -> Result<Networks<Block>, Failure> {
        self.trie(map::NETWORKS)
    }

    /// The allowed networks.
    ///
    /// # Errors
    /// The map was taken before, or cannot be read.
    pub fn allowed(&mut self) -> Result<Networks<u32>, Failure> {
        self.trie(map::ALLOWED)
    }

    /// The own networks.
    ///
    /// # Errors
    /// The map was taken before, or cannot be read.
    pub fn own_networks(&mut self) -> Result<Networks<u32>, Failure> {
        self.trie(map::OWN_NETWORKS)
    }

    fn trie<V: Pod>(&mut self, name: &str) -> Result<Networks<V>, Failure> {
        let fd = self.descriptor(name)?;
        let mut networks = Networks { map: self.take(name)?, fd, held: 0 };
        networks.held = networks.walk(|_, _| {}).map_err(|e| refused(name, &e))?;
        Ok(networks)
    }

    /// The own addresses.
    ///
    /// # Errors
    /// The map was taken before, or cannot be read.
    pub fn own_addresses(&mut self) -> Result<OwnAddresses, Failure> {
        let map: HashMap<MapData, Addr, u32> = self.take(map::OWN)?;
        let written = map.keys().map(|key| key.map(|addr| addr.to_ip())).collect::<Result<_, _>>();
        Ok(OwnAddresses { written: written.map_err(|e| refused(map::OWN, &e))?, map })
    }

    /// The sources' records.
    ///
    /// # Errors
    /// The map was taken before.
    pub fn sources(&mut self) -> Result<Sources, Failure> {
        let fd = self.descriptor(map::SOURCES)?;
        // Opened as a map of these types once, which checks the sizes that the walk relies on.
        self.take::<HashMap<MapData, Addr, Source>>(map::SOURCES)?;
        Ok(Sources(fd))
    }

    /// The counters.
    ///
    /// # Errors
    /// The map was taken before.
    pub fn tally(&mut self) -> Result<Tally, Failure> {
        Ok(Tally(self.take(map::TALLY)?))
    }
}

impl Blocks {
    /// Blocks a source from the next packet on. What an older entry had counted goes on in the new one.
    ///
    /// # Errors
    /// The map is full, or the kernel refuses.
    pub fn put(&mut self, source: Addr, mut block: Block) -> Result<(), MapError> {
        if let Some(old) = self.get(source) {
            (block.packets, block.bytes, block.last_drop) = (old.packets, old.bytes, old.last_drop);
        }
        self.map.insert(source, block, 0)
    }

    /// Calls `each` for every entry; returns how many there are.
    ///
    /// # Errors
    /// The kernel refuses the walk.
    pub fn walk(&self, each: impl FnMut(Addr, Block)) -> io::Result<usize> {
        batch::walk(&self.fd, each)
    }

    /// The entry of a source.
    #[must_use]
    pub fn get(&self, source: Addr) -> Option<Block> {
        self.map.get(&source, 0).ok()
    }

    /// Removes a source; returns what its entry had counted. `None`: there was no entry.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove(&mut self, source: Addr) -> Result<Option<Block>, MapError> {
        let last = self.get(source);
        match self.map.remove(&source) {
            Ok(()) => Ok(last),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl OwnAddresses {
    /// Makes the map hold exactly these addresses; says whether anything changed.
    ///
    /// # Errors
    /// The kernel refuses an entry. The next call tries it again.
    pub fn set(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<bool, MapError> {
        if *addresses == self.written {
            return Ok(false);
        }
        for &new in addresses.difference(&self.written.clone()) {
            self.map.insert(Addr::from(new), 1, 0)?;
            self.written.insert(new);
        }
        for &old in self.written.clone().difference(addresses) {
            match self.map.remove(&Addr::from(old)) {
                Err(e) if !is_absent(&e) => return Err(e),
                _ => self.written.remove(&old),
            };
        }
        Ok(true)
    }
}

impl Sources {
    /// Calls `each` for every source that has a record; returns how many there are.
    ///
    /// # Errors
    /// The kernel refuses the walk.
    pub fn walk(&self, each: impl FnMut(Addr, Source)) -> io::Result<usize> {
        batch::walk(&self.0, each)
    }
}

impl<V: Pod> Networks<V> {
    /// Puts a network in, or changes its value, from the next packet on.
    ///
    /// # Errors
    /// The trie is full, or the kernel refuses.
    pub fn put(&mut self, network: &IpNet, value: V) -> Result<(), MapError> {
        self.put_with(network, |_| value)
    }

    /// As [`Networks::put`], with a value made from the one that is there.
    ///
    /// # Errors
    /// As [`Networks::put`].
    pub fn put_with(&mut self, network: &IpNet, value: impl Fn(Option<V>) -> V) -> Result<(), MapError> {
        let key = trie_key(network);
        match self.map.insert(&key, value(None), BPF_NOEXIST) {
            Ok(()) => {
                self.held += 1;
                Ok(())
            }
            // The longest prefix that holds the key, which the kernel looks for, is then the key itself.
            Err(e) if os_error(&e) == Some(libc::EEXIST) => {
                let value = value(self.map.get(&key, 0).ok());
                self.map.insert(&key, value, 0)
            }
            Err(e) => Err(e),
        }
    }

    /// Removes a network; says whether it was there.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove(&mut self, network: &IpNet) -> Result<bool, MapError> {
        match self.map.remove(&trie_key(network)) {
            Ok(()) => {
                self.held = self.held.saturating_sub(1);
                Ok(true)
            }
            Err(e) if is_absent(&e) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// How many networks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Calls `each` for every network; returns how many there are.
    ///
    /// # Errors
    /// The kernel refuses the walk.
    pub fn walk(&self, mut each: impl FnMut(IpNet, V)) -> io::Result<usize> {
        batch::walk(&self.fd, |key, value| {
            if let Some(network) = network_of(key) {
                each(network, value);
            }
        })
    }
}

impl Tally {
    /// The sum over all CPUs of each counter, indexed as [`tcpcap_common::tally`] says.
    ///
    /// # Errors
    /// The kernel refuses to read one.
    pub fn read(&self) -> Result<Vec<u64>, MapError> {
        (0..TALLY_LEN).map(|i| Ok(self.0.get(&i, 0)?.iter().sum())).collect()
    }
}
