//! The configuration files: which there are, and what stands in them.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    keys,
    layers::Given,
    problem::{Origin, Problem, nearest},
    raw::{self, Entry, What},
};

/// Where the configuration is unless told otherwise.
pub const DEFAULT_PATH: &str = "/etc/tcpcap/config.toml";

/// The directory beside it whose files are read after it, in the order of their names.
const DROP_INS: &str = "config.d";

/// The longest file, bytes: a million networks.
const LONGEST: u64 = 32 << 20;

/// Which files are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Those of this host, if there are any.
    Default,
    /// One that was named, so it must be there, and what is beside it.
    Named(PathBuf),
    /// None.
    Nothing,
}

/// What files say.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Those that were read.
    pub(super) files: Vec<PathBuf>,
    pub(super) given: Vec<Given>,
    pub(super) problems: Vec<Problem>,
    /// The file that was named is not there.
    pub(super) missing: Option<Problem>,
}

/// Reads them all.
pub(super) fn read(source: &Source) -> Said {
    let mut said = Said::default();
    let main = match source {
        Source::Nothing => return said,
        Source::Default => Path::new(DEFAULT_PATH),
        Source::Named(path) => path,
    };
    match text_of(main) {
        Ok(text) => said.take(main, &text),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            if *source != Source::Default {
                said.missing = Some(Problem::unreadable(main, &e));
            }
        }
        Err(e) => said.problems.push(Problem::unreadable(main, &e)),
    }
    let directory = main.with_file_name(DROP_INS);
    match drop_ins(&directory) {
        Ok(paths) => {
            for path in paths {
                match text_of(&path) {
                    Ok(text) => said.take(&path, &text),
                    Err(e) => said.problems.push(Problem::unreadable(&path, &e)),
                }
            }
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => said.problems.push(Problem::unreadable(&directory, &e)),
    }
    said
}

/// As a shell's `*.toml` would name them.
fn drop_ins(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other(format!("it is longer than {} MiB", LONGEST >> 20)));
    }
    Ok(text)
}

impl Said {
    fn take(&mut self, path: &Path, text: &str) {
        self.files.push(path.to_owned());
        let path: Arc<Path> = path.into();
        match raw::parse(text) {
            Ok(entries) => self.walk("", entries, &path),
            Err((line, said)) => {
                let origin = Origin::File { path, line: Some(line) };
                let wrong = raw::cut(text.lines().nth(line - 1).unwrap_or_default().trim());
                self.problems.push(Problem::told(origin, None, format!("`{wrong}` is not TOML: {said}")));
            }
        }
    }

    fn walk(&mut self, table: &str, entries: Vec<Entry>, path: &Arc<Path>) {
        for Entry { name, line, value } in entries {
            let full = if table.is_empty() { name.clone() } else { format!("{table}.{name}") };
            let origin = Origin::File { path: Arc::clone(path), line };
            // A dot in a quoted name separates nothing.
            let dotted = name.contains('.');
            match (keys::key(&full), value.what) {
                (Some(key), what) if !dotted => {
                    self.given.push(Given { key, origin, raw: raw::Raw { line: value.line, what } });
                }
                (None, What::Table(entries)) if !dotted && keys::is_table(&full) => self.walk(&full, entries, path),
                (None, _) if !dotted && keys::is_table(&full) => {
                    let said = format!("`{full}` is a table: write its keys below [{full}]");
                    self.problems.push(Problem::told(origin, Some(&full), said));
                }
                (_, what) => {
                    let names = keys::keys().iter().map(|key| key.path);
                    let meant = match what {
                        What::Table(_) => nearest(&full, keys::tables().chain(names)),
                        _ => nearest(&full, names),
                    };
                    let shown = full.escape_debug().to_string();
                    self.problems.push(Problem::unknown(origin, &shown, meant));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_ins_follow_in_the_order_of_their_names_and_others_are_no_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let main = dir.path().join("main.toml");
        fs::write(&main, "observe = true\n").unwrap();
        let beside = dir.path().join(DROP_INS);
        fs::create_dir(&beside).unwrap();
        for name in ["20.toml", "10.toml", ".hidden.toml", "30.toml.bak", "README"] {
            fs::write(beside.join(name), "observe = false\n").unwrap();
        }
        let said = read(&Source::Named(main.clone()));
        assert_eq!(said.files, [main.clone(), beside.join("10.toml"), beside.join("20.toml")]);
        assert_eq!((said.problems, said.missing), (vec![], None));
        // Named and absent, what is beside it is looked at all the same.
        fs::remove_file(&main).unwrap();
        let said = read(&Source::Named(main));
        assert_eq!((said.files.len(), said.missing.is_some()), (2, true));
        assert_eq!(read(&Source::Nothing).files.len(), 0);
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_the_rest_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let main = dir.path().join("config.toml");
        fs::write(&main, b"observe = \xff\n").unwrap();
        fs::create_dir_all(dir.path().join(DROP_INS).join("10.toml")).unwrap();
        fs::write(dir.path().join(DROP_INS).join("20.toml"), "observe = true\n").unwrap();
        let said = read(&Source::Named(main.clone()));
        let told: Vec<_> = said.problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("config.toml: stream did not contain valid UTF-8"), "{told:?}");
        assert!(told[1].contains("10.toml: Is a directory"), "{told:?}");
        assert_eq!(said.given.len(), 1);
        fs::write(&main, " ".repeat(usize::try_from(LONGEST).unwrap() + 1)).unwrap();
        assert!(read(&Source::Named(main)).problems[0].to_string().contains("it is longer than 32 MiB"));
    }

    #[test]
    fn a_quoted_dot_makes_no_table() {
        let mut said = Said::default();
        said.take(Path::new("/c"), "\"caps.blocks\" = 5\n");
        assert_eq!(said.problems[0].to_string(), "/c:1: there is no key `caps.blocks`; did you mean `caps.blocks`?");
    }
}
