//! `cargo xtask package`: what is shipped, made into `target/dist/`. One file an artefact.

mod binary;
mod deb;
mod image;
mod sbom;
mod sums;
mod tarball;

use std::{fs, path::PathBuf, time::Instant};

use anyhow::Context;

use crate::{
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
}

/// What is made. Each is made of the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Artefact {
    /// tcpcap itself, in one file that needs nothing beside it
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

impl Package {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        let wanted = if self.only.is_empty() { &ALL[..] } else { &self.only };
        setup::ensure(&parts(wanted))?;
        let place = make(wanted)?;
        sums::write(&place)?;
        sums::show(&place)?;
        eprintln!("{} is ready ({})", place.display(), seconds(start.elapsed()));
        Ok(())
    }
}

impl Artefact {
    fn parts(self) -> &'static [Part] {
        match self {
            Self::Binary | Self::Sbom | Self::Deb | Self::Tarball => &[Part::Compile, Part::Package],
            Self::Image => &[Part::Compile, Part::Package, Part::Debian, Part::Container],
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
    let place = workspace::root().join(PLACE);
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let binary = binary::make(&place)?;
    for artefact in ALL.iter().filter(|artefact| wanted.contains(artefact)) {
        match artefact {
            Artefact::Binary => {}
            Artefact::Sbom => sbom::make(&place)?,
            Artefact::Deb => deb::make(&place, &binary)?,
            Artefact::Tarball => tarball::make(&place, &binary)?,
            Artefact::Image => image::make(&place, &binary)?,
        }
    }
    step::line("made in", &place.display().to_string());
    Ok(place)
}
