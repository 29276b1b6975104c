//! The real scanners, as they are called in [`Internet`].

use std::{net::IpAddr, process::Command, time::Duration};

use anyhow::Context;

use crate::{layout::CARD, layout::Internet, process::Process};

/// nmap from one of the scanner's addresses, without name lookups and ping: add scan type and target.
#[must_use]
pub fn nmap(net: &Internet, source: IpAddr) -> Command {
    let mut command = net.scanner.command("nmap");
    command.args(["-n", "-Pn", "-e", CARD, "-S"]).arg(source.to_string());
    if source.is_ipv6() {
        command.arg("-6");
    }
    command
}

/// A masscan run: which ports of whom, from where, at how many packets a second.
#[derive(Clone, Debug)]
pub struct Masscan<'a> {
    /// One of the scanner's addresses.
    pub source: IpAddr,
    /// Whom to scan.
    pub target: IpAddr,
    /// Ports as masscan reads them, such as `1-65535`.
    pub ports: &'a str,
    /// Packets a second.
    pub rate: u32,
}

impl Masscan<'_> {
    /// The command, which does not end by itself; see [`Masscan::run`].
    ///
    /// # Errors
    /// When the network is gone.
    pub fn command(&self, net: &Internet) -> anyhow::Result<Command> {
        let router = net.scanner_gateway_mac()?.map(|b| format!("{b:02x}")).join("-");
        let router_mac = if self.source.is_ipv6() { "--router-mac-ipv6" } else { "--router-mac" };
        let mut command = net.scanner.command("masscan");
        command.arg(self.target.to_string()).args(["-p", self.ports, "--rate"]).arg(self.rate.to_string());
        command.args(["--wait", "0", "-e", CARD, "--adapter-ip"]).arg(self.source.to_string());
        command.args([router_mac, &router]);
        Ok(command)
    }

    /// Scans until everything has been sent, and ends masscan then: it would wait for one more packet for ever, and
    /// in these networks nobody sends one.
    ///
    /// # Errors
    /// When it does not start, or is not ready in time.
    pub fn run(&self, net: &Internet, within: Duration) -> anyhow::Result<Process> {
        let mut masscan = Process::spawn("masscan", self.command(net)?)?;
        let all_sent = |line: &str| line.contains("waiting");
        masscan.wait_for_line(within, all_sent).with_context(|| format!("masscan {} did not finish", self.target))?;
        masscan.kill();
        Ok(masscan)
    }
}
