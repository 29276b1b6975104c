//! What outlives the daemon: maps and links, pinned to the BPF file system.
//!
//! ```text
//! /sys/fs/bpf/tcpcap/net-4026531840/     one directory a network namespace, locked by the daemon that runs there
//!     maps-v4/BLOCKS …                   the version is that of the layout: another one is never read as this one
//!     links/xdp-native-2, egress-2       by interface index; bpffs takes no dots, interface names have some
//! ```
//!
//! Two daemons in two namespaces have nothing in common, two in the same one exclude each other by the lock. Where no
//! link holds an interface any more, nothing is enforced: the namespace is gone, it may be, and its number another's by
//! now. Such pins are removed by the next start, wherever it is; what is left of blocks is in the history.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use aya::maps::{Map, MapData, MapInfo};
use aya_obj::Object;
use tcpcap_common::{
    LAYOUT_VERSION,
    record::{Block, map},
};

use super::{
    Mode, OBJECT, Sizes, chain, link,
    tables::{Blocks, Networks, Tables},
};
use crate::failure::Failure;

/// Where the BPF file system is.
pub const BPFFS: &str = "/sys/fs/bpf";
/// Our place there.
pub(super) const ROOT: &str = "tcpcap";
const LINKS: &str = "links";
pub(super) const MAPS_PREFIX: &str = "maps-v";
pub(super) const NAMESPACE_PREFIX: &str = "net-";
/// A map of another shape whose entries wait to be taken over.
const OLD_PREFIX: &str = "OLD_";
pub(super) const BPF_FS_MAGIC: i64 = 0xcafe_4a11;

/// The pins of this network namespace. They are this process's until it ends, and stay after it.
pub struct Pins {
    dir: PathBuf,
    /// Held, never read.
    _lock: File,
}

/// Why there are no pins to be had.
#[derive(Debug)]
pub enum Refusal {
    /// Another tcpcap has them; its process id, where it can be seen from here.
    Held(Option<u32>),
    /// There is no BPF file system that we may write to.
    Unusable {
        /// Why not.
        why: String,
        /// What to do about it.
        remedy: String,
    },
}

/// What a link's pin says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The XDP program, in this mode.
    In(Mode),
    /// The program on the way out.
    Out,
}

/// A pinned link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedLink {
    /// Where it is pinned.
    pub path: PathBuf,
    /// Which program it holds.
    pub way: Way,
    /// The interface it was made for.
    pub index: u32,
}

impl PinnedLink {
    /// Takes the program off.
    pub fn end(&self) {
        // What cannot be removed is found again by the next start.
        link::end(&self.path).ok();
    }
}

impl Way {
    fn prefix(self) -> &'static str {
        match self {
            Self::In(Mode::Native) => "xdp-native-",
            Self::In(Mode::Generic) => "xdp-generic-",
            Self::Out => "egress-",
        }
    }
}

impl Pins {
    /// Takes the pins of this thread's network namespace, and removes those of namespaces that are gone.
    ///
    /// # Errors
    /// Somebody else has them, or there is no BPF file system that can be written to.
    pub fn claim(bpffs: &Path) -> Result<Self, Refusal> {
        let absent = |why: String| Refusal::Unusable { why, remedy: mount_it(bpffs) };
        let found = file_system(bpffs).map_err(|e| absent(format!("{}: {e}", bpffs.display())))?;
        if found != BPF_FS_MAGIC {
            return Err(absent(format!("{} is no BPF file system", bpffs.display())));
        }
        let root = root(bpffs);
        let unusable = |what: &Path, e: &io::Error| {
            let remedy = if e.kind() == io::ErrorKind::PermissionDenied { give_it() } else { mount_it(bpffs) };
            Refusal::Unusable { why: format!("{}: {e}", what.display()), remedy }
        };
        let dir = root.join(format!("{NAMESPACE_PREFIX}{}", namespace().map_err(|e| unusable(&root, &e))?));
        let make = DirBuilder::new().recursive(true).mode(0o750).create(dir.join(LINKS));
        make.map_err(|e| unusable(&dir, &e))?;
        let lock = File::open(&dir).map_err(|e| unusable(&dir, &e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Refusal::Held(holder(&lock))),
            Err(TryLockError::Error(e)) => return Err(unusable(&dir, &e)),
        }
        let pins = Self { dir, _lock: lock };
        if !is_enforced(&pins.dir) {
            pins.clear().map_err(|e| unusable(&pins.dir, &e))?;
        }
        pins.sweep(&root);
        Ok(pins)
    }

