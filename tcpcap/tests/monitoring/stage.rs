//! A host that is scanned, with tcpcap on it.

use std::{fs, net::IpAddr, path::PathBuf};

use tcpcap_lab::{
    Internet, Metrics, Process,
    http::{self, Client, Server},
    layout::{CARD, SENSOR_V4, Source},
    scan::Masscan,
};
use tempfile::TempDir;

use crate::prometheus::SOON;

/// How many addresses a wave comes from: masscan wants a power of two.
const WAVE: usize = 32;

/// The ports that are open.
const PORTS: [u16; 1] = [80];

pub struct Stage {
    pub tcpcap: Process,
    dir: TempDir,
    _client: Client,
    _server: Server,
    /// Last, so that the namespaces go when everything else has gone.
    pub net: Internet,
}

impl Stage {
    /// A web server, an honest client, and a daemon with a mirror and a feed, and with this in its configuration.
    pub fn start(config: &str) -> Self {
        let net = Internet::build().unwrap();
        let server = Server::start(&net.sensor, &PORTS).unwrap();
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("drop.txt"), "192.0.2.128/25\n").unwrap();
        let feed = dir.path().join("drop.txt");
        let parts = format!("{config}\n[[feeds]]\npath = \"{}\"\n[mirror.nftables]\nenabled = true\n", feed.display());
        fs::write(dir.path().join("config.toml"), parts).unwrap();
        let tcpcap = daemon(&net, &dir);
        let client =
            Client::start(&net.client, &[(SENSOR_V4, 80).into()], std::time::Duration::from_millis(50)).unwrap();
        let stage = Self { tcpcap, dir, _client: client, _server: server, net };
        stage.metrics("the client", |m| m.count("tcpcap_processed_conns_total", &[]) > 20);
        stage
    }

    /// A file of the daemon's.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts another daemon in the place of one that has ended.
    pub fn start_again(&mut self) {
        self.tcpcap = daemon(&self.net, &self.dir);
    }

    /// Runs a verb; returns its exit code and all that it said.
    pub fn ask(&self, args: &[&str]) -> (i32, String) {
        let mut command = self.net.sensor.command(env!("CARGO_BIN_EXE_tcpcap"));
        command.args(args).arg("--socket").arg(self.file("tcpcap.sock")).env("TCPCAP_CONFIG", "/dev/null");
        let mut process = Process::spawn("tcpcap", command).unwrap();
        let status = process.wait(SOON).unwrap();
        (status.code().unwrap_or(-1), process.output())
    }

    pub fn metrics(&self, what: &str, holds: impl Fn(&Metrics) -> bool) -> Metrics {
        Metrics::wait_until(&self.net.sensor, what, SOON, holds).unwrap()
    }

    /// A masscan of thousands of ports from many addresses at once; returns the addresses.
    pub fn wave(&self) -> Vec<Source> {
        let sources: Vec<_> = (0..WAVE).map(|_| self.net.fresh_source().unwrap()).collect();
        let (first, last) = (sources[0].v4, sources[WAVE - 1].v4);
        let scan = Masscan { source: first.into(), target: IpAddr::V4(SENSOR_V4), ports: "1-10000", rate: 5000 };
        let mut command = scan.command(&self.net).unwrap();
        command.arg("--adapter-ip").arg(format!("{first}-{last}"));
        let mut masscan = Process::spawn("masscan", command).unwrap();
        masscan.wait_for_line(SOON, |line| line.contains("waiting")).unwrap();
        masscan.kill();
        sources
    }

    /// Whether the first scanner gets a page.
    pub fn gets_through(&self, source: Source) -> bool {
        let mut command = self.net.scanner.command("curl");
        command.args(["-sS", "--max-time", "1", "--interface"]).arg(source.v4.to_string());
        command.arg(format!("http://{SENSOR_V4}/"));
        Process::spawn("curl", command).unwrap().wait(SOON).unwrap().success()
    }

    /// Whether the honest client's network gets a page.
    pub fn serves(&self) -> bool {
        http::get(&self.net.client, (SENSOR_V4, 80).into(), "/").is_ok_and(|answer| answer.status == 200)
    }
}

fn daemon(net: &Internet, dir: &TempDir) -> Process {
    let file = |name: &str| dir.path().join(name).display().to_string();
    let mut command = net.sensor.command(env!("CARGO_BIN_EXE_tcpcap"));
    command.args(["run", "--iface", CARD, "--config", &file("config.toml")]);
    command.args(["--state", &file("state"), "--socket", &file("tcpcap.sock")]);
    command.env_remove("INTERFACE_NAME").env_remove("PUBLIC_IP").env_remove("RUST_LOG");
    let mut process = Process::spawn("tcpcap", command).unwrap();
    process.wait_for_line(SOON, |line| line.contains("tcpcap ready")).unwrap();
    process
}
