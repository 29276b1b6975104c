//! A container of the image that is shipped, run as `deploy/docker/compose.yaml` says, in a namespace of the lab.

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tcpcap_lab::{Namespace, Podman, Process, wait_for};
use tempfile::TempDir;

use crate::compose::{Compose, Service};

/// Long against everything waited for, so that a slow machine fails nothing.
pub const SOON: Duration = Duration::from_secs(60);
/// The number of the image's user.
pub const USER: u32 = 61_112;
const BPFFS: &str = "/sys/fs/bpf";

/// podman, with the image loaded.
pub fn podman() -> &'static Podman {
    static LOADED: OnceLock<Podman> = OnceLock::new();
    LOADED.get_or_init(|| {
        let podman = Podman::here(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        // As docs/container.md says: podman 4.3 does not unpack a file that it is told to load.
        let mut gzip = Command::new("gzip").arg("-dc").arg(archive()).stdout(Stdio::piped()).spawn().unwrap();
        let mut load = podman.command(&["load", "--quiet"]);
        let loaded = load.stdin(gzip.stdout.take().unwrap()).output().unwrap();
        assert!(gzip.wait().unwrap().success());
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
        podman
    })
}

/// The image's archive.
pub fn archive() -> PathBuf {
    let dist = env::var_os("TCPCAP_DIST").expect("TCPCAP_DIST names no directory\n  run: cargo xtask test --long");
    let name = format!("tcpcap-{}-image-{}.tar.gz", env!("CARGO_PKG_VERSION"), env::consts::ARCH);
    let path = PathBuf::from(dist).join(name);
    assert!(path.exists(), "{} is missing\n  run: cargo xtask package image", path.display());
    path
}

/// tcpcap, as the compose file has it.
pub fn service() -> Service {
    Compose::shipped().services.remove("tcpcap").unwrap()
}

/// The image's name.
pub fn image() -> String {
    service().image
}

/// A name that nobody has.
fn fresh(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("tcpcap-test-{}-{what}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// What a host has prepared for the container, and what outlives it: pins, state, and the host's own files.
pub struct Home {
    /// What stands for `/sys/fs/bpf/tcpcap`.
    pub pins: PathBuf,
    /// What stands for `/`.
    pub host: TempDir,
    state: String,
}

impl Home {
    /// As `deploy/docker/tmpfiles.conf` prepares it.
    pub fn prepared() -> Self {
        Self::owned_by(USER)
    }

    /// With a place for pins that belongs to somebody.
    pub fn owned_by(user: u32) -> Self {
        let pins = Path::new(BPFFS).join(fresh("pins")).join("tcpcap");
        fs::DirBuilder::new().recursive(true).mode(0o750).create(&pins).unwrap();
        chown(&pins, Some(user), Some(user)).unwrap();
        let host = TempDir::new().unwrap();
        for directory in ["etc", "run/systemd"] {
            fs::create_dir_all(host.path().join(directory)).unwrap();
        }
        Self { pins, host, state: fresh("state") }
    }

    /// podman's options for the volumes of the compose file, each from here.
    fn volumes(&self) -> Vec<String> {
        let from = |source: &str| match source {
            "/sys/fs/bpf/tcpcap" => self.pins.display().to_string(),
            "state" => self.state.clone(),
            path => self.host.path().join(path.trim_start_matches('/')).display().to_string(),
        };
        let all = service().volumes;
        let split = all.iter().map(|volume| volume.split_once(':').unwrap());
        split.map(|(source, rest)| format!("--volume={}:{rest}", from(source))).collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        remove(self.pins.parent().unwrap()).ok();
        podman().run(&["volume", "rm", "--force", &self.state]).ok();
    }
}

/// bpffs knows no other way than one by one.
fn remove(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() { remove(&path)? } else { fs::remove_file(&path)? }
    }
    fs::remove_dir(directory)
}

/// A container.
pub struct Container {
    pub process: Process,
    name: String,
}

impl Container {
    /// Runs as the compose file says, with what else is said, and waits until it watches.
    pub fn start(namespace: &Namespace, home: &Home, args: &[&str]) -> Self {
        let mut container = Self::run(namespace, home, &[], args);
        container.says(&["tcpcap ready"]);
        container
    }

    /// Runs as the compose file says, with more of podman's options, and waits for nothing.
    pub fn run(namespace: &Namespace, home: &Home, options: &[&str], args: &[&str]) -> Self {
        Self::verb(namespace, home, options, &[&["run"], args].concat())
    }

    /// Runs with the capabilities alone that are named.
    pub fn run_with_capabilities(namespace: &Namespace, home: &Home, capabilities: &[&str]) -> Self {
        let cap_add = capabilities.iter().map(|name| (*name).to_owned()).collect();
        Self::launch(namespace, home, &Service { cap_add, ..service() }, &[], &["run"])
    }

    /// Runs a verb of tcpcap as the compose file runs the daemon.
    pub fn verb(namespace: &Namespace, home: &Home, options: &[&str], args: &[&str]) -> Self {
        Self::launch(namespace, home, &service(), options, args)
    }

    fn launch(namespace: &Namespace, home: &Home, service: &Service, options: &[&str], args: &[&str]) -> Self {
        let name = fresh("container");
        let network = format!("--network=ns:{}", namespace.path().display());
        let mut words = vec!["run".to_owned(), format!("--name={name}"), network];
        words.extend(service.options().into_iter().chain(home.volumes()));
        words.extend(options.iter().map(|option| (*option).to_owned()));
        words.push(service.image.clone());
        words.extend(args.iter().map(|arg| (*arg).to_owned()));
        let process = Process::spawn("podman run", podman().command(&words)).unwrap();
        Self { process, name }
    }

    /// Waits for a line of the log that holds all these texts.
    pub fn says(&mut self, texts: &[&str]) -> String {
        self.process.wait_for_line(SOON, |line| texts.iter().all(|text| line.contains(text))).unwrap()
    }

    /// Waits for its end; returns its exit code and everything said.
    pub fn end(mut self) -> (i32, String) {
        let status = self.process.wait(SOON).unwrap();
        (status.code().unwrap_or(-1), self.process.output())
    }

    /// Runs a program in it; returns its exit code and everything said.
    pub fn exec(&self, words: &[&str]) -> (i32, String) {
        podman().run(&[&["exec", &self.name], words].concat()).unwrap()
    }

    /// Runs a verb of tcpcap in it that succeeds; returns what it said.
    pub fn ask(&self, args: &[&str]) -> String {
        let (code, said) = self.exec(&[&["tcpcap"], args].concat());
        assert_eq!(code, 0, "{args:?}: {said}");
        said
    }

    /// The daemon's process, as the host sees it.
    pub fn pid(&self) -> i32 {
        wait_for("its process", SOON, || {
            let said = podman().run(&["inspect", "--format={{.State.Pid}}", &self.name]).ok()?.1;
            said.trim().parse().ok().filter(|pid| *pid > 0)
        })
        .unwrap()
    }

    /// What its own health check says.
    pub fn is_healthy(&self) -> bool {
        podman().run(&["healthcheck", "run", &self.name]).unwrap().0 == 0
    }

    /// Stops and removes it; returns how long the stop took.
    pub fn remove(self) -> Duration {
        let start = Instant::now();
        podman().succeed(&["stop", "--time=30", &self.name]).unwrap();
        let took = start.elapsed();
        podman().succeed(&["rm", "--volumes", &self.name]).unwrap();
        took
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        podman().run(&["rm", "--force", "--time=0", "--volumes", "--ignore", &self.name]).ok();
    }
}
