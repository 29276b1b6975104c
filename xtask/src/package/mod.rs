//! `cargo xtask package`: what is shipped, made into `target/dist/`. One file an artefact.

mod archive;
mod binary;
mod changelog;
mod crates;
mod deb;
mod image;
mod licences;
mod natives;
mod object;
mod provenance;
mod sbom;
mod sums;
mod tarball;
pub(crate) mod target;
mod tree;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, bail};
use bpf_toolchain::Search;

use self::{provenance::Source, target::Arch};
use crate::{
    machine::host_target,
    needs::Part,
    setup,
    step::{self, seconds},
    workspace,
};

/// Where it is made, below the workspace.
const PLACE: &str = "target/dist";

/// Make what is shipped, in target/dist
#[derive(clap::Args)]
pub(crate) struct Package {
    /// Only these; everything unless named
    #[arg(value_enum, value_name = "WHAT")]
    only: Vec<Artefact>,
    /// For another architecture, into a directory of its name: the binary and its bill of materials
    #[arg(long, value_enum)]
    arch: Option<Arch>,
    /// Made of this binary, instead of one that is built for it
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Made here, instead of in target/dist
    #[arg(long, value_name = "DIR")]
    place: Option<PathBuf>,
}

/// What is made. Each is made of the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Artefact {
    /// tcpcap itself, in one file that needs nothing beside it; with its object, licences and provenance
    Binary,
    /// The bill of materials: what the binary is made of
    Sbom,
    /// The Debian package
    Deb,
    /// The same for other systems
    Tarball,
    /// The container image
    Image,
}

const ALL: [Artefact; 5] = [Artefact::Binary, Artefact::Sbom, Artefact::Deb, Artefact::Tarball, Artefact::Image];

/// What can be made for another architecture.
const EVERYWHERE: [Artefact; 2] = [Artefact::Binary, Artefact::Sbom];

impl Package {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        let foreign = self.arch.filter(|arch| *arch != Arch::HERE);
        let all = if foreign.is_some() { &EVERYWHERE[..] } else { &ALL[..] };
        let wanted = if self.only.is_empty() { all } else { &self.only };
        if let Some(other) = wanted.iter().find(|artefact| !all.contains(artefact)) {
            bail!("{other:?} is made on its own architecture only\n  run cargo xtask package there");
        }
        let mut parts = parts(wanted);
        parts.extend(foreign.map(|_| Part::Cross));
        setup::ensure(&parts)?;
        let place = match foreign {
            Some(arch) => arch
                .ensure_library()
                .and_then(|()| make_for(arch, wanted, &workspace::root().join(PLACE).join(arch.name()), None))?,
            None => {
                let place = self.place.clone().unwrap_or_else(|| workspace::root().join(PLACE));
                make_for(Arch::HERE, wanted, &place, self.binary.as_deref())?
            }
        };
        sums::show(&place)?;
        eprintln!("{} is ready ({})", place.display(), seconds(start.elapsed()));
        Ok(())
    }
}

impl Artefact {
    fn parts(self) -> &'static [Part] {
        match self {
            // A build of the binary alone, as in the image's Dockerfile, waits for nothing else.
            Self::Binary => &[Part::Compile, Part::Binary],
            Self::Sbom | Self::Deb | Self::Tarball => &[Part::Compile, Part::Binary, Part::Package],
            Self::Image => &[Part::Compile, Part::Binary, Part::Debian, Part::Container],
        }
    }
}

/// What must be installed to make these.
pub(crate) fn parts(wanted: &[Artefact]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for part in wanted.iter().flat_map(|artefact| artefact.parts()) {
        if !parts.contains(part) {
            parts.push(*part);
        }
    }
    parts
}

/// Makes these, and what they are made of, and says where they lie.
///
/// # Errors
/// When one cannot be made; its last words have been shown.
pub(crate) fn make(wanted: &[Artefact]) -> anyhow::Result<PathBuf> {
    make_for(Arch::HERE, wanted, &workspace::root().join(PLACE), None)
}

/// Made of this binary, where one is given.
fn make_for(arch: Arch, wanted: &[Artefact], place: &Path, given: Option<&Path>) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(place).with_context(|| format!("cannot make {}", place.display()))?;
    let source = Source::here();
    let toolchain = Search::from_env(host_target()).toolchain()?;
    let binary = given.map_or_else(|| binary::make(place, arch), |given| Ok(given.to_owned()))?;
    let object = object::make(place, arch, &toolchain, &binary)?;
    let crates = crates::of(&binary)?;
    let natives = natives::all(&crates, &toolchain)?;
    licences::write(place, &crates, &natives)?;
    provenance::write(place, arch, &source, &toolchain, [&binary, &object])?;
    for artefact in ALL.iter().filter(|artefact| wanted.contains(artefact)) {
        match artefact {
            Artefact::Binary => {}
            Artefact::Sbom => sbom::make(place, &binary, &crates, &natives, &source)?,
            Artefact::Deb => deb::make(place, &binary)?,
            Artefact::Tarball => tarball::make(place, &binary)?,
            Artefact::Image => image::make(place, &binary)?,
        }
    }
    sums::write(place)?;
    step::line("made in", &place.display().to_string());
    Ok(place.to_owned())
}

/// The time that everything is said to be of, in seconds since 1970: that of the commit, unless `SOURCE_DATE_EPOCH` says
/// otherwise. What is made of the same files is the same, whenever that was.
fn epoch() -> anyhow::Result<u64> {
    if let Some(given) = env::var_os("SOURCE_DATE_EPOCH") {
        let given = given.to_string_lossy();
        return given.parse().with_context(|| format!("SOURCE_DATE_EPOCH is {given}, and no number of seconds"));
    }
    let mut git = Command::new("git");
    let output = git.args(["log", "-1", "--format=%ct"]).current_dir(workspace::root()).output();
    let said = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let seconds = said.and_then(|said| String::from_utf8_lossy(&said).trim().parse().ok());
    seconds.context("git does not tell of when this is\n  set SOURCE_DATE_EPOCH to the seconds since 1970")
}
