//! The log in the systemd journal, or what takes its part here: a socket at the journal's place, seen by tcpcap alone.

use std::{collections::BTreeMap, fs, os::unix::net::UnixDatagram};

use tempfile::TempDir;

use tcpcap_lab::{
    Internet, Metrics, Process,
    http::{self, Server},
    layout::{CARD, SENSOR_V4},
    scan::Masscan,
    wait_until,
};

use crate::sensor::{SOON, has_xdp};

/// Where tcpcap looks for the journal.
struct Journal {
    directory: TempDir,
    socket: UnixDatagram,
}

impl Journal {
    fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("socket")).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        Self { directory, socket }
    }

    /// Sends it what nobody reads, until whoever sends has to wait.
    fn fill(&self) {
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        while sender.send_to(b"MESSAGE=full\n", self.directory.path().join("socket")).is_ok() {}
    }

    /// The next line whose message begins so, by fields.
    fn says(&self, message: &str) -> BTreeMap<String, String> {
        let mut datagram = vec![0; 1 << 16];
        loop {
            let length = self.socket.recv(&mut datagram).unwrap_or_else(|e| panic!("no line begins {message:?}: {e}"));
            let line = fields(&datagram[..length]);
            if line.get("MESSAGE").is_some_and(|said| said.starts_with(message)) {
                return line;
            }
        }
    }
}

/// Reads the journal's protocol: `NAME=value`, or `NAME`, the value's length in eight bytes, the value; each with a line
/// feed behind it.
fn fields(mut datagram: &[u8]) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut fields = BTreeMap::new();
    while let Some(end) = datagram.iter().position(|b| *b == b'\n') {
        let (name, rest) = (&datagram[..end], &datagram[end + 1..]);
        if let Some(equals) = name.iter().position(|b| *b == b'=') {
            fields.insert(text(&name[..equals]), text(&name[equals + 1..]));
            datagram = rest;
        } else {
            let (length, rest) = rest.split_at(8);
            let length = usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).unwrap();
            fields.insert(text(name), text(&rest[..length]));
            datagram = &rest[length + 1..];
        }
    }
    fields
}

/// Runs tcpcap with a `/run` of its own, in which the journal is where it belongs. `before` is what the shell does first.
fn run(net: &Internet, state: &TempDir, journal: Option<&Journal>, before: &str, args: &[&str]) -> Process {
    let link = journal.map_or(String::new(), |journal| {
        format!("ln -s {} /run/systemd/journal &&", journal.directory.path().display())
    });
    let script = format!("mount -t tmpfs tmpfs /run && mkdir /run/systemd && {link} {before} exec \"$@\"");
    let mut command = net.sensor.command("unshare");
    command
        .args(["--mount", "sh", "-c", &script, "sh", env!("CARGO_BIN_EXE_tcpcap"), "run", "--iface", CARD])
        .args(args);
    command.arg("--state").arg(state.path()).arg("--socket").arg(state.path().join("tcpcap.sock"));
    for name in ["INTERFACE_NAME", "PUBLIC_IP", "RUST_LOG", "JOURNAL_STREAM"] {
        command.env_remove(name);
    }
    Process::spawn("tcpcap", command).unwrap()
}

/// As systemd would set it for this standard output.
const CONNECTED: &str =
    "exec 3>&1 && JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/3) && export JOURNAL_STREAM && exec 3>&- &&";

