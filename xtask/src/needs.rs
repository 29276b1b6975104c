//! What the verbs need on a machine: one table, with how to see that it is there and what it is for.

use bpf_toolchain::recipe;

/// Where pinned maps live.
pub(crate) const BPFFS: &str = "/sys/fs/bpf";

/// A group of needs, so that a verb asks only for what it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// What `cargo build` needs.
    Compile,
    /// The tools of the sandbox and of the tests.
    Sandbox,
    /// The terminal that `tcpcap top` is tested in.
    Terminal,
    /// The file system that pinned maps live in.
    Bpffs,
    /// What `cargo xtask fuzz` needs beside.
    Fuzz,
    /// schemathesis, which asks the API whatever its document allows.
    Api,
    /// What the web page is tested in.
    Browser,
    /// What makes the binary that is shipped.
    Binary,
    /// What makes artefacts of it.
    Package,
    /// What makes a Debian in a directory, for images and machines.
    Debian,
    /// What images are built and run with.
    Container,
    /// What boots a Debian with systemd on this machine.
    Machine,
    /// What boots other kernels.
    Emulator,
    /// The Prometheus that the alerts are tried with.
    Monitoring,
    /// What renders manifests, and checks them.
    Kubernetes,
    /// What builds for the other architecture, and runs that here.
    Cross,
}

/// All of them.
pub(crate) const ALL: [Part; 16] = [
    Part::Compile,
    Part::Sandbox,
    Part::Terminal,
    Part::Bpffs,
    Part::Fuzz,
    Part::Api,
    Part::Browser,
    Part::Binary,
    Part::Package,
    Part::Debian,
    Part::Container,
    Part::Machine,
    Part::Emulator,
    Part::Monitoring,
    Part::Kubernetes,
    Part::Cross,
];

/// What a suite needs of Python, in an environment of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Python {
    pub(crate) name: &'static str,
    pub(crate) part: Part,
    /// The list of pinned versions, and the directory they are installed to, below the workspace.
    pub(crate) pinned: &'static str,
    pub(crate) place: &'static str,
    pub(crate) why: &'static str,
}

/// Installs one: its arguments are the directory and the list.
pub(crate) const PYTHON_INSTALLER: &str = "xtask/src/python.sh";

/// Wanted always.
pub(crate) const PYTHON: &[Python] = &[
    Python {
        name: "schemathesis",
        part: Part::Api,
        pinned: "tcpcap/tests/api/requirements.txt",
        place: "target/python",
        why: "tests the API",
    },
    Python {
        name: "kubernetes-validate",
        part: Part::Kubernetes,
        pinned: "tcpcap/tests/deploy/kubernetes/requirements.txt",
        place: "target/python-kubernetes",
        why: "knows the schemas of manifests",
    },
];

/// How to see that a package's content is there, whoever installed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    /// A command, on PATH or in an sbin directory.
    Command(&'static str),
    /// A file.
    File(&'static str),
}

/// A Debian package.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) probe: Probe,
    pub(crate) part: Part,
    pub(crate) why: &'static str,
}

/// Packages that bring a service, and its units. Only their programs are wanted, so the services are masked first;
/// where a package is there already, nothing is touched.
pub(crate) const SERVICES: &[(&str, &[&str])] = &[
    ("openssh-server", &["ssh.service", "ssh.socket"]),
    ("prometheus", &["prometheus.service"]),
    ("prometheus-alertmanager", &["prometheus-alertmanager.service"]),
];

const fn tool(name: &'static str, command: &'static str, why: &'static str) -> Package {
    needed(Part::Sandbox, name, command, why)
}

const fn needed(part: Part, name: &'static str, command: &'static str, why: &'static str) -> Package {
    Package { name, probe: Probe::Command(command), part, why }
}

const fn compile(name: &'static str, probe: Probe, why: &'static str) -> Package {
    Package { name, probe, part: Part::Compile, why }
}

const fn browser(name: &'static str, probe: Probe, why: &'static str) -> Package {
    Package { name, probe, part: Part::Browser, why }
}

