//! Starting: who it runs as, with what rights, and that it does its work so.

use std::net::{TcpListener, TcpStream};

use serde_json::Value;
use tcpcap_lab::{
    Namespace, Process,
    layout::{CARD, CLIENT_V4, SENSOR_V4},
};

use crate::stage::{SOON, Stage};

/// `CAP_BPF`, `CAP_NET_ADMIN`, `CAP_PERFMON`.
const ONLY_THESE: &str = "000000c000001000";

/// Whether an XDP program is attached to the sensor's card.
pub fn has_xdp(sensor: &Namespace) -> bool {
    let mut command = sensor.command("ip");
    command.args(["link", "show", "dev", CARD]);
    let mut ip = Process::spawn("ip", command).unwrap();
    ip.succeed(SOON).unwrap();
    ip.output().contains("xdp")
}

#[test]
fn it_is_ready_when_it_watches_and_blocks_as_a_user_with_three_capabilities() {
    let stage = Stage::running("");
    assert!(has_xdp(&stage.net.sensor), "{}", stage.journal());
    assert_eq!(stage.property("ActiveState"), "active");
    let process = format!("/proc/{}", stage.pid());
    assert_eq!(stage.machine.succeed(&["stat", "-c", "%U %G", &process]).unwrap(), "tcpcap tcpcap\n");
    let status = stage.machine.succeed(&["cat", &format!("{process}/status")]).unwrap();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(status.contains(&format!("{set}:\t{ONLY_THESE}\n")), "{status}");
    }
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
    // The loop's thread comes before all others, and has the process's number.
    let nice = |task: &str| {
        let stat = stage.machine.succeed(&["cat", &format!("{process}/task/{task}/stat")]).unwrap();
        stat.rsplit(") ").next().unwrap().split(' ').nth(16).unwrap().to_owned()
    };
    let tasks = stage.machine.succeed(&["ls", &format!("{process}/task")]).unwrap();
    for task in tasks.split_whitespace() {
        assert_eq!(nice(task), if task == stage.pid() { "-20" } else { "0" }, "{task} of {tasks}");
    }

    let source = stage.scan();
    assert!(!stage.reaches(source), "{}", stage.journal());
    assert!(stage.reaches(stage.net.fresh_source().unwrap().v4.into()));

    let query = ["journalctl", "-o", "json", "-u", "tcpcap", "TCPCAP_EVENT=finding"];
    let lines = stage.machine.succeed(&query).unwrap();
    let line: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&line["TCPCAP_SOURCE"], &line["TCPCAP_RULE"]), (&source.to_string().into(), &"port-scan".into()));
    assert_eq!((&line["SYSLOG_IDENTIFIER"], &line["PRIORITY"]), (&"tcpcap".into(), &"6".into()));
}

#[test]
fn its_status_stands_in_systemctl_status_and_follows_what_it_does() {
    let stage = Stage::running("");
    let line = "Status: \"enforcing on card0 (native, answers by tcx): blocks: 0 of rules, 0 of operators\"";
    let shown = stage.systemctl(&["status", "tcpcap"]);
    assert!(shown.contains(line), "{shown}");
    stage.tcpcap(&["block", "192.0.2.99"]);
    tcpcap_lab::wait_until("the status", SOON, || stage.property("StatusText").contains("1 of operators")).unwrap();
    stage.tcpcap(&["mode", "--observe"]);
    tcpcap_lab::wait_until("the status", SOON, || stage.property("StatusText").starts_with("observing on")).unwrap();
}