    /// The directory of the maps.
    #[must_use]
    pub fn maps(&self) -> PathBuf {
        self.dir.join(format!("{MAPS_PREFIX}{LAYOUT_VERSION}"))
    }

    /// Where the link of a program on an interface is pinned.
    #[must_use]
    pub fn link(&self, way: Way, index: u32) -> PathBuf {
        self.dir.join(LINKS).join(format!("{}{index}", way.prefix()))
    }

    /// The links that are pinned.
    #[must_use]
    pub fn links(&self) -> Vec<PinnedLink> {
        links(&self.dir)
    }

    /// Makes sure that every pinned map is what this binary takes it for. A map of another shape is removed where it
    /// only holds counters, and set aside where it holds blocks, for [`Pins::take_over`].
    ///
    /// # Errors
    /// The maps are of another layout: they are never read, and never thrown away unasked.
    pub fn prepare(&self, sizes: Sizes) -> Result<(), Failure> {
        if let Some(other) = self.other_layout() {
            return Err(Failure::failed(
                format!(
                    "the blocks in the kernel are of layout {other}, and this tcpcap knows layout {LAYOUT_VERSION} alone; they stay in force"
                ),
                "start the version that made them, or let go of them with `tcpcap detach`",
            ));
        }
        let maps = self.maps();
        let broken = |what: &str, e: &dyn std::fmt::Display| {
            Failure::failed(
                format!("cannot take over what an earlier tcpcap left in {}: {what}: {e}", maps.display()),
                "let go of it with `tcpcap detach`",
            )
        };
        DirBuilder::new().recursive(true).mode(0o750).create(&maps).map_err(|e| broken("directory", &e))?;
        let object = Object::parse(OBJECT).map_err(|e| broken("this build's own object", &e))?;
        for name in map::ALL {
            let path = maps.join(name);
            if !path.exists() {
                continue;
            }
            let found = MapInfo::from_pin(&path).map_err(|e| broken(name, &chain(&e)))?;
            let Some(wanted) = object.maps.get(name) else {
                return Err(broken(name, &"this build's own object has no such map"));
            };
            let has_room = if name == map::BLOCKS {
                found.max_entries() >= sizes.blocks
            } else {
                found.max_entries() == wanted.max_entries()
            };
            let same_entries = (found.key_size(), found.value_size()) == (wanted.key_size(), wanted.value_size());
            if same_entries && has_room && found.map_flags() == wanted.map_flags() {
                continue;
            }
            if same_entries && matches!(name, map::BLOCKS | map::NETWORKS) {
                fs::rename(&path, maps.join(format!("{OLD_PREFIX}{name}"))).map_err(|e| broken(name, &e))?;
            } else {
                fs::remove_file(&path).map_err(|e| broken(name, &e))?;
            }
        }
        Ok(())
    }

