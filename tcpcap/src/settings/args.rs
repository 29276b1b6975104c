//! The flags, which are made from the keys: `--block-for` is `block_for`. They are taken as text, so that what is wrong
//! with them is told together with what is wrong elsewhere, by the same rule.

use std::{ffi::OsStr, path::PathBuf};

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches,
    builder::{PossibleValue, StringValueParser, TypedValueParser},
};

use super::{
    Settings, across,
    files::Source,
    key::{Flag, Key},
    keys::keys,
    layers::{Environment, Given, Loaded},
    problem::{Origin, Problem},
    raw::Raw,
    show::plain,
};
use crate::failure::Failure;

/// The variable that names the configuration file.
pub(super) const CONFIG_VARIABLE: &str = "TCPCAP_CONFIG";

/// Keys that every verb has that judges.
const JUDGING: [&str; 4] = ["observe", "preset", "allow", "block_for"];

const CONFIG_HELP: &str = "Configuration file; config.d/*.toml beside it is read too \
                           [default: /etc/tcpcap/config.toml] [env: TCPCAP_CONFIG]";

const NAMED_CONFIG_HELP: &str =
    "Configuration file; config.d/*.toml beside it is read too [default: none] [env: TCPCAP_CONFIG]";

/// Where the configuration is.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigArgs {
    /// The file, if one was named.
    #[arg(long, value_name = "FILE", display_order = 901, help = CONFIG_HELP)]
    pub config: Option<PathBuf>,
}

impl ConfigArgs {
    /// Which files are meant; `otherwise` if nobody has said.
    pub(super) fn source(&self, environment: &Environment, otherwise: Source) -> Source {
        let named = self.config.clone().or_else(|| environment.get(CONFIG_VARIABLE).map(PathBuf::from));
        named.map_or(otherwise, Source::Named)
    }
}

/// Which of the flags were typed, and how.
#[derive(Clone, Debug, Default)]
struct Typed(Vec<Given>);

impl Typed {
    fn augment(command: Command, wanted: impl Fn(&Key) -> bool) -> Command {
        let args = keys().iter().filter(|key| wanted(key)).filter_map(|key| Some(arg(key, key.flag?)));
        command.args(args)
    }

    fn from(matches: &ArgMatches, wanted: impl Fn(&Key) -> bool) -> Self {
        let typed = keys().iter().filter(|key| wanted(key)).filter_map(|key| {
            let origin = Origin::Flag { name: format!("--{}", key.flag?.name) };
            let mut words = matches.get_many::<String>(key.path)?.map(String::as_str);
            let raw = if key.is_list() { Raw::words(words) } else { Raw::word(words.next_back()?) };
            Some(Given { key, origin, raw })
        });
        Self(typed.collect())
    }
}

fn arg(key: &Key, flag: Flag) -> Arg {
    let mut help = key.about.to_owned();
    if key.is_list() {
        help += "; repeatable";
    } else {
        help += &format!(" [default: {}]", plain(&key.show(&Settings::default())));
    }
    let long_help = format!("{help} [env: {}]", key.variables().join(", "));
    let arg = Arg::new(key.path)
        .long(flag.name)
        .value_name(flag.value)
        .help(help)
        .long_help(long_help)
        .hide(flag.hidden)
        .value_parser(Text { choices: key.choices() });
    if key.is_list() {
        arg.action(ArgAction::Append).value_delimiter(',')
    } else if key.is_switch() {
        // So that the command line can also take back what a file says.
        arg.num_args(0..=1).require_equals(true).default_missing_value("true").hide_possible_values(true)
    } else {
        arg
    }
}

/// Any text; the choices are for help and completion, the key's rule comes later.
#[derive(Clone)]
struct Text {
    choices: Vec<PossibleValue>,
}

impl TypedValueParser for Text {
    type Value = String;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        (!self.choices.is_empty()).then(|| Box::new(self.choices.iter().cloned()) as Box<dyn Iterator<Item = _>>)
    }
}

/// What was typed after `tcpcap run`.
#[derive(Clone, Debug, Default)]
pub struct RunArgs {
    typed: Typed,
    config: ConfigArgs,
}

