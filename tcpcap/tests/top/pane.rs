//! A shell in a terminal of its own, which tmux shows.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tcpcap_lab::wait::wait_for;
use tempfile::TempDir;

pub(crate) const SOON: Duration = Duration::from_secs(30);

/// What the shell shows when it waits for a command.
const PROMPT: &str = "shell:";

/// The source that is painted last.
pub(crate) const LAST: &str = "203.0.113.56";

/// A terminal with a shell in it.
pub(crate) struct Pane {
    directory: TempDir,
}

impl Pane {
    /// One of this size.
    pub(crate) fn new(width: u16, height: u16) -> Self {
        let pane = Self { directory: tempfile::tempdir().unwrap() };
        let (width, height) = (width.to_string(), height.to_string());
        let shell = format!("env PS1='{PROMPT} ' TERM=screen-256color ENV= sh");
        pane.tmux(["new-session", "-d", "-x", &width, "-y", &height, &shell]);
        pane.shows(PROMPT);
        pane
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn tmux<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        let mut command = Command::new("tmux");
        command.args(["-u", "-f", "/dev/null", "-S"]).arg(self.file("tmux")).args(args);
        command.env_remove("TMUX").env_remove("NO_COLOR").env("LC_ALL", "C.UTF-8");
        let output = command.output().unwrap_or_else(|e| panic!("tmux: {e}; `cargo xtask setup` installs it"));
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Types text and then Enter.
    pub(crate) fn run(&self, line: &str) {
        self.types(line);
        self.press("Enter");
    }

    /// Starts `tcpcap top`, and waits until the last of the sources is there.
    pub(crate) fn top(&self, socket: &Path) {
        self.run(&format!("{} top --socket {}", env!("CARGO_BIN_EXE_tcpcap"), socket.display()));
        self.shows(LAST);
    }

    pub(crate) fn types(&self, text: &str) {
        self.tmux(["send-keys", "-l", "--", text]);
    }

    /// Presses a key that tmux has this name for.
    pub(crate) fn press(&self, key: &str) {
        self.tmux(["send-keys", key]);
    }

    pub(crate) fn resize(&self, width: u16, height: u16) {
        self.tmux(["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]);
    }

    /// What stands on the screen.
    pub(crate) fn screen(&self) -> String {
        self.tmux(["capture-pane", "-p"])
    }

    /// The same with the codes that colour it.
    pub(crate) fn painted(&self) -> String {
        self.tmux(["capture-pane", "-p", "-e"])
    }

    /// Waits until the screen is as wanted, and returns it.
    pub(crate) fn becomes(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let look = || Some(self.screen()).filter(|screen| wanted(screen));
        wait_for(what, SOON, look).unwrap_or_else(|e| panic!("{e}:\n{}", self.screen()))
    }

    pub(crate) fn shows(&self, text: &str) -> String {
        self.becomes(text, |screen| screen.contains(text))
    }

    fn asks(&self, variable: &str) -> String {
        self.tmux(["display-message", "-p", variable]).trim().to_owned()
    }

    /// Waits until the shell has the terminal again, and checks that it is as it was.
    pub(crate) fn is_clean(&self) -> String {
        let left = self.becomes("the shell", |screen| screen.trim_end().ends_with(PROMPT));
        assert_eq!(self.asks("#{alternate_on} #{cursor_flag}"), "0 1", "{left}");
        self.run("stty -a | tr -s ' ;' '\\n' | grep -xE -e '-?(echo|icanon|isig|opost|icrnl)' | sort | xargs echo is:");
        self.shows("is: echo icanon icrnl isig opost");
        left
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        self.tmux(["kill-server"]);
    }
}