#[test]
fn what_it_may_not_do_it_cannot_do() {
    let stage = Stage::running("");
    // In its place and as its user, which is what somebody has who has taken it over.
    let inside = |line: &str| {
        let enter = format!("--target={}", stage.pid());
        let as_user = ["setpriv", "--reuid=tcpcap", "--regid=tcpcap", "--clear-groups", "sh", "-c", line];
        stage.machine.run(&[&["nsenter", &enter, "--mount"], &as_user[..]].concat()).unwrap()
    };
    for allowed in ["cat /etc/tcpcap/config.toml", "touch /var/lib/tcpcap/x", "mkdir /sys/fs/bpf/tcpcap/x"] {
        let ran = inside(allowed);
        assert!(ran.status.success(), "{allowed}: {}", ran.output);
    }
    for denied in
        ["touch /etc/x", "touch /usr/x", "ls /root", "ls /sys/fs/bpf/maps.debug", "ls /proc/1", "mkdir /sys/fs/x"]
    {
        assert!(!inside(denied).status.success(), "{denied}");
    }
    // Others reach neither socket, nor pins, nor history.
    let nobody = |line: &str| {
        let as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "sh", "-c", line];
        stage.machine.run(&as_nobody).unwrap().status.success()
    };
    assert!(nobody("ls /var/lib"));
    for denied in ["/run/tcpcap", "/var/lib/tcpcap", "/sys/fs/bpf/tcpcap"] {
        assert!(!nobody(&format!("ls {denied}/")), "{denied}");
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit_and_little_exposed() {
    let stage = Stage::installed("");
    assert_eq!(stage.machine.run(&["systemd-analyze", "verify", "--man=no", "tcpcap.service"]).unwrap().output, "");
    let score = stage.machine.run(&["systemd-analyze", "security", "--threshold=18", "tcpcap.service"]).unwrap();
    assert!(score.status.success(), "{}", score.output);
    assert!(score.output.contains("exposure level for tcpcap.service: 1.8 OK"), "{}", score.output);
}

#[test]
fn a_broken_configuration_does_not_start_and_the_journal_names_every_error() {
    let stage = Stage::installed("observ = true\nlisten = \"nowhere\"\n");
    let ran = stage.try_systemctl(&["start", "tcpcap"]);
    assert!(!ran.status.success(), "{}", ran.output);
    let journal = stage.journal();
    for wrong in ["did you mean `observe`?", "nowhere"] {
        assert!(journal.contains(wrong), "{wrong}: {journal}");
    }
    assert!(!journal.contains("tcpcap ready") && !has_xdp(&stage.net.sensor), "{journal}");
    // It is tried again, so that whoever mends the configuration need do no more.
    stage.configure("");
    tcpcap_lab::wait_until("the start", SOON, || stage.property("ActiveState") == "active").unwrap();
}

#[test]
fn who_is_logged_in_is_protected_and_what_it_may_not_read_is_said() {
    let stage = Stage::installed("");
    let listener = stage.net.sensor.enter(|| TcpListener::bind((SENSOR_V4, 22))).unwrap().unwrap();
    let _connection = stage.net.client.enter(|| TcpStream::connect((SENSOR_V4, 22))).unwrap().unwrap();
    let _accepted = listener.accept().unwrap();
    let session = format!("printf 'STATE=active\\nREMOTE_HOST={CLIENT_V4}\\n' > /run/systemd/sessions/77");
    stage.machine.succeed(&["sh", "-c", &session]).unwrap();
    stage.machine.disk().write("/etc/resolv.conf", "nameserver 192.0.2.53\n", 0o644).unwrap();
    stage.machine.disk().write("/etc/ssh/sshd_config", "Port 2222\n", 0o600).unwrap();
    stage.systemctl(&["start", "tcpcap"]);
    let status: Value = serde_json::from_str(&stage.tcpcap(&["status", "-o", "json"])).unwrap();
    let protected: Vec<&str> =
        status["never_block"].as_array().unwrap().iter().map(|one| one["address"].as_str().unwrap()).collect();
    for address in [CLIENT_V4.to_string().as_str(), "192.0.2.53"] {
        assert!(protected.iter().any(|one| one.starts_with(address)), "{address}: {protected:?}");
    }
    stage.wait_for_journal("cannot read /etc/ssh/sshd_config: Permission denied");
}

#[test]
fn blocks_reach_nftables_as_well() {
    let stage = Stage::running("[mirror.nftables]\nenabled = true\n");
    stage.tcpcap(&["block", "192.0.2.99"]);
    let ruleset = || stage.machine.succeed(&["nft", "list", "ruleset"]).unwrap();
    tcpcap_lab::wait_until("the mirror", SOON, || ruleset().contains("192.0.2.99"))
        .unwrap_or_else(|e| panic!("{e:#}\n{}\n{}", ruleset(), stage.journal()));
}

#[test]
fn the_doctor_finds_the_service_well_whose_pins_are_its_users() {
    let stage = Stage::running("");
    let doctor = stage.machine.run(&["tcpcap", "doctor", "-o", "json"]).unwrap();
    let told: Value = serde_json::from_str(&doctor.out).unwrap_or_else(|_| panic!("{}", doctor.output));
    let checks = told["checks"].as_array().unwrap();
    let found = |name: &str| {
        let check = checks.iter().find(|check| check["check"] == name).unwrap();
        (check["level"].as_str().unwrap(), check["found"].as_str().unwrap())
    };
    assert_eq!(found("pins"), ("ok", "/sys/fs/bpf/tcpcap is tcpcap's; 2 programs attached"));
    for check in ["bpffs", "daemon", "socket", "group", "state", "history"] {
        assert_eq!(found(check).0, "ok", "{check}: {}", found(check).1);
    }
}
