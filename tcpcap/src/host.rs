//! What the host offers: its clock, its kernel, and what this process may do there.

use std::{fs, io, mem::MaybeUninit};

use tcpcap_core::Time;

use crate::failure::Failure;

/// The oldest kernel the program loads on. The ring buffer, `CLOCK_BOOTTIME` in programs (5.8) and XDP links (5.9) set
/// the bar; 5.10 is the long-term release above it.
pub const MIN_KERNEL: (u32, u32) = (5, 10);

/// From here on the kernel counts BPF's memory by control group, not by the limit of locked memory.
pub(crate) const COUNTED_BY_CGROUP: (u32, u32) = (5, 11);
/// What the maps take before anybody is blocked, with room: bytes.
pub(crate) const LOCKED: u64 = 256 << 20;
/// How that limit is raised.
pub(crate) const UNLOCK: &str = "ulimit -l unlimited; systemd: LimitMEMLOCK=infinity; podman, docker: \
     --ulimit memlock=-1; or give it CAP_SYS_RESOURCE";

/// Now, on the clock that the kernel program stamps its events with.
#[must_use]
pub fn now() -> Time {
    let mut t = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the pointer is valid for a write; the clock exists since Linux 2.6.39, so the call cannot fail.
    let t = unsafe {
        libc::clock_gettime(libc::CLOCK_BOOTTIME, t.as_mut_ptr());
        t.assume_init()
    };
    Time::from_nanos(u64::try_from(t.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec).unwrap_or(0))
}

/// Puts this thread before all others of normal scheduling (nice -20); threads that it starts later inherit that.
///
/// What a scanner gets to see is decided by how soon the thread runs after its event: where kernel ticks are 4 ms apart,
/// a neighbour of equal rank keeps the processor for the rest of one, which is a hundred ports. Not a real-time class:
/// whatever goes wrong here must not starve the host.
///
/// # Errors
/// The process lacks `CAP_SYS_NICE`, and has not been started at that rank. It works without, only later.
pub fn hurry() -> io::Result<()> {
    // SAFETY: has no preconditions; 0 is the calling thread.
    match unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// This thread gives up the rank that it inherited from the one of [`hurry`] or from whoever started the process; what it
/// starts inherits that in turn.
pub fn be_ordinary() {
    // SAFETY: has no preconditions; 0 is the calling thread. Lowering the rank is always permitted, and if not, it works
    // as well.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 0) };
}

/// Fails with cause and remedy where the program cannot work.
///
/// # Errors
/// The kernel is too old, or the process lacks a capability.
pub fn require() -> Result<(), Failure> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    require_kernel(release.trim())?;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    require_capabilities(effective_capabilities(&status), bounding_capabilities(&status))
}

/// The limit of locked memory in bytes, where it counts on this kernel and is too low for tcpcap's maps.
pub(crate) fn short_of_locked_memory() -> Option<u64> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: the pointer is valid for a write, which a success has made.
    let soft = unsafe {
        (libc::getrlimit(libc::RLIMIT_MEMLOCK, limit.as_mut_ptr()) == 0).then(|| limit.assume_init().rlim_cur)
    };
    soft.filter(|soft| kernel_version(&release) < COUNTED_BY_CGROUP && *soft < LOCKED)
}

/// The first two numbers of a kernel's release; zeros where there are none.
pub(crate) fn kernel_version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn require_kernel(release: &str) -> Result<(), Failure> {
    if kernel_version(release) >= MIN_KERNEL {
        return Ok(());
    }
    Err(Failure::failed(
        format!("this kernel ({release}) is too old for the XDP program"),
        format!("tcpcap needs Linux {}.{} or newer", MIN_KERNEL.0, MIN_KERNEL.1),
    ))
}

/// A capability and its bit (include/uapi/linux/capability.h).
struct Capability {
    name: &'static str,
    bit: u32,
}

/// Loading XDP needs the first two; without the third the verifier refuses a program that computes packet offsets.
const NEEDED: [Capability; 3] = [
    Capability { name: "CAP_BPF", bit: 39 },
    Capability { name: "CAP_NET_ADMIN", bit: 12 },
    Capability { name: "CAP_PERFMON", bit: 38 },
];
const SYS_ADMIN: u32 = 21;
const NET_ADMIN: u32 = 12;

/// The effective capabilities in `/proc/PID/status`, as a set of bits.
pub(crate) fn effective_capabilities(status: &str) -> u64 {
    capabilities(status, "CapEff")
}

/// The most it can get.
pub(crate) fn bounding_capabilities(status: &str) -> u64 {
    capabilities(status, "CapBnd")
}

