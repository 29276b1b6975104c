//! The kernel asked what it would do, and what is in it, without changing anything.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{FromRawFd as _, OwnedFd},
        unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    },
    path::Path,
};

use super::{
    Kernel, PinnedLink, Sizes, link,
    pins::{
        BPF_FS_MAGIC, MAPS_PREFIX, NAMESPACE_PREFIX, entries, file_system, holder, links, name_of, namespace, root,
    },
};
use crate::{failure::Failure, host};

const BPF_MAP_CREATE: libc::c_long = 0;
const ARRAY: u32 = 2;

/// The part of `union bpf_attr` for making a map (include/uapi/linux/bpf.h).
#[repr(C)]
struct MapAttr {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
}

/// Whether bpf(2) works: makes the smallest map, and lets go of it. Where maps count against the limit of locked memory, it
/// raises that first, if it may, as the library does for the daemon.
///
/// # Errors
/// The kernel's own.
pub fn make_a_map() -> io::Result<()> {
    match try_a_map() {
        Err(e) if e.raw_os_error() == Some(libc::EPERM) && host::short_of_locked_memory().is_some() => {
            let unlimited = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
            // SAFETY: the kernel reads a limit. Refused, it leaves the old one.
            unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const unlimited) };
            try_a_map()
        }
        tried => tried,
    }
}

fn try_a_map() -> io::Result<()> {
    let attr = MapAttr { kind: ARRAY, key_size: 4, value_size: 4, max_entries: 1, flags: 0 };
    // SAFETY: the kernel reads that many bytes of `attr`.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_MAP_CREATE, &raw const attr, size_of::<MapAttr>()) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just given it to us, and nobody else.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

/// What the kernel says to tcpcap's own programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Which of the XDP programs it takes.
    pub program: &'static str,
    /// Why it does not take the program for the way out.
    pub egress_refused: Option<String>,
}

/// Has the kernel verify tcpcap's programs as a daemon would load them. They are attached nowhere, and dropped.
///
/// # Errors
/// It refuses the maps or the XDP program.
pub fn load() -> Result<Loaded, Failure> {
    let mut kernel = Kernel::load_with(None, Sizes { blocks: 1 })?;
    let egress_refused = kernel.load_egress().err();
    Ok(Loaded { program: kernel.program_name(), egress_refused })
}

/// The name of a loaded program, where this process may ask for it (`CAP_SYS_ADMIN`).
#[must_use]
pub fn program_name(id: u32) -> Option<String> {
    let mut all = aya::programs::loaded_programs().flatten();
    all.find(|program| program.id() == id).and_then(|program| program.name_as_str().map(str::to_owned))
}

/// A place for pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// It is a BPF file system.
    pub is_bpffs: bool,
    /// Why this process may not make our directory there, or write to it: the system's error code.
    pub refused: Option<i32>,
}

/// Looks at a place for pins.
///
/// # Errors
/// It is not there, or cannot be looked at.
pub fn place(bpffs: &Path) -> io::Result<Place> {
    let is_bpffs = file_system(bpffs)? == BPF_FS_MAGIC;
    let ours = root(bpffs);
    let to_write = if ours.exists() { ours } else { bpffs.to_owned() };
    Ok(Place { is_bpffs, refused: may_write(&to_write).err().and_then(|e| e.raw_os_error()) })
}

/// Whether this process may make files in a directory, as far as modes, rights and mounts tell.
///
/// # Errors
/// Why it may not.
pub fn may_write(directory: &Path) -> io::Result<()> {
    // The dot is refused where there is no directory.
    let path = std::ffi::CString::new(directory.join(".").as_os_str().as_bytes())?;
    // SAFETY: the path ends in a zero.
    match unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::W_OK | libc::X_OK, libc::AT_EACCESS) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Our directory of pins, and what is in it for this network namespace.
#[derive(Debug)]
pub struct Left {
    /// Whose the directory of all namespaces is.
    pub owner: u32,
    /// Who may do what there.
    pub mode: u32,
    /// Somebody has the pins of this namespace, as far as the kernel tells us.
    pub holder: Option<u32>,
    /// The layouts of maps that are there.
    pub layouts: Vec<String>,
    /// The links, and which program each holds.
    pub links: Vec<(PinnedLink, u32)>,
}

/// Looks at what is pinned; `None`: nothing ever was.
///
/// # Errors
/// It may not be looked at.
pub fn left(bpffs: &Path) -> io::Result<Option<Left>> {
    let root = root(bpffs);
    let about = match fs::symlink_metadata(&root) {
        Ok(about) => about,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut left =
        Left { owner: about.uid(), mode: about.mode() & 0o7777, holder: None, layouts: Vec::new(), links: Vec::new() };
    let dir = root.join(format!("{NAMESPACE_PREFIX}{}", namespace()?));
    match File::open(&dir) {
        Ok(open) => {
            left.holder = holder(&open);
            let layout = |path: &Path| name_of(path).strip_prefix(MAPS_PREFIX).map(str::to_owned);
            left.layouts = entries(&dir).filter_map(|path| layout(&path)).collect();
            for pinned in links(&dir) {
                let program = link::program(&pinned.path)?;
                left.links.push((pinned, program));
            }
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    Ok(Some(left))
}
