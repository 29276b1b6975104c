//! What the other tests run in.

use std::{env, fs, panic, path::Path};

use tcpcap_lab::{
    Internet, Process,
    layout::{CARD, SENSOR_V4},
    machine::{Disk, Machine, Root},
};

/// A Debian to boot: the oldest whose systemd the unit is for, or `$TCPCAP_MACHINE_SUITE`.
pub fn root() -> Root {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let suite = env::var("TCPCAP_MACHINE_SUITE");
    Root::debian(target, suite.as_deref().unwrap_or("bookworm")).unwrap()
}

fn mounts() -> String {
    fs::read_to_string("/proc/mounts").unwrap()
}

#[test]
fn a_machine_is_in_the_labs_network_with_files_and_pins_of_its_own_and_leaves_nothing() {
    let net = Internet::build().unwrap();
    let mut machine = Machine::boot(Disk::copy_of(&root()).unwrap(), &net.sensor).unwrap();
    let cards = machine.succeed(&["ls", "/sys/class/net"]).unwrap();
    assert_eq!(cards.split_whitespace().collect::<Vec<_>>(), [CARD, "lo"]);
    assert_eq!(machine.succeed(&["stat", "-c", "%a %U", "/sys/fs/bpf"]).unwrap(), "1700 root\n");
    assert!(!machine.disk().bpf().join("tcpcap").exists(), "what this machine's own tcpcap pinned is no test's");
    let mut ping = net.client.command("ping");
    ping.args(["-c1", &SENSOR_V4.to_string()]);
    Process::spawn("ping", ping).unwrap().succeed(std::time::Duration::from_secs(10)).unwrap();

    machine.succeed(&["mkdir", "/var/kept", "/sys/fs/bpf/forgotten", "/run/forgotten"]).unwrap();
    assert!(machine.disk().path("/var/kept").exists());
    machine.reboot().unwrap();
    for gone in ["/sys/fs/bpf/forgotten", "/run/forgotten"] {
        assert!(!machine.run(&["ls", gone]).unwrap().status.success(), "{gone}");
    }
    machine.succeed(&["ls", "/var/kept"]).unwrap();

    let files = machine.disk().path("").parent().unwrap().to_owned();
    assert!(mounts().contains(files.to_str().unwrap()));
    drop(machine);
    assert!(!files.exists() && !mounts().contains(files.to_str().unwrap()), "{}", files.display());
}

#[test]
fn a_machine_goes_with_a_test_that_fails() {
    let net = Internet::build().unwrap();
    let root = root();
    let failed = panic::catch_unwind(|| {
        let machine = Machine::boot(Disk::copy_of(&root).unwrap(), &net.sensor).unwrap();
        panic::resume_unwind(Box::new(machine.disk().path("").parent().unwrap().to_owned()));
    });
    let files = failed.unwrap_err().downcast::<std::path::PathBuf>().unwrap();
    assert!(!files.exists());
    let sees_them = |pid: &String| {
        let mounts = fs::read_to_string(format!("/proc/{pid}/mounts")).unwrap_or_default();
        mounts.contains(&format!("upperdir={}/", files.display()))
    };
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    assert_eq!(processes.filter(sees_them).collect::<Vec<_>>(), Vec::<String>::new(), "nobody runs in it any more");
}
