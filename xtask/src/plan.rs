//! From what a machine has to what must be done: a pure function, so that it can be tested for machines we do not have.

use bpf_toolchain::recipe::{LINKER_INSTALL, LLVM, LLVM_PREFIX};

use crate::{
    machine::{Compiler, Machine, Root},
    needs::{
        BPFFS, COMPILER_PACKAGES, LINKER_PACKAGES, PACKAGES, PYTHON, PYTHON_INSTALLER, Package, Part, Probe, Python,
        SERVICES, TOOLS, TOOLS_PLACE, Tool,
    },
    workspace,
};

/// One need and whether it is met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) name: &'static str,
    pub(crate) why: &'static str,
    /// What was found, if it is met and there is something to say.
    pub(crate) found: Option<String>,
    pub(crate) met: bool,
}

/// Something to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Fetch the package lists.
    Update,
    /// Keep systemd from starting these.
    Mask(Vec<&'static str>),
    /// Install Debian packages.
    Install(Vec<&'static str>),
    /// Compile bpf-linker.
    BuildLinker,
    /// Mount the BPF file system.
    MountBpffs,
    /// Install what a suite needs of Python, below target/.
    InstallPython(&'static Python),
    /// Build a program with cargo, below target/.
    BuildTool(&'static Tool),
}

/// Why nothing is done although something is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// There is no apt-get: the user must install these by other means.
    UnknownDistribution(Vec<String>),
    /// Root is needed and cannot be had.
    NoRoot,
    /// The user's own choice of compiler is unusable.
    BadOverride(String),
}

/// What is there, what must be done, and what stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) needs: Vec<Need>,
    pub(crate) actions: Vec<Action>,
    pub(crate) obstacle: Option<Obstacle>,
}

/// The plan for these parts on this machine.
pub(crate) fn plan(machine: &Machine, parts: &[Part]) -> Plan {
    let compile = parts.contains(&Part::Compile);
    let absent = |p: &&Package| parts.contains(&p.part) && machine.absent.contains(&p.name);
    let linker_missing = compile && machine.linker.is_none();
    // A bpf-linker built here has LLVM 22 and cannot read what a newer one wrote; a linker that is there already was
    // chosen to match.
    let compiler_missing = compile
        && match &machine.compiler {
            Compiler::Found { llvm, .. } => linker_missing && *llvm > LLVM,
            Compiler::Missing => true,
            Compiler::BadOverride(_) => false,
        };

    let mut packages: Vec<&Package> = packages_of(parts).into_iter().filter(absent).collect();
    if compiler_missing {
        packages.extend(COMPILER_PACKAGES.iter().filter(absent));
    }
    if linker_missing {
        let named: Vec<_> = packages.iter().map(|p| p.name).collect();
        packages.extend(LINKER_PACKAGES.iter().filter(absent).filter(|p| !named.contains(&p.name)));
    }

    let mut actions = Vec::new();
    if !packages.is_empty() {
        actions.push(Action::Update);
        let services = SERVICES.iter().filter(|(name, _)| machine.systemd && packages.iter().any(|p| p.name == *name));
        let units: Vec<_> = services.flat_map(|(_, units)| *units).copied().collect();
        if !units.is_empty() {
            actions.push(Action::Mask(units));
        }
        actions.push(Action::Install(packages.iter().map(|p| p.name).collect()));
    }
    if linker_missing {
        actions.push(Action::BuildLinker);
    }
    if parts.contains(&Part::Bpffs) && !machine.bpffs {
        actions.push(Action::MountBpffs);
    }
    let wanted = PYTHON.iter().filter(|python| parts.contains(&python.part));
    actions.extend(wanted.filter(|python| machine.python_missing.contains(&python.name)).map(Action::InstallPython));
    let wanted = TOOLS.iter().filter(|tool| parts.contains(&tool.part) && machine.tools_missing.contains(&tool.name));
    actions.extend(wanted.map(Action::BuildTool));
    let obstacle = match &machine.compiler {
        Compiler::BadOverride(why) if compile => Some(Obstacle::BadOverride(why.clone())),
        _ if !packages.is_empty() && !machine.apt => {
            let mut missing: Vec<String> = packages_of(parts).into_iter().filter(absent).map(describe).collect();
            missing.extend(compiler_missing.then(|| COMPILER_RECIPE.to_owned()));
            missing.extend(linker_missing.then(|| LINKER_RECIPE.to_owned()));
            Some(Obstacle::UnknownDistribution(missing))
        }
        _ if machine.root == Root::Unavailable && actions.iter().any(Action::needs_root) => Some(Obstacle::NoRoot),
        _ => None,
    };
    Plan { needs: needs(machine, parts, compiler_missing), actions, obstacle }
}

/// What these parts want always. A package that several of them want is there once.
fn packages_of(parts: &[Part]) -> Vec<&'static Package> {
    let mut packages: Vec<&Package> = Vec::new();
    for package in PACKAGES.iter().filter(|package| parts.contains(&package.part)) {
        if !packages.iter().any(|known| known.name == package.name) {
            packages.push(package);
        }
    }
    packages
}

/// For distributions whose package names we do not know.
const COMPILER_RECIPE: &str = "a compiler for BPF: rustup toolchain install nightly --component rust-src";
const LINKER_RECIPE: &str = "bpf-linker: cargo install --locked bpf-linker --no-default-features --features llvm-NN, \
    with NN the installed LLVM, not older than the compiler's (rustc +nightly -vV)";

/// A package by what it brings.
fn describe(package: &Package) -> String {
    match package.probe {
        Probe::Command(command) => format!("the command {command}, which {}", package.why),
        Probe::File(file) => format!("{file}, which {}", package.why),
    }
}