    /// Takes the entries over that [`Pins::prepare`] set aside; returns how many there were. Doing it again changes
    /// nothing, so whoever dies meanwhile has lost nothing.
    ///
    /// # Errors
    /// An entry cannot be read, or does not fit.
    pub fn take_over(&self, tables: &mut Tables) -> Result<usize, Failure> {
        let failed = |name: &str, e: &(dyn std::error::Error + 'static)| {
            Failure::failed(
                format!("cannot take over the blocks of {name}: {}; they stay in force", chain(e)),
                "let go of them with `tcpcap detach`",
            )
        };
        let old = |name: &str| -> Result<Option<MapData>, Failure> {
            let path = self.maps().join(format!("{OLD_PREFIX}{name}"));
            if !path.exists() {
                return Ok(None);
            }
            MapData::from_pin(&path).map(Some).map_err(|e| failed(name, &e))
        };
        let mut taken = 0;
        if let Some(map) = old(map::BLOCKS)? {
            let (map, mut found) = (Blocks::open(Map::HashMap(map)).map_err(|e| failed(map::BLOCKS, &e))?, Vec::new());
            map.walk(|source, block| found.push((source, block))).map_err(|e| failed(map::BLOCKS, &e))?;
            for (source, block) in found {
                tables.blocks.add(source, block).map_err(|e| failed(map::BLOCKS, &e))?;
                taken += 1;
            }
        }
        if let Some(map) = old(map::NETWORKS)? {
            let map: Networks<Block> = Networks::open(Map::LpmTrie(map)).map_err(|e| failed(map::NETWORKS, &e))?;
            let mut found = Vec::new();
            map.walk(|network, block| found.push((network, block))).map_err(|e| failed(map::NETWORKS, &e))?;
            for (network, block) in found {
                tables.networks.add(&network, block).map_err(|e| failed(map::NETWORKS, &e))?;
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// Removes what [`Pins::prepare`] set aside, once no program uses it.
    pub fn drop_old(&self) {
        for name in [map::BLOCKS, map::NETWORKS] {
            fs::remove_file(self.maps().join(format!("{OLD_PREFIX}{name}"))).ok();
        }
    }

    /// Removes everything: programs and maps go with their last pin. Says whether there was anything.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn remove(&self) -> io::Result<bool> {
        let any = !self.links().is_empty() || self.has_maps();
        self.links().iter().try_for_each(|link| link::end(&link.path))?;
        remove_tree(&self.dir)?;
        Ok(any)
    }

    /// Removes everything if no program is attached: what a start that failed has made.
    pub fn remove_unless_linked(&self) {
        if self.links().is_empty() {
            remove_tree(&self.dir).ok();
        }
    }

    /// Whether an earlier tcpcap left its block lists.
    #[must_use]
    pub fn has_blocks(&self) -> bool {
        self.maps().join(map::BLOCKS).exists()
    }

    fn has_maps(&self) -> bool {
        entries(&self.dir).any(|path| name_of(&path).starts_with(MAPS_PREFIX))
    }

    /// The version of maps of another layout, if there are any.
    fn other_layout(&self) -> Option<String> {
        entries(&self.dir)
            .filter_map(|path| name_of(&path).strip_prefix(MAPS_PREFIX).map(str::to_owned))
            .find(|version| *version != LAYOUT_VERSION.to_string())
    }

    /// Removes what stands in the directory.
    fn clear(&self) -> io::Result<()> {
        for path in entries(&self.dir) {
            remove_tree(&path)?;
        }
        DirBuilder::new().recursive(true).mode(0o750).create(self.dir.join(LINKS))
    }

    /// Removes the directories of namespaces that are gone: those that nobody holds and whose links hold nothing.
    fn sweep(&self, root: &Path) {
        for dir in entries(root).filter(|dir| *dir != self.dir && name_of(dir).starts_with(NAMESPACE_PREFIX)) {
            let Ok(lock) = File::open(&dir) else { continue };
            if lock.try_lock().is_ok() && !is_enforced(&dir) {
                remove_tree(&dir).ok();
            }
        }
    }
}

/// Our directory. Where that alone was mounted, as into a container, it is all that is there.
pub(super) fn root(bpffs: &Path) -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if is_ours_alone(&mounts, bpffs) { bpffs.to_owned() } else { bpffs.join(ROOT) }
}

/// Which part of a file system is mounted: `36 35 0:30 /tcpcap /sys/fs/bpf rw,nosuid … - bpf bpf rw`. Of several at one
/// place the last one is seen.
fn is_ours_alone(mounts: &str, bpffs: &Path) -> bool {
    let mut parts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (part, at) = (fields.next()?, fields.next()?);
        (Path::new(at) == bpffs).then_some(Path::new(part))
    });
    parts.next_back().is_some_and(|part| part.file_name() == Some(OsStr::new(ROOT)))
}

/// How to have a BPF file system here.
fn mount_it(bpffs: &Path) -> String {
    let at = bpffs.display();
    format!("`mount -t bpf bpf {at}`, writable, or give the container the host's: -v {at}:{at}")
}

/// How a user who is not root gets a place for pins.
pub(crate) fn give_it() -> String {
    let ours = format!("{BPFFS}/{ROOT}");
    let me = nix::unistd::geteuid();
    format!(
        "give this user a place, as root on the host: mkdir -p {ours}; chown -R {me} {ours}; a container is given that \
         alone: -v {ours}:{BPFFS}"
    )
}

/// Whether a program is attached by one of the links.
fn is_enforced(dir: &Path) -> bool {
    links(dir).iter().any(|link| link::interface(&link.path).is_some())
}

