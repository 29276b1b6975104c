//! What tcpcap is made of: the crates that the binary itself names (cargo auditable), those of the program inside it that
//! runs in the kernel, and what is said of each where it comes from.

use std::{collections::BTreeMap, fs, path::Path, path::PathBuf};

use anyhow::{Context, anyhow};
use auditable_info::Limits;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    machine::host_target,
    workspace::{self, cargo_command},
};

/// A crate that is in what is shipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) version: String,
    /// As its manifest says, an SPDX expression.
    pub(super) licence: String,
    pub(super) repository: Option<String>,
    /// Where its source lies on this machine.
    pub(super) dir: PathBuf,
    /// SHA-256 of the package, as the lock file has it; none of what is in this workspace.
    pub(super) checksum: Option<String>,
    /// It is in the daemon.
    pub(super) in_daemon: bool,
    /// It is in the program that runs in the kernel.
    pub(super) in_kernel: bool,
    /// Those of the list that it is made of, in both.
    pub(super) needs: Vec<usize>,
}

/// The crates that are in this binary, by name and version, as it says itself: without build scripts and their crates.
///
/// # Errors
/// The binary does not say, or names a crate that the lock file does not have.
pub(super) fn of(binary: &Path) -> anyhow::Result<Vec<Crate>> {
    let known = Known::read()?;
    let mut list = List::default();
    let daemon = inside(binary)?;
    for package in daemon.iter().filter(|package| package.is_inside()) {
        list.add(&known, &package.id(), |found| found.in_daemon = true)?;
    }
    for package in daemon.iter().filter(|package| package.is_inside()) {
        let needs = package.dependencies.iter().filter_map(|n| daemon.get(*n));
        needs.for_each(|needed| list.link(&package.id(), &needed.id()));
    }
    let kernel = kernel_graph()?;
    for id in kernel.keys() {
        list.add(&known, id, |found| found.in_kernel = true)?;
    }
    for (id, needs) in &kernel {
        needs.iter().for_each(|needed| list.link(id, needed));
    }
    Ok(list.finish())
}

/// Name and version.
type Id = (String, String);

/// A package as the binary names it (the format of cargo auditable).
#[derive(Deserialize)]
struct Named {
    name: String,
    version: String,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    dependencies: Vec<usize>,
}

impl Named {
    /// Not one that only took part in the build.
    fn is_inside(&self) -> bool {
        self.kind.as_deref() != Some("build")
    }

    fn id(&self) -> Id {
        (self.name.clone(), self.version.clone())
    }
}

fn inside(binary: &Path) -> anyhow::Result<Vec<Named>> {
    #[derive(Deserialize)]
    struct List {
        packages: Vec<Named>,
    }
    let json = auditable_info::json_from_file(binary, Limits::default())
        .map_err(|e| anyhow!("{} does not say what it is made of: {e}", binary.display()))?;
    Ok(serde_json::from_str::<List>(&json).context("the list in the binary is damaged")?.packages)
}

/// The crates of the program that runs in the kernel, each with what it is made of. It is built by itself, so that
/// dependencies may have fewer features there.
fn kernel_graph() -> anyhow::Result<BTreeMap<Id, Vec<Id>>> {
    let args = ["tree", "--locked", "--package", "tcpcap-ebpf", "--edges", "normal,no-proc-macro", "--no-dedupe"];
    let mut tree = cargo_command(&args);
    let out = tree.args(["--prefix", "depth", "--format", " {p}", "--target", host_target()]).output()?;
    let text = String::from_utf8_lossy(&out.stdout);
    graph(&text).filter(|graph| !graph.is_empty()).with_context(|| format!("cargo tree says {text:?}"))
}

/// From lines such as `1 aya-ebpf v0.2.1`, each below what it is a part of.
fn graph(tree: &str) -> Option<BTreeMap<Id, Vec<Id>>> {
    let mut graph: BTreeMap<Id, Vec<Id>> = BTreeMap::new();
    let mut above: Vec<Id> = Vec::new();
    for line in tree.lines() {
        let mut words = line.split(' ');
        let (depth, name, version) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
        let id = (name.to_owned(), version.strip_prefix('v')?.to_owned());
        above.truncate(depth);
        if let Some(parent) = above.last() {
            graph.entry(parent.clone()).or_default().push(id.clone());
        }
        graph.entry(id.clone()).or_default();
        above.push(id);
    }
    Some(graph)
}

