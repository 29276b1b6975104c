//! `tcpcap check`, `tcpcap config` and what every verb does with a configuration, by the real binary and without root.

mod verbs;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// What a run of tcpcap said; where the files were is told as `DIR`.
#[derive(Debug)]
struct Said {
    out: String,
    err: String,
    code: i32,
}

/// Configuration files of its own.
struct Files(TempDir);

impl Files {
    fn of(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn main(&self) -> String {
        self.path("config.toml").to_str().unwrap().to_owned()
    }

    /// Nobody may read it but who may everything.
    fn close(&self, name: &str) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o000)).unwrap();
    }

    /// Runs a verb with these files.
    fn verb(&self, args: &[&str]) -> Said {
        self.said(tcpcap().args(args).args(["--config", &self.main()]))
    }

    fn said(&self, command: &mut Command) -> Said {
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(self.0.path().to_str().unwrap(), "DIR");
        Said { out: text(output.stdout), err: text(output.stderr), code: output.status.code().unwrap() }
    }
}

/// tcpcap, with nothing of this process's environment that sets a key, and no right to pass by files' permissions.
fn tcpcap() -> Command {
    let binary = Path::new(env!("CARGO_BIN_EXE_tcpcap"));
    let is_root = fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    let mut command = if is_root {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]);
        command.arg(binary);
        command
    } else {
        Command::new(binary)
    };
    let ours = |name: &str| name.starts_with("TCPCAP_") || ["INTERFACE_NAME", "PUBLIC_IP"].contains(&name);
    for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command
}
