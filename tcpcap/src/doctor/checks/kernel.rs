//! The kernel and how it is set.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Finding, Host};
use crate::host::MIN_KERNEL;

/// From here on packets of several buffers are taken, by those drivers that can.
const FRAGS: (u32, u32) = (5, 18);
/// From here on the program on the way out hangs by a link of its own.
pub(super) const TCX: (u32, u32) = (6, 6);
/// 2024: no tcpcap is older.
const OLDEST_TIME: u64 = 1_704_067_200;

pub(super) fn version(host: &Host) -> Finding {
    let Ok(release) = host.read("/proc/sys/kernel/osrelease") else {
        return Finding::fail(
            "its version cannot be read",
            "tcpcap does not start where /proc is not mounted",
            "mount -t proc proc /proc",
        );
    };
    let kernel = host.kernel();
    if kernel < MIN_KERNEL {
        let (major, minor) = MIN_KERNEL;
        return Finding::fail(
            format!("{release} is too old"),
            format!("tcpcap needs Linux {major}.{minor}: the ring buffer, the boot clock and links of XDP programs"),
            "upgrade the kernel",
        );
    }
    let answers = if kernel >= TCX { "tcx" } else { "clsact (tcx comes with 6.6)" };
    let frags = if kernel >= FRAGS { ", packets of several buffers" } else { "" };
    Finding::ok(format!("{release}: ring buffer, XDP links{frags}, {answers}"))
}

pub(super) fn btf(host: &Host) -> Finding {
    if host.path("/sys/kernel/btf/vmlinux").exists() {
        return Finding::ok("the kernel describes its types");
    }
    Finding::warn(
        "the kernel does not describe its types (/sys/kernel/btf/vmlinux)",
        "tcpcap works without; bpftool and other tools show less of it",
        "use a kernel built with CONFIG_DEBUG_INFO_BTF, as distributions do",
    )
}

pub(super) fn jit(host: &Host) -> Finding {
    match host.read("/proc/sys/net/core/bpf_jit_enable").as_deref() {
        Ok("0") => Finding::warn(
            "off: programs are interpreted",
            "each packet costs several times as much",
            "sysctl -w net.core.bpf_jit_enable=1",
        ),
        Ok("2") => Finding::warn(
            "on, and its output goes to the kernel's log",
            "that is for debugging; the log shows kernel addresses",
            "sysctl -w net.core.bpf_jit_enable=1",
        ),
        Ok(_) => Finding::ok("on: programs run as machine code"),
        // The setting belongs to the host's own network namespace.
        Err(_) => Finding::skip("net.core.bpf_jit_enable is not shown here"),
    }
}

pub(super) fn unprivileged(host: &Host) -> Finding {
    match host.read("/proc/sys/kernel/unprivileged_bpf_disabled").as_deref() {
        Ok("0") => Finding::warn(
            "every user of this host may load BPF programs",
            "tcpcap does not need that, and it has let users become root before",
            "sysctl -w kernel.unprivileged_bpf_disabled=2",
        ),
        Ok(_) => Finding::ok("only who has the capabilities may load BPF programs"),
        Err(_) => Finding::skip("kernel.unprivileged_bpf_disabled is not shown here"),
    }
}

pub(super) fn lockdown(host: &Host) -> Finding {
    // `none [integrity] confidentiality`: the one in force is in brackets.
    let text = host.read("/sys/kernel/security/lockdown");
    let level = text.as_deref().ok().and_then(|text| text.split_once('[')?.1.split_once(']')).map(|(level, _)| level);
    match level {
        Some("none") => Finding::ok("none"),
        Some("confidentiality") => Finding::warn(
            "confidentiality: programs may not read kernel memory",
            "tcpcap's do not; but some distributions refuse bpf(2) altogether then: see `programs`",
            "if `programs` fails: boot with lockdown=integrity",
        ),
        Some(level) => Finding::ok(format!("{level}: does not concern tcpcap")),
        None => Finding::skip("/sys/kernel/security/lockdown is not there: none, or not shown here"),
    }
}

pub(super) fn lsm(host: &Host) -> Finding {
    let active = host.read("/sys/kernel/security/lsm");
    let label = host.read("/proc/self/attr/current").unwrap_or_default();
    let label = label.trim_end_matches('\0');
    let is_confined = !label.is_empty() && !label.starts_with("unconfined") && !label.contains(":unconfined_t:");
    let active = match active {
        Ok(active) => active.replace(',', ", "),
        Err(_) if !is_confined => return Finding::skip("/sys/kernel/security/lsm is not shown here"),
        Err(_) => "security modules".to_owned(),
    };
    if !is_confined {
        return Finding::ok(format!("{active}; this process is not confined"));
    }
    confined(&active, label, || host.has_rights() && host.loaded().is_err())
}

/// What it means to be confined, if tcpcap's programs are refused or not.
pub(super) fn confined(active: &str, label: &str, are_refused: impl FnOnce() -> bool) -> Finding {
    let found = format!("{active}; this process is confined as {label}");
    if are_refused() {
        return Finding::warn(
            found,
            "that may be what refuses tcpcap's programs",
            "look for `denied` in `dmesg` or the audit log, and allow bpf there",
        );
    }
    Finding::ok(found)
}

pub(super) fn clock(host: &Host) -> Finding {
    let offset = host.read("/proc/self/timens_offsets").ok().and_then(|text| shifted(&text));
    if let Some(seconds) = offset {
        return Finding::fail(
            format!("in a time namespace: since the boot is {seconds} s off"),
            "kernel and tcpcap would not agree on when a block ends",
            "start tcpcap in the host's time namespace",
        );
    }
    wall(SystemTime::now())
}

/// The offset of the boot clock in `/proc/PID/timens_offsets`, if there is one: `boottime 86400 0`.
fn shifted(text: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix("boottime"))?;
    let mut numbers = line.split_whitespace().map(str::parse::<i64>);
    match (numbers.next()?.ok()?, numbers.next()?.ok()?) {
        (0, 0) => None,
        (seconds, _) => Some(seconds),
    }
}

/// What the time of day is good for.
pub(super) fn wall(now: SystemTime) -> Finding {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if seconds < OLDEST_TIME {
        return Finding::warn(
            format!("the time of day is wrong: {}", humantime::format_rfc3339_seconds(now.max(UNIX_EPOCH))),
            "blocks end in time all the same; log and history tell wrong times",
            "start a time service such as chrony or systemd-timesyncd",
        );
    }
    Finding::ok("the boot clock is the kernel's own; the time of day is plausible")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_offset_of_the_boot_clock_counts() {
        assert_eq!(shifted("monotonic           5         0\nboottime            0         0\n"), None);
        assert_eq!(shifted("monotonic 0 0\nboottime -86400 0\n"), Some(-86_400));
        assert_eq!(shifted("boottime 0 5\n"), Some(0));
        assert_eq!(shifted("garbage"), None);
    }
}