impl RunArgs {
    /// What holds: flags over environment over files over defaults. Lists of `allow`, `deny`, `own` and the like add up.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn load(&self) -> Result<Loaded, Vec<Problem>> {
        self.load_with(&Environment::of_process())
    }

    pub(super) fn load_with(&self, environment: &Environment) -> Result<Loaded, Vec<Problem>> {
        Loaded::of(&self.config.source(environment, Source::Default), environment, &self.typed.0)
    }

    /// The same of whatever is right.
    #[must_use]
    pub fn lenient(&self) -> Loaded {
        let environment = Environment::of_process();
        Loaded::lenient(&self.config.source(&environment, Source::Default), &environment, &self.typed.0).0
    }

    /// The same, for a verb that cannot go on without.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn resolve(self) -> Result<Settings, Failure> {
        self.load().map(|loaded| loaded.settings).map_err(|problems| Problem::failure(&problems))
    }
}

/// What a verb that judges was told of it.
#[derive(Clone, Debug, Default)]
pub struct JudgingArgs {
    typed: Typed,
    config: ConfigArgs,
}

impl JudgingArgs {
    /// What holds. Unless a file is named there is none: what a capture is found to hold is not to depend on where.
    pub(super) fn load(&self) -> Result<Loaded, Failure> {
        let mut environment = Environment::of_process();
        let source = self.config.source(&environment, Source::Nothing);
        environment.keep(&JUDGING);
        Loaded::of(&source, &environment, &self.typed.0).map_err(|problems| Problem::failure(&problems))
    }
}

fn judges(key: &Key) -> bool {
    JUDGING.contains(&key.path)
}

/// Has clap make arguments of typed flags and `--config`.
macro_rules! arguments {
    ($name:ident, $wanted:expr, $touch:expr) => {
        impl Args for $name {
            fn augment_args(command: Command) -> Command {
                $touch(ConfigArgs::augment_args(Typed::augment(command, $wanted)))
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                Ok(Self { typed: Typed::from(matches, $wanted), config: ConfigArgs::from_arg_matches(matches)? })
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
    };
}

arguments!(RunArgs, |_| true, |command| command);
arguments!(JudgingArgs, judges, |command: Command| command.mut_arg("config", |arg| arg.help(NAMED_CONFIG_HELP)));

/// How a configuration is, for `tcpcap check`.
#[derive(Debug, Default)]
pub struct Report {
    /// Whether tcpcap would start with it.
    pub ok: bool,
    /// The files that were read, in order; of a wrong configuration none.
    pub files: Vec<PathBuf>,
    /// How many keys are set.
    pub keys_set: usize,
    /// Whatever keeps it from being taken.
    pub errors: Vec<Problem>,
    /// What is allowed and may not be meant.
    pub warnings: Vec<Problem>,
}

impl ConfigArgs {
    /// Looks at all that `tcpcap run` would read.
    #[must_use]
    pub fn check(&self) -> Report {
        let environment = Environment::of_process();
        match Loaded::of(&self.source(&environment, Source::Default), &environment, &[]) {
            Ok(loaded) => Report {
                ok: true,
                keys_set: loaded.number_set(),
                warnings: across::warnings(&loaded, &environment),
                files: loaded.files,
                errors: Vec::new(),
            },
            Err(errors) => Report { errors, ..Report::default() },
        }
    }

    /// How nftables was written to, if it was.
    ///
    /// # Errors
    /// The configuration that was named is not there.
    pub fn mirror(&self) -> Result<crate::mirror::Config, Failure> {
        self.lenient().map(|settings| settings.mirror.config)
    }

    /// What holds of a few keys, for a verb that goes on whatever is wrong with the others: the running daemon has its
    /// own configuration, and an operator's way to it must not depend on a draft, or on a right to read it.
    ///
    /// # Errors
    /// The file that was named is not there.
    pub(super) fn lenient(&self) -> Result<Settings, Failure> {
        let environment = Environment::of_process();
        match Loaded::lenient(&self.source(&environment, Source::Default), &environment, &[]) {
            (loaded, None) => Ok(loaded.settings),
            (_, Some(missing)) => Err(Problem::failure(&[missing])),
        }
    }
}
