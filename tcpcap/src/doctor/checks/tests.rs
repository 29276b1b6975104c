//! Every check, provoked: by a tree of files that stands for a host, or by an interface as it might be.

mod interfaces;

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use tempfile::TempDir;

use super::*;
use crate::{
    doctor::Level,
    failure::Failure,
    mirror,
    settings::{Mirror, Settings},
};

/// A host where all is well.
const WELL: &[(&str, &str)] = &[
    ("proc/sys/kernel/osrelease", "6.18.5-amd64\n"),
    ("proc/self/status", "Name:\ttcpcap\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n"),
    ("proc/self/limits", "Max open files   1024   4096   files\nMax locked memory   8388608   8388608   bytes\n"),
    ("proc/self/timens_offsets", "monotonic 0 0\nboottime 0 0\n"),
    ("proc/self/ns/pid", "-> pid:[4026531836]"),
    ("proc/self/ns/cgroup", "-> cgroup:[4026531835]"),
    ("proc/self/ns/user", "-> user:[4026531837]"),
    ("proc/self/ns/net", "-> net:[4026531840]"),
    ("proc/1/ns/net", "-> net:[4026531840]"),
    ("proc/sys/net/core/bpf_jit_enable", "1\n"),
    ("proc/sys/kernel/unprivileged_bpf_disabled", "2\n"),
    ("sys/kernel/security/lockdown", "[none] integrity confidentiality\n"),
    ("sys/kernel/security/lsm", "lockdown,capability,yama,apparmor\n"),
    ("sys/kernel/btf/vmlinux", ""),
    ("sys/devices/system/cpu/online", "0-7\n"),
];

/// A host of files, which live as long as this.
struct Tree(TempDir);

impl Tree {
    /// One where all is well but for these: other text, or none at all.
    fn but(files: &[(&str, Option<&str>)]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for (path, text) in WELL {
            tree.put(path, text);
        }
        for (path, text) in files {
            match text {
                Some(text) => tree.put(path, text),
                None => fs::remove_file(tree.0.path().join(path)).unwrap(),
            }
        }
        tree
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).unwrap();
        }
        match text.strip_prefix("-> ") {
            Some(to) => symlink(to, path).unwrap(),
            None => fs::write(path, text).unwrap(),
        }
    }

    fn host(&self) -> Host {
        self.host_with(|_| {})
    }

    fn host_with(&self, change: impl FnOnce(&mut Settings)) -> Host {
        let mut settings = Settings { interfaces: vec!["lo".into()], ..Settings::default() };
        (settings.state, settings.socket) = (self.path("state"), self.path("run/s"));
        settings.listen = "127.0.0.1:0".parse().unwrap();
        change(&mut settings);
        Host::below(self.0.path(), settings, None, None)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }
}

/// What a check of the host says.
fn ask(name: &str, host: &Host) -> Finding {
    let check = ALL.iter().find(|check| check.name == name).unwrap();
    let Run::Host(run) = check.run else { panic!("{name} is about interfaces") };
    run(host)
}

/// A check, how bad it is, what it says, and the finding that must be so.
type Case = (&'static str, Level, &'static str, Finding);

fn files(files: &[(&str, Option<&str>)], name: &'static str, level: Level, says: &'static str) -> Case {
    (name, level, says, ask(name, &Tree::but(files).host()))
}

