//! What there is to test, cheapest first. The tiers are those of the design.

use crate::{
    fuzz,
    needs::Part,
    package::{self, Artefact},
};

/// A set of tests that are built and run together.
#[derive(Debug)]
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) tiers: &'static [u8],
    /// What it shows, in a few words.
    pub(crate) about: &'static str,
    pub(crate) packages: &'static [&'static str],
    pub(crate) targets: Targets,
    /// With optimisation, so that the eBPF program and the binary are built once for all suites that need them.
    pub(crate) release: bool,
    /// Its programs are run as root.
    pub(crate) root: bool,
    /// Its programs are told of the tcpcap that was built, in `TCPCAP_BUILT`: as root they may have no cargo to ask.
    pub(crate) shows_tcpcap: bool,
    /// One test at a time: they share the machine's interfaces and name spaces.
    pub(crate) serial: bool,
    /// When it runs.
    pub(crate) when: When,
    /// What is shipped and made for it. Its programs are told where that lies, in `TCPCAP_DIST`.
    pub(crate) ships: &'static [Artefact],
    /// What must be installed beside what compiling and, for root, the sandbox ask for.
    pub(crate) extra: &'static [Part],
}

/// When a suite runs, by what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Whenever nothing else is asked for.
    Always,
    /// With `--long`: it takes minutes.
    Long,
    /// With `--builds`: it compiles tcpcap once more, for elsewhere. Its tests are those that are ignored otherwise.
    Builds,
}

/// Which targets of the packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Targets {
    /// All, doc tests too.
    All,
    /// The library and the programs.
    Units,
    /// One integration test.
    Test(&'static str),
    /// No test program: labelled captures, see [`crate::eval::suite`].
    Captures,
    /// No test programs, but a short search with each of the fuzz targets.
    Search,
}

const SENSOR: &[&str] = &["tcpcap"];
const FUZZ: &[&str] = &["tcpcap-fuzz"];

