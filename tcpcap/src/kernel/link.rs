//! Pinned links, asked and ended by hand: the library opens them and does no more.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

const BPF_OBJ_GET: libc::c_long = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_LINK_DETACH: libc::c_long = 34;

/// The part of `union bpf_attr` for opening a pin (include/uapi/linux/bpf.h).
#[repr(C)]
struct PinAttr {
    path: u64,
    fd: u32,
    flags: u32,
}

/// The part of `union bpf_attr` for asking about an object.
#[repr(C)]
struct InfoAttr {
    fd: u32,
    len: u32,
    info: u64,
}

/// The beginning of `struct bpf_link_info`, for a link of XDP or tcx.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    _padding: u32,
    interface: u32,
    _rest: [u32; 11],
}

/// Index of the interface that a pinned link holds; `None` when its interface is gone, or it cannot be asked.
#[must_use]
pub fn interface(pin: &Path) -> Option<u32> {
    ask(pin).ok().map(|info| info.interface).filter(|index| *index != 0)
}

/// The kernel's number of the program that a pinned link holds on its interface.
///
/// # Errors
/// The pin cannot be opened, or the link cannot be asked.
pub fn program(pin: &Path) -> io::Result<u32> {
    ask(pin).map(|info| info.program)
}

fn ask(pin: &Path) -> io::Result<LinkInfo> {
    let link = open(pin)?;
    let mut info = LinkInfo::default();
    let attr = InfoAttr {
        fd: number(&link)?,
        len: u32::try_from(size_of::<LinkInfo>()).map_err(io::Error::other)?,
        info: (&raw mut info).addr() as u64,
    };
    // SAFETY: the kernel writes at most `len` bytes to `info`, which is that long.
    match unsafe { libc::syscall(libc::SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &raw const attr, size_of::<InfoAttr>()) } {
        0 => Ok(info),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes a link's program off its interface at once, and removes the pin. Without this the kernel does it a moment after
/// the last handle is gone.
///
/// # Errors
/// The pin cannot be removed.
pub fn end(pin: &Path) -> io::Result<()> {
    if let Ok(link) = open(pin)
        && let Ok(fd) = number(&link)
    {
        // SAFETY: the kernel reads a descriptor's number. A link whose interface is gone is refused, and needs no more.
        unsafe { libc::syscall(libc::SYS_bpf, BPF_LINK_DETACH, &raw const fd, size_of_val(&fd)) };
    }
    std::fs::remove_file(pin)
}

fn open(pin: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(pin.as_os_str().as_bytes())?;
    let attr = PinAttr { path: path.as_ptr().addr() as u64, fd: 0, flags: 0 };
    // SAFETY: the path ends in a zero and lives until the call is over.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_OBJ_GET, &raw const attr, size_of::<PinAttr>()) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just given it to us, and nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn number(fd: &OwnedFd) -> io::Result<u32> {
    u32::try_from(fd.as_raw_fd()).map_err(io::Error::other)
}
