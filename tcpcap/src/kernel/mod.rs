//! The kernel program as userspace holds it: load, settings, attach, maps. Everything unsafe about BPF stays in here.

mod attach;
mod batch;
mod egress;
mod left;
mod link;
mod pins;
mod ring;
pub mod survey;
mod tables;

pub use attach::{Attachment, Mode, ModeChoice};
pub use batch::Walk;
pub use egress::{Egress, EgressChoice, EgressKind, remove_filter};
pub use left::{Left, Unreadable};
pub(crate) use pins::give_it;
pub use pins::{BPFFS, PinnedLink, Pins, Refusal, Way};
pub use ring::Ring;
pub use tables::{Blocks, Networks, OwnAddresses, Sources, Tables, Tally, is_full};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, MapData},
    programs::Xdp,
};
use tcpcap_common::{
    addr::ipv6_mask,
    record::{Settings, map, setting},
};
use tcpcap_core::ReflexLimits;

use crate::{failure::Failure, host};

/// The object that the build script made of tcpcap-ebpf.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tcpcap.bpf.o"));

/// The program's names: the one for packets of several buffers (Linux 5.18), the one for older kernels.
const PROGRAMS: [&str; 2] = ["tcpcap_frags", "tcpcap"];

/// Events a source may send in a second. Several times the highest threshold, so that no verdict waits for it, and
/// little enough that a source nobody blocks costs the daemon next to nothing.
pub const SOURCE_EVENTS_PER_S: u32 = 512;
/// Events a CPU may send in a second: what a daemon with a core to itself handles.
pub const CPU_EVENTS_PER_S: u32 = 200_000;
/// New source records a CPU may make in a second. A flood of forged sources needs several seconds to turn the map over.
pub const CPU_NEW_SOURCES_PER_S: u32 = 20_000;

/// For how long the program's reflex holds a source: many times what a verdict takes, and short enough that a mistake is
/// a connection that took a second longer.
const REFLEX_FOR_MS: u32 = 1_000;

/// When the program drops what a source would open before anybody has judged it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reflex {
    /// The rule's numbers.
    pub limits: ReflexLimits,
    /// Sources that it may begin to hold on a CPU in a second.
    pub per_s: u32,
}

/// What the kernel program is to do, beside its lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Drop nothing.
    pub observe: bool,
    /// Every watched interface shows our answers: hold completions against them.
    pub egress_view: bool,
    /// Tell of segments that belong to no known flow.
    pub strays: bool,
    /// Take every block for one of new connections.
    pub syn_only: bool,
    /// Look at the allowed networks.
    pub has_allowed: bool,
    /// Look at the blocked networks.
    pub has_networks: bool,
    /// Look at the own networks.
    pub has_own_networks: bool,
    /// Events a source may send in a second.
    pub source_events_per_s: u32,
    /// Events a CPU may send in a second.
    pub cpu_events_per_s: u32,
    /// New source records a CPU may make in a second.
    pub cpu_new_sources_per_s: u32,
    /// When to drop before there is a verdict; none: never.
    pub reflex: Option<Reflex>,
}

impl Wish {
    /// What holds unless something else is wished.
    pub const DEFAULT: Self = Self {
        observe: false,
        egress_view: false,
        strays: false,
        syn_only: false,
        has_allowed: false,
        has_networks: false,
        has_own_networks: false,
        source_events_per_s: SOURCE_EVENTS_PER_S,
        cpu_events_per_s: CPU_EVENTS_PER_S,
        cpu_new_sources_per_s: CPU_NEW_SOURCES_PER_S,
        reflex: None,
    };
}

impl Default for Wish {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How much room the maps have whose size depends on what is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Blocked sources. Each slot takes 16 to 32 bytes of kernel memory, each entry 128.
    pub blocks: u32,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { blocks: BLOCKS }
    }
}

/// Blocked sources that there is room for unless more is asked for.
pub const BLOCKS: u32 = 262_144;

/// The loaded program and its maps. Dropping it detaches the program from every interface where no pin holds it.
pub struct Kernel {
    bpf: Ebpf,
    program: &'static str,
}