/// All of them, in the order in which they run.
pub(crate) const SUITES: &[Suite] = &[
    Suite {
        name: "everywhere",
        tiers: &[1, 2, 6],
        about: "scenarios, properties and captures through the pure parts; the tools themselves",
        packages: &["tcpcap-common", "tcpcap-core", "bpf-toolchain", "xtask", "tcpcap-lab"],
        targets: Targets::All,
        release: false,
        root: false,
        shows_tcpcap: false,
        serial: false,
        when: When::Always,
        ships: &[],
        extra: &[],
    },
    Suite {
        name: "memory",
        tiers: &[2],
        about: "what the core holds under hostile input, counted byte by byte",
        packages: &["tcpcap-core"],
        targets: Targets::Test("memory"),
        release: true,
        root: false,
        shows_tcpcap: false,
        serial: false,
        when: When::Always,
        ships: &[],
        extra: &[],
    },
    Suite {
        name: "populations",
        tiers: &[1, 2],
        about: "random sources, honest and hostile, and who of them is found",
        packages: &["tcpcap-core"],
        targets: Targets::Test("populations"),
        release: true,
        root: false,
        shows_tcpcap: false,
        serial: false,
        when: When::Always,
        ships: &[],
        extra: &[],
    },
    Suite {
        name: "units",
        tiers: &[1],
        about: "the daemon's parts, without a kernel",
        packages: SENSOR,
        targets: Targets::Units,
        release: true,
        root: false,
        shows_tcpcap: false,
        serial: false,
        when: When::Always,
        ships: &[],
        extra: &[],
    },
    Suite {
        name: "replay",
        tiers: &[1, 6],
        about: "capture files through the same detector, whole, damaged and odd",
        packages: SENSOR,
        targets: Targets::Test("replay"),
        release: true,
        root: false,
        shows_tcpcap: false,
        serial: false,
        when: When::Always,
        ships: &[],
        extra: &[],
    },
    Suite {
        name: "config",
        tiers: &[1],
        about: "configurations, right and wrong, by the real binary",
        packages: SENSOR,
        targets: Targets::Test("config"),
        release: true,
        root: false,
        shows_tcpcap: false,
        serial: false,
        when: When::Always,
        ships: &[],
        extra: &[],
    },
    Suite {
        name: "control",
        tiers: &[1],
        about: "the control socket and the verbs that use it, against a daemon that only answers",
        packages: SENSOR,
        targets: Targets::Test("control"),
        release: true,
        root: false,
        shows_tcpcap: false,
        serial: false,
        when: When::Always,
        ships: &[],
        extra: &[],
    },
    Suite {
        name: "top",
        tiers: &[1],
        about: "tcpcap top in a terminal, against a daemon that only answers",
        packages: SENSOR,
        targets: Targets::Test("top"),
        release: true,
        root: false,
        shows_tcpcap: false,
        serial: false,
        when: When::Always,
        ships: &[],
        extra: &[Part::Terminal],
    },
    Suite {
        name: "deploy",
        tiers: &[1],
        about: "manifests, rules, dashboards and units, held against their schemas and against what tcpcap has",
        packages: SENSOR,
        targets: Targets::Test("deploy"),
        release: true,
        root: false,
        shows_tcpcap: false,
        serial: false,
        when: When::Always,
        ships: &[],
        extra: &[Part::Monitoring, Part::Kubernetes],
    },
    Suite {
        name: "captures",
        tiers: &[6],
        about: "labelled captures of real tools: what is found, what is not",
        packages: SENSOR,
        targets: Targets::Captures,
        release: true,
        root: false,
        shows_tcpcap: true,
        serial: true,
        when: When::Always,
        ships: &[],
        extra: &[],
    },
    Suite {
        name: "seeds",
        tiers: &[2, 6],
        about: "hostile frames, files and sightings: seeds and random changes of them",
        packages: FUZZ,
        targets: Targets::All,
        release: true,
        root: false,
        shows_tcpcap: false,
        serial: false,
        when: When::Always,
        ships: &[],
        extra: &[],
    },
    Suite {
        name: "fuzz",
        tiers: &[2],
        about: "a short search for hostile ones that break something",
        packages: FUZZ,
        targets: Targets::Search,
        release: true,
        root: false,
        shows_tcpcap: false,
        serial: false,
        when: When::Always,
        ships: &[],
        extra: fuzz::PARTS,
    },
    Suite {
        name: "history",
        tiers: &[4],
        about: "the history against kill -9 and disks that are full or read-only",
        packages: SENSOR,
        targets: Targets::Test("history"),
        release: true,
        root: true,
        shows_tcpcap: false,
        serial: false,
        when: When::Always,
        ships: &[],
        extra: &[],
    },
    Suite {
        name: "xdp_prog",
        tiers: &[3],
        about: "packets through the program as the kernel loaded it",
        packages: SENSOR,
        targets: Targets::Test("xdp_prog"),
        release: true,
        root: true,
        shows_tcpcap: false,
        serial: false,
        when: When::Always,
        ships: &[],
        extra: &[],
    },
    Suite {
        name: "lab",
        tiers: &[4],
        about: "the network namespaces that those below are played in",
        packages: &["tcpcap-lab"],
        targets: Targets::Test("lab"),
        release: false,
        root: true,
        shows_tcpcap: false,
        serial: true,
        when: When::Always,
        ships: &[],
        extra: &[],
    },
    Suite {
        name: "mirror",
        tiers: &[4],
        about: "blocks mirrored into the real nftables, in network namespaces",
        packages: SENSOR,
        targets: Targets::Test("mirror"),
        release: true,
        root: true,
        shows_tcpcap: false,
        serial: true,
        when: When::Always,
        ships: &[],
        extra: &[],
    },
    Suite {
        name: "doctor",
        tiers: &[4],
        about: "tcpcap doctor where what it is to find is really so",
        packages: SENSOR,
        targets: Targets::Test("doctor"),
        release: true,
        root: true,
        shows_tcpcap: false,
        serial: true,
        when: When::Always,
        ships: &[],
        extra: &[],
    },
    Suite {
        name: "e2e",
        tiers: &[4],
        about: "the binary in network namespaces, against real scanners",
        packages: SENSOR,
        targets: Targets::Test("e2e"),
        release: true,
        root: true,
        shows_tcpcap: false,
        serial: true,
        when: When::Always,
        ships: &[],
        extra: &[],
    },
    Suite {
        name: "api",
        tiers: &[2, 4],
        about: "the API of the running daemon, asked whatever its document allows and forbids",
        packages: SENSOR,
        targets: Targets::Test("api"),
        release: true,
        root: true,
        shows_tcpcap: false,
        serial: true,
        when: When::Always,
        ships: &[],
        extra: &[Part::Api],
    },
    Suite {
        name: "web",
        tiers: &[4],
        about: "the web page in a real browser, over a daemon that is scanned",
        packages: SENSOR,
        targets: Targets::Test("web"),
        release: true,
        root: true,
        shows_tcpcap: false,
        serial: true,
        when: When::Always,
        ships: &[],
        extra: &[Part::Browser],
    },
    Suite {
        name: "monitoring",
        tiers: &[4],
        about: "a real Prometheus with our alerts, over a daemon that is scanned",
        packages: SENSOR,
        targets: Targets::Test("monitoring"),
        release: true,
        root: true,
        shows_tcpcap: false,
        serial: true,
        when: When::Always,
        ships: &[],
        extra: &[Part::Monitoring],
    },
    Suite {
        name: "sandbox",
        tiers: &[4],
        about: "the show of cargo xtask run, to its end and interrupted",
        packages: &["xtask"],
        targets: Targets::Test("sandbox"),
        release: false,
        root: true,
        shows_tcpcap: true,
        serial: true,
        when: When::Always,
        ships: &[],
        extra: &[],
    },
    Suite {
        name: "long",
        tiers: &[4],
        about: "the binary killed a hundred times and replaced twenty times, under a scan and honest traffic",
        packages: SENSOR,
        targets: Targets::Test("long"),
        release: true,
        root: true,
        shows_tcpcap: false,
        serial: true,
        when: When::Long,
        ships: &[],
        extra: &[],
    },
    Suite {
        name: "container",
        tiers: &[4],
        about: "the image as podman runs it, with the least privileges",
        packages: SENSOR,
        targets: Targets::Test("container"),
        release: true,
        root: true,
        shows_tcpcap: false,
        serial: true,
        when: When::Long,
        ships: &[Artefact::Image],
        extra: &[Part::Kubernetes],
    },
    Suite {
        name: "systemd",
        tiers: &[4],
        about: "the service under a real systemd",
        packages: SENSOR,
        targets: Targets::Test("systemd"),
        release: true,
        root: true,
        shows_tcpcap: false,
        serial: true,
        when: When::Long,
        ships: &[Artefact::Deb],
        extra: &[Part::Debian, Part::Machine],
    },
    Suite {
        name: "supply",
        tiers: &[1, 2, 6],
        about: "what is shipped: what is in it, built twice, and for another architecture",
        packages: &["xtask"],
        targets: Targets::Test("supply"),
        release: false,
        root: false,
        shows_tcpcap: false,
        serial: true,
        when: When::Long,
        ships: &[Artefact::Binary, Artefact::Sbom],
        extra: &[],
    },
    Suite {
        name: "package",
        tiers: &[4],
        about: "the Debian package and the tarball: installed, upgraded, removed, purged",
        packages: SENSOR,
        targets: Targets::Test("package"),
        release: true,
        root: true,
        shows_tcpcap: false,
        serial: true,
        when: When::Long,
        ships: &[Artefact::Deb, Artefact::Tarball],
        extra: &[Part::Debian, Part::Machine],
    },
    Suite {
        name: "source",
        tiers: &[4],
        about: "the image made from a clone and nothing else",
        packages: SENSOR,
        targets: Targets::Test("container"),
        release: true,
        root: true,
        shows_tcpcap: false,
        serial: true,
        when: When::Builds,
        ships: &[Artefact::Image],
        extra: &[],
    },
    Suite {
        name: "aarch64",
        tiers: &[1, 2, 6],
        about: "the pure parts and the shipped binary for aarch64, as qemu runs them",
        packages: &["xtask"],
        targets: Targets::Test("supply"),
        release: false,
        root: false,
        shows_tcpcap: false,
        serial: true,
        when: When::Builds,
        ships: &[Artefact::Binary],
        extra: &[Part::Cross],
    },
];