fn of_kernel() -> Vec<Case> {
    use Level::{Fail, Ok, Skip, Warn};
    let release = "proc/sys/kernel/osrelease";
    let (lockdown, lsm) = ("sys/kernel/security/lockdown", "sys/kernel/security/lsm");
    let (jit, open) = ("proc/sys/net/core/bpf_jit_enable", "proc/sys/kernel/unprivileged_bpf_disabled");
    let offsets = "proc/self/timens_offsets";
    vec![
        files(&[(release, Some("5.4.0-200-generic"))], "version", Fail, "5.4.0-200-generic is too old"),
        files(&[(release, None)], "version", Fail, "cannot be read"),
        files(&[(release, Some("5.10.0-46"))], "version", Ok, "XDP links, clsact (tcx comes with 6.6)"),
        files(&[(release, Some("6.6.1"))], "version", Ok, "packets of several buffers, tcx"),
        files(&[("sys/kernel/btf/vmlinux", None)], "btf", Warn, "does not describe its types"),
        files(&[(jit, Some("0"))], "jit", Warn, "interpreted"),
        files(&[(jit, Some("2"))], "jit", Warn, "goes to the kernel's log"),
        files(&[(jit, None)], "jit", Skip, "not shown"),
        files(&[(open, Some("0"))], "unprivileged-bpf", Warn, "every user of this host may load"),
        files(&[(open, None)], "unprivileged-bpf", Skip, "not shown"),
        files(&[(lockdown, Some("none integrity [confidentiality]"))], "lockdown", Warn, "confidentiality"),
        files(&[(lockdown, Some("none [integrity] confidentiality"))], "lockdown", Ok, "integrity"),
        files(&[(lockdown, None)], "lockdown", Skip, "not there"),
        ("lsm", Warn, "look for `denied`", kernel::confined("apparmor", "docker-default (enforce)", || true)),
        (
            "lsm",
            Ok,
            "is confined as docker-default",
            kernel::confined("apparmor", "docker-default (enforce)", || false),
        ),
        files(&[("proc/self/attr/current", Some("unconfined\n"))], "lsm", Ok, "apparmor; this process is not confined"),
        files(&[(lsm, None)], "lsm", Skip, "not shown"),
        files(&[(offsets, Some("monotonic 0 0\nboottime 86400 0"))], "clock", Fail, "since the boot is 86400 s off"),
        ("clock", Warn, "1970-01-02T00:00:00Z", kernel::wall(UNIX_EPOCH + std::time::Duration::from_secs(86_400))),
    ]
}

fn of_rights() -> Vec<Case> {
    use Level::{Fail, Ok, Skip, Warn};
    let status = |capabilities| format!("CapEff:\t{capabilities}\n");
    let (none, old) = (status("0"), ("proc/sys/kernel/osrelease", Some("5.10.0")));
    let no_rights = ("proc/self/status", Some(&*none));
    let three = status("c000001000");
    let limits = "proc/self/limits";
    let locked = |text| (limits, Some(text));
    let eperm = || Err(io::Error::from_raw_os_error(libc::EPERM));
    vec![
        files(&[no_rights], "capabilities", Fail, "lacks CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON"),
        files(&[("proc/self/status", Some(&three))], "capabilities", Warn, "lacks CAP_SYS_NICE alone"),
        ("bpf", Ok, "works", rights::answered(Result::Ok(()), true, false)),
        ("bpf", Fail, "lacks the capabilities", rights::answered(eperm(), false, true)),
        ("bpf", Fail, "a seccomp filter denies", rights::answered(eperm(), true, true)),
        ("bpf", Fail, "a security module, a lockdown or a user", rights::answered(eperm(), true, false)),
        ("bpf", Fail, "built without", rights::answered(Err(io::Error::from_raw_os_error(libc::ENOSYS)), true, false)),
        files(&[no_rights], "programs", Fail, "without privileges"),
        files(&[], "bpffs", Warn, "/sys/fs/bpf is no BPF file system"),
        files(&[("sys/fs/bpf/x", Some(""))], "bpffs", Warn, "mount -t bpf bpf /sys/fs/bpf"),
        files(&[("proc/self/ns/pid", Some("-> pid:[4026532000]"))], "bpffs", Warn, "-v /sys/fs/bpf:/sys/fs/bpf"),
        files(&[], "pins", Ok, "is made when tcpcap starts"),
        files(&[old, ("proc/self/status", Some(&three))], "memlock", Fail, "8192 KiB, and this kernel counts"),
        files(&[old], "memlock", Ok, "8192 KiB, which tcpcap raises by itself"),
        files(&[old, locked("Max locked memory unlimited unlimited bytes")], "memlock", Ok, "no limit"),
        files(&[old, (limits, None)], "memlock", Skip, "not shown"),
        files(&[locked("Max open files 256 256 files")], "open-files", Warn, "256 at most"),
        files(&[(limits, None)], "open-files", Skip, "not shown"),
    ]
}

