//! A running daemon with something to tell.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use tcpcap_lab::{
    Internet, Process,
    layout::{CARD, SENSOR_V4},
    scan::Masscan,
};
use tempfile::TempDir;

/// Long against everything waited for, so that a slow machine fails nothing.
pub const SOON: Duration = Duration::from_secs(30);

/// A network, and tcpcap in it.
pub struct Stage {
    pub process: Process,
    pub state: TempDir,
    /// Last, so that it goes when everybody has left.
    pub net: Internet,
}

impl Stage {
    /// Starts tcpcap and has it find a scanner, so that each view has something in it.
    pub fn begin() -> Self {
        Self::begin_with(&[])
    }

    /// As [`Stage::begin`], told more.
    pub fn begin_with(args: &[&str]) -> Self {
        let (net, state) = (Internet::build().unwrap(), TempDir::new().unwrap());
        let mut command = net.sensor.command(env!("CARGO_BIN_EXE_tcpcap"));
        command.env_remove("INTERFACE_NAME").env_remove("PUBLIC_IP").env_remove("RUST_LOG");
        command.args(["run", "--iface", CARD, "--state"]).arg(state.path());
        command.arg("--socket").arg(state.path().join("tcpcap.sock")).args(args);
        let mut process = Process::spawn("tcpcap", command).unwrap();
        process.wait_for_line(SOON, |l| l.contains("tcpcap ready")).unwrap();
        let mut stage = Self { process, state, net };
        stage.scan();
        stage.process.wait_for_line(SOON, |l| l.contains("Blocked 203.0.113.1 for 10 min")).unwrap();
        stage
    }

    /// Has the scanner scan.
    pub fn scan(&self) {
        let source = IpAddr::from(self.net.first_scanner().v4);
        Masscan { source, target: SENSOR_V4.into(), ports: "1000-1099", rate: 5_000 }.run(&self.net, SOON).unwrap();
    }

    pub fn socket(&self) -> PathBuf {
        self.state.path().join("tcpcap.sock")
    }

    /// Ends it well: nothing that was asked may have harmed it.
    pub fn end(mut self) {
        assert!(self.process.stop(SOON).unwrap().success());
        let log = self.process.output();
        assert!(!log.contains("panicked"), "{log}");
    }
}