impl Kernel {
    /// Loads the program, with maps of its own; attaches nothing yet. Everything goes when this is dropped.
    ///
    /// # Errors
    /// The kernel refuses a map or the program.
    pub fn load() -> Result<Self, Failure> {
        Self::load_with(None, Sizes::default())
    }

    /// Loads the program, on the maps that are pinned, or on new ones that are then; attaches nothing yet.
    ///
    /// # Errors
    /// The kernel refuses a map or the program, or what is pinned is of another layout.
    pub fn load_with(pins: Option<&Pins>, sizes: Sizes) -> Result<Self, Failure> {
        let mut loader = EbpfLoader::new();
        loader.map_max_entries(map::BLOCKS, sizes.blocks);
        if let Some(pins) = pins {
            pins.prepare(sizes)?;
            for name in map::ALL {
                loader.map_pin_path(name, pins.maps().join(name));
            }
        }
        let mut bpf = loader
            .load(OBJECT)
            .map_err(|e| unlocked(&e).unwrap_or_else(|| refused("the kernel refuses tcpcap's maps", &e)))?;
        let mut last = None;
        for name in PROGRAMS {
            match xdp(&mut bpf, name)?.load() {
                Ok(()) => return Ok(Self { bpf, program: name }),
                Err(e) => last = Some(e),
            }
        }
        if let Some(failure) = last.as_ref().and_then(|e| unlocked(e)) {
            return Err(failure);
        }
        let e = last.map_or_else(String::new, |e| chain(&e));
        Err(Failure::failed(format!("the kernel refuses the XDP program: {e}"), REFUSED_REMEDY))
    }

    /// Which of the two programs this kernel took.
    #[must_use]
    pub fn program_name(&self) -> &'static str {
        self.program
    }

    /// The loaded program.
    ///
    /// # Errors
    /// The object holds no such program: it was not built by this project.
    pub fn program(&mut self) -> Result<&mut Xdp, Failure> {
        xdp(&mut self.bpf, self.program)
    }

    /// How many entries each map has room for, by name; those that were taken out are missing.
    #[must_use]
    pub fn room(&self) -> Vec<(String, u32)> {
        let maps = self.bpf.maps().filter_map(|(name, map)| Some((name.to_owned(), tables::room(map)?)));
        maps.collect()
    }

    /// Takes a map out, to own it as what it is.
    fn take<T: TryFrom<aya::maps::Map, Error = aya::maps::MapError>>(&mut self, name: &str) -> Result<T, Failure> {
        let map = self.bpf.take_map(name).ok_or_else(|| broken(name))?;
        T::try_from(map).map_err(|e| refused(name, &e))
    }

    /// The settings of the program, written by [`Tuning::set`].
    ///
    /// # Errors
    /// The map was taken before.
    pub fn tuning(&mut self) -> Result<Tuning, Failure> {
        let map: Array<MapData, Settings> = self.take(map::SETTINGS)?;
        // What an earlier daemon left goes on: the slots of flows and handshakes are found by it.
        let left = map.get(&0, 0).map_err(|e| refused(map::SETTINGS, &e))?.seed;
        let seed = if left == [0; 2] { seed()? } else { left };
        Ok(Tuning { map, seed })
    }
}

/// The program's settings map and what is in it.
pub struct Tuning {
    map: Array<MapData, Settings>,
    seed: [u64; 2],
}