pub(super) fn links(dir: &Path) -> Vec<PinnedLink> {
    let ways = [Way::In(Mode::Native), Way::In(Mode::Generic), Way::Out];
    entries(&dir.join(LINKS))
        .filter_map(|path| {
            let (way, index) = ways
                .into_iter()
                .find_map(|way| Some((way, name_of(&path).strip_prefix(way.prefix())?.parse().ok()?)))?;
            Some(PinnedLink { path, way, index })
        })
        .collect()
}

pub(super) fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

pub(super) fn name_of(path: &Path) -> String {
    path.file_name().map(OsStr::to_string_lossy).unwrap_or_default().into_owned()
}

/// bpffs knows no other way than one by one.
fn remove_tree(dir: &Path) -> io::Result<()> {
    // Links first: a program must not run without its maps' pins, should this be interrupted.
    let mut below: Vec<PathBuf> = entries(dir).collect();
    below.sort();
    for path in below {
        if path.is_dir() { remove_tree(&path)? } else { fs::remove_file(&path)? }
    }
    fs::remove_dir(dir)
}

/// The number of this thread's network namespace.
pub(super) fn namespace() -> io::Result<u64> {
    Ok(fs::metadata("/proc/thread-self/ns/net")?.ino())
}

/// The kind of file system that pins go to. A service may have been given our directory alone.
pub(super) fn file_system(bpffs: &Path) -> io::Result<i64> {
    let ours = statfs(&bpffs.join(ROOT));
    ours.or_else(|_| statfs(bpffs)).map(|found| found.f_type)
}

pub(super) fn statfs(path: &Path) -> io::Result<libc::statfs> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    let mut found = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the path ends in a zero, and the place for the answer is ours.
    match unsafe { libc::statfs(path.as_ptr(), found.as_mut_ptr()) } {
        // SAFETY: the call succeeded, so it has written the answer.
        0 => Ok(unsafe { found.assume_init() }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Who holds the lock on a directory, as far as the kernel tells: `1: FLOCK  ADVISORY  WRITE 1234 00:1d:42 0 EOF`.
pub(super) fn holder(dir: &File) -> Option<u32> {
    let meta = dir.metadata().ok()?;
    let file = format!("{:02x}:{:02x}:{}", libc::major(meta.dev()), libc::minor(meta.dev()), meta.ino());
    holder_in(&fs::read_to_string("/proc/locks").ok()?, &file)
}

fn holder_in(locks: &str, file: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(4);
        let pid = fields.next()?.parse().ok().filter(|pid| *pid > 0);
        if fields.next()? == file { pid } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_read_from_the_kernels_list() {
        let locks = "1: POSIX  ADVISORY  WRITE 77 00:1d:41 0 EOF\n2: FLOCK  ADVISORY  WRITE 1234 00:1d:42 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 0 00:1d:43 0 EOF\n";
        assert_eq!(holder_in(locks, "00:1d:42"), Some(1234));
        assert_eq!(holder_in(locks, "00:1d:43"), None, "out of sight");
        assert_eq!(holder_in(locks, "00:1d:44"), None);
        assert_eq!(holder_in("garbage", "00:1d:42"), None);
    }

    #[test]
    fn our_directory_is_known_where_it_is_all_that_is_mounted() {
        let whole = "35 28 0:30 / /sys/fs/bpf rw,nosuid - bpf bpf rw,mode=700\n";
        let ours = "91 85 0:30 /tcpcap /sys/fs/bpf rw,nosuid - bpf bpf rw,mode=700\n";
        let is_ours = |mounts: &str| is_ours_alone(mounts, Path::new("/sys/fs/bpf"));
        assert!(is_ours(ours) && is_ours(&[whole, ours].concat()));
        assert!(!is_ours(whole) && !is_ours(&[ours, whole].concat()) && !is_ours("") && !is_ours("garbage\n"));
        assert!(!is_ours("91 85 0:30 /tcpcap /sys/fs/bpf/x rw - bpf bpf rw\n"));
    }

    #[test]
    fn what_is_no_bpf_file_system_is_said_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let Err(Refusal::Unusable { why, .. }) = Pins::claim(dir.path()) else { panic!("it was taken") };
        assert_eq!(why, format!("{} is no BPF file system", dir.path().display()));
        let Err(Refusal::Unusable { why, .. }) = Pins::claim(&dir.path().join("none")) else { panic!("it was taken") };
        assert!(why.contains("none: No such file"), "{why}");
    }
}
