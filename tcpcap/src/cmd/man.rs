//! `tcpcap man`: the manual, made from what the command line knows of itself.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, Command};
use clap_mangen::Man;

use super::print;
use crate::failure::Failure;

/// What was typed after `tcpcap man`.
#[derive(Args, Debug)]
pub struct ManArgs {
    /// Write a page for each verb into this directory, instead of one page for all to standard output
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// What is true of all verbs.
const COMMON: &str = r#".SH "EXIT STATUS"
.TP
0
It worked.
.TP
1
It failed, or tcpcap does not run.
.TP
2
The command line or the configuration is wrong.
.SH ENVIRONMENT
.TP
COLUMNS
The width of tables, in characters, in place of the terminal's.
.TP
NO_COLOR, CLICOLOR_FORCE
No colours; colours even where there is no terminal. The former wins.
.TP
INTERFACE_NAME, PUBLIC_IP
As \-\-iface and \-\-own of tcpcap run.
.SH FILES
.TP
/etc/tcpcap/config.toml
The configuration.
.TP
/run/tcpcap/tcpcap.sock
Where tcpcap takes commands.
.TP
/var/lib/tcpcap/history.db
The history.
.TP
/sys/fs/bpf/tcpcap
What stays in the kernel when tcpcap is stopped; tcpcap detach removes it.
"#;

/// Prints the page of all verbs, or writes a page for each.
///
/// # Errors
/// It cannot be written.
pub fn run(args: &ManArgs, tcpcap: Command) -> Result<(), Failure> {
    let mut tcpcap = tcpcap.disable_help_subcommand(true);
    tcpcap.set_bin_name("tcpcap");
    tcpcap.build();
    match &args.dir {
        None => {
            let page =
                whole(&tcpcap).map_err(|e| Failure::failed(format!("cannot make the page: {e}"), "report this"))?;
            print::text(&page)
        }
        Some(dir) => {
            let number = pages(&tcpcap, dir).map_err(|e| {
                Failure::failed(
                    format!("cannot write to {}: {e}", dir.display()),
                    "name a directory that can be written to",
                )
            })?;
            print::line(&format!("{number} pages written to {}", dir.display()))
        }
    }
}

/// A page for each verb, and one for tcpcap itself; returns how many.
fn pages(tcpcap: &Command, dir: &Path) -> io::Result<usize> {
    fs::create_dir_all(dir)?;
    let all = || tcpcap.get_subcommands().filter(|verb| !verb.is_hide_set()).chain([tcpcap]);
    for command in all() {
        let man = Man::new(command.clone());
        let mut page = Vec::new();
        man.render(&mut page)?;
        fs::write(dir.join(man.get_filename()), text(&page) + COMMON)?;
    }
    Ok(all().count())
}

/// One page for all.
fn whole(tcpcap: &Command) -> io::Result<String> {
    let man = Man::new(tcpcap.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    let mut page = text(&page);
    for verb in tcpcap.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let man = Man::new(verb.clone());
        let mut part = Vec::new();
        man.render_synopsis_section(&mut part)?;
        man.render_description_section(&mut part)?;
        man.render_options_section(&mut part)?;
        if verb.get_after_help().is_some() {
            man.render_extra_section(&mut part)?;
        }
        // A verb is a section, what it consists of are parts of that.
        page += &format!(".SH \"{} {}\"\n", tcpcap.get_name(), verb.get_name());
        page += &text(&part).replace("\n.SH ", "\n.SS ");
    }
    Ok(page + COMMON)
}

fn text(roff: &[u8]) -> String {
    String::from_utf8_lossy(roff).replace("\n.SH EXTRA\n", "\n.SH EXAMPLES\n")
}
