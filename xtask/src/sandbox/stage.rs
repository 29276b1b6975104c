//! The stage: the network, the web server, the captures, and the card's own counters.

use std::time::Duration;

use anyhow::{bail, ensure};
use tcpcap_lab::{
    Capture, Counters, Internet, Process,
    capture::Seen,
    http::{Client, Server},
    layout::{CARD, CLIENT_V4, SENSOR_V4, SENSOR_V6},
    scan::nmap,
    wait_for, wait_until,
};

use super::{
    narrate::{Narrator, number},
    sensor::Scanner,
};

/// How long anything may take that takes a moment.
pub(super) const SOON: Duration = Duration::from_secs(10);
/// The ports that are served.
const PORTS: [u16; 2] = [80, 8080];
/// Between two pages.
const PAUSE: Duration = Duration::from_millis(20);
/// How often in a row a card's counters must be the same. A look takes about 5 ms.
const CALM: u32 = 30;

/// What the sandbox is made of, in the order in which it is taken down.
pub(super) struct Stage {
    /// At the scanner: what it sends, and what it gets to see.
    scanner: Capture,
    /// Behind the sensor's card: what reaches the host.
    host: Capture,
    server: Server,
    pub(super) net: Internet,
}

impl Stage {
    pub(super) fn build() -> anyhow::Result<Self> {
        let net = Internet::build()?;
        let server = Server::start(&net.sensor, &PORTS)?;
        let scanner = Capture::both_ways(&net.scanner, CARD)?;
        let host = Capture::incoming(&net.sensor, CARD)?;
        Ok(Self { scanner, host, server, net })
    }

    pub(super) fn introduce(&self, voice: Narrator) {
        let first = self.net.first_scanner();
        voice.heading("tcpcap in a sandbox of network namespaces: no packet leaves this machine\n");
        voice.show(&[
            format!("scanner  {:<12} --+", first.v4),
            format!("                        +-- internet -- [{CARD}] sensor {SENSOR_V4}"),
            format!("client   {CLIENT_V4:<12} --+"),
        ]);
    }

    /// The same scan without tcpcap.
    pub(super) fn show_what_an_open_host_gives_away(&self, voice: Narrator) -> anyhow::Result<()> {
        voice.heading("1. Without tcpcap: nmap scans the 1,000 most common ports");
        let scanner = Scanner::new(self.net.fresh_source()?.v4.into(), SENSOR_V4.into());
        self.nmap("-T4", &scanner, voice)?.succeed(SOON * 3)?;
        let there = self.at_scanner()?;
        let (asked, seen) = (there.tried(scanner.address).len(), there.answered(scanner.address).len());
        voice.say(&format!(
            "nmap gets to see {} ports of {}: it knows all about this host.",
            count(seen),
            count(asked)
        ));
        ensure!(asked > 0 && seen == asked, "the sandbox's network does not work: {seen} of {asked} ports answered");
        Ok(())
    }

    /// Starts nmap, and says so when somebody listens.
    pub(super) fn nmap(&self, timing: &str, scanner: &Scanner, voice: Narrator) -> anyhow::Result<Process> {
        let six = if scanner.address.is_ipv6() { "-6 " } else { "" };
        voice.command("scanner", &format!("nmap {six}-sS {timing} {}", scanner.target));
        self.quiet_nmap(timing, scanner)
    }

    pub(super) fn quiet_nmap(&self, timing: &str, scanner: &Scanner) -> anyhow::Result<Process> {
        let mut command = nmap(&self.net, scanner.address);
        command.args(["-sS", timing]).arg(scanner.target.to_string());
        Process::spawn("nmap", command)
    }

    /// Starts the honest client, and waits until it has been served over both families.
    pub(super) fn start_client(&self) -> anyhow::Result<Client> {
        let servers = [(SENSOR_V4, PORTS[0]).into(), (SENSOR_V6, PORTS[0]).into()];
        let client = Client::start(&self.net.client, &servers, PAUSE)?;
        wait_until("the honest client's first pages", SOON, || client.fared().ok >= 10)?;
        Ok(client)
    }

    pub(super) fn at_scanner(&self) -> anyhow::Result<Seen> {
        self.scanner.snapshot()
    }

    pub(super) fn at_host(&self) -> anyhow::Result<Seen> {
        self.host.snapshot()
    }

    /// Frames that our own captures have missed.
    pub(super) fn lost(&self) -> anyhow::Result<u64> {
        Ok(self.at_scanner()?.lost + self.at_host()?.lost)
    }

    /// What the sensor's card itself has counted.
    pub(super) fn card(&self) -> anyhow::Result<Counters> {
        self.net.sensor.counters(CARD)
    }

    /// Waits until nothing more comes in.
    pub(super) fn wait_for_calm(&self) -> anyhow::Result<()> {
        let (mut last, mut same) = (None, 0);
        wait_for("the network to calm down", SOON, || match self.card() {
            Ok(now) => {
                same = if last == Some(now) { same + 1 } else { 0 };
                last = Some(now);
                (same == CALM).then_some(Ok(()))
            }
            Err(error) => Some(Err(error)),
        })?
    }

    /// Waits until a scanner that nobody answers any more has tried some ports more, or gives up.
    pub(super) fn let_it_try_on(&self, process: &mut Process, scanner: &Scanner, ports: usize) -> anyhow::Result<()> {
        let enough = self.at_scanner()?.tried(scanner.address).len() + ports;
        wait_for("the scanner to go on", SOON * 3, || {
            let ended = process.ended().is_some();
            match self.at_scanner() {
                Ok(seen) => (ended || seen.tried(scanner.address).len() >= enough).then_some(Ok(())),
                Err(error) => Some(Err(error)),
            }
        })?
    }

    /// Takes everything down.
    pub(super) fn clear(self) -> anyhow::Result<()> {
        drop((self.scanner, self.host, self.server));
        if let Err(error) = self.net.lab.remove() {
            bail!("{error:#}\n  run: ip netns delete NAME, for each tcpcap-* of ip netns list");
        }
        Ok(())
    }
}

/// The length of a list, readable.
pub(super) fn count(n: usize) -> String {
    number(n as u64)
}
