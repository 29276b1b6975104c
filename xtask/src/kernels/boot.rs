//! One boot of a guest: qemu, what comes over the serial line, and how it ended.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::Context;

use super::archive::{Kernel, said, tool};

/// How `timeout` reports that it had to end what it ran.
const TIMED_OUT: i32 = 124;
/// How much of the kernel's own words is shown when a guest died.
const LAST_LINES: usize = 25;
/// What the kernel says of itself when something went wrong in it.
const COMPLAINTS: [&str; 4] = ["Call Trace:", "BUG:", "Oops", "Kernel panic"];
/// The guest's clock counts instructions, 2 ns each, and jumps over idle time: so nothing in a guest is late because this
/// machine is busy, and nobody waits for what it sleeps.
const CLOCK: &str = "shift=1,sleep=off";
/// Emulating more than is asked for takes longer; random numbers are, at boot.
const CPU: &str = "Nehalem,+rdrand";
/// For the kernel. It does not hold its timers against a clock that does not exist.
const APPEND: &str =
    "console=ttyS0 quiet panic=-1 mitigations=off init_on_alloc=0 tsc=unstable no_timer_check random.trust_cpu=on";
const DISK_BYTES: u64 = 64 << 20;

/// What is booted.
pub(super) struct Boot<'a> {
    pub(super) kernel: &'a Kernel,
    /// The archives of files, in their order.
    pub(super) files: &'a [PathBuf],
    /// What outlives the boot.
    pub(super) disk: &'a Path,
    /// Where the kernel's own words go.
    pub(super) console: PathBuf,
    pub(super) within: Duration,
}

/// A line of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// It is up, after these seconds, with this kernel.
    Up(&'a str),
    /// A program begins.
    Begin(&'a str),
    /// It ended with this code.
    End(&'a str, i32),
    /// What it said.
    Said(&'a str),
}

impl<'a> Line<'a> {
    pub(super) fn read(line: &'a str) -> Self {
        let line = line.trim_end_matches(['\r', '\n']);
        if let Some(rest) = line.strip_prefix("__UP ") {
            return Self::Up(rest);
        }
        if let Some(name) = line.strip_prefix("__BEGIN ") {
            return Self::Begin(name);
        }
        let end = line.strip_prefix("__END ").and_then(|rest| rest.rsplit_once(' '));
        match end.and_then(|(name, code)| Some((name, code.parse().ok()?))) {
            Some((name, code)) => Self::End(name, code),
            None => Self::Said(line),
        }
    }
}

/// Why a guest did not come to its end, by the code of who ran it and whether all programs ended; `None`: it did.
pub(super) fn cause(code: Option<i32>, all_ended: bool, within: Duration) -> Option<String> {
    match code {
        Some(TIMED_OUT) => Some(format!("was not done in {} min", within.as_secs().div_ceil(60))),
        _ if all_ended => None,
        Some(0) => Some("died before its programs had ended".to_owned()),
        Some(code) => Some(format!("could not be run: qemu ended with {code}")),
        None => Some("could not be run: qemu was killed".to_owned()),
    }
}

impl Boot<'_> {
    /// Boots it, hands over each line as it comes, and returns the code of who ran it.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn run(&self, mut line: impl FnMut(Line<'_>)) -> anyhow::Result<Option<i32>> {
        // A kernel unpacks archives one after the other.
        let whole = self.console.with_extension("initrd");
        let mut bytes = Vec::new();
        for archive in self.files {
            bytes.extend(fs::read(archive)?);
        }
        fs::write(&whole, bytes)?;
        let mut child = self.command(&whole)?.stdout(Stdio::piped()).spawn().context("cannot run timeout")?;
        let mut from = BufReader::new(child.stdout.take().context("qemu has no output")?);
        let mut bytes = Vec::new();
        while from.read_until(b'\n', &mut bytes)? > 0 {
            line(Line::read(&String::from_utf8_lossy(&bytes)));
            bytes.clear();
        }
        let status = child.wait()?;
        fs::remove_file(whole)?;
        Ok(status.code())
    }

    fn command(&self, files: &Path) -> anyhow::Result<Command> {
        let mut command = Command::new("timeout");
        command.args(["--foreground", &self.within.as_secs().to_string(), "qemu-system-x86_64"]);
        command.args(["-accel", "tcg,thread=single", "-icount", CLOCK, "-cpu", CPU, "-machine", "q35"]);
        command.args(["-smp", "1", "-m", "1536"]);
        command.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-nic", "none"]);
        command.arg("-serial").arg(format!("file:{}", self.console.display())).args(["-serial", "stdio"]);
        command.arg("-drive").arg(format!("file={},if=virtio,format=raw,cache=unsafe", self.disk.display()));
        command.arg("-kernel").arg(self.kernel.image()?).arg("-initrd").arg(files).args(["-append", APPEND]);
        command.stdin(Stdio::null()).stderr(Stdio::inherit());
        Ok(command)
    }

    /// The kernel's last words.
    pub(super) fn last_words(&self) -> String {
        let text = self.words();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }

    /// What the kernel says went wrong in itself.
    pub(super) fn complaint(&self) -> Option<String> {
        complaint(&self.words())
    }

    fn words(&self) -> String {
        fs::read(&self.console).map(|bytes| String::from_utf8_lossy(&bytes).replace('\r', "")).unwrap_or_default()
    }
}

fn complaint(words: &str) -> Option<String> {
    let line = words.lines().find(|line| COMPLAINTS.iter().any(|complaint| line.contains(complaint)))?;
    Some(line.trim().to_owned())
}

/// Makes an empty disk.
///
/// # Errors
/// There is no room, or no `mke2fs`.
pub(super) fn disk(path: &Path) -> anyhow::Result<()> {
    let file = fs::File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    file.set_len(DISK_BYTES)?;
    said(Command::new(tool("mke2fs")).args(["-q", "-t", "ext4", "-F"]).arg(path)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(600);

    #[test]
    fn marks_are_told_from_what_programs_say() {
        assert_eq!(Line::read("__UP 1.9 5.10.0-46-cloud-amd64\r\n"), Line::Up("1.9 5.10.0-46-cloud-amd64"));
        assert_eq!(Line::read("__BEGIN xdp_prog\n"), Line::Begin("xdp_prog"));
        assert_eq!(Line::read("__END xdp_prog 101\r\n"), Line::End("xdp_prog", 101));
        for said in ["test a ... ok", "__END xdp_prog", "__END xdp_prog x", ""] {
            assert_eq!(Line::read(said), Line::Said(said));
        }
    }

    #[test]
    fn a_guest_that_was_too_slow_or_died_is_told_from_one_that_came_to_its_end() {
        assert_eq!(cause(Some(0), true, WITHIN), None);
        assert_eq!(cause(Some(124), false, WITHIN).unwrap(), "was not done in 10 min");
        assert_eq!(cause(Some(124), true, WITHIN).unwrap(), "was not done in 10 min", "it did not switch itself off");
        assert_eq!(cause(Some(0), false, WITHIN).unwrap(), "died before its programs had ended");
        assert_eq!(cause(Some(127), false, WITHIN).unwrap(), "could not be run: qemu ended with 127");
        assert_eq!(cause(None, false, WITHIN).unwrap(), "could not be run: qemu was killed");
    }

    #[test]
    fn what_a_kernel_complains_of_is_found() {
        assert_eq!(
            complaint("[    1.0] virtio_net\n[    2.0] Call Trace:\n"),
            Some("[    2.0] Call Trace:".to_owned())
        );
        assert_eq!(complaint("[    1.0] all is well\n"), None);
    }
}
