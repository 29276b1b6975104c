//! The maps that userspace reads and writes, each as what it means.

use std::{collections::BTreeSet, io, net::IpAddr};

use aya::maps::{HashMap, MapData, MapError, PerCpuArray, lpm_trie::Key};
use ipnet::IpNet;
use tcpcap_common::{
    Addr,
    record::{Block, Source, V4_PREFIX_OFFSET, map},
    tally::TALLY_LEN,
};

use super::{Kernel, batch, os_error, refused};
use crate::failure::Failure;

/// A network as key of a longest-prefix trie.
pub(super) fn trie_key(network: &IpNet) -> Key<Addr> {
    let offset = if matches!(network, IpNet::V4(_)) { V4_PREFIX_OFFSET } else { 0 };
    Key::new(offset + u32::from(network.prefix_len()), network.network().into())
}

/// Whether there was no such entry: the library passes on what the kernel answers to a removal.
fn is_absent(e: &MapError) -> bool {
    matches!(e, MapError::KeyNotFound) || os_error(e) == Some(libc::ENOENT)
}

/// The blocked sources.
pub struct Blocks(HashMap<MapData, Addr, Block>);

/// The own addresses, and what is in the map of them.
pub struct OwnAddresses {
    map: HashMap<MapData, Addr, u32>,
    written: BTreeSet<IpAddr>,
}

/// The sources' records.
pub struct Sources(MapData);

/// The counters of ends and notes.
pub struct Tally(PerCpuArray<MapData, u64>);

impl Kernel {
    /// The blocked sources.
    ///
    /// # Errors
    /// The map was taken before.
    pub fn blocks(&mut self) -> Result<Blocks, Failure> {
        Ok(Blocks(self.take(map::BLOCKS)?))
    }

    /// The own addresses.
    ///
    /// # Errors
    /// The map was taken before.
    pub fn own_addresses(&mut self) -> Result<OwnAddresses, Failure> {
        Ok(OwnAddresses { map: self.take(map::OWN)?, written: BTreeSet::new() })
    }

    /// The sources' records.
    ///
    /// # Errors
    /// The map was taken before.
    pub fn sources(&mut self) -> Result<Sources, Failure> {
        let map = self.bpf.take_map(map::SOURCES).ok_or_else(|| super::broken(map::SOURCES))?;
        // Opened as a map of these types once, which checks the sizes that the walk relies on.
        HashMap::<_, Addr, Source>::try_from(&map).map_err(|e| refused(map::SOURCES, &e))?;
        match map {
            aya::maps::Map::LruHashMap(data) => Ok(Sources(data)),
            _ => Err(super::broken(map::SOURCES)),
        }
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
        self.0.insert(source, block, 0)
    }

    /// The entry of a source.
    #[must_use]
    pub fn get(&self, source: Addr) -> Option<Block> {
        self.0.get(&source, 0).ok()
    }

    /// Removes a source; returns what its entry had counted. `None`: there was no entry.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove(&mut self, source: Addr) -> Result<Option<Block>, MapError> {
        let last = self.get(source);
        match self.0.remove(&source) {
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
        batch::walk(self.0.fd(), each)
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