impl Tuning {
    /// Makes the program do as wished from the next packet on.
    ///
    /// # Errors
    /// The kernel refuses the write.
    pub fn set(&mut self, wish: &Wish) -> Result<(), Failure> {
        let wished = [
            (wish.observe, setting::OBSERVE),
            (wish.egress_view, setting::EGRESS_VIEW),
            (wish.strays, setting::STRAYS),
            (wish.syn_only, setting::SYN_ONLY),
            (wish.has_allowed, setting::HAS_ALLOWED),
            (wish.has_networks, setting::HAS_NETWORKS),
            (wish.has_own_networks, setting::HAS_OWN_NETWORKS),
        ];
        let flags = wished.into_iter().filter(|(wish, _)| *wish).fold(0, |flags, (_, flag)| flags | flag);
        let settings = Settings {
            seed: self.seed,
            ipv6_mask: ipv6_mask(u32::from(tcpcap_core::IPV6_PREFIX_LEN)),
            flags,
            source_events_per_s: wish.source_events_per_s,
            cpu_events_per_s: wish.cpu_events_per_s,
            cpu_new_sources_per_s: wish.cpu_new_sources_per_s,
            reflex_pairs: wish.reflex.and_then(|reflex| reflex.limits.pairs).unwrap_or(0),
            reflex_refused: wish.reflex.and_then(|reflex| reflex.limits.refused).unwrap_or(0),
            reflex_for_ms: REFLEX_FOR_MS,
            cpu_reflexes_per_s: wish.reflex.map_or(0, |reflex| reflex.per_s),
        };
        self.map.set(0, settings, 0).map_err(|e| refused("the kernel refuses tcpcap's settings", &e))
    }
}

/// Sixteen random bytes from the kernel: nobody outside may foresee which flows share a slot.
fn seed() -> Result<[u64; 2], Failure> {
    let mut seed = [0u64; 2];
    // SAFETY: the buffer is sixteen bytes long; a call for that few neither blocks after boot nor comes back short.
    let got = unsafe { libc::getrandom(seed.as_mut_ptr().cast(), size_of_val(&seed), 0) };
    if usize::try_from(got) == Ok(size_of_val(&seed)) {
        return Ok(seed);
    }
    let e = std::io::Error::last_os_error();
    Err(Failure::failed(
        format!("the kernel gives no random bytes: {e}"),
        "getrandom(2) must not be blocked by a filter",
    ))
}

fn xdp<'a>(bpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp, Failure> {
    let program = bpf.program_mut(name).ok_or_else(|| broken(name))?;
    program.try_into().map_err(|e| refused(name, &e))
}

/// Where bpf(2) is filtered out although the capabilities are there.
pub(crate) const FILTERED_REMEDY: &str = "use a profile that allows bpf, as deploy/docker/seccomp.json does (podman, docker: --security-opt seccomp=FILE; \
     systemd: SystemCallFilter=bpf)";

const REFUSED_REMEDY: &str =
    "check for a kernel lockdown, a container's seccomp filter that denies bpf(2), or a kernel without BPF";

fn refused(what: &str, e: &(dyn std::error::Error + 'static)) -> Failure {
    if matches!(os_error(e), Some(libc::EPERM | libc::ENOSYS)) && host::is_filtered() {
        // What the kernel's words are about is found out by the smallest call of all.
        if let Err(e) = survey::make_a_map() {
            return Failure::failed(format!("a seccomp filter denies bpf(2): {e}"), FILTERED_REMEDY);
        }
    }
    Failure::failed(format!("{what}: {}", chain(e)), REFUSED_REMEDY)
}

/// What an error means where maps and programs count against the limit of locked memory, and that is low.
fn unlocked(e: &(dyn std::error::Error + 'static)) -> Option<Failure> {
    let limit = host::short_of_locked_memory().filter(|_| os_error(e) == Some(libc::EPERM))?;
    let (major, minor) = host::COUNTED_BY_CGROUP;
    let cause = format!(
        "{} KiB of memory may be locked, and before Linux {major}.{minor} tcpcap's maps count against that",
        limit >> 10
    );
    Some(Failure::failed(cause, host::UNLOCK))
}

fn broken(name: &str) -> Failure {
    Failure::failed(format!("this build's BPF object has no {name}"), "rebuild it: cargo clean, then cargo xtask run")
}

/// An error with everything that caused it, each once.
pub(crate) fn chain(e: &(dyn std::error::Error + 'static)) -> String {
    let mut out = e.to_string();
    let mut next = e.source();
    while let Some(e) = next {
        let text = e.to_string();
        if !out.contains(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
        next = e.source();
    }
    out
}

/// The system's error code behind an error, if there is one.
pub(crate) fn os_error(e: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut next = Some(e);
    while let Some(e) = next {
        if let Some(io) = e.downcast_ref::<std::io::Error>() {
            return io.raw_os_error();
        }
        next = e.source();
    }
    None
}
