//! What a process may do, and what keeps it apart from the host.

use std::{
    fs, io,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
};

use tcpcap_lab::{Direct, layout::CARD};

use crate::stage::{Place, command, doctor, doctor_by, said};

const IFACE: [&str; 2] = ["--iface", CARD];

/// In a mount namespace of its own, behind what the script mounts.
fn mounted(script: &str) -> [&str; 6] {
    ["unshare", "--mount", "sh", "-c", script, "sh"]
}

#[test]
fn as_root_the_kernel_takes_the_programs_and_the_pins() {
    let net = Direct::build(1).unwrap();
    let said = doctor(&net.sensor, &Place::new(), &IFACE);
    said.has("bpf", "ok", "bpf(2) works");
    said.has("programs", "ok", "and the program on the way out");
    said.has("bpffs", "ok", "can be written to");
    let pins = said.of("pins");
    assert_eq!(pins.level, "ok", "{pins:?}");
    said.has("network", "warn", "a network namespace of its own");
    said.has("user-namespace", "ok", "the host's");
}

#[test]
fn without_privileges_every_check_still_speaks_and_the_remedy_is_sudo() {
    let net = Direct::build(1).unwrap();
    let place = Place::new();
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let told = said(command(&net.sensor, &nobody, &place.program(), &place).args(["-o", "json"]).args(IFACE));
    told.has("capabilities", "fail", "lacks CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON");
    told.has("bpf", "fail", "lacks the capabilities for it");
    told.has("link", "ok", "veth, up");
    told.has("mode", "ok", "native");
    for check in ["programs", "bpffs", "socket", "state"] {
        told.has(check, "fail", "run it as root: sudo tcpcap doctor");
    }
    assert_eq!(told.code, 1);
    let whole = doctor(&net.sensor, &place, &IFACE);
    let count = |said: &crate::stage::Said| said.json["checks"].as_array().unwrap().len();
    assert_eq!(count(&told), count(&whole));
}

#[test]
fn a_missing_capability_is_named_and_one_that_is_only_wanted_is_a_warning() {
    let net = Direct::build(1).unwrap();
    let place = Place::new();
    let dropped = |set: &'static str| {
        doctor_by(&net.sensor, &["setpriv", "--inh-caps=-all", "--bounding-set", set], &place, &IFACE)
    };
    let told = dropped("-all,+bpf,+net_admin");
    told.has("capabilities", "fail", "this process lacks CAP_PERFMON");
    let told = dropped("-all,+bpf,+net_admin,+perfmon");
    told.has("capabilities", "warn", "CAP_SYS_NICE");
    told.has("programs", "ok", "the kernel takes");
    let ahead = ["nice", "-n", "-20", "setpriv", "--inh-caps=-all", "--bounding-set", "-all,+bpf,+net_admin,+perfmon"];
    doctor_by(&net.sensor, &ahead, &place, &IFACE).has("capabilities", "ok", "at nice -20");
    let told = dropped("-all,+net_admin,+perfmon");
    told.has("capabilities", "fail", "lacks CAP_BPF");
    told.has("bpf", "fail", "bpf(2)");
}

/// The next program gets EPERM for bpf(2), as under the default profile of a container engine.
fn deny_bpf() -> io::Result<()> {
    let step = |code: u32, k: u32, jf: u8| libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt: 0, jf, k };
    let bpf = u32::try_from(libc::SYS_bpf).unwrap_or(0);
    let mut filter = [
        // The number of the call stands first.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, bpf, 1),
        step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned(), 0),
        step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0),
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    // SAFETY: the filter lives until the call is over; the kernel copies it.
    match unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[test]
fn a_filter_that_denies_bpf_is_told_from_missing_capabilities() {
    let net = Direct::build(1).unwrap();
    let place = Place::new();
    let mut command = command(&net.sensor, &[], &place.program(), &place);
    command.args(["-o", "json"]).args(IFACE);
    // SAFETY: the closure allocates nothing and makes one system call.
    unsafe { command.pre_exec(deny_bpf) };
    let told = said(&mut command);
    told.has("capabilities", "ok", "CAP_BPF");
    told.has("bpf", "fail", "a seccomp filter denies the call");
    told.has("bpf", "fail", "--security-opt seccomp=FILE");
    told.has("programs", "fail", "a seccomp filter denies bpf(2)");
    assert_eq!(told.code, 1);
}

