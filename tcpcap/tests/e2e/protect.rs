//! Who is never blocked, whatever comes in their name: tried with a real SSH server, and people logged in to it.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    net::{IpAddr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    process::Command,
    time::Duration,
};

use tcpcap_lab::{
    Frame, Injector, Internet, Namespace, Process,
    layout::{CARD, CLIENT_V4, GATEWAY_V4, SENSOR_V4, SENSOR_V6},
    scan::nmap,
};
use tempfile::TempDir;

use crate::sensor::{SOON, Sensor};

const PORT: u16 = 2222;

/// The files of a host, as tcpcap and its SSH server see them, and the server. Nothing of the machine's own is used.
struct Host {
    dir: TempDir,
    _sshd: Process,
}

/// What sshd has to remember of logins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Records {
    Kept,
    None,
}

impl Host {
    fn start(namespace: &Namespace, grace_s: u32, records: Records) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        for path in ["etc/ssh", "run/sshd", "log"] {
            fs::create_dir_all(at(path)).unwrap();
            fs::set_permissions(at(path), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let key = |path: &str| {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at(path));
            Process::spawn("ssh-keygen", keygen).unwrap().succeed(SOON).unwrap();
        };
        key("etc/ssh/host");
        key("key");
        // A locked account cannot log in, with a key neither.
        fs::write(at("etc/shadow"), "root:*:19000::::::\n").unwrap();
        if records == Records::Kept {
            fs::write(at("run/utmp"), "").unwrap();
        }
        fs::write(at("etc/resolv.conf"), "nameserver 192.0.2.53\n").unwrap();
        let root = dir.path().display();
        let config = format!(
            "Port {PORT}\nLoginGraceTime {grace_s}\nHostKey {root}/etc/ssh/host\nAuthorizedKeysFile {root}/key.pub\n\
             PermitRootLogin yes\nStrictModes no\nUsePAM no\nPidFile none\n"
        );
        fs::write(at("etc/ssh/sshd_config"), config).unwrap();
        let mut command = namespace.command("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-ec"]).arg(format!(
            "mount -t proc proc /proc; mount --bind {root}/log /var/log; mount --bind {root}/etc/shadow /etc/shadow
             mount --bind {root}/run /run; exec $(command -v sshd || echo /usr/sbin/sshd) -D -e -f {root}/etc/ssh/sshd_config"
        ));
        let mut sshd = Process::spawn("sshd", command).unwrap();
        sshd.wait_for_line(SOON, |l| l.contains("listening on 0.0.0.0")).unwrap();
        Self { dir, _sshd: sshd }
    }

    /// tcpcap on that host, which forgets ended sessions soon.
    fn sensor(&self, namespace: &Namespace) -> Sensor {
        let root = self.dir.path().to_str().unwrap();
        Sensor::start(namespace, &["--host-root", root, "--session-linger", "1s"])
    }
}

/// Somebody logged in.
struct Session {
    ssh: Process,
    input: File,
    said: u32,
}

impl Session {
    fn open(host: &Host, from: &Namespace, source: IpAddr, to: IpAddr) -> Self {
        let pipe = host.dir.path().join(format!("input-{source}"));
        let mut mkfifo = Command::new("mkfifo");
        mkfifo.arg(&pipe);
        Process::spawn("mkfifo", mkfifo).unwrap().succeed(SOON).unwrap();
        // For both, so that opening waits for nobody.
        let input = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
        let mut command = from.command("sh");
        command.arg("-c").arg(format!(
            "exec ssh -F none -tt -p {PORT} -b {source} -i {}/key -o BatchMode=yes -o StrictHostKeyChecking=no \
             -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR root@{to} 'stty -echo; echo logged in; cat' < {}",
            host.dir.path().display(),
            pipe.display()
        ));
        let mut ssh = Process::spawn("ssh", command).unwrap();
        ssh.wait_for_line(SOON, |l| l == "logged in").unwrap();
        Self { ssh, input, said: 0 }
    }

    /// Types a line and sees it come back.
    fn echoes(&mut self) {
        self.type_a_line();
        self.sees_it();
    }

    fn type_a_line(&mut self) {
        self.said += 1;
        writeln!(self.input, "line {}", self.said).unwrap();
    }

    fn sees_it(&mut self) {
        let line = format!("line {}", self.said);
        self.ssh.wait_for_line(SOON, |l| l == line).unwrap();
    }
}

fn scan(net: &Internet, source: IpAddr, target: IpAddr, ports: &str) {
    let mut command = nmap(net, source);
    command.args(["-sS", "-T4", "--max-retries", "0", "-p", ports]).arg(target.to_string());
    Process::spawn("nmap", command).unwrap().succeed(SOON).unwrap();
}

fn dropped_nothing(sensor: &Sensor) {
    let metrics =
        sensor.metrics("the decision", |m| m.count("tcpcap_decisions_total", &[("outcome", "suppressed")]) > 0);
    assert_eq!((metrics.dropped(), sensor.said("Blocked ")), (0, 0));
}

/// A scan from where somebody is logged in, and one more when the session has ended.
fn scans_from_a_session(source: IpAddr, target: IpAddr, name: &str, net: &Internet) {
    let host = Host::start(&net.sensor, 120, Records::Kept);
    let mut sensor = host.sensor(&net.sensor);
    let mut session = Session::open(&host, &net.scanner, source, target);
    sensor.says(&[&format!("Never blocked from now on: {source} has an SSH session on this host")]);
    scan(net, source, target, "1-200");
    sensor.says(&["scan detected: ", name]);
    sensor.says(&[&format!("Not blocked {name}: {source} has an SSH session on this host")]);
    session.echoes();
    dropped_nothing(&sensor);
    session.echoes();
    drop(session);
    sensor.says(&[&format!("Not protected any more: {source}")]);
    scan(net, source, target, "300-500");
    sensor.says(&[&format!("Blocked {name} for")]);
    scan(net, source, target, "600-620");
    sensor.metrics("drops", |m| m.dropped() > 0);
}

