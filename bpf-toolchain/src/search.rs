//! Where compilers and linkers are looked for, and what makes one usable.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Missing, OVERRIDE, Rejected};

/// The oldest minor version of Rust 1 that builds this workspace; cargo would refuse an older one anyway, later.
const FLOOR: &str = env!("CARGO_PKG_RUST_VERSION");

/// A rustc that can build for the BPF target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiler {
    /// The compiler.
    pub rustc: PathBuf,
    /// The cargo that belongs to it, if it lies beside it.
    pub cargo: Option<PathBuf>,
    /// The directory that holds it and its libraries.
    pub sysroot: PathBuf,
    /// It has `core` only as source, so that cargo must build it first.
    pub build_std: bool,
    /// Its version, such as `1.96.0`.
    pub version: String,
    /// The major version of its LLVM; a linker with an older one may not read its output.
    pub llvm: u32,
}

/// A bpf-linker that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linker {
    /// The program.
    pub path: PathBuf,
    /// What it says of its version, such as `0.13.0`.
    pub version: String,
}

/// All that the eBPF build needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// The compiler.
    pub compiler: Compiler,
    /// The linker.
    pub linker: Linker,
}

/// Where to look. Tests fill it by hand; everything else takes [`Search::from_env`].
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The BPF target triple.
    pub target: &'static str,
    /// The compiler that the user named; no other is looked at then.
    pub named: Option<PathBuf>,
    /// The compiler that builds the rest of the workspace.
    pub default: Option<PathBuf>,
    /// The distribution's compiler.
    pub system: Option<PathBuf>,
    /// rustup, which is asked for its nightly and its stable compiler.
    pub rustup: Option<PathBuf>,
    /// Directories in which bpf-linker may lie.
    pub linker_dirs: Vec<PathBuf>,
}

impl Search {
    /// Looks where this process's environment points.
    pub fn from_env(target: &'static str) -> Self {
        let path: Vec<PathBuf> =
            env::var_os("PATH").iter().flat_map(|p| env::split_paths(p).collect::<Vec<_>>()).collect();
        let on_path = |name| path.iter().map(|dir| dir.join(name)).find(|p| p.is_file());
        // Cargo installs there, whether or not the shell has it on its PATH.
        let cargo_home = env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
        Self {
            target,
            named: env::var_os(OVERRIDE).filter(|v| !v.is_empty()).map(PathBuf::from),
            default: env::var_os("RUSTC").map(PathBuf::from).or_else(|| on_path("rustc")),
            system: Some(PathBuf::from("/usr/bin/rustc")).filter(|p| p.is_file()),
            rustup: on_path("rustup"),
            linker_dirs: path.iter().cloned().chain(cargo_home.map(|home| home.join("bin"))).collect(),
        }
    }

    /// The compiler and the linker.
    ///
    /// # Errors
    /// Names everything that is missing at once, with what was looked at.
    pub fn toolchain(&self) -> Result<Toolchain, Missing> {
        match (self.find_compiler(), self.find_linker()) {
            (Ok(compiler), Ok(linker)) => Ok(Toolchain { compiler, linker }),
            (compiler, linker) => {
                Err(Missing { compiler: compiler.err(), linker: linker.err(), overridden: self.named.is_some() })
            }
        }
    }

    /// The first usable compiler.
    ///
    /// # Errors
    /// Lists the ones looked at, each with the reason why it will not do.
    pub fn find_compiler(&self) -> Result<Compiler, Vec<Rejected>> {
        if let Some(named) = &self.named {
            return self.try_compiler(named).map_err(|r| vec![r]);
        }
        let mut looked_at: Vec<Rejected> = Vec::new();
        // Lazy: rustup is asked, which takes a tenth of a second, only if the nearer ones will not do.
        let near = [&self.default, &self.system].into_iter().flatten().cloned();
        for rustc in near.chain(["nightly", "stable"].into_iter().filter_map(|t| self.rustup_rustc(t))) {
            if looked_at.iter().any(|r| r.path == rustc) {
                continue;
            }
            match self.try_compiler(&rustc) {
                Ok(compiler) => return Ok(compiler),
                Err(rejected) => looked_at.push(rejected),
            }
        }
        Err(looked_at)
    }