fn of_pins() -> Vec<Case> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let tree = Tree::but(&[]);
    let ours = tree.path("sys/fs/bpf/tcpcap");
    fs::create_dir_all(&ours).unwrap();
    fs::set_permissions(&ours, fs::Permissions::from_mode(0o777)).unwrap();
    let open = ask("pins", &tree.host());
    fs::set_permissions(&ours, fs::Permissions::from_mode(0o750)).unwrap();
    let closed = ask("pins", &tree.host());
    let number = fs::metadata("/proc/thread-self/ns/net").unwrap().ino();
    fs::create_dir_all(ours.join(format!("net-{number}/maps-v99"))).unwrap();
    let other = ask("pins", &tree.host());
    vec![
        ("pins", Level::Warn, "with mode 0777", open),
        ("pins", Level::Ok, "holds nothing of this network", closed),
        ("pins", Level::Fail, "are of layout 99; this tcpcap knows layout", other),
    ]
}

fn of_container() -> Vec<Case> {
    use Level::{Fail, Ok, Skip, Warn};
    let pid = ("proc/self/ns/pid", Some("-> pid:[4026532500]"));
    let net = |own| ("proc/self/ns/net", Some(own));
    let old = ("proc/sys/kernel/osrelease", Some("6.1.0"));
    let podman = Tree::but(&[pid, ("run/.containerenv", Some(""))]);
    let rooted = podman.host_with(|settings| settings.protect.root = "/host".into());
    vec![
        files(&[pid, ("run/.containerenv", Some(""))], "container", Warn, "in a container (podman)"),
        files(
            &[("proc/self/ns/cgroup", Some("-> cgroup:[9]")), (".dockerenv", Some(""))],
            "container",
            Warn,
            "(Docker)",
        ),
        files(&[(".dockerenv", Some(""))], "container", Ok, "not in a container"),
        ("container", Ok, "the host's files are in /host", ask("container", &rooted)),
        files(&[("proc/self/ns/user", Some("-> user:[4026532501]"))], "user-namespace", Fail, "as rootless containers"),
        files(&[("proc/self/ns/user", None)], "user-namespace", Skip, "not shown"),
        files(&[net("-> net:[4026532502]")], "network", Warn, "a network namespace of its own"),
        files(&[net("-> net:[4026531833]"), pid], "network", Ok, "the host's"),
        files(&[("proc/1/ns/net", None)], "network", Warn, "a network namespace of its own"),
        files(&[("proc/1/ns/net", None), old], "network", Skip, "cannot be seen from here"),
        files(&[("proc/self/ns/net", None)], "network", Skip, "not shown"),
    ]
}

fn of_service() -> Vec<Case> {
    use Level::{Fail, Ok, Skip, Warn};
    let tree = Tree::but(&[]);
    let settings = || tree.host().settings;
    let file = || Some(PathBuf::from("/etc/t.toml"));
    let broken = Some(Failure::usage("t.toml:3: unknown key `prest`", "did you mean `preset`?"));
    let broken = Host::below(tree.0.path(), settings(), file(), broken);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = tree.host_with(|settings| settings.listen = listener.local_addr().unwrap());
    let nowhere = tree.host_with(|settings| settings.listen = "192.0.2.1:2112".parse().unwrap());
    let stale = tree.host();
    fs::create_dir_all(tree.path("run")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(tree.path("run/s")).unwrap());
    let left = ask("socket", &stale);
    fs::remove_file(tree.path("run/s")).unwrap();
    let open = std::os::unix::net::UnixListener::bind(tree.path("run/s")).unwrap();
    let (alive, daemon) = (ask("socket", &tree.host()), ask("daemon", &tree.host()));
    drop(open);
    let foreign = tree.host_with(|settings| settings.socket = tree.path("precious"));
    tree.put("precious", "data");
    let mut groupless = tree.host();
    groupless.group = "no-such-group";
    let below_a_file = tree.host_with(|settings| settings.socket = tree.path("precious/s"));
    let nft = |nft: &str| {
        let config = mirror::Config { nft: nft.into(), ..mirror::Config::default() };
        tree.host_with(|settings| settings.mirror = Mirror { enabled: true, config })
    };
    vec![
        ("configuration", Fail, "did you mean `preset`?", ask("configuration", &broken)),
        (
            "configuration",
            Ok,
            "/etc/t.toml is in order",
            ask("configuration", &Host::below(Path::new("/"), settings(), file(), None)),
        ),
        ("daemon", Ok, "not running", ask("daemon", &stale)),
        ("daemon", Ok, "tcpcap is running here, as process", daemon),
        ("port", Ok, "is free", ask("port", &tree.host())),
        ("port", Fail, "shows who listens", ask("port", &taken)),
        ("port", Fail, "an address of this host", ask("port", &nowhere)),
        ("socket", Ok, "is left over", left),
        ("socket", Ok, "is listened on by process", alive),
        ("socket", Fail, "is no socket", ask("socket", &foreign)),
        ("socket", Warn, "cannot be made", ask("socket", &below_a_file)),
        ("group", Warn, "groupadd --system no-such-group", ask("group", &groupless)),
        ("mirror", Skip, "off", ask("mirror", &tree.host())),
        ("mirror", Fail, "cannot run /nonexistent/nft", ask("mirror", &nft("/nonexistent/nft"))),
        ("mirror", Fail, "nft failed", ask("mirror", &nft("/bin/false"))),
    ]
}

