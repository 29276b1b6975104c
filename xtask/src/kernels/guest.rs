//! What a guest begins with: an archive of files that is its whole file system. It has the test programs, the tools they
//! call with all libraries, and the modules that its kernel needs for them.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};

use super::archive::{Kernel, said, tool};

/// What the tests call.
const TOOLS: &[&str] =
    &["curl", "hping3", "ip", "masscan", "nft", "nmap", "nsenter", "ping", "setpriv", "tc", "unshare"];
/// What tools open by name.
const DATA: &[&str] =
    &["/usr/share/nmap/nmap-services", "/usr/share/nmap/nmap-payloads", "/usr/share/nmap/nmap-protocols"];
/// Libraries that masscan opens by name.
const LIBRARIES: &[&str] = &["libpcap.so.0.8"];
/// What the tests need of a kernel where it is no fixed part; with nobody in the guest to load them later.
const MODULES: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "veth",
    "sch_ingress",
    "cls_bpf",
    "inet_diag",
    "tcp_diag",
    "nf_tables",
    "nft_counter",
];
const DIRECTORIES: &[&str] =
    &["bin", "dev", "etc", "kept", "modules", "proc", "run", "sbin", "sys", "tmp", "usr/bin", "usr/sbin", "var"];
const ACCOUNTS: [(&str, &str); 2] = [
    ("etc/passwd", "root:x:0:0::/tmp:/bin/sh\nnobody:x:65534:65534::/tmp:/bin/sh\n"),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
];
const INIT: &str = include_str!("init.sh");
/// Where tests are run, and where they keep files of their own, as it is compiled into them: below the workspace.
const PLACES: [&str; 2] = ["tcpcap", "target/tmp"];

/// A program to be run in a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    /// How it is called in the report.
    pub(super) name: &'static str,
    /// Where it is, there as here.
    pub(super) path: PathBuf,
    /// Where it is run.
    pub(super) directory: PathBuf,
    /// Its arguments.
    pub(super) args: Vec<String>,
    /// Variables that it is given.
    pub(super) vars: Vec<(String, String)>,
}

/// Archives the part that does not depend on the kernel: tools and these files.
///
/// # Errors
/// Something is missing here.
pub(super) fn common(place: &Path, files: &[&Path], workspace: &Path) -> anyhow::Result<PathBuf> {
    let root = tempfile::tempdir_in(place)?;
    let root = root.path();
    for directory in DIRECTORIES {
        fs::create_dir_all(root.join(directory))?;
    }
    for directory in PLACES {
        fs::create_dir_all(below(root, &workspace.join(directory)))?;
    }
    for (path, text) in ACCOUNTS {
        fs::write(root.join(path), text)?;
    }
    let init = root.join("init");
    fs::write(&init, INIT)?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    let busybox = which("busybox")?;
    ensure!(
        libraries(&busybox)?.is_empty(),
        "{} needs libraries, and it is to start before there are any\n  install busybox-static",
        busybox.display()
    );
    fs::copy(busybox, root.join("bin/busybox"))?;
    for name in TOOLS {
        bring(root, &which(name)?)?;
    }
    let known = said(Command::new(tool("ldconfig")).arg("-p"))?;
    for name in LIBRARIES {
        bring(root, Path::new(library(&known, name).with_context(|| format!("no {name} here"))?))?;
    }
    for path in DATA.iter().map(Path::new).chain(files.iter().copied()) {
        bring(root, path)?;
    }
    archive(root, &place.join("common.cpio"))
}

/// Archives the part of one kernel: its modules, and what is to be run.
///
/// # Errors
/// A module cannot be unpacked.
pub(super) fn special(place: &Path, kernel: &Kernel, programs: &[Program]) -> anyhow::Result<PathBuf> {
    let root = tempfile::tempdir_in(place)?;
    let root = root.path();
    fs::create_dir_all(root.join("modules"))?;
    for (number, module) in modules(kernel).iter().enumerate() {
        let name = module.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let to = root.join(format!("modules/{number:03}-{}", name.trim_end_matches(".xz")));
        if name.ends_with(".xz") {
            let unpacked = Command::new("xz").arg("-dc").arg(module).stdout(File::create(&to)?).status();
            ensure!(unpacked.is_ok_and(|s| s.success()), "xz cannot unpack {}", module.display());
        } else {
            fs::copy(module, &to)?;
        }
    }
    fs::write(root.join("programs"), script(programs))?;
    archive(root, &place.join("special.cpio"))
}

