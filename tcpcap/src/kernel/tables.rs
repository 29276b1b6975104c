//! The maps that userspace reads and writes, each as what it means.

use std::{
    collections::BTreeSet,
    io,
    net::IpAddr,
    os::fd::{AsFd as _, OwnedFd},
};

use aya::{
    Pod,
    maps::{HashMap, LpmTrie, Map, MapData, MapError, PerCpuArray, lpm_trie::Key},
};
use ipnet::IpNet;
use tcpcap_common::{
    Addr,
    record::{Block, Source, V4_PREFIX_OFFSET, map},
    tally::TALLY_LEN,
};

use super::{
    Kernel,
    batch::{self, Walk},
    os_error, refused,
};
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

/// Whether the map has no room for one more entry: a hash says so with the first code, a trie with the second.
#[must_use]
pub fn is_full(e: &MapError) -> bool {
    matches!(os_error(e), Some(libc::E2BIG | libc::ENOSPC))
}

/// Whether there was no such entry: the library passes on what the kernel answers to a removal.
fn is_absent(e: &MapError) -> bool {
    matches!(e, MapError::KeyNotFound) || os_error(e) == Some(libc::ENOENT)
}

/// Only if there is none yet (include/uapi/linux/bpf.h).
const BPF_NOEXIST: u64 = 1;

/// Only if there is one (the same).
const BPF_EXIST: u64 = 2;

/// Whether an entry was added that was not there before.
fn is_new(inserted: Result<(), MapError>) -> Result<bool, MapError> {
    match inserted {
        Ok(()) => Ok(true),
        Err(e) if os_error(&e) == Some(libc::EEXIST) => Ok(false),
        Err(e) => Err(e),
    }
}

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
pub struct Sources {
    fd: OwnedFd,
    map: HashMap<MapData, Addr, Source>,
}

/// Every list that userspace writes.
pub struct Tables {
    /// The blocked sources.
    pub blocks: Blocks,
    /// The blocked networks.
    pub networks: Networks<Block>,
    /// The allowed networks.
    pub allowed: Networks<u32>,
    /// The own networks.
    pub own_networks: Networks<u32>,
    /// The own addresses.
    pub own: OwnAddresses,
}

/// The counters of ends and notes.
pub struct Tally(PerCpuArray<MapData, u64>);

impl Kernel {
    /// Every list that userspace writes, as it stands in the kernel.
    ///
    /// # Errors
    /// The maps were taken before, or cannot be read.
    pub fn tables(&mut self) -> Result<Tables, Failure> {
        Ok(Tables {
            blocks: self.blocks()?,
            networks: self.networks()?,
            allowed: self.allowed()?,
            own_networks: self.own_networks()?,
            own: self.own_addresses()?,
        })
    }

    /// The blocked sources.
    ///
    /// # Errors
    /// The map was taken before.
    pub fn blocks(&mut self) -> Result<Blocks, Failure> {
        let map = self.bpf.take_map(map::BLOCKS).ok_or_else(|| super::broken(map::BLOCKS))?;
        Blocks::open(map).map_err(|e| refused(map::BLOCKS, &e))
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
        let map = self.bpf.take_map(name).ok_or_else(|| super::broken(name))?;
        Networks::open(map).map_err(|e| refused(name, &e))
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
        let map = self.bpf.take_map(map::SOURCES).ok_or_else(|| super::broken(map::SOURCES))?;
        let fd = descriptor(&map).map_err(|e| refused(map::SOURCES, &e))?;
        // Opened as a map of these types once, which checks the sizes that the walk relies on.
        let map = HashMap::try_from(map).map_err(|e| refused(map::SOURCES, &e))?;
        Ok(Sources { fd, map })
    }

    /// The counters.
    ///
    /// # Errors
    /// The map was taken before.
    pub fn tally(&mut self) -> Result<Tally, Failure> {
        Ok(Tally(self.take(map::TALLY)?))
    }
}

/// How many entries a hash or trie has room for.
pub(super) fn room(map: &Map) -> Option<u32> {
    let (Map::HashMap(data) | Map::LruHashMap(data) | Map::LpmTrie(data)) = map else { return None };
    data.info().ok().map(|info| info.max_entries())
}

/// Another handle of a map, for what the library has no call for.
fn descriptor(map: &Map) -> Result<OwnedFd, MapError> {
    let (Map::HashMap(data) | Map::LruHashMap(data) | Map::LpmTrie(data)) = map else {
        return Err(MapError::InvalidMapType { map_type: 0 });
    };
    data.fd().as_fd().try_clone_to_owned().map_err(MapError::IoError)
}