fn capabilities(status: &str, set: &str) -> u64 {
    field(status, set).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0)
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// Whether a filter of system calls is on for this process.
pub(crate) fn is_filtered() -> bool {
    filtered(&fs::read_to_string("/proc/self/status").unwrap_or_default())
}

/// The same by `/proc/PID/status`.
pub(crate) fn filtered(status: &str) -> bool {
    field(status, "Seccomp") == Some("2")
}

/// Those that are needed and not there, by name.
pub(crate) fn missing_capabilities(effective: u64) -> Vec<&'static str> {
    let has = |bit: u32| effective & (1 << bit) != 0;
    // CAP_SYS_ADMIN is what the newer two were split from, and still includes them.
    NEEDED.iter().filter(|c| !has(c.bit) && (c.bit == NET_ADMIN || !has(SYS_ADMIN))).map(|c| c.name).collect()
}

/// What to do for a process without the capabilities.
pub(crate) const WITHOUT_RIGHTS: &str =
    "run it as root (sudo), or give the service or container CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON";
/// The same where they were given to its container or service, and did not reach it.
const RIGHTS_NOT_PASSED: &str = "its container or service has them, its user does not: Docker and Kubernetes give them to root alone, so run it \
     as --user 0:61112 there, with nothing but these; systemd has AmbientCapabilities";

/// What a process of these effective capabilities can do to have the needed ones; `bounding` is the most it can get.
pub(crate) fn capabilities_remedy(effective: u64, bounding: u64) -> &'static str {
    // Who is an ordinary user of a host may become anything.
    let is_bounded = bounding & 1 << SYS_ADMIN == 0;
    let are_passed = NEEDED.iter().any(|c| (bounding & !effective) & 1 << c.bit == 0);
    if is_bounded && !are_passed { RIGHTS_NOT_PASSED } else { WITHOUT_RIGHTS }
}

fn require_capabilities(effective: u64, bounding: u64) -> Result<(), Failure> {
    let missing = missing_capabilities(effective);
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(
        format!("this process may not load XDP programs: it lacks {}", missing.join(", ")),
        capabilities_remedy(effective, bounding),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kernel_is_refused_by_name_with_the_version_needed() {
        for old in ["4.19.0-27-amd64", "5.9.16", "", "garbage"] {
            let f = require_kernel(old).unwrap_err();
            assert!(f.cause.contains(old) && f.remedy.contains("5.10"), "{f}");
            assert_eq!(f.exit_code, 1);
        }
        for new in ["5.10.0-46-cloud-amd64", "6.18.44-fc-v669", "7.3.4"] {
            require_kernel(new).unwrap();
        }
    }

    #[test]
    fn every_missing_capability_is_named() {
        let all = 1 << 39 | 1 << 12 | 1 << 38;
        let require = |effective| require_capabilities(effective, u64::MAX);
        require(all).unwrap();
        require(u64::MAX).unwrap();
        require(1 << SYS_ADMIN | 1 << NET_ADMIN).unwrap();
        assert!(require(0).unwrap_err().cause.ends_with("CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON"));
        assert!(require(all & !(1 << 38)).unwrap_err().cause.ends_with("lacks CAP_PERFMON"));
        assert!(require(1 << SYS_ADMIN).unwrap_err().cause.ends_with("lacks CAP_NET_ADMIN"));
    }

    #[test]
    fn whose_container_was_given_the_capabilities_in_vain_is_told_so() {
        let all = 1 << 39 | 1 << 12 | 1 << 38;
        let remedy = |effective, bounding| require_capabilities(effective, bounding).unwrap_err().remedy;
        assert!(remedy(0, all).contains("--user 0:61112"), "Docker, another user than root");
        assert!(remedy(0, u64::MAX).starts_with("run it as root"), "an ordinary user of a host");
        assert!(remedy(0, 0).starts_with("run it as root"), "a container without");
        assert!(remedy(1 << 12, all).starts_with("run it as root"), "some have reached it");
        assert!(filtered("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n") && !filtered("Seccomp:\t0\n"));
    }

    #[test]
    fn capabilities_are_read_from_proc() {
        assert_eq!(effective_capabilities("Name:\tx\nCapEff:\t000000c000001000\nCapBnd:\t0\n"), 0xc0_0000_1000);
        assert_eq!(effective_capabilities(""), 0);
    }

    #[test]
    fn the_boot_clock_moves_forward() {
        let before = now();
        assert!(now() >= before && before > Time::from_nanos(0));
    }
}