#[test]
fn where_no_bpf_file_system_is_or_none_to_write_to_blocks_end_with_the_daemon() {
    let net = Direct::build(1).unwrap();
    let place = Place::new();
    let told = doctor_by(&net.sensor, &mounted("mount -t tmpfs none /sys/fs/bpf && exec \"$@\""), &place, &IFACE);
    told.has("bpffs", "warn", "/sys/fs/bpf is no BPF file system / tcpcap runs, but its blocks end with it");
    told.has("bpffs", "warn", "mount -t bpf bpf /sys/fs/bpf");
    let script = "mount -t bpf -o ro bpf /sys/fs/bpf && exec \"$@\"";
    doctor_by(&net.sensor, &mounted(script), &place, &IFACE).has("bpffs", "warn", "is mounted read-only");
}

#[test]
fn pins_of_another_layout_keep_it_from_starting() {
    let net = Direct::build(1).unwrap();
    let number = fs::metadata(net.sensor.path()).unwrap().ino();
    let script = format!(
        "mount -t bpf bpf /sys/fs/bpf && mkdir -m 0750 -p /sys/fs/bpf/tcpcap/net-{number}/maps-v99 && exec \"$@\""
    );
    let told = doctor_by(&net.sensor, &mounted(&script), &Place::new(), &IFACE);
    told.has("pins", "fail", "are of layout 99");
    for made in
        ["mkdir -m 0777 /sys/fs/bpf/tcpcap", "mkdir -m 0750 /sys/fs/bpf/tcpcap && chown 4321 /sys/fs/bpf/tcpcap"]
    {
        let script = format!("mount -t bpf bpf /sys/fs/bpf && {made} && exec \"$@\"");
        let told = doctor_by(&net.sensor, &mounted(&script), &Place::new(), &IFACE);
        told.has("pins", "warn", "chown root:root /sys/fs/bpf/tcpcap; chmod 0750 /sys/fs/bpf/tcpcap");
    }
}

#[test]
fn a_place_for_pins_is_enough_and_one_of_another_user_has_a_remedy() {
    let net = Direct::build(1).unwrap();
    let place = Place::new();
    // As the service sees it: our directory alone.
    let alone = "mount -t bpf bpf /mnt && mkdir -p -m 0750 /mnt/tcpcap && mount -t tmpfs none /sys/fs/bpf && \
                 mkdir /sys/fs/bpf/tcpcap && mount --bind /mnt/tcpcap /sys/fs/bpf/tcpcap";
    let bounded = |owner: u32| {
        let caps = "-all,+bpf,+net_admin,+perfmon";
        format!(
            "{alone} && chown {owner} /mnt/tcpcap && exec setpriv --reuid 4321 --regid 4321 --clear-groups --inh-caps {caps} \
             --ambient-caps {caps} --bounding-set {caps} \"$@\""
        )
    };
    let run = |owner: u32| {
        let script = bounded(owner);
        said(command(&net.sensor, &mounted(&script), &place.program(), &place).args(["-o", "json"]).args(IFACE))
    };
    run(4321).has("bpffs", "ok", "can be written to");
    run(4321).has("pins", "ok", "/sys/fs/bpf/tcpcap is this user's");
    run(0).has("bpffs", "warn", "chown -R 4321 /sys/fs/bpf/tcpcap");
}

#[test]
fn namespaces_of_users_processes_and_time_are_told() {
    let net = Direct::build(1).unwrap();
    let place = Place::new();
    let told = doctor_by(&net.sensor, &["unshare", "--user", "--map-root-user"], &place, &IFACE);
    told.has("user-namespace", "fail", "as rootless containers have");
    told.has("bpf", "fail", "bpf(2): ");
    let told = doctor_by(&net.sensor, &["unshare", "--pid", "--fork", "--mount-proc"], &place, &IFACE);
    told.has("container", "warn", "in a container");
    told.has("network", "warn", "the container's own");
    let told = doctor_by(&net.sensor, &["unshare", "--time", "--boottime", "86400"], &place, &IFACE);
    told.has("clock", "fail", "since the boot is 86400 s off");
}

#[test]
fn few_files_to_be_opened_are_a_warning() {
    let net = Direct::build(1).unwrap();
    let told = doctor_by(&net.sensor, &["prlimit", "--nofile=256"], &Place::new(), &IFACE);
    told.has("open-files", "warn", "256 at most");
}
