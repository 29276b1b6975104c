//! What this machine has: the probed description that the plan is made from.

use std::{
    env, fs,
    io::{IsTerminal, stdin},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use bpf_toolchain::Search;

use crate::{
    needs::{BPFFS, COMPILER_PACKAGES, LINKER_PACKAGES, PACKAGES, PYTHON, Probe, Python, TOOLS, TOOLS_PLACE, Tool},
    workspace,
};

/// How commands that need root get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// We are root.
    Already,
    /// Through sudo, which answers without a password or has a terminal to ask for one.
    Sudo,
    /// Not at all.
    Unavailable,
}

/// A compiler for BPF, as far as the plan cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Compiler {
    /// Usable.
    Found { detail: String, llvm: u32 },
    /// None is.
    Missing,
    /// The user named one that is not, so that installing another would not help.
    BadOverride(String),
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) root: Root,
    /// apt-get is there, so that Debian's package names mean something.
    pub(crate) apt: bool,
    pub(crate) compiler: Compiler,
    pub(crate) linker: Option<String>,
    /// Names of the packages of [`crate::needs`] whose probe failed.
    pub(crate) absent: Vec<&'static str>,
    pub(crate) bpffs: bool,
    /// Names of the environments of [`crate::needs`] that are not there, or not as they are pinned.
    pub(crate) python_missing: Vec<&'static str>,
    /// Names of the tools of [`crate::needs`] that are not there, or not in their version.
    pub(crate) tools_missing: Vec<&'static str>,
    /// systemd runs, and would start the services that packages bring.
    pub(crate) systemd: bool,
}

impl Machine {
    /// Looks at this machine, and changes nothing.
    pub(crate) fn probe() -> Self {
        let search = Search::from_env(host_target());
        let (compiler, linker) = thread::scope(|scope| {
            let linker = scope.spawn(|| search.find_linker());
            (search.find_compiler(), linker.join())
        });
        let compiler = match compiler {
            Ok(c) => {
                let how = if c.build_std { "rust-src" } else { "prebuilt core" };
                let detail = format!("{}, Rust {}, {how}", c.rustc.display(), c.version);
                Compiler::Found { detail, llvm: c.llvm }
            }
            Err(looked_at) if search.named.is_some() => Compiler::BadOverride(
                looked_at.iter().map(|r| format!("{} {}", r.path.display(), r.reason)).collect::<Vec<_>>().join("; "),
            ),
            Err(_) => Compiler::Missing,
        };
        let linker = linker.ok().and_then(Result::ok).map(|l| format!("{}, {}", l.path.display(), l.version));
        let tables = [PACKAGES, COMPILER_PACKAGES, LINKER_PACKAGES];
        let absent = tables.into_iter().flatten().filter(|p| !present(p.probe)).map(|p| p.name).collect();
        Self {
            root: root(),
            apt: present(Probe::Command("apt-get")),
            compiler,
            linker,
            absent,
            bpffs: bpffs_mounted(),
            python_missing: PYTHON
                .iter()
                .filter(|python| !python_as_pinned(python))
                .map(|python| python.name)
                .collect(),
            tools_missing: TOOLS.iter().filter(|tool| !tool_as_pinned(tool)).map(|tool| tool.name).collect(),
            systemd: Path::new("/run/systemd/system").is_dir(),
        }
    }
}

/// The BPF target with this machine's byte order.
pub(crate) fn host_target() -> &'static str {
    bpf_toolchain::target(if cfg!(target_endian = "big") { "big" } else { "little" })
}

/// Whether and how commands can be run as root.
pub(crate) fn root() -> Root {
    // The owner of a process's entry is its effective user.
    if fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0) {
        return Root::Already;
    }
    let silent = || {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        sudo.status().is_ok_and(|s| s.success())
    };
    if find_command("sudo").is_some() && (stdin().is_terminal() || silent()) { Root::Sudo } else { Root::Unavailable }
}

fn present(probe: Probe) -> bool {
    match probe {
        Probe::Command(name) => find_command(name).is_some(),
        Probe::File(path) => Path::new(path).exists(),
    }
}

/// A command on PATH, or in the directories that hold root's commands and are not on every user's PATH.
fn find_command(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(sbin).map(|dir| dir.join(name)).find(|p| p.is_file())
}

/// Whoever installs it leaves a copy of the list beside it.
fn python_as_pinned(python: &Python) -> bool {
    let read = |path: PathBuf| fs::read(path).ok();
    let installed = read(workspace::root().join(python.place).join("requirements.txt"));
    installed.is_some() && installed == read(workspace::root().join(python.pinned))
}

/// As cargo writes down what it has installed.
fn tool_as_pinned(tool: &Tool) -> bool {
    let installed = fs::read_to_string(workspace::root().join(TOOLS_PLACE).join(".crates.toml"));
    installed.is_ok_and(|list| list.contains(&format!("\"{} {} (", tool.name, tool.version)))
}

fn bpffs_mounted() -> bool {
    fs::read_to_string("/proc/mounts").is_ok_and(|mounts| {
        mounts.lines().any(|line| {
            let mut fields = line.split(' ').skip(1);
            fields.next() == Some(BPFFS) && fields.next() == Some("bpf")
        })
    })
}
