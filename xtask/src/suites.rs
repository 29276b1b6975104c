//! What there is to test, cheapest first. The tiers are those of the design.

use crate::{needs::Part, workspace::Target};

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
    /// One test at a time: they share the machine's interfaces and name spaces.
    pub(crate) serial: bool,
    /// It is an error that it does not exist. To be true for all once all are written.
    pub(crate) required: bool,
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
}

const SENSOR: &[&str] = &["tcpcap"];

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
        serial: false,
        required: true,
    },
    Suite {
        name: "units",
        tiers: &[1],
        about: "the daemon's parts, without a kernel",
        packages: SENSOR,
        targets: Targets::Units,
        release: true,
        root: false,
        serial: false,
        required: true,
    },
    Suite {
        name: "cli",
        tiers: &[1],
        about: "the command line, as scripts see it",
        packages: SENSOR,
        targets: Targets::Test("cli"),
        release: true,
        root: false,
        serial: false,
        required: false,
    },
    Suite {
        name: "xdp_prog",
        tiers: &[3],
        about: "packets through the program as the kernel loaded it",
        packages: SENSOR,
        targets: Targets::Test("xdp_prog"),
        release: true,
        root: true,
        serial: false,
        required: false,
    },
    Suite {
        name: "e2e",
        tiers: &[4],
        about: "the binary in network namespaces, against real scanners",
        packages: SENSOR,
        targets: Targets::Test("e2e"),
        release: true,
        root: true,
        serial: true,
        required: false,
    },
];

impl Suite {
    /// Whether the workspace has it.
    pub(crate) fn exists(&self, targets: &[Target]) -> bool {
        let Targets::Test(name) = self.targets else { return true };
        targets.iter().any(|t| t.kind == "test" && t.name == name && self.packages.contains(&t.package.as_str()))
    }

    /// What must be installed for it.
    pub(crate) fn parts(&self) -> &'static [Part] {
        match (self.root, self.packages == SENSOR) {
            (true, _) => &[Part::Compile, Part::Sandbox, Part::Bpffs],
            (false, true) => &[Part::Compile],
            (false, false) => &[],
        }
    }

    /// `cargo test` and what selects it.
    pub(crate) fn cargo_args(&self, targets: &[Target]) -> Vec<&'static str> {
        let mut args = vec!["test", "--no-fail-fast"];
        if self.release {
            args.push("--release");
        }
        self.packages.iter().for_each(|package| args.extend(["--package", *package]));
        match self.targets {
            Targets::All => {}
            Targets::Test(name) => args.extend(["--test", name]),
            Targets::Units => {
                // Cargo refuses `--lib` for a package that has none.
                if targets.iter().any(|t| t.kind == "lib" && self.packages.contains(&t.package.as_str())) {
                    args.push("--lib");
                }
                args.push("--bins");
            }
        }
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(kind: &str, name: &str) -> Target {
        Target { package: "tcpcap".to_owned(), kind: kind.to_owned(), name: name.to_owned() }
    }

    fn suite(name: &str) -> &'static Suite {
        SUITES.iter().find(|s| s.name == name).unwrap()
    }

    #[test]
    fn a_suite_exists_once_its_test_target_does() {
        assert!(!suite("e2e").exists(&[target("test", "cli"), target("bin", "e2e")]));
        assert!(suite("e2e").exists(&[target("test", "e2e")]));
    }

    #[test]
    fn the_library_is_tested_where_there_is_one() {
        let units = suite("units");
        assert!(!units.cargo_args(&[target("bin", "tcpcap")]).contains(&"--lib"));
        assert!(units.cargo_args(&[target("lib", "tcpcap")]).contains(&"--lib"));
    }

    #[test]
    fn only_what_runs_as_root_wants_the_sandbox() {
        for suite in SUITES {
            assert_eq!(suite.parts().contains(&Part::Sandbox), suite.root, "{}", suite.name);
        }
    }
}