/// What cargo and the lock file know of all crates there are.
struct Known {
    packages: BTreeMap<Id, Value>,
    checksums: BTreeMap<Id, String>,
}

impl Known {
    fn read() -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Lock {
            package: Vec<Locked>,
        }
        #[derive(Deserialize)]
        struct Locked {
            name: String,
            version: String,
            checksum: Option<String>,
        }
        let lock = fs::read_to_string(workspace::root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
        let lock: Lock = toml::from_str(&lock).context("cannot read Cargo.lock")?;
        let checksums = lock.package.into_iter().filter_map(|p| Some(((p.name, p.version), p.checksum?))).collect();
        let mut command = cargo_command(&["metadata", "--format-version", "1", "--locked"]);
        let all = serde_json::from_slice::<Value>(&command.output()?.stdout).context("cargo metadata fails")?;
        let packages = items(&all["packages"]).map(|package| (name(package), package.clone())).collect();
        Ok(Self { packages, checksums })
    }
}

#[derive(Default)]
struct List(BTreeMap<Id, (Crate, Vec<Id>)>);

impl List {
    fn add(&mut self, known: &Known, id: &Id, mark: impl Fn(&mut Crate)) -> anyhow::Result<()> {
        if let Some((found, _)) = self.0.get_mut(id) {
            mark(found);
            return Ok(());
        }
        let package = known.packages.get(id).with_context(|| format!("no crate {} {} is known", id.0, id.1))?;
        let dir = Path::new(text(&package["manifest_path"])).parent().map(Path::to_owned).unwrap_or_default();
        let mut new = Crate {
            name: id.0.clone(),
            version: id.1.clone(),
            // The older way to write it.
            licence: text(&package["license"]).replace('/', " OR ").replace("  OR  ", " OR "),
            repository: package["repository"].as_str().map(str::to_owned),
            dir,
            checksum: known.checksums.get(id).cloned(),
            in_daemon: false,
            in_kernel: false,
            needs: Vec::new(),
        };
        mark(&mut new);
        self.0.insert(id.clone(), (new, Vec::new()));
        Ok(())
    }

    /// Leaves out what is not in the list.
    fn link(&mut self, from: &Id, to: &Id) {
        if !self.0.contains_key(to) {
            return;
        }
        if let Some((_, needs)) = self.0.get_mut(from).filter(|(_, needs)| !needs.contains(to)) {
            needs.push(to.clone());
        }
    }

    fn finish(self) -> Vec<Crate> {
        let ids: Vec<Id> = self.0.keys().cloned().collect();
        let at = |id: &Id| ids.binary_search(id).ok();
        let mut crates: Vec<Crate> = Vec::new();
        for (mut found, needs) in self.0.into_values() {
            found.needs = needs.iter().filter_map(at).collect();
            found.needs.sort_unstable();
            crates.push(found);
        }
        crates
    }
}

fn name(package: &Value) -> Id {
    (text(&package["name"]).to_owned(), text(&package["version"]).to_owned())
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_part_is_small_and_each_crate_knows_its_own() {
        let graph = graph("0 a v1.0.0 (/here)\n1 b v2.0.0\n2 c v3.0.0\n1 c v3.0.0\n").unwrap();
        let id = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        assert_eq!(graph[&id("a", "1.0.0")], [id("b", "2.0.0"), id("c", "3.0.0")]);
        assert_eq!((graph[&id("b", "2.0.0")].len(), graph[&id("c", "3.0.0")].len()), (1, 0));
        let names: Vec<_> = kernel_graph().unwrap().into_keys().map(|(name, _)| name).collect();
        assert_eq!(names, ["aya-ebpf", "aya-ebpf-bindings", "aya-ebpf-cty", "tcpcap-common", "tcpcap-ebpf"]);
    }
}