#[test]
fn whoever_is_logged_in_may_scan_and_is_blocked_for_it_only_after_logging_out() {
    let net = Internet::build().unwrap();
    let source: IpAddr = net.first_scanner().v4.into();
    scans_from_a_session(source, SENSOR_V4.into(), &source.to_string(), &net);
}

#[test]
fn the_whole_prefix_of_whoever_is_logged_in_by_ipv6_is_protected() {
    let net = Internet::build().unwrap();
    let source = net.first_scanner().v6;
    scans_from_a_session(source.into(), SENSOR_V6.into(), "2001:db8:cb00:1::/64", &net);
}

#[test]
fn a_scanner_that_holds_a_connection_to_the_ssh_port_is_blocked() {
    let net = Internet::build().unwrap();
    let host = Host::start(&net.sensor, 120, Records::Kept);
    let mut sensor = host.sensor(&net.sensor);
    let source: IpAddr = net.first_scanner().v4.into();
    let _held = net.scanner.enter(|| TcpStream::connect((SENSOR_V4, PORT))).unwrap().unwrap();
    scan(&net, source, SENSOR_V4.into(), "1-200");
    sensor.says(&[&format!("Blocked {source} for")]);
    assert_eq!(sensor.said("has an SSH session"), 0);
}

#[test]
fn a_connection_that_stood_at_the_start_protects_a_scanner_until_sshd_ends_it() {
    let net = Internet::build().unwrap();
    let host = Host::start(&net.sensor, 8, Records::Kept);
    let source: IpAddr = net.first_scanner().v4.into();
    let _held = net.scanner.enter(|| TcpStream::connect((SENSOR_V4, PORT))).unwrap().unwrap();
    let mut sensor = host.sensor(&net.sensor);
    sensor.says(&[&format!("Never blocked from now on: {source} has an SSH session")]);
    sensor.says(&[&format!("Not protected any more: {source}")]);
    scan(&net, source, SENSOR_V4.into(), "1-200");
    sensor.says(&[&format!("Blocked {source} for")]);
}

#[test]
fn a_session_of_which_there_is_no_record_is_given_back_what_was_blocked_once_it_has_proven_itself() {
    let net = Internet::build().unwrap();
    let host = Host::start(&net.sensor, 2, Records::None);
    let mut sensor = host.sensor(&net.sensor);
    let source: IpAddr = net.first_scanner().v4.into();
    let mut session = Session::open(&host, &net.scanner, source, SENSOR_V4.into());
    scan(&net, source, SENSOR_V4.into(), "1-200");
    sensor.says(&[&format!("Blocked {source} for")]);
    session.type_a_line();
    sensor.says(&["Block of", "is lifted after", &format!("{source} has an SSH session on this host")]);
    session.sees_it();
    scan(&net, source, SENSOR_V4.into(), "300-500");
    sensor.says(&[&format!("Not blocked {source}: {source} has an SSH session on this host")]);
    session.echoes();
    sensor.metrics("no blocks", |m| m.get("tcpcap_blocks", &[("origin", "automatic")]) == Some(0.0));
}

#[test]
fn nothing_that_is_sent_in_the_name_of_those_we_need_gets_them_blocked() {
    let net = Internet::build().unwrap();
    let host = Host::start(&net.sensor, 120, Records::Kept);
    let mut sensor = host.sensor(&net.sensor);
    let mut session = Session::open(&host, &net.client, CLIENT_V4.into(), SENSOR_V4.into());
    sensor.says(&[&format!("Never blocked from now on: {CLIENT_V4} has an SSH session")]);
    let injector = Injector::open(&net.internet, "tosensor").unwrap();
    let (from, to) = (net.internet.card("tosensor").unwrap().mac, net.sensor.card(CARD).unwrap().mac);
    let resolver = [192, 0, 2, 53].into();
    for (source, why) in [
        (CLIENT_V4, "has an SSH session on this host"),
        (resolver, "is a resolver of this host"),
        (GATEWAY_V4, "is a default gateway"),
        (SENSOR_V4, "is an address of this host"),
    ] {
        for port in 1..200 {
            let frame = Frame::tcp((source, 40_000), (SENSOR_V4, port)).macs(from, to);
            injector.send(&frame.build()).unwrap();
        }
        sensor.says(&[&format!("Not blocked {source}: {source} {why}")]);
    }
    session.echoes();
    dropped_nothing(&sensor);
}

#[test]
fn what_the_host_comes_to_need_while_it_is_blocked_is_free_at_once() {
    let net = Internet::build().unwrap();
    let host = Host::start(&net.sensor, 120, Records::Kept);
    let mut sensor = host.sensor(&net.sensor);
    let source: IpAddr = net.first_scanner().v4.into();
    scan(&net, source, SENSOR_V4.into(), "1-200");
    sensor.says(&[&format!("Blocked {source} for 10 min")]);
    fs::write(host.dir.path().join("etc/resolv.conf"), format!("nameserver {source}\n")).unwrap();
    sensor.says(&[&format!("Block of {source} is lifted after"), "is a resolver of this host"]);
    let within = Duration::from_secs(3);
    let reached = net.scanner.enter(|| TcpStream::connect_timeout(&(SENSOR_V4, PORT).into(), within)).unwrap();
    reached.unwrap();
}