fn of_storage() -> Vec<Case> {
    use Level::{Ok, Warn};
    let tree = Tree::but(&[("file", Some("")), ("damaged/history.db", Some("SQLite format 3\0 but no more"))]);
    let at = |path: &str| tree.host_with(|settings| settings.state = tree.path(path));
    tree.put("garbage/history.db", &"this is no database at all".repeat(400));
    vec![
        ("state", Ok, "it is made by the first start", ask("state", &at("new/state"))),
        ("state", Warn, "is no directory", ask("state", &at("file"))),
        ("state", Warn, "cannot be written to", ask("state", &at("file/below"))),
        ("state", Warn, "1.00 MiB free", storage::room("/s", 1 << 20, true)),
        ("state", Warn, "the history may fill it up", storage::room("/s", 100 << 20, true)),
        ("history", Ok, "none yet", ask("history", &at("new/state"))),
        ("history", Warn, "is damaged", ask("history", &at("garbage"))),
        ("history", Warn, "is damaged", ask("history", &at("damaged"))),
    ]
}

fn cases() -> Vec<Case> {
    [of_kernel(), of_rights(), of_pins(), of_container(), interfaces::cases(), of_service(), of_storage()].concat()
}

#[test]
fn what_is_amiss_is_found_with_its_meaning_and_its_remedy() {
    for (name, level, says, finding) in cases() {
        let all = format!("{} / {} / {}", finding.found, finding.means, finding.remedy);
        assert_eq!(finding.level, level, "{name}: {all}");
        assert!(all.contains(says), "{name}: {all} does not say: {says}");
        let complains = matches!(level, Level::Warn | Level::Fail);
        assert_eq!(!finding.remedy.is_empty(), complains, "{name}: {all}");
    }
}

#[test]
fn every_check_is_provoked() {
    let provoked: BTreeSet<_> =
        cases().into_iter().filter(|case| matches!(case.1, Level::Warn | Level::Fail)).map(|case| case.0).collect();
    // One that only informs.
    let unprovoked: Vec<_> = ALL.iter().map(|check| check.name).filter(|name| !provoked.contains(name)).collect();
    assert_eq!(unprovoked, ["daemon"]);
}

#[test]
fn where_all_is_well_no_check_of_files_complains() {
    let tree = Tree::but(&[]);
    for name in ["version", "btf", "jit", "unprivileged-bpf", "lockdown", "lsm", "clock", "capabilities", "memlock"] {
        let finding = ask(name, &tree.host());
        assert_eq!(finding.level, Level::Ok, "{name}: {finding:?}");
        assert_eq!((&*finding.means, &*finding.remedy), ("", ""), "{name}");
    }
    for name in ["open-files", "container", "user-namespace", "network"] {
        assert_eq!(ask(name, &tree.host()).level, Level::Ok, "{name}");
    }
}

#[test]
fn a_host_without_any_of_these_files_makes_no_check_panic() {
    let tree = tempfile::tempdir().unwrap();
    let settings = Tree::but(&[]).host().settings;
    let host = Host::below(tree.path(), settings, None, None);
    for check in &ALL {
        match check.run {
            Run::Host(run) => assert!(!run(&host).found.is_empty(), "{}", check.name),
            Run::Card(run) => assert!(!run(&host, &Card::default()).found.is_empty(), "{}", check.name),
        }
    }
}

#[test]
fn the_page_describes_every_check_in_order() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/doctor.md")).unwrap();
    let described: Vec<_> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect();
    assert_eq!(described, ALL.map(|check| check.name));
    let headings: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    for group in Group::ALL {
        assert!(headings.contains(&group.heading()), "{headings:?}");
    }
}
