//! Files, environment and flags laid over each other.

mod broken;
mod layered;
mod shown;

use std::{fs, path::PathBuf};

use clap::{Args as _, Command, FromArgMatches as _};
use tempfile::TempDir;

use super::{Loaded, Problem, RunArgs, layers::Environment};

/// What a configuration is made from.
#[derive(Default)]
struct Case {
    files: Vec<(&'static str, String)>,
    environment: Vec<(&'static str, &'static str)>,
    flags: Vec<&'static str>,
}

impl Case {
    fn file(text: &str) -> Self {
        Self::default().and_file("config.toml", text)
    }

    fn and_file(mut self, name: &'static str, text: &str) -> Self {
        self.files.push((name, text.to_owned()));
        self
    }

    fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    fn flags(mut self, flags: &[&'static str]) -> Self {
        self.flags.extend(flags);
        self
    }

    /// Loads it; texts say `DIR` for where the files were.
    fn load(&self) -> Result<(Loaded, TempDir), Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("config.d")).unwrap();
        fs::write(dir.path().join("config.toml"), "").unwrap();
        for (name, text) in &self.files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let main = dir.path().join("config.toml").to_str().unwrap().to_owned();
        let flags: Vec<_> = ["run", "--config", &main].into_iter().chain(self.flags.iter().copied()).collect();
        match run(&flags).load_with(&self.environment()) {
            Ok(loaded) => Ok((loaded, dir)),
            Err(problems) => Err(problems.iter().map(|problem| without(&dir, &problem.to_string())).collect()),
        }
    }

    fn environment(&self) -> Environment {
        Environment::of(self.environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn loaded(&self) -> Loaded {
        self.load().unwrap().0
    }

    fn errors(&self) -> Vec<String> {
        self.load().map(|(loaded, _)| loaded.effective_text()).unwrap_err()
    }

    /// A key's value, and who has a part in it.
    fn effective(&self, key: &str) -> (String, String) {
        let (loaded, dir) = self.load().unwrap();
        let effective = loaded.effective().into_iter().find(|e| e.key == key).unwrap();
        let who = effective.origins.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        (effective.value.to_string(), without(&dir, &who))
    }

    fn warnings(&self) -> Vec<String> {
        let (loaded, dir) = self.load().unwrap();
        let warnings = super::across::warnings(&loaded, &self.environment());
        warnings.iter().map(|warning: &Problem| without(&dir, &warning.to_string())).collect()
    }
}

fn without(dir: &TempDir, text: &str) -> String {
    text.replace(dir.path().to_str().unwrap(), "DIR")
}

fn run(args: &[&str]) -> RunArgs {
    let matches = RunArgs::augment_args(Command::new("run")).try_get_matches_from(args).unwrap();
    RunArgs::from_arg_matches(&matches).unwrap()
}

/// What holds where nobody says anything.
fn nothing_said() -> Loaded {
    let nowhere: PathBuf = "/dev/null".into();
    Loaded::of(&super::files::Source::Named(nowhere), &Environment::default(), &[]).unwrap()
}