impl Blocks {
    /// A map as the list of blocked sources.
    ///
    /// # Errors
    /// It is of another kind or size.
    pub fn open(map: Map) -> Result<Self, MapError> {
        let fd = descriptor(&map)?;
        Ok(Self { map: map.try_into()?, fd })
    }

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

    /// Puts an entry in as it is, unless the source has one; says whether it had none.
    ///
    /// # Errors
    /// The map is full, or the kernel refuses.
    pub fn add(&mut self, source: Addr, block: Block) -> Result<bool, MapError> {
        is_new(self.map.insert(source, block, BPF_NOEXIST))
    }

    /// Calls `each` for a piece of the entries.
    ///
    /// # Errors
    /// The kernel refuses the walk.
    pub fn walk_on(&self, at: &mut Walk, each: impl FnMut(Addr, Block)) -> io::Result<usize> {
        batch::walk_on(&self.fd, at, each)
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
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.written.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

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
    /// Has the reflex let a source go, and count anew from `from` on, nanoseconds of the kernel's clock. What the program
    /// counts for the source between the reading and the writing is lost.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn let_go(&mut self, source: Addr, from: u64) -> Result<(), MapError> {
        let mut record = match self.map.get(&source, 0) {
            Ok(record) => record,
            Err(e) if is_absent(&e) => return Ok(()),
            Err(e) => return Err(e),
        };
        (record.held_until, record.reflex_start) = (0, from);
        (record.tried, record.refused) = ([0; 2], 0);
        (record.pairs, record.marked, record.completed, record.refused_score) = (0, 0, 0, 0);
        match self.map.insert(source, record, BPF_EXIST) {
            Err(e) if !is_absent(&e) => Err(e),
            _ => Ok(()),
        }
    }

    /// Calls `each` for every source that has a record; returns how many there are.
    ///
    /// # Errors
    /// The kernel refuses the walk.
    pub fn walk(&self, each: impl FnMut(Addr, Source)) -> io::Result<usize> {
        batch::walk(&self.fd, each)
    }
}

impl<V: Pod> Networks<V> {
    /// A map as a list of networks.
    ///
    /// # Errors
    /// It is of another kind or size, or cannot be read.
    pub fn open(map: Map) -> Result<Self, MapError> {
        let fd = descriptor(&map)?;
        let mut networks = Self { map: map.try_into()?, fd, held: 0 };
        networks.held = networks.walk(|_, _| {}).map_err(MapError::IoError)?;
        Ok(networks)
    }

    /// Puts a network in, or changes its value, from the next packet on.
    ///
    /// # Errors
    /// The trie is full, or the kernel refuses.
    pub fn put(&mut self, network: &IpNet, value: V) -> Result<(), MapError> {
        self.put_with(network, |_| value)
    }

    /// Puts an entry in as it is, unless the network has one; says whether it had none.
    ///
    /// # Errors
    /// The trie is full, or the kernel refuses.
    pub fn add(&mut self, network: &IpNet, value: V) -> Result<bool, MapError> {
        let new = is_new(self.map.insert(&trie_key(network), value, BPF_NOEXIST))?;
        self.held += usize::from(new);
        Ok(new)
    }

    /// Calls `each` for a piece of the networks.
    ///
    /// # Errors
    /// The kernel refuses the walk.
    pub fn walk_on(&self, at: &mut Walk, mut each: impl FnMut(IpNet, V)) -> io::Result<usize> {
        batch::walk_on(&self.fd, at, |key, value| {
            if let Some(network) = network_of(key) {
                each(network, value);
            }
        })
    }

    /// The value of the longest network that is this one or around it.
    #[must_use]
    pub fn longest(&self, network: &IpNet) -> Option<V> {
        self.map.get(&trie_key(network), 0).ok()
    }

    /// As [`Networks::put`], with a value made from the one that is there.
    ///
    /// # Errors
    /// As [`Networks::put`].
    pub fn put_with(&mut self, network: &IpNet, value: impl Fn(Option<V>) -> V) -> Result<(), MapError> {
        if self.add(network, value(None))? {
            return Ok(());
        }
        // It is there, so it is the longest.
        self.map.insert(&trie_key(network), value(self.longest(network)), 0)
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
