//! The system calls for programs that are written by hand, and for sending packets through any.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

/// Commands of `bpf(2)`, types and flags (include/uapi/linux/bpf.h).
mod uapi {
    pub const MAP_CREATE: libc::c_long = 0;
    pub const MAP_UPDATE_ELEM: libc::c_long = 2;
    pub const PROG_LOAD: libc::c_long = 5;
    pub const PROG_TEST_RUN: libc::c_long = 10;
    pub const MAP_TYPE_PROG_ARRAY: u32 = 3;
    pub const PROG_TYPE_XDP: u32 = 6;
    pub const XDP: u32 = 37;
    pub const XDP_HAS_FRAGS: u32 = 1 << 5;
}

#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    len: u32,
    code: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
}

#[repr(C)]
struct CreateMap {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
}

#[repr(C)]
struct Update {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct Run {
    program: u32,
    verdict: u32,
    size_in: u32,
    size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context: [u64; 3],
    flags: u32,
    cpu: u32,
    batch: u32,
    pad: u32,
}

fn bpf<T>(command: libc::c_long, attr: &mut T) -> io::Result<i32> {
    // SAFETY: every `attr` of this file is laid out as its command asks for, and what it points to outlives the call.
    let got = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    match i32::try_from(got) {
        Ok(got) if got >= 0 => Ok(got),
        _ => Err(io::Error::last_os_error()),
    }
}

fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the kernel has just made it for us.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().unsigned_abs()
}

fn address<T>(of: &T) -> u64 {
    std::ptr::from_ref(of).addr() as u64
}

/// One instruction.
pub const fn op(code: u8, to: u8, from: u8, offset: i16, value: i32) -> u64 {
    code as u64
        | (to as u64) << 8
        | (from as u64) << 12
        | (offset.cast_unsigned() as u64) << 16
        | (value.cast_unsigned() as u64) << 32
}

/// Loads an XDP program; one that takes packets of several buffers can hand on to such a program only.
///
/// # Errors
/// The kernel refuses it.
pub fn load(code: &[u64], frags: bool) -> io::Result<OwnedFd> {
    let license = *b"GPL\0";
    let mut attr = Load {
        kind: uapi::PROG_TYPE_XDP,
        len: u32::try_from(code.len()).map_err(io::Error::other)?,
        code: code.as_ptr().addr() as u64,
        license: address(&license),
        flags: if frags { uapi::XDP_HAS_FRAGS } else { 0 },
        attach_type: uapi::XDP,
        ..Load::default()
    };
    bpf(uapi::PROG_LOAD, &mut attr).map(owned)
}

/// An array with one program to go on with. It holds the program as long as this descriptor is open.
///
/// # Errors
/// The kernel refuses it.
pub fn next_program() -> io::Result<OwnedFd> {
    bpf(uapi::MAP_CREATE, &mut CreateMap { kind: uapi::MAP_TYPE_PROG_ARRAY, key_size: 4, value_size: 4, entries: 1 })
        .map(owned)
}

/// Puts the program into that array.
///
/// # Errors
/// The two programs are not of the same kind.
pub fn set_next_program(array: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let (key, value) = (0u32, number(program));
    let mut attr = Update { map: number(array), pad: 0, key: address(&key), value: address(&value), flags: 0 };
    bpf(uapi::MAP_UPDATE_ELEM, &mut attr).map(drop)
}

/// Sends a frame through a program `repeat` times; returns the nanoseconds of one time, rounded down.
///
/// # Errors
/// The kernel refuses it.
pub fn run(program: BorrowedFd<'_>, frame: &[u8], repeat: u32) -> io::Result<u32> {
    let mut attr = Run {
        program: number(program),
        size_in: u32::try_from(frame.len()).map_err(io::Error::other)?,
        data_in: frame.as_ptr().addr() as u64,
        repeat,
        ..Run::default()
    };
    bpf(uapi::PROG_TEST_RUN, &mut attr)?;
    Ok(attr.duration)
}

/// Keeps this thread, and with it the programs that it runs, on the CPU where it is.
///
/// # Errors
/// The kernel refuses it.
pub fn stay_on_this_cpu() -> io::Result<()> {
    // SAFETY: a set of bits, for which zero is a value; the calls have no other preconditions.
    let refused = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(usize::try_from(libc::sched_getcpu()).unwrap_or(0), &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set) != 0
    };
    if refused { Err(io::Error::last_os_error()) } else { Ok(()) }
}