impl Suite {
    /// Whether it is among those of these tiers (none: of all), and of those that run then.
    pub(crate) fn is_wanted(&self, tiers: &[u8], when: &[When]) -> bool {
        (tiers.is_empty() || self.tiers.iter().any(|tier| tiers.contains(tier))) && when.contains(&self.when)
    }

    /// What must be installed for it.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        if self.root || self.builds_tcpcap() {
            parts.push(Part::Compile);
        }
        if self.root {
            parts.extend([Part::Sandbox, Part::Bpffs]);
        }
        parts.extend(package::parts(self.ships));
        parts.extend(self.extra);
        parts
    }

    /// Whether the eBPF program is compiled for it.
    fn builds_tcpcap(&self) -> bool {
        self.packages == SENSOR || self.packages == FUZZ
    }

    /// `cargo test` and what selects it.
    pub(crate) fn cargo_args(&self) -> Vec<&'static str> {
        let mut args = vec!["test", "--no-fail-fast"];
        if self.release {
            args.push("--release");
        }
        self.packages.iter().for_each(|package| args.extend(["--package", *package]));
        match self.targets {
            Targets::All | Targets::Captures | Targets::Search => {}
            Targets::Test(name) => args.extend(["--test", name]),
            Targets::Units => args.extend(["--lib", "--bins"]),
        }
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_minutes_runs_beside_the_others_and_only_where_it_is_asked_for() {
        let names = |tiers: &[u8], when: &[When]| -> Vec<&str> {
            SUITES.iter().filter(|s| s.is_wanted(tiers, when)).map(|s| s.name).collect()
        };
        let (usual, long) = (names(&[], &[When::Always]), names(&[], &[When::Always, When::Long]));
        assert_eq!(long[..usual.len()], usual);
        assert_eq!(long[usual.len()..], ["long", "container", "systemd", "supply", "package"]);
        assert_eq!(names(&[], &[When::Builds]), ["source", "aarch64"]);
        assert_eq!(long.len() + 2, SUITES.len());
        assert_eq!(names(&[3], &[When::Always, When::Long]), ["xdp_prog"]);
    }

    #[test]
    fn only_what_runs_as_root_wants_the_sandbox() {
        for suite in SUITES {
            assert_eq!(suite.parts().contains(&Part::Sandbox), suite.root, "{}", suite.name);
        }
    }
}