/// Wanted always.
pub(crate) const PACKAGES: &[Package] = &[
    compile("gcc", Probe::Command("cc"), "links, and compiles the C parts of dependencies"),
    compile("libc6-dev", Probe::File("/usr/include/stdio.h"), "links"),
    compile("pkg-config", Probe::Command("pkg-config"), "finds libraries"),
    tool("iproute2", "ip", "makes network namespaces and veth pairs"),
    tool("util-linux", "nsenter", "enters them"),
    tool("ethtool", "ethtool", "sets offloads of veth pairs"),
    tool("nmap", "nmap", "scans"),
    tool("masscan", "masscan", "scans fast"),
    tool("hping3", "hping3", "sends odd flags and floods"),
    tool("curl", "curl", "is an honest client, and reads metrics"),
    tool("iputils-ping", "ping", "is another honest client"),
    tool("openssh-server", "sshd", "is the SSH server that somebody is logged in to"),
    tool("openssh-client", "ssh", "logs in"),
    tool("tcpdump", "tcpdump", "records what was sent"),
    tool("nftables", "nft", "is the second place of enforcement"),
    tool("faketime", "faketime", "shows a process another time of day"),
    tool("procps", "pgrep", "finds processes by name"),
    Package {
        name: "tmux",
        probe: Probe::Command("tmux"),
        part: Part::Terminal,
        why: "is a terminal that can be looked at",
    },
    Package {
        name: recipe::LINKER_PACKAGES[1],
        probe: Probe::Command("c++"),
        part: Part::Fuzz,
        why: "compiles the engine that searches for inputs",
    },
    needed(Part::Api, "python3-venv", "python3", "runs schemathesis, which tests the API"),
    needed(Part::Kubernetes, "python3-venv", "python3", "runs what checks manifests"),
    browser("chromium", Probe::Command("chromium"), "shows the web page"),
    browser("chromium-driver", Probe::Command("chromedriver"), "drives it"),
    browser(
        "fonts-liberation",
        Probe::File("/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf"),
        "has letters as most people see them",
    ),
    browser("pngquant", Probe::Command("pngquant"), "makes pictures of it small"),
    needed(Part::Container, "podman", "podman", "builds and runs the image"),
    needed(Part::Container, "runc", "runc", "runs it, on older control groups too"),
    needed(Part::Container, "catatonit", "catatonit", "holds the containers of a pod together"),
    needed(Part::Debian, "debootstrap", "debootstrap", "makes the Debian that images and machines begin with"),
    needed(Part::Debian, "lintian", "lintian", "knows what a package must not be like"),
    needed(Part::Machine, "systemd-container", "systemd-nspawn", "boots it"),
    needed(Part::Emulator, "qemu-system-x86", "qemu-system-x86_64", "runs other kernels"),
    needed(Part::Emulator, "busybox-static", "busybox", "is the first process under them"),
    needed(Part::Emulator, "cpio", "cpio", "packs what they begin with"),
    needed(Part::Emulator, "kmod", "modprobe", "knows what their modules need"),
    needed(Part::Emulator, "xz-utils", "xz", "unpacks their modules"),
    needed(Part::Emulator, "e2fsprogs", "mke2fs", "makes the disk that outlives their boots"),
    needed(Part::Monitoring, "prometheus", "promtool", "scrapes, and tries alerts"),
    needed(Part::Monitoring, "prometheus-alertmanager", "amtool", "reads the example of who is told what"),
    needed(Part::Kubernetes, "kubernetes-client", "kubectl", "renders manifests"),
    needed(Part::Cross, "gcc-aarch64-linux-gnu", "aarch64-linux-gnu-gcc", "links for aarch64"),
    Package {
        name: "libc6-dev-arm64-cross",
        probe: Probe::File("/usr/aarch64-linux-gnu/lib/libc.a"),
        part: Part::Cross,
        why: "is the C library of aarch64",
    },
    needed(Part::Cross, "qemu-user-static", "qemu-aarch64-static", "runs programs of aarch64"),
];

/// A program that is built with cargo, in this version, below the workspace's `target/`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) part: Part,
    pub(crate) why: &'static str,
}

/// Where cargo installs them, below the workspace.
pub(crate) const TOOLS_PLACE: &str = "target/tools";

/// Wanted always.
pub(crate) const TOOLS: &[Tool] = &[
    Tool {
        name: "cargo-auditable",
        version: "0.7.7",
        part: Part::Binary,
        why: "writes into a binary what it was made of",
    },
    Tool { name: "cargo-deb", version: "3.8.0", part: Part::Package, why: "makes the Debian package" },
];

/// Wanted where no compiler for BPF was found.
pub(crate) const COMPILER_PACKAGES: &[Package] = &[
    compile(recipe::COMPILER_PACKAGES[0], Probe::File("/usr/bin/rustc"), "compiles for BPF"),
    compile(recipe::COMPILER_PACKAGES[1], Probe::File("/usr/lib/rustlib/bpfel-unknown-none"), "is core, for BPF"),
];

/// Wanted where bpf-linker must be built.
pub(crate) const LINKER_PACKAGES: &[Package] = &[
    compile(
        recipe::LINKER_PACKAGES[0],
        Probe::File("/usr/lib/llvm-22/bin/llvm-config"),
        "is what bpf-linker is made of",
    ),
    compile(recipe::LINKER_PACKAGES[1], Probe::Command("c++"), "links bpf-linker with LLVM"),
    compile(recipe::LINKER_PACKAGES[2], Probe::File("/usr/include/zlib.h"), "links bpf-linker with LLVM"),
    compile(recipe::LINKER_PACKAGES[3], Probe::File("/usr/include/zstd.h"), "links bpf-linker with LLVM"),
];
