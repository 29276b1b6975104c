//! `tcpcap detach`: take out of the kernel what a daemon left there.

use std::{
    ffi::CStr,
    io::{self, Write as _},
    path::Path,
};

use clap::Args;

use crate::{
    daemon::already_running,
    failure::Failure,
    kernel::{BPFFS, Pins, Refusal, remove_filter},
    mirror,
    settings::ConfigArgs,
};

/// What was typed after `tcpcap detach`.
#[derive(Args, Debug)]
pub struct DetachArgs {
    /// Name of the nftables table, if the mirror had another [default: as the configuration says]
    #[arg(long, value_name = "NAME")]
    pub table: Option<String>,

    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Takes out programs, maps and blocks of this network namespace, and the nftables mirror.
///
/// # Errors
/// A daemon is running, or something cannot be taken out.
pub fn run(args: DetachArgs) -> Result<(), Failure> {
    let mut config = args.config.mirror()?;
    let had_pins = match Pins::claim(Path::new(BPFFS)) {
        Ok(pins) => pins.remove().map_err(|e| {
            Failure::failed(format!("not everything could be taken out of the kernel: {e}"), "run it as root (sudo)")
        })?,
        Err(Refusal::Held(pid)) => return Err(already_running(pid)),
        // Where nothing can be pinned nothing is left.
        Err(Refusal::Unusable { why, .. }) if is_root() => {
            eprintln!("warning: nothing can have been pinned here: {why}");
            false
        }
        Err(Refusal::Unusable { why, .. }) => return Err(Failure::failed(why, "run it as root (sudo)")),
    };
    let filters = interfaces().into_iter().filter(|(index, name)| remove_filter(name, *index)).count();
    if let Some(table) = args.table {
        config.table = table;
    }
    let had_table = match mirror::remove(&config) {
        Ok(had) => had,
        Err(failure) => {
            eprintln!("warning: {}; {}", failure.cause, failure.remedy);
            false
        }
    };
    let said = if had_pins || filters > 0 || had_table {
        "tcpcap is out of the kernel: nothing is dropped any more"
    } else {
        "there was nothing of tcpcap in the kernel"
    };
    writeln!(io::stdout(), "{said}").ok();
    Ok(())
}

fn is_root() -> bool {
    // SAFETY: has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// The interfaces of this network namespace.
pub(super) fn interfaces() -> Vec<(u32, String)> {
    let mut all = Vec::new();
    // SAFETY: the list ends with an entry of index 0, its names are strings, and it is given back once.
    unsafe {
        let list = libc::if_nameindex();
        let mut at = list;
        while !at.is_null() && (*at).if_index != 0 {
            all.push(((*at).if_index, CStr::from_ptr((*at).if_name).to_string_lossy().into_owned()));
            at = at.add(1);
        }
        if !list.is_null() {
            libc::if_freenameindex(list);
        }
    }
    all
}
