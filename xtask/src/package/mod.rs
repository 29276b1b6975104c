//! `cargo xtask package`: what is shipped, made into `target/dist/`. One file an artefact.

mod archive;
mod binary;
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

use std::{
    fs,
    path::{Path, PathBuf},
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
                .and_then(|()| make_for(arch, wanted, &workspace::root().join(PLACE).join(arch.name())))?,
            None => make(wanted)?,
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
    make_for(Arch::HERE, wanted, &workspace::root().join(PLACE))
}

fn make_for(arch: Arch, wanted: &[Artefact], place: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(place).with_context(|| format!("cannot make {}", place.display()))?;
    let source = Source::here();
    let toolchain = Search::from_env(host_target()).toolchain()?;
    let binary = binary::make(place, arch)?;
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
