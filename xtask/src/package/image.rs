//! The container image, of the binary that the other artefacts hold, as an archive for `podman load` and `docker load`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail};
use tcpcap_lab::Podman;

use super::archive;
use crate::{
    machine::{self, Root},
    step, workspace,
};

/// What the image is called: where it can be had from is for those to say who put it there.
const NAME: &str = "localhost/tcpcap";
/// What stands in for the base image where that cannot be had. A name of its own, so that nobody takes it for that.
const STAND_IN: &str = "localhost/tcpcap-base";
/// How old the stand-in may be, in seconds: fixed libraries get into the image.
const STAND_IN_AGE: u64 = 14 * 24 * 3600;
/// Where podman's settings and what else is needed on the way are, below the workspace.
const WORK: &str = "target/image";

pub(super) fn make(place: &Path, _binary: &Path) -> anyhow::Result<()> {
    let work = workspace::root().join(WORK);
    let podman = Podman::here(&work)?;
    let base = base(&podman, &work)?;
    let version = env!("CARGO_PKG_VERSION");
    let tag = format!("{NAME}:{version}");
    let build = [
        "build",
        // The other format has no health check.
        "--format=docker",
        "--network=host",
        // What was built before is taken for the same whatever arguments say, and Debian mends its packages.
        "--no-cache",
        &format!("--timestamp={}", git(&["log", "-1", "--format=%ct"]).unwrap_or_else(|| "0".to_owned())),
        "--build-arg=TCPCAP=prebuilt",
        &format!("--build-arg=BASE={base}"),
        &format!("--build-arg=VERSION={version}"),
        &format!("--build-arg=REVISION={}", git(&["rev-parse", "HEAD"]).unwrap_or_else(|| "unknown".to_owned())),
        &format!("--tag={tag}"),
        ".",
    ];
    let remedy = "see the messages above";
    step::run("image", "built", remedy, podman.command(&build).current_dir(workspace::root()))?;
    let saved = work.join("saved.tar");
    fs::remove_file(&saved).ok();
    let save = ["save", "--format=docker-archive", &format!("--output={}", saved.display()), &tag];
    step::run("image", "saved", remedy, &mut podman.command(&save))?;
    let to = place.join(format!("tcpcap-{version}-image-{}.tar.gz", std::env::consts::ARCH));
    // Whoever interrupts this leaves no half of it among the artefacts.
    let packed = work.join("packed.tar.gz");
    let id = archive::tidy(&saved, &packed)?;
    fs::rename(&packed, &to).with_context(|| format!("cannot make {}", to.display()))?;
    fs::remove_file(&saved).ok();
    step::line("image", &format!("{tag}, {id}"));
    Ok(())
}

/// The image to begin with: the one that the Dockerfile names, from here or from its registry, else a stand-in.
fn base(podman: &Podman, work: &Path) -> anyhow::Result<String> {
    let named =
        named(&fs::read_to_string(workspace::root().join("Dockerfile")).context("cannot read the Dockerfile")?)?;
    let is_there = |image: &str| podman.run(&["image", "exists", image]).is_ok_and(|(code, _)| code == 0);
    if is_there(&named) || podman.run(&["pull", "--quiet", &named])?.0 == 0 {
        step::line("base image", &named);
        return Ok(named);
    }
    let suite = suite(&named).with_context(|| format!("{named} cannot be had, and what would stand in is unknown"))?;
    let stand_in = format!("{STAND_IN}:{suite}");
    let why = format!("{stand_in}, as {named} cannot be had");
    if is_there(&stand_in) && is_young(podman, &stand_in) {
        step::line("base image", &why);
        return Ok(stand_in);
    }
    if machine::root() != Root::Already {
        bail!("the base image {named} cannot be had\n  pull it, or run this as root, to have a stand-in made");
    }
    make_stand_in(podman, work, &suite, &stand_in)?;
    step::line("base image", &why);
    Ok(stand_in)
}

fn is_young(podman: &Podman, image: &str) -> bool {
    let made = podman.run(&["image", "inspect", "--format={{.Created.Unix}}", image]);
    let made = made.ok().and_then(|(_, said)| said.trim().parse::<u64>().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    made.is_some_and(|made| now.saturating_sub(made) < STAND_IN_AGE)
}

/// A small Debian. Whom this machine trusts beside the usual authorities, it trusts too: builds in it go the same ways.
fn make_stand_in(podman: &Podman, work: &Path, suite: &str, image: &str) -> anyhow::Result<()> {
    let directory = tempfile::Builder::new().prefix("base-").tempdir_in(work)?;
    let root = directory.path().join("root");
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", suite]).arg(&root);
    step::run(&format!("Debian {suite}"), "made", "see the messages above", &mut debootstrap)?;
    let trusted: PathBuf = root.join("usr/local/share/ca-certificates");
    fs::create_dir_all(&trusted)?;
    for certificate in fs::read_dir("/usr/local/share/ca-certificates").into_iter().flatten().flatten() {
        if certificate.path().extension().is_some_and(|ending| ending == "crt") {
            fs::copy(certificate.path(), trusted.join(certificate.file_name()))?;
        }
    }
    let packed = directory.path().join("root.tar");
    let mut tar = Command::new("tar");
    tar.args(["--exclude=./var/cache/apt/archives/*.deb", "--exclude=./etc/resolv.conf", "-cf"]).arg(&packed);
    step::run("Debian", "packed", "is there room?", tar.arg("-C").arg(&root).arg("."))?;
    let import = ["import".as_ref(), "--quiet".as_ref(), packed.as_os_str(), image.as_ref()];
    step::run(image, "imported", "see the messages above", &mut podman.command(&import))
}

/// The base image's full name in the Dockerfile.
fn named(dockerfile: &str) -> anyhow::Result<String> {
    let name = dockerfile.lines().find_map(|line| line.strip_prefix("ARG BASE="));
    Ok(name.context("the Dockerfile names no base image (ARG BASE=…)")?.trim().to_owned())
}

/// Which Debian an image is: `…/debian:trixie-slim`, with or without a digest.
fn suite(image: &str) -> Option<String> {
    let (_, tag) = image.split('@').next()?.rsplit_once("/debian:")?;
    Some(tag.trim_end_matches("-slim").to_owned())
}

fn git(args: &[&str]) -> Option<String> {
    let out = Command::new("git").args(args).current_dir(workspace::root()).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned()).filter(|said| !said.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dockerfile_names_a_debian_that_can_be_stood_in_for() {
        let dockerfile = fs::read_to_string(workspace::root().join("Dockerfile")).unwrap();
        assert_eq!(suite(&named(&dockerfile).unwrap()).as_deref(), Some("trixie"));
        assert_eq!(suite("docker.io/library/debian:forky@sha256:00").as_deref(), Some("forky"));
        assert_eq!(suite("gcr.io/distroless/static"), None);
    }
}
