//! Walking a map by `BPF_MAP_LOOKUP_BATCH` (hash maps: Linux 5.6, tries: 5.14): a seventh of the time that one key after
//! another takes, which is how tries are walked before.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd},
};

use aya::Pod;

const BPF_MAP_LOOKUP_ELEM: libc::c_long = 1;
const BPF_MAP_GET_NEXT_KEY: libc::c_long = 4;
const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;
/// The kernel's own code for what a kind of map cannot; libc has no name for it (include/linux/errno.h).
const ENOTSUPP: i32 = 524;

/// Entries asked for at once. More does not make it faster.
const BATCH: usize = 4096;

/// The part of `union bpf_attr` for batches (include/uapi/linux/bpf.h).
#[repr(C)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// The part of `union bpf_attr` for one entry.
#[repr(C)]
struct EntryAttr {
    map_fd: u32,
    _padding: u32,
    key: u64,
    /// The value, or the next key.
    answer: u64,
    flags: u64,
}

/// Where a walk stands: a number in a hash map, a key in a trie.
type Token = [u64; 4];

/// How far a walk over a map has come.
#[derive(Debug, Default)]
pub struct Walk {
    /// Where to go on; nowhere yet.
    token: Option<Token>,
    over: bool,
}

impl Walk {
    /// Whether every entry has been met.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }
}

/// Calls `each` for every entry of a hash map or trie; returns how many there were. Entries that come or go meanwhile may
/// be missed or seen twice.
///
/// # Errors
/// The kernel refuses the walk: not such a map, or a bucket with more entries than a batch.
pub(super) fn walk<K: Pod, V: Pod>(map: impl AsFd, mut each: impl FnMut(K, V)) -> io::Result<usize> {
    let (mut at, mut walked) = (Walk::default(), 0);
    while !at.is_over() {
        walked += walk_on(&map, &mut at, &mut each)?;
    }
    Ok(walked)
}

/// The same, a piece at a time: some thousand entries.
///
/// # Errors
/// As [`walk`].
pub(super) fn walk_on<K: Pod, V: Pod>(map: impl AsFd, at: &mut Walk, mut each: impl FnMut(K, V)) -> io::Result<usize> {
    assert!(size_of::<K>() <= size_of::<Token>(), "a walk's token must fit");
    let mut keys: Vec<MaybeUninit<K>> = vec![MaybeUninit::uninit(); BATCH];
    let mut values: Vec<MaybeUninit<V>> = vec![MaybeUninit::uninit(); BATCH];
    let mut next = Token::default();
    let mut attr = BatchAttr {
        in_batch: at.token.as_ref().map_or(0, |token| std::ptr::from_ref(token).addr() as u64),
        out_batch: (&raw mut next).addr() as u64,
        keys: keys.as_mut_ptr().addr() as u64,
        values: values.as_mut_ptr().addr() as u64,
        count: u32::try_from(BATCH).unwrap_or(u32::MAX),
        map_fd: u32::try_from(map.as_fd().as_raw_fd()).map_err(io::Error::other)?,
        elem_flags: 0,
        flags: 0,
    };
    // SAFETY: every pointer is valid for what the kernel writes there: a token no longer than ours, `count` keys and
    // `count` values of the sizes that the map was checked to have when it was opened as one of `K` and `V`.
    let got = unsafe { libc::syscall(libc::SYS_bpf, BPF_MAP_LOOKUP_BATCH, &raw mut attr, size_of::<BatchAttr>()) };
    at.over = match got {
        0 => false,
        _ => match io::Error::last_os_error() {
            e if e.raw_os_error() == Some(libc::ENOENT) => true,
            e if e.raw_os_error() == Some(ENOTSUPP) => return walk_on_by_key(map, at, each),
            e => return Err(e),
        },
    };
    let count = (attr.count as usize).min(BATCH);
    for (k, v) in keys[..count].iter().zip(&values[..count]) {
        // SAFETY: the kernel has written `count` of both, and `Pod` has no forbidden bit patterns.
        unsafe { each(k.assume_init(), v.assume_init()) };
    }
    at.token = Some(next);
    Ok(count)
}

/// The same, one key after another. Should the key where it stands be gone, it begins again.
fn walk_on_by_key<K: Pod, V: Pod>(map: impl AsFd, at: &mut Walk, mut each: impl FnMut(K, V)) -> io::Result<usize> {
    let map_fd = u32::try_from(map.as_fd().as_raw_fd()).map_err(io::Error::other)?;
    let mut value = MaybeUninit::<V>::uninit();
    let mut met = 0;
    for _ in 0..BATCH {
        let mut key = Token::default();
        let from = at.token.as_ref().map_or(0, |token| std::ptr::from_ref(token).addr() as u64);
        // SAFETY: the kernel reads a key at `from`, if there is one, and writes one to `key`; neither is longer than a token.
        if !unsafe { ask(BPF_MAP_GET_NEXT_KEY, map_fd, from, (&raw mut key).addr() as u64)? } {
            at.over = true;
            break;
        }
        // SAFETY: the kernel writes a value of the size that the map was checked to have when it was opened as one of `V`.
        let found = unsafe {
            ask(BPF_MAP_LOOKUP_ELEM, map_fd, (&raw const key).addr() as u64, value.as_mut_ptr().addr() as u64)?
        };
        at.token = Some(key);
        if found {
            // SAFETY: a token is aligned for, and as long as, any key; the kernel has written both, and `Pod` has no
            // forbidden bit patterns.
            each(unsafe { (&raw const key).cast::<K>().read() }, unsafe { value.assume_init() });
            met += 1;
        }
    }
    Ok(met)
}

/// Asks about one entry; says whether it is there.
///
/// # Safety
/// `key` and `answer` must be addresses of what the command reads and writes there, for the map's sizes.
unsafe fn ask(command: libc::c_long, map_fd: u32, key: u64, answer: u64) -> io::Result<bool> {
    let attr = EntryAttr { map_fd, _padding: 0, key, answer, flags: 0 };
    // SAFETY: as the caller promises; the kernel reads `attr` for its length.
    match unsafe { libc::syscall(libc::SYS_bpf, command, &raw const attr, size_of::<EntryAttr>()) } {
        0 => Ok(true),
        _ => match io::Error::last_os_error() {
            e if e.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            e => Err(e),
        },
    }
}
