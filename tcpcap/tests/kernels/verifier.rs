//! What it costs the kernel to verify tcpcap's programs. It prints a line a program, which `cargo xtask test --kernels` shows
//! again at its end.

use std::{
    collections::HashMap,
    io::{self, Write as _},
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use aya_obj::{Object, ProgramSection, generated::bpf_map_type::BPF_MAP_TYPE_RINGBUF};
use tcpcap::kernel::OBJECT;

use crate::kernel::{FRAGS, has};

/// The kernel's own limit of instructions that it looks at.
const LIMIT: u64 = 1_000_000;
/// What it takes for the stack of a program and of all it calls: bytes.
const STACK: u64 = 512;

/// Commands and flags of bpf(2) (include/uapi/linux/bpf.h).
const MAP_CREATE: libc::c_long = 0;
const PROG_LOAD: libc::c_long = 5;
const PROG_TYPE_SCHED_CLS: u32 = 3;
const PROG_TYPE_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;
const XDP_HAS_FRAGS: u32 = 1 << 5;
const LOG_STATS: u32 = 4;

#[repr(C)]
struct CreateMap {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
    flags: u32,
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

fn bpf<T>(command: libc::c_long, attr: &T) -> io::Result<OwnedFd> {
    // SAFETY: each `attr` of this file is laid out as its command asks for, and what it points to outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Before Linux 5.11 maps count against the limit of locked memory. Where it does not matter it may stay as it is.
fn unlock_memory() {
    let unlimited = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the kernel reads a limit.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const unlimited) };
}

/// The object with its programs as the kernel takes them, on small maps that live as long as what comes with it.
fn prepared() -> (Object, Vec<OwnedFd>) {
    let mut object = Object::parse(OBJECT).unwrap();
    let maps: HashMap<_, _> = object.maps.iter().map(|(name, map)| (name.clone(), map.clone())).collect();
    let made = maps.iter().map(|(name, map)| {
        let is_ring = map.map_type() == BPF_MAP_TYPE_RINGBUF as u32;
        let attr = CreateMap {
            kind: map.map_type(),
            key_size: map.key_size(),
            value_size: map.value_size(),
            entries: if is_ring { map.max_entries() } else { map.max_entries().min(16) },
            flags: map.map_flags(),
        };
        let fd = bpf(MAP_CREATE, &attr).unwrap_or_else(|e| panic!("map {name}: {e}"));
        (name.as_str(), fd, map)
    });
    let made: Vec<_> = made.collect();
    let code = object.functions.keys().map(|(section, _)| *section).collect();
    object.relocate_maps(made.iter().map(|(name, fd, map)| (*name, fd.as_raw_fd(), *map)), &code).unwrap();
    object.relocate_calls(&code).unwrap();
    (object, made.into_iter().map(|(_, fd, _)| fd).collect())
}

/// What the verifier says of a program that it takes.
fn verified(object: &Object, name: &str) -> String {
    let program = &object.programs[name];
    let code = &object.functions[&program.function_key()].instructions;
    let (kind, attach_type, flags) = match &program.section {
        ProgramSection::Xdp { frags, .. } => (PROG_TYPE_XDP, ATTACH_XDP, if *frags { XDP_HAS_FRAGS } else { 0 }),
        _ => (PROG_TYPE_SCHED_CLS, 0, 0),
    };
    let mut log = vec![0u8; 1 << 16];
    let attr = Load {
        kind,
        len: u32::try_from(code.len()).unwrap(),
        code: code.as_ptr().addr() as u64,
        license: program.license.as_ptr().addr() as u64,
        log_level: LOG_STATS,
        log_size: u32::try_from(log.len()).unwrap(),
        log: log.as_mut_ptr().addr() as u64,
        flags,
        attach_type,
        ..Load::default()
    };
    let taken = bpf(PROG_LOAD, &attr);
    let log = String::from_utf8_lossy(log.split(|byte| *byte == 0).next().unwrap()).into_owned();
    taken.unwrap_or_else(|e| panic!("{name}: {e}: {log}"));
    log
}

/// The number behind, or in front of, a word.
fn number(log: &str, pattern: &str) -> u64 {
    let (before, after) = log.split_once(pattern).unwrap_or_else(|| panic!("no {pattern:?} in {log}"));
    let digits = |text: &str| text.parse::<u64>().ok();
    let behind = after.trim_start().split(|c: char| !c.is_ascii_digit()).next().and_then(digits);
    behind
        .or_else(|| before.split_whitespace().last().and_then(digits))
        .unwrap_or_else(|| panic!("{pattern:?} in {log}"))
}

#[test]
fn every_program_stays_far_below_what_the_verifier_looks_at() {
    unlock_memory();
    let (object, _maps) = prepared();
    let mut names: Vec<_> = object.programs.keys().filter(|name| has(FRAGS) || *name != "tcpcap_frags").collect();
    names.sort();
    assert!(names.len() >= 2, "{names:?}");
    for name in names {
        let log = verified(&object, name);
        let instructions = number(&log, "processed ");
        let (states, peak) = (number(&log, "total_states "), number(&log, "peak_states "));
        // Of the program and of each function that it calls, `360+0`; newer kernels say `max 368`.
        let stack = log.split_once("stack depth ").map(|(_, rest)| rest.trim_start_matches("max "));
        let stack = stack.and_then(|rest| rest.split_whitespace().next());
        let stack = stack.unwrap_or_else(|| panic!("no stack in {log}"));
        let depths: Option<Vec<u64>> = stack.split('+').map(|depth| depth.parse().ok()).collect();
        let deepest: u64 = depths.unwrap_or_else(|| panic!("stack {stack} in {log}")).iter().sum();
        let size = object.functions[&object.programs[name].function_key()].instructions.len();
        // Not by println, which the harness keeps to itself.
        let line = format!(
            "verifier: {name:<14} {size:>5} long, {instructions:>6} processed, {states:>5} states ({peak} at once), \
             stack {stack}\n"
        );
        io::stdout().write_all(line.as_bytes()).unwrap();
        assert!(instructions < LIMIT / 4 && deepest <= STACK, "{line}");
    }
}