#[test]
fn under_systemd_lines_go_to_the_journal_with_their_fields() {
    let (net, state, journal) = (Internet::build().unwrap(), TempDir::new().unwrap(), Journal::start());
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut process = run(&net, &state, Some(&journal), CONNECTED, &[]);
    let ready = journal.says("tcpcap ready");
    assert_eq!((ready["SYSLOG_IDENTIFIER"].as_str(), ready["PRIORITY"].as_str()), ("tcpcap", "6"));
    http::get(&net.client, (SENSOR_V4, 80).into(), "/").unwrap();
    let connection = journal.says("New connection: ");
    assert_eq!(connection["TCPCAP_EVENT"], "connection");
    assert_eq!(connection["TCPCAP_TO"], format!("{SENSOR_V4}:80"));
    assert_eq!(connection["MESSAGE"], format!("New connection: {} -> {SENSOR_V4}:80", connection["TCPCAP_FROM"]));
    let source = net.first_scanner().v4;
    Masscan { source: source.into(), target: SENSOR_V4.into(), ports: "7000-7100", rate: 1000 }
        .run(&net, SOON)
        .unwrap();
    let finding = journal.says("Port scan detected: ");
    assert_eq!((finding["TCPCAP_RULE"].as_str(), finding["TCPCAP_VERIFIED"].as_str()), ("port-scan", "false"));
    assert_eq!(finding["TCPCAP_SOURCE"], source.to_string());
    let block = journal.says("Blocked ");
    assert_eq!(
        (block["TCPCAP_EVENT"].as_str(), block["TCPCAP_SOURCE"].as_str()),
        ("block", source.to_string().as_str())
    );
    assert!(process.stop(SOON).unwrap().success());
    journal.says("tcpcap stops on SIGTERM");
    assert_eq!(process.output(), "", "what is in the journal is not on standard output, too");
}

#[test]
fn json_stays_json_under_systemd() {
    let (net, state, journal) = (Internet::build().unwrap(), TempDir::new().unwrap(), Journal::start());
    let mut process = run(&net, &state, Some(&journal), CONNECTED, &["--log-format", "json"]);
    let line = process.wait_for_line(SOON, |l| l.contains("tcpcap ready")).unwrap();
    assert!(line.starts_with("{\"timestamp\":"), "{line}");
}

#[test]
fn without_a_journal_to_reach_lines_go_to_standard_output_and_say_so() {
    let (net, state) = (Internet::build().unwrap(), TempDir::new().unwrap());
    let mut process = run(&net, &state, None, "", &["--log-format", "journald"]);
    process.wait_for_line(SOON, |l| l.contains(" WARN the journal cannot be reached: ")).unwrap();
    process.wait_for_line(SOON, |l| l.contains("Z tcpcap ready")).unwrap();
}

#[test]
fn when_the_journal_goes_away_lines_go_to_standard_output() {
    let (net, state, journal) = (Internet::build().unwrap(), TempDir::new().unwrap(), Journal::start());
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let mut process = run(&net, &state, Some(&journal), "", &["--log-format", "journald"]);
    journal.says("tcpcap ready");
    fs::remove_file(journal.directory.path().join("socket")).unwrap();
    http::get(&net.client, (SENSOR_V4, 80).into(), "/").unwrap();
    process
        .wait_for_line(SOON, |l| l.starts_with("New connection: ") && l.ends_with(&format!("{SENSOR_V4}:80")))
        .unwrap();
}

#[test]
fn a_stuck_journal_holds_up_neither_start_nor_blocks_nor_end() {
    let (net, state, journal) = (Internet::build().unwrap(), TempDir::new().unwrap(), Journal::start());
    journal.fill();
    let mut process = run(&net, &state, Some(&journal), "", &["--log-format", "journald", "--detach"]);
    Metrics::wait_until(&net.sensor, "metrics", SOON, |m| m.get("tcpcap_pinned", &[]).is_some()).unwrap();
    let source = net.first_scanner().v4;
    Masscan { source: source.into(), target: SENSOR_V4.into(), ports: "1-2000", rate: 1000 }.run(&net, SOON).unwrap();
    let polls = |m: &Metrics| m.count("tcpcap_poll_duration_seconds_count", &[]);
    let blocked =
        Metrics::wait_until(&net.sensor, "the block", SOON, |m| m.count("tcpcap_processed_blocks_total", &[]) == 1)
            .unwrap();
    assert!(blocked.dropped() > 1000, "{blocked}");
    Metrics::wait_until(&net.sensor, "polls", SOON, |m| polls(m) > polls(&blocked) + 2).unwrap();
    assert!(process.stop(SOON).unwrap().success());
    wait_until("the program to be gone", SOON, || !has_xdp(&net.sensor, CARD)).unwrap();
}
