//! `cargo xtask run`: try the sensor in a sandbox.

use anyhow::bail;

/// Start tcpcap, in a sandbox unless an interface is named
#[derive(clap::Args)]
pub(crate) struct Run {
    /// Watch this interface of the machine instead of the sandbox's
    #[arg(long)]
    iface: Vec<String>,
    /// Arguments for tcpcap itself
    #[arg(last = true)]
    args: Vec<String>,
}

impl Run {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        bail!("not built yet (asked for interfaces {:?}, arguments {:?})", self.iface, self.args)
    }
}