    /// The first bpf-linker that runs.
    ///
    /// # Errors
    /// Lists the ones that were found and do not run, such as one whose LLVM library is gone.
    pub fn find_linker(&self) -> Result<Linker, Vec<Rejected>> {
        let mut looked_at: Vec<Rejected> = Vec::new();
        for path in self.linker_dirs.iter().map(|dir| dir.join("bpf-linker")).filter(|p| p.is_file()) {
            if looked_at.iter().any(|r| r.path == path) {
                continue;
            }
            match ask(&path, ["--version"]) {
                Ok(said) => {
                    let version = said.split_whitespace().last().unwrap_or("unknown").to_owned();
                    return Ok(Linker { path, version });
                }
                Err(reason) => looked_at.push(Rejected { path, reason }),
            }
        }
        Err(looked_at)
    }

    fn rustup_rustc(&self, toolchain: &str) -> Option<PathBuf> {
        ask(self.rustup.as_ref()?, ["which", "rustc", "--toolchain", toolchain]).ok().map(PathBuf::from)
    }

    fn try_compiler(&self, rustc: &Path) -> Result<Compiler, Rejected> {
        let reject = |reason| Rejected { path: rustc.to_owned(), reason };
        let about = ask(rustc, ["-vV"]).map_err(reject)?;
        let field = |name| about.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let Some(version) = field("release:") else {
            return Err(reject("is not a Rust compiler".to_owned()));
        };
        if minor(version) < minor(FLOOR) {
            return Err(reject(format!("is Rust {version}, and {FLOOR} is the oldest that will do")));
        }
        // Fails where the compiler does not know the target at all.
        let dirs = ask(rustc, ["--print", "target-libdir", "--print", "sysroot", "--target", self.target]);
        let dirs = dirs.map_err(reject)?;
        let (libdir, sysroot) = dirs.split_once('\n').unwrap_or((&dirs, ""));
        let prebuilt = has_core(Path::new(libdir));
        let source = Path::new(sysroot).join("lib/rustlib/src/rust/library/core/src/lib.rs");
        if !prebuilt && !source.is_file() {
            return Err(reject(format!("has neither core for {} nor the component rust-src", self.target)));
        }
        Ok(Compiler {
            rustc: rustc.to_owned(),
            sysroot: PathBuf::from(sysroot),
            cargo: Some(rustc.with_file_name("cargo")).filter(|p| p.is_file()),
            build_std: !prebuilt,
            version: version.to_owned(),
            llvm: field("LLVM version:").and_then(|v| v.split('.').next()?.parse().ok()).unwrap_or(0),
        })
    }
}

/// The middle number of `1.96.0` or `1.97.0-nightly`.
fn minor(version: &str) -> u32 {
    version.split('.').nth(1).and_then(|m| m.parse().ok()).unwrap_or(0)
}

fn has_core(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libcore-") && name.ends_with(".rlib")
        })
    })
}

/// What a program prints, or why it did not.
fn ask<const N: usize>(program: &Path, args: [impl AsRef<OsStr>; N]) -> Result<String, String> {
    // A rustup proxy must answer for its default, not for the toolchain that happens to run this build.
    let out = Command::new(program)
        .args(args)
        .env_remove("RUSTUP_TOOLCHAIN")
        .output()
        .map_err(|e| format!("cannot be run: {e}"))?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&out.stderr);
    match said.lines().find(|line| !line.trim().is_empty()) {
        Some(line) => Err(format!("fails: {}", line.trim())),
        None => Err(format!("fails ({})", out.status)),
    }
}
