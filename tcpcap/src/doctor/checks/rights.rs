//! What this process may do.

use std::io;

use nix::unistd::User;

use super::{Finding, Host};
use crate::{
    host::{
        COUNTED_BY_CGROUP, LOCKED, UNLOCK, WITHOUT_RIGHTS, capabilities_remedy, filtered, missing_capabilities,
        short_of_locked_memory,
    },
    kernel::{BPFFS, FILTERED_REMEDY, give_it, survey},
};
use tcpcap_common::LAYOUT_VERSION;

/// Whom the service runs as.
const SERVICE_USER: &str = "tcpcap";
const SYS_NICE: u32 = 23;
const SYS_RESOURCE: u32 = 24;
/// What readers of the port, clients of the socket, the history and the kernel's objects take, with room.
const OPEN_FILES: u64 = 1024;

pub(super) fn capabilities(host: &Host) -> Finding {
    let effective = host.capabilities();
    let missing = missing_capabilities(effective);
    if !missing.is_empty() {
        return Finding::fail(
            format!("this process lacks {}", missing.join(", ")),
            "it may not load XDP programs",
            capabilities_remedy(effective, host.bounding()),
        );
    }
    if effective & 1 << SYS_NICE == 0 && goes_before_others() {
        return Finding::ok("CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON; at nice -20 without CAP_SYS_NICE");
    }
    if effective & 1 << SYS_NICE == 0 {
        return Finding::warn(
            "this process lacks CAP_SYS_NICE alone",
            "tcpcap runs at normal priority: on a busy host, scanners see more ports before they are dropped",
            "give the service CAP_SYS_NICE too, or start it at that priority (systemd: Nice=-20)",
        );
    }
    Finding::ok("CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_NICE")
}

/// Whether this process was started at the rank that it would give itself.
fn goes_before_others() -> bool {
    // SAFETY: has no preconditions; 0 is this process.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) == -20 }
}

pub(super) fn bpf(host: &Host) -> Finding {
    let answer = survey::make_a_map();
    if answer.as_ref().is_err_and(|e| e.raw_os_error() == Some(libc::EPERM))
        && host.has_rights()
        && let Some(limit) = short_of_locked_memory()
    {
        return Finding::fail(
            format!("bpf(2): no memory to lock, of {} KiB in all", limit >> 10),
            "this kernel counts maps against that, see `memlock`",
            UNLOCK,
        );
    }
    answered(answer, host.has_rights(), filtered(&host.read("/proc/self/status").unwrap_or_default()))
}

/// What the answer to bpf(2) means.
pub(super) fn answered(answer: io::Result<()>, has_rights: bool, is_filtered: bool) -> Finding {
    let Err(e) = answer else { return Finding::ok("bpf(2) works") };
    let found = format!("bpf(2): {e}");
    match e.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) if !has_rights => {
            Finding::fail(found, "this process lacks the capabilities for it, see above", WITHOUT_RIGHTS)
        }
        Some(libc::EPERM | libc::EACCES | libc::ENOSYS) if is_filtered => Finding::fail(
            found,
            "the capabilities are there, but a seccomp filter denies the call, as the default profiles of podman and \
             Docker do",
            FILTERED_REMEDY,
        ),
        Some(libc::EPERM | libc::EACCES) => Finding::fail(
            found,
            "the capabilities are there, so a security module, a lockdown or a user namespace denies the call",
            "see `lockdown`, `lsm` and `user-namespace`, and `dmesg`",
        ),
        Some(libc::ENOSYS) => {
            Finding::fail(found, "this kernel was built without it", "use a kernel with CONFIG_BPF_SYSCALL")
        }
        _ => Finding::fail(found, "tcpcap does not start", "see `dmesg` for the kernel's reason"),
    }
}

pub(super) fn programs(host: &Host) -> Finding {
    if !host.has_rights() {
        return host.unseen();
    }
    match host.loaded() {
        Err(failure) => Finding::fail(failure.cause.clone(), "tcpcap does not start", failure.remedy.clone()),
        Ok(loaded) => match &loaded.egress_refused {
            None => Finding::ok(format!("the kernel takes {} and the program on the way out", loaded.program)),
            Some(why) => Finding::warn(
                format!("the kernel takes {}, but not the program on the way out: {why}", loaded.program),
                "our own answers go unseen: completions are judged by what comes in alone",
                "none needed; `egress = \"off\"` says that this is meant",
            ),
        },
    }
}

const UNPINNED: &str = "tcpcap runs, but its blocks end with it: nothing can be pinned";

