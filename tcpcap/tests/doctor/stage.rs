//! Running it, and reading what it says.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;
use tcpcap_lab::Namespace;
use tempfile::TempDir;

/// Long against everything waited for, so that a slow machine fails nothing.
pub const SOON: Duration = Duration::from_secs(30);

/// Where a test's tcpcap keeps things: what this machine's has is no test's.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        // Others than root are to get this far.
        fs::set_permissions(place.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// State and socket, for `run` and `doctor` alike.
    pub fn args(&self) -> [String; 4] {
        let path = |name| self.path(name).to_str().unwrap().to_owned();
        ["--state".into(), path("state"), "--socket".into(), path("tcpcap.sock")]
    }

    /// tcpcap where others than root may run it.
    pub fn program(&self) -> PathBuf {
        let copy = self.path("tcpcap");
        if !copy.exists() {
            fs::copy(env!("CARGO_BIN_EXE_tcpcap"), &copy).unwrap();
        }
        copy
    }
}

/// What it said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub json: Value,
}

/// One of the checks.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub level: String,
    /// What was found, what it means, and what to do.
    pub text: String,
}

impl Said {
    /// What a check says; of an interface's, the first interface's.
    pub fn of(&self, check: &str) -> Line {
        self.about(check, None)
    }

    /// What a check says of an interface.
    pub fn about(&self, check: &str, interface: Option<&str>) -> Line {
        let checks = self.json["checks"].as_array().unwrap();
        let is_it = |line: &&Value| line["check"] == check && interface.is_none_or(|name| line["interface"] == name);
        let line = checks.iter().find(is_it).unwrap_or_else(|| panic!("no {check}: {self:#?}"));
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        Line { level: text("level"), text: ["found", "means", "remedy"].map(text).join(" / ") }
    }

    /// Checks that a check is of that level, and says this.
    #[track_caller]
    pub fn has(&self, check: &str, level: &str, says: &str) {
        let line = self.of(check);
        assert!(line.level == level && line.text.contains(says), "{check} is not {level}, {says}: {line:?}");
    }

    /// Checks that exit code and counts are those of the levels.
    #[track_caller]
    pub fn adds_up(&self) {
        let checks = self.json["checks"].as_array().unwrap();
        for level in ["ok", "warn", "fail", "skip"] {
            assert_eq!(self.json[level], checks.iter().filter(|line| line["level"] == level).count(), "{level}");
        }
        assert_eq!(self.code, i32::from(self.json["fail"] != 0), "{self:#?}");
    }
}

/// `tcpcap doctor` for machines, run by way of `wrap`.
pub fn doctor_by<A: AsRef<OsStr>>(namespace: &Namespace, wrap: &[&str], place: &Place, args: &[A]) -> Said {
    said(command(namespace, wrap, Path::new(env!("CARGO_BIN_EXE_tcpcap")), place).args(["-o", "json"]).args(args))
}

/// `tcpcap doctor` for machines.
pub fn doctor<A: AsRef<OsStr>>(namespace: &Namespace, place: &Place, args: &[A]) -> Said {
    doctor_by(namespace, &[], place, args)
}

/// `tcpcap doctor`, not started.
pub fn command(namespace: &Namespace, wrap: &[&str], program: &Path, place: &Place) -> Command {
    let mut command = namespace.command("env");
    command.args(wrap).arg(program).arg("doctor").args(place.args());
    for name in ["INTERFACE_NAME", "PUBLIC_IP", "RUST_LOG", "NO_COLOR"] {
        command.env_remove(name);
    }
    command
}

/// Runs it to its end.
pub fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let json = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
    assert_eq!(err, "");
    let said = Said { code: output.status.code().unwrap(), json };
    said.adds_up();
    said
}