/// What runs the programs one after the other, and says how each ended.
fn script(programs: &[Program]) -> String {
    let mut script = String::new();
    for program in programs {
        let vars = program.vars.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
        let words = vars.chain([quoted(&program.path.to_string_lossy())]).chain(program.args.iter().map(|a| quoted(a)));
        script += &format!("echo '__BEGIN {}'\n", program.name);
        script += &format!("cd {}\n", quoted(&program.directory.to_string_lossy()));
        script += &words.collect::<Vec<_>>().join(" ");
        // It may have died in the middle of a line.
        script += &format!("\nprintf '\\n__END {} %s\\n' $?\n", program.name);
    }
    script
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The files of the modules, each after those that it needs; what is a fixed part of the kernel or unknown to it is left out.
fn modules(kernel: &Kernel) -> Vec<PathBuf> {
    let mut wanted: Vec<PathBuf> = Vec::new();
    for name in MODULES {
        let mut modprobe = Command::new(tool("modprobe"));
        modprobe.arg("-d").arg(&kernel.place).args(["-S", &kernel.release, "--show-depends", name]);
        for path in said(&mut modprobe).unwrap_or_default().lines().filter_map(|line| line.strip_prefix("insmod ")) {
            let path = PathBuf::from(path.trim());
            if !wanted.contains(&path) {
                wanted.push(path);
            }
        }
    }
    wanted
}

/// Copies a file to the same place below `root`, and what it is linked with.
fn bring(root: &Path, file: &Path) -> anyhow::Result<()> {
    let mut all = libraries(file)?;
    all.insert(file.to_owned());
    for path in all {
        let to = below(root, &path);
        if !to.exists() {
            fs::create_dir_all(to.parent().unwrap_or(root))?;
            fs::copy(&path, &to).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}

fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// What the linker loads with a program; nothing for what is no program, or needs none.
fn libraries(file: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    let out = Command::new("ldd").arg(file).output().context("cannot run ldd")?;
    Ok(loaded(&String::from_utf8_lossy(&out.stdout)))
}

/// The paths in what `ldd` prints: `NAME => PATH (ADDRESS)`, or the loader's alone.
fn loaded(text: &str) -> BTreeSet<PathBuf> {
    let words = text.lines().flat_map(|line| line.split_whitespace().rfind(|word| word.starts_with('/')));
    words.map(PathBuf::from).collect()
}

/// A library's path in what `ldconfig -p` prints, the 64-bit one.
fn library<'a>(known: &'a str, name: &str) -> Option<&'a str> {
    let line = known.lines().find(|line| line.trim().starts_with(&format!("{name} (")) && line.contains("x86-64"))?;
    line.split(" => ").nth(1)
}

fn which(name: &str) -> anyhow::Result<PathBuf> {
    let places = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map(|place| Path::new(place).join(name));
    let found = places.into_iter().find(|path| path.exists());
    let found = found.with_context(|| format!("there is no {name} here\n  run: cargo xtask setup"))?;
    Ok(found)
}

/// Packs everything below `root` as the kernel unpacks it, all of it root's.
fn archive(root: &Path, to: &Path) -> anyhow::Result<PathBuf> {
    let mut names = Vec::new();
    walk(root, Path::new(""), &mut names)?;
    let mut cpio = Command::new("cpio");
    cpio.args(["--create", "--format=newc", "--owner=+0:+0", "--quiet", "--null"]).current_dir(root);
    cpio.stdin(Stdio::piped()).stdout(File::create(to)?);
    let mut cpio = cpio.spawn().context("cannot run cpio\n  run: cargo xtask setup")?;
    let mut list = cpio.stdin.take().context("cpio takes no list")?;
    for name in names {
        list.write_all(name.as_os_str().as_encoded_bytes())?;
        list.write_all(b"\0")?;
    }
    drop(list);
    ensure!(cpio.wait()?.success(), "cpio cannot pack {}", to.display());
    Ok(to.to_owned())
}

/// Every name below a directory, each directory before what is in it.
fn walk(root: &Path, at: &Path, names: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(at))? {
        let entry = entry?;
        let name = at.join(entry.file_name());
        names.push(name.clone());
        if entry.file_type()?.is_dir() {
            walk(root, &name, names)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ldd_prints_is_read_as_paths() {
        let text = "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let paths = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(loaded(text), paths.into());
        assert!(loaded("\tnot a dynamic executable\n").is_empty());
    }

    #[test]
    fn a_library_is_found_by_its_name_alone() {
        let known = "2 libs found\n\tlibpcap.so.0.8 (libc6) => /lib32/libpcap.so.0.8\n\
            \tlibpcap.so.0.8 (libc6,x86-64) => /lib/libpcap.so.0.8\n";
        assert_eq!(library(known, "libpcap.so.0.8"), Some("/lib/libpcap.so.0.8"));
        assert_eq!(library(known, "libpcap.so"), None);
    }

    #[test]
    fn a_program_is_called_with_its_words_as_they_are() {
        let program = Program {
            name: "one",
            path: "/a b/one".into(),
            directory: "/d".into(),
            args: vec!["it's".to_owned()],
            vars: vec![("X".to_owned(), "1 2".to_owned())],
        };
        let expected = "echo '__BEGIN one'\ncd '/d'\nX='1 2' '/a b/one' 'it'\\''s'\nprintf '\\n__END one %s\\n' $?\n";
        assert_eq!(script(&[program]), expected);
    }
}