pub(super) fn bpffs(host: &Host) -> Finding {
    let place = match survey::place(&host.bpffs()) {
        Ok(place) if place.is_bpffs => place,
        _ => {
            let found = format!("{BPFFS} is no BPF file system");
            let remedy = if super::container::is_one(host) {
                format!("mount the host's into the container: -v {BPFFS}:{BPFFS}")
            } else {
                format!("mount -t bpf bpf {BPFFS}")
            };
            return Finding::warn(found, UNPINNED, remedy);
        }
    };
    match place.refused {
        None => Finding::ok(format!("{BPFFS} can be written to")),
        Some(libc::EROFS) => {
            Finding::warn(format!("{BPFFS} is mounted read-only"), UNPINNED, format!("mount -o remount,rw {BPFFS}"))
        }
        Some(_) if !host.has_rights() => host.unseen(),
        Some(code) => Finding::warn(format!("{BPFFS}: {}", io::Error::from_raw_os_error(code)), UNPINNED, give_it()),
    }
}

pub(super) fn pins(host: &Host) -> Finding {
    let left = match host.left() {
        Ok(Some(left)) => left,
        Ok(None) => return Finding::ok(format!("{BPFFS}/tcpcap is made when tcpcap starts")),
        Err(_) => return host.unseen(),
    };
    // SAFETY: has no preconditions.
    let me = unsafe { libc::geteuid() };
    let place = format!("{BPFFS}/tcpcap");
    let service = User::from_name(SERVICE_USER).ok().flatten().map(|user| user.uid.as_raw());
    let whose = match left.owner {
        0 => "root's",
        owner if Some(owner) == service => "tcpcap's",
        owner if owner == me => "this user's",
        _ => "",
    };
    if whose.is_empty() || left.mode & 0o022 != 0 {
        let found = format!("{place} belongs to user {}, with mode {:04o}", left.owner, left.mode);
        return Finding::warn(
            found,
            "others than root and the service may change what tcpcap left in the kernel",
            format!("chown root:root {place}; chmod 0750 {place}"),
        );
    }
    let mut others = left.layouts.iter().filter(|layout| **layout != LAYOUT_VERSION.to_string());
    if let Some(other) = others.next() {
        return Finding::fail(
            format!("the blocks in the kernel are of layout {other}; this tcpcap knows layout {LAYOUT_VERSION}"),
            "tcpcap does not start, and what is pinned stays in force",
            "start the version that made them, or let go of them with `tcpcap detach`",
        );
    }
    match left.links.len() {
        0 => Finding::ok(format!("{place} is {whose}, and holds nothing of this network")),
        links => Finding::ok(format!("{place} is {whose}; {links} programs attached")),
    }
}

/// The soft limit of that name in `/proc/self/limits`; `None`: there is none.
fn limit(host: &Host, name: &str) -> io::Result<Option<u64>> {
    let text = host.read("/proc/self/limits")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or(io::ErrorKind::NotFound)?;
    Ok(line.split_whitespace().next().and_then(|soft| soft.parse().ok()))
}

pub(super) fn memlock(host: &Host) -> Finding {
    if host.kernel() >= COUNTED_BY_CGROUP {
        return Finding::ok("of no concern: since 5.11 the control group's memory limit counts");
    }
    match limit(host, "Max locked memory") {
        // The library does so when the kernel refuses a map.
        Ok(Some(bytes)) if bytes < LOCKED && host.capabilities() & 1 << SYS_RESOURCE != 0 => {
            Finding::ok(format!("{} KiB, which tcpcap raises by itself", bytes >> 10))
        }
        Ok(Some(bytes)) if bytes < LOCKED => Finding::fail(
            format!("{} KiB, and this kernel counts maps against it", bytes >> 10),
            format!("tcpcap's maps take up to {} MiB", LOCKED >> 20),
            UNLOCK,
        ),
        Ok(Some(bytes)) => Finding::ok(format!("{} MiB", bytes >> 20)),
        Ok(None) => Finding::ok("no limit"),
        Err(_) => Finding::skip("/proc/self/limits is not shown here"),
    }
}

pub(super) fn open_files(host: &Host) -> Finding {
    match limit(host, "Max open files") {
        Ok(Some(files)) if files < OPEN_FILES => Finding::warn(
            format!("{files} at most"),
            "with many readers of metrics and clients, tcpcap may run out of them",
            format!("ulimit -n {OPEN_FILES}; systemd: LimitNOFILE={OPEN_FILES}"),
        ),
        Ok(Some(files)) => Finding::ok(format!("{files} at most")),
        Ok(None) => Finding::ok("no limit"),
        Err(_) => Finding::skip("/proc/self/limits is not shown here"),
    }
}
