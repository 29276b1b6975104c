//! `cargo xtask lint`: format, lints, licences.

use std::{env, path::Path, process::Command};

use anyhow::{Context, bail};
use bpf_toolchain::{Build, Search, build_command};

use crate::{
    machine::host_target,
    needs::Part,
    setup,
    step::{self, line},
    suites::{SUITES, Targets},
    workspace::{self, cargo_command},
};

/// Check format, lints and licences
#[derive(clap::Args)]
pub(crate) struct Lint {
    /// Also look for known vulnerabilities; fetches their list over the network
    #[arg(long)]
    advisories: bool,
}

impl Lint {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        setup::ensure(&[Part::Compile])?;
        let mut bad = Vec::new();
        let mut check = |name: &'static str, remedy: &str, command: &mut Command| -> anyhow::Result<()> {
            eprintln!("== {name}");
            let status = command.status().with_context(|| format!("cannot run {}", command.get_program().display()))?;
            if status.success() {
                line(name, "ok");
            } else {
                line(name, &format!("failed\n  {remedy}"));
                bad.push(name);
            }
            Ok(())
        };

        check("format", "run: cargo fmt --all", &mut cargo_command(&["fmt", "--all", "--check"]))?;
        // The eBPF crate too: it also compiles for the host, where clippy is at hand in every installation.
        let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        check("clippy", "see the messages above", &mut cargo_command(&clippy))?;
        check("clippy, root's tests", "see the messages above", &mut clippy_tests_of_root())?;
        check("eBPF for its target", "see the messages above", &mut ebpf_without_warnings()?)?;
        check("rustdoc", "see the messages above", &mut rustdoc())?;

        install_cargo_deny()?;
        let mut deny = vec!["deny", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"];
        if self.advisories {
            deny.push("advisories");
        } else {
            eprintln!("known vulnerabilities are not looked for; over the network: cargo xtask lint --advisories");
        }
        check("dependencies", "see the messages above and deny.toml", &mut cargo_command(&deny))?;

        if bad.is_empty() {
            return Ok(());
        }
        bail!("failed: {}\n  the remedies stand above", bad.join(", "))
    }
}

/// The test targets that cargo leaves out of "all", because they need root.
fn clippy_tests_of_root() -> Command {
    let mut clippy = cargo_command(&["clippy"]);
    for suite in SUITES {
        if let Targets::Test(name) = suite.targets {
            clippy.args(suite.packages.iter().flat_map(|package| ["--package", *package]));
            clippy.args(["--test", name]);
        }
    }
    clippy.args(["--", "-D", "warnings"]);
    clippy
}

/// The build that tcpcap's build script makes, whose warnings cargo does not show.
fn ebpf_without_warnings() -> anyhow::Result<Command> {
    let found = Search::from_env(host_target()).toolchain()?;
    let target_dir = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace::root().join("target"), Into::into);
    let (cargo, root) = (workspace::cargo(), workspace::root());
    let build = Build {
        target: host_target(),
        arch: env::consts::ARCH,
        root: &root,
        cargo: Path::new(&cargo),
        target_dir: &target_dir.join("ebpf-lint"),
        deny_warnings: true,
    };
    Ok(build_command(&found, &build))
}

fn rustdoc() -> Command {
    let mut doc = cargo_command(&["doc", "--workspace", "--exclude", "tcpcap-ebpf", "--no-deps"]);
    doc.args(["--document-private-items", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings");
    doc
}

fn install_cargo_deny() -> anyhow::Result<()> {
    if cargo_command(&["deny", "--version"]).output().is_ok_and(|out| out.status.success()) {
        return Ok(());
    }
    let mut install = cargo_command(&["install", "--locked", "cargo-deny", "--version", "0.20.2"]);
    // It works for a second: not optimised, it compiles three times faster.
    install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0").env("CARGO_PROFILE_RELEASE_LTO", "off");
    install.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16").env_remove("CARGO_TARGET_DIR");
    step::run("cargo-deny", "installed", "install it by hand: cargo install --locked cargo-deny", &mut install)
}