fn needs(machine: &Machine, parts: &[Part], compiler_missing: bool) -> Vec<Need> {
    let mut needs: Vec<Need> = packages_of(parts)
        .into_iter()
        .map(|p| Need { name: p.name, why: p.why, found: None, met: !machine.absent.contains(&p.name) })
        .collect();
    if parts.contains(&Part::Compile) {
        let (found, met) = match &machine.compiler {
            Compiler::Found { detail, .. } => (Some(detail.clone()), !compiler_missing),
            _ => (None, false),
        };
        needs.push(Need { name: "BPF compiler", why: "compiles the eBPF program", found, met });
        let (found, met) = (machine.linker.clone(), machine.linker.is_some());
        needs.push(Need { name: "bpf-linker", why: "links the eBPF program", found, met });
    }
    if parts.contains(&Part::Bpffs) {
        let found = machine.bpffs.then(|| BPFFS.to_owned());
        needs.push(Need { name: "bpffs", why: "holds pinned maps", found, met: machine.bpffs });
    }
    needs.extend(PYTHON.iter().filter(|python| parts.contains(&python.part)).map(|python| Need {
        name: python.name,
        why: python.why,
        found: None,
        met: !machine.python_missing.contains(&python.name),
    }));
    needs.extend(TOOLS.iter().filter(|tool| parts.contains(&tool.part)).map(|tool| Need {
        name: tool.name,
        why: tool.why,
        found: None,
        met: !machine.tools_missing.contains(&tool.name),
    }));
    needs
}

impl Action {
    /// What its line says.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Update => "package lists".to_owned(),
            Self::Mask(units) => units.join(", "),
            Self::Install(packages) if packages.len() == 1 => format!("package {}", packages[0]),
            Self::Install(packages) => format!("{} packages", packages.len()),
            Self::BuildLinker => "bpf-linker".to_owned(),
            Self::MountBpffs => "bpffs".to_owned(),
            Self::InstallPython(python) => python.name.to_owned(),
            Self::BuildTool(tool) => tool.name.to_owned(),
        }
    }

    /// What its line ends in.
    pub(crate) fn done(&self) -> &'static str {
        match self {
            Self::Update => "fetched",
            Self::Mask(_) => "masked",
            Self::Install(_) | Self::BuildLinker | Self::InstallPython(_) | Self::BuildTool(_) => "installed",
            Self::MountBpffs => "mounted",
        }
    }

    /// What a user can do when it fails.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::Update => "see that the machine reaches its package mirror, then run cargo xtask setup again",
            Self::Mask(_) => "mask these services with systemctl mask, then run cargo xtask setup again",
            Self::Install(_) => {
                "if this release lacks a package, install that tool by other means (compiler: rustup toolchain \
                 install nightly --component rust-src), then run cargo xtask setup again"
            }
            Self::BuildLinker | Self::BuildTool(_) => "see the messages above, then run cargo xtask setup again",
            Self::MountBpffs => "a container must be given the file system: docker run -v /sys/fs/bpf:/sys/fs/bpf",
            Self::InstallPython(_) => {
                "see that the machine reaches PyPI or a mirror, and that python3 has venv (Debian: python3-venv), then \
                 run cargo xtask setup again"
            }
        }
    }

    /// Whether only root may do it.
    pub(crate) fn needs_root(&self) -> bool {
        !matches!(self, Self::BuildLinker | Self::InstallPython(_) | Self::BuildTool(_))
    }

    /// Environment and arguments, without sudo. `cargo` is the one to build with.
    pub(crate) fn command(&self, cargo: &str) -> (Vec<(&'static str, &'static str)>, Vec<String>) {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        // Another apt may be at work, such as the unattended upgrades of a machine that has just booted.
        let apt = "apt-get -o DPkg::Lock::Timeout=120 -q";
        let quiet = vec![("DEBIAN_FRONTEND", "noninteractive")];
        // In single-user mode, as far as installation scripts know: without systemd, that keeps services from starting.
        let idle = vec![quiet[0], ("RUNLEVEL", "1")];
        match self {
            Self::Update => (quiet, words(&format!("{apt} update"))),
            Self::Mask(units) => (vec![], words(&format!("systemctl mask {}", units.join(" ")))),
            Self::Install(packages) => {
                (idle, words(&format!("{apt} install -y --no-install-recommends {}", packages.join(" "))))
            }
            Self::BuildLinker => {
                let mut line = vec![cargo.to_owned()];
                line.extend(LINKER_INSTALL.map(str::to_owned));
                // Replaces one that is there and does not run.
                line.push("--force".to_owned());
                (vec![("LLVM_PREFIX", LLVM_PREFIX)], line)
            }
            Self::BuildTool(tool) => {
                let place = workspace::root().join(TOOLS_PLACE).display().to_string();
                let (name, version) = (tool.name.to_owned(), tool.version.to_owned());
                let line = [cargo.to_owned(), "install".into(), "--locked".into(), name, "--version".into(), version];
                // They work for seconds: hardly optimised, they compile three times faster.
                let quick = vec![
                    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
                    ("CARGO_PROFILE_RELEASE_LTO", "off"),
                    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
                ];
                (quick, [&line[..], &["--root".to_owned(), place]].concat())
            }
            Self::MountBpffs => (vec![], words(&format!("mount -t bpf bpf {BPFFS}"))),
            Self::InstallPython(python) => {
                let below = |path: &str| workspace::root().join(path).display().to_string();
                (vec![], vec!["sh".to_owned(), below(PYTHON_INSTALLER), below(python.place), below(python.pinned)])
            }
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
