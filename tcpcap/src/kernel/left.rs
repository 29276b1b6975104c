//! What the kernel goes on doing, looked at and not touched: for verbs that run while no daemon does.

use std::{
    fs::File,
    io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use aya::maps::{Array, HashMap, Map, MapData, MapError};
use ipnet::IpNet;
use tcpcap_common::{
    Addr, LAYOUT_VERSION,
    record::{Block, Settings, Source, block::prefix, map},
};

use super::{
    PinnedLink, chain, link, pins,
    tables::{Blocks, Networks},
};

/// The maps and links that are pinned in this network namespace.
pub struct Left {
    dir: PathBuf,
    blocks: Blocks,
    networks: Networks<Block>,
    allowed: Networks<u32>,
    sources: HashMap<MapData, Addr, Source>,
    settings: Array<MapData, Settings>,
}

/// Why what is pinned cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// This user may not look.
    Forbidden,
    /// The maps are of another layout, of this version.
    Layout(String),
    /// Something else, in words.
    Broken(String),
}

impl Left {
    /// Opens what is pinned; none where nothing is.
    ///
    /// # Errors
    /// It may not or cannot be read.
    pub fn find(bpffs: &Path) -> Result<Option<Self>, Unreadable> {
        let root = pins::root(bpffs);
        let broken = |e: io::Error| match e.kind() {
            io::ErrorKind::PermissionDenied => Unreadable::Forbidden,
            _ => Unreadable::Broken(format!("{}: {e}", root.display())),
        };
        // bpffs itself is root's alone in many places: an answer of `no such file` is one, any other is none.
        if !root.try_exists().map_err(broken)? {
            return Ok(None);
        }
        let dir = root.join(format!("{}{}", pins::NAMESPACE_PREFIX, pins::namespace().map_err(broken)?));
        if !dir.try_exists().map_err(broken)? {
            return Ok(None);
        }
        dir.read_dir().map_err(broken)?;
        let versions: Vec<String> = pins::entries(&dir)
            .filter_map(|path| pins::name_of(&path).strip_prefix(pins::MAPS_PREFIX).map(str::to_owned))
            .collect();
        let ours = LAYOUT_VERSION.to_string();
        match versions.iter().find(|version| **version != ours) {
            Some(other) => return Err(Unreadable::Layout(other.clone())),
            None if versions.is_empty() => return Ok(None),
            None => {}
        }
        let maps = dir.join(format!("{}{ours}", pins::MAPS_PREFIX));
        Self::open(dir, &maps).map(Some)
    }

    fn open(dir: PathBuf, maps: &Path) -> Result<Self, Unreadable> {
        let data = |name: &str| MapData::from_pin(maps.join(name)).map_err(|e| unreadable(name, &e));
        let open = |name: &'static str| move |e: MapError| unreadable(name, &e);
        Ok(Self {
            blocks: Blocks::open(Map::HashMap(data(map::BLOCKS)?)).map_err(open(map::BLOCKS))?,
            networks: Networks::open(Map::LpmTrie(data(map::NETWORKS)?)).map_err(open(map::NETWORKS))?,
            allowed: Networks::open(Map::LpmTrie(data(map::ALLOWED)?)).map_err(open(map::ALLOWED))?,
            sources: Map::LruHashMap(data(map::SOURCES)?).try_into().map_err(open(map::SOURCES))?,
            settings: Map::Array(data(map::SETTINGS)?).try_into().map_err(open(map::SETTINGS))?,
            dir,
        })
    }

    /// The process that holds the pins, if one does and can be seen from here.
    #[must_use]
    pub fn holder(&self) -> Option<u32> {
        File::open(&self.dir).ok().and_then(|dir| pins::holder(&dir))
    }

    /// The programs that are attached. Without any nothing is dropped, whatever the lists say.
    #[must_use]
    pub fn attached(&self) -> Vec<PinnedLink> {
        pins::links(&self.dir).into_iter().filter(|pinned| link::interface(&pinned.path).is_some()).collect()
    }

    /// What the program was told last.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn settings(&self) -> Result<Settings, Unreadable> {
        self.settings.get(&0, 0).map_err(|e| unreadable(map::SETTINGS, &e))
    }

    /// Every block, over or not.
    ///
    /// # Errors
    /// The kernel refuses the walk.
    pub fn blocks(&self) -> Result<Vec<(IpNet, Block)>, Unreadable> {
        let mut all = Vec::new();
        let refused = |e: io::Error| Unreadable::Broken(format!("the block lists: {e}"));
        self.blocks.walk(|source, block| all.push((tcpcap_core::Source(source).network(), block))).map_err(refused)?;
        self.networks.walk(|network, block| all.push((network, block))).map_err(refused)?;
        Ok(all)
    }

    /// The blocks that decide about an address: of its own, of its source, and of the longest network around it.
    #[must_use]
    pub fn blocks_of(&self, address: IpAddr) -> Vec<(IpNet, Block)> {
        let whole = tcpcap_core::Source(Addr::from(address));
        let mut sources = vec![whole, whole.prefix()];
        sources.dedup();
        let exact = sources.into_iter().filter_map(|source| Some((source.network(), self.blocks.get(source.0)?)));
        let around = self.networks.longest(&address.into()).and_then(|block| {
            let len = u8::try_from(prefix(block.flags)).ok()?;
            Some((IpNet::new(address, len).ok()?.trunc(), block))
        });
        exact.chain(around).collect()
    }

    /// Whether an address passes whatever the block lists say.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        self.allowed.longest(&address.into()).is_some()
    }

    /// What the kernel counted about a source.
    #[must_use]
    pub fn source(&self, source: tcpcap_core::Source) -> Option<Source> {
        self.sources.get(&source.0, 0).ok()
    }
}

fn unreadable(name: &str, e: &(dyn std::error::Error + 'static)) -> Unreadable {
    let mut cause = Some(e);
    while let Some(e) = cause {
        if e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::PermissionDenied) {
            return Unreadable::Forbidden;
        }
        cause = e.source();
    }
    Unreadable::Broken(format!("{name}: {}", chain(e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_is_pinned_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Left::find(dir.path()).unwrap().is_none());
        std::fs::create_dir(dir.path().join("tcpcap")).unwrap();
        assert!(Left::find(dir.path()).unwrap().is_none());
    }

    #[test]
    fn what_is_of_another_layout_or_no_map_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let ours = dir.path().join(format!("tcpcap/net-{}", pins::namespace().unwrap()));
        std::fs::create_dir_all(ours.join("maps-v99")).unwrap();
        assert_eq!(Left::find(dir.path()).err(), Some(Unreadable::Layout("99".to_owned())));
        std::fs::remove_dir(ours.join("maps-v99")).unwrap();
        std::fs::create_dir(ours.join(format!("maps-v{LAYOUT_VERSION}"))).unwrap();
        std::fs::write(ours.join(format!("maps-v{LAYOUT_VERSION}/BLOCKS")), "").unwrap();
        assert!(matches!(Left::find(dir.path()), Err(Unreadable::Broken(_) | Unreadable::Forbidden)));
    }
}
