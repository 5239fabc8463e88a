//! Settings from a file in TOML: `name = value`, where a name is that of a flag and a value what the flag takes.
//!
//! A flag that has a variable has a name in the file, and no other has. What the command line or the environment says wins
//! over the file. The rest of it is put on the command line before that is parsed, so that bounds, requirements and conflicts
//! are those of the flags.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};
use thiserror::Error;
use toml::de::{DeTable, DeValue};

/// The file: itself no setting that a file has.
#[derive(Args, Debug)]
pub struct ConfigFile {
    /// A file in TOML with settings: `name = value`, by the names of the flags. A flag and a variable win over it.
    #[arg(id = CONFIG, long, env = "USERBRIDGE_CONFIG", value_name = "FILE", global = true)]
    pub path: Option<PathBuf>,
}

const CONFIG: &str = "config";

/// What is wrong with the file. One line, which names the file and, if there is one, the line.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// It is not there, may not be read or is no text.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// It is no TOML, or a line of it is no setting.
    #[error("{at}: {what}")]
    Line {
        /// The file and the line.
        at: String,
        /// What is wrong there.
        what: String,
    },
}

/// A program's command line, with what the file adds to it.
pub struct Parsed<P> {
    /// What the program is to do.
    pub arguments: P,
    /// Who said that.
    pub given: Given,
}

/// What was set, and by whom. Passwords may be in it: it is never printed as a whole.
pub struct Given {
    command: Command,
    matches: ArgMatches,
    file: File,
}

/// A setting, and where its value is from.
pub struct Setting {
    /// That of its flag, without dashes.
    pub name: String,
    /// None: it is not set. More than one: the flag was given as often.
    pub values: Option<Vec<String>>,
    /// Where that is said.
    pub source: Source,
    /// The flag says that its values are nothing for a terminal.
    pub is_secret: bool,
}

/// Where a value is from.
#[derive(Debug)]
pub enum Source {
    /// The command line.
    Flag,
    /// The variable of that name.
    Environment(String),
    /// The file and the line.
    File(String),
    /// Nobody said anything.
    Default,
}

/// The settings of a file, by name: all, then those that nothing else says.
#[derive(Default)]
struct File(BTreeMap<String, Entry>);

struct Entry {
    /// The file and the line.
    at: String,
    value: Value,
}

enum Value {
    Switch(bool),
    Texts(Vec<String>),
}

/// Parses the command line. If that is not understood, usage is printed and the process ends with code 2, as after
/// [`Parser::parse`].
///
/// `serve` names the subcommand whose flags are the settings; none: the program's own. Any other subcommand takes from
/// the file what it has in common with that one.
///
/// # Errors
///
/// The file can't be read, or has something that is no setting or no value of it.
pub fn parse<P: Parser>(serve: Option<&str>) -> Result<Parsed<P>, ConfigError> {
    let mut command = P::command();
    // Flags that are global get to subcommands by that.
    command.build();
    let serving = serve.and_then(|name| command.find_subcommand(name));
    let settings: Vec<Arg> = serving.unwrap_or(&command).get_arguments().cloned().collect();

    let mut argv: Vec<OsString> = env::args_os().collect();
    // Who gave what, whether or not it goes together. Help and the like ends here, and again below.
    let given = P::command().ignore_errors(true).try_get_matches_from(&argv).ok();
    let mut file = File::default();
    if let Some(given) = &given {
        let (command, given) = chosen(&command, given);
        if let Some(path) = given.get_one::<PathBuf>(CONFIG) {
            file = File::read(path, &settings)?;
        }
        argv = file.add_to(argv, command, given);
    }

    let parsed = P::command().try_get_matches_from(&argv);
    let parsed = parsed.and_then(|matches| Ok((P::from_arg_matches(&matches)?, matches)));
    match parsed {
        Ok((arguments, matches)) => {
            let given = Given {
                command,
                matches,
                file,
            };
            Ok(Parsed { arguments, given })
        }
        Err(error) => {
            let blamed = file.blamed_for(&error);
            let blamed = blamed.or_else(|| file.blamed_for_missing::<P>(&error, &argv));
            Err(blamed.unwrap_or_else(|| error.exit()))
        }
    }
}

/// The subcommand that was chosen, down to the last, and what was given to it.
fn chosen<'a>(mut command: &'a Command, mut matches: &'a ArgMatches) -> (&'a Command, &'a ArgMatches) {
    while let Some((name, given)) = matches.subcommand() {
        let Some(next) = command.find_subcommand(name) else {
            break;
        };
        (command, matches) = (next, given);
    }
    (command, matches)
}

/// The name of a flag that has a variable.
fn name_of(flag: &Arg) -> Option<&str> {
    flag.get_env().and(flag.get_long())
}

impl Given {
    /// The settings of the chosen subcommand, in the order of its flags.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        let (command, matches) = chosen(&self.command, &self.matches);
        let flags = command.get_arguments();
        flags.filter_map(|flag| self.setting(flag, matches)).collect()
    }

    /// Whether the command line says this.
    #[must_use]
    pub fn is_on_command_line(&self, name: &str) -> bool {
        let mut settings = self.settings().into_iter();
        settings.any(|setting| setting.name == name && matches!(setting.source, Source::Flag))
    }

    fn setting(&self, flag: &Arg, matches: &ArgMatches) -> Option<Setting> {
        let name = name_of(flag)?;
        let id = flag.get_id().as_str();
        let variable = flag.get_env().unwrap_or_default().to_string_lossy();
        let source = match (matches.value_source(id), self.file.0.get(name)) {
            (Some(ValueSource::EnvVariable), _) => Source::Environment(variable.into_owned()),
            // It is on the command line by now, unless it is `false`.
            (_, Some(entry)) => Source::File(entry.at.clone()),
            (Some(ValueSource::CommandLine), _) => Source::Flag,
            _ => Source::Default,
        };
        let switch = || matches.try_get_one::<bool>(id).ok().flatten();
        let values = if flag.get_action().takes_values() {
            let raw = matches.get_raw(id);
            raw.map(|values| values.map(|value| value.to_string_lossy().into_owned()).collect())
        } else {
            switch().map(|on| vec![on.to_string()])
        };
        Some(Setting {
            name: name.to_owned(),
            values,
            source,
            is_secret: flag.is_hide_env_values_set(),
        })
    }
}

impl File {
    fn read(path: &Path, settings: &[Arg]) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|error| ConfigError::Read {
            path: path.to_owned(),
            error,
        })?;
        Self::parse(path, &text, settings)
    }

    fn parse(path: &Path, text: &str, settings: &[Arg]) -> Result<Self, ConfigError> {
        let at = |span: Range<usize>| {
            let before = text.bytes().take(span.start);
            let line = before.filter(|byte| *byte == b'\n').count() + 1;
            format!("{}:{line}", path.display())
        };
        let wrong = |span, what| ConfigError::Line { at: at(span), what };
        let table = DeTable::parse(text)
            .map_err(|error| wrong(error.span().unwrap_or_default(), error.message().to_owned()))?;
        let mut entries = BTreeMap::new();
        for (key, value) in table.get_ref() {
            let name = key.get_ref();
            let known = |name: &str| settings.iter().find(|flag| name_of(flag) == Some(name));
            let Some(flag) = known(name).filter(|flag| flag.get_id() != CONFIG) else {
                return Err(wrong(key.span(), unknown(name)));
            };
            let value = Value::of(flag, value.get_ref())
                .map_err(|expected| wrong(value.span(), format!("{name} must be {expected}")))?;
            let at = at(key.span());
            entries.insert(name.to_string(), Entry { at, value });
        }
        Ok(Self(entries))
    }

    /// Adds to a command line what neither that nor the environment says, as far as the command has it.
    fn add_to(&mut self, argv: Vec<OsString>, command: &Command, given: &ArgMatches) -> Vec<OsString> {
        let (mut first, mut last) = (Vec::new(), Vec::new());
        for flag in command.get_arguments() {
            let Some(name) = name_of(flag) else { continue };
            let source = given.value_source(flag.get_id().as_str());
            if matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
                self.0.remove(name);
            } else if let Some(entry) = self.0.get(name) {
                // A command with values of its own, which may begin with a dash, takes but global flags.
                let place = if flag.is_global_set() {
                    &mut first
                } else {
                    &mut last
                };
                place.extend(entry.value.arguments(name));
            }
        }
        let mut argv = argv.into_iter();
        argv.next()
            .into_iter()
            .chain(first)
            .chain(argv)
            .chain(last)
            .collect()
    }

    /// The error of a flag that is in the file, as an error of the file.
    fn blamed_for(&self, error: &clap::Error) -> Option<ConfigError> {
        let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else {
            return None;
        };
        let name = flag.split([' ', '=']).next()?.strip_prefix("--")?;
        let entry = self.0.get(name)?;
        let text = error.to_string();
        let what = text.lines().next()?.trim_start_matches("error: ").to_owned();
        Some(ConfigError::Line {
            at: entry.at.clone(),
            what,
        })
    }

    /// The error that flags are missing, as an error of the setting that takes them: without it they are not missing.
    fn blamed_for_missing<P: Parser>(&self, error: &clap::Error, argv: &[OsString]) -> Option<ConfigError> {
        let missing = missing(error)?;
        self.0.iter().find_map(|(name, entry)| {
            let own = entry.value.arguments(name);
            let others = argv.iter().filter(|argument| !own.contains(argument));
            let without = P::command().try_get_matches_from(others).err();
            let still = without.as_ref().map_or(Some(&[][..]), self::missing)?;
            let taken = missing.iter().filter(|flag| !still.contains(flag));
            let taken: Vec<_> = taken.map(String::as_str).collect();
            (!taken.is_empty()).then(|| ConfigError::Line {
                at: entry.at.clone(),
                what: format!("{name} takes {}", taken.join(" ")),
            })
        })
    }
}

/// The flags that are required and not there. None: the error is another one.
fn missing(error: &clap::Error) -> Option<&[String]> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing)) if error.kind() == ErrorKind::MissingRequiredArgument => {
            Some(missing)
        }
        _ => None,
    }
}

impl Value {
    /// What a flag takes, or what that would have been.
    fn of(flag: &Arg, value: &DeValue<'_>) -> Result<Self, &'static str> {
        if !flag.get_action().takes_values() {
            let switch = value.as_bool().map(Self::Switch);
            return switch.ok_or("true or false");
        }
        let several = matches!(flag.get_action(), ArgAction::Append);
        let texts = match value {
            DeValue::Array(values) if several => values.iter().map(|value| text(value.get_ref())).collect(),
            one => text(one).map(|text| vec![text]),
        };
        let expected = if several {
            "a text, or a list of texts"
        } else {
            "a text, a number, true or false"
        };
        texts.map(Self::Texts).ok_or(expected)
    }

    /// As they are on a command line.
    fn arguments(&self, name: &str) -> Vec<OsString> {
        match self {
            Self::Switch(false) => Vec::new(),
            Self::Switch(true) => vec![format!("--{name}").into()],
            Self::Texts(texts) => texts
                .iter()
                .map(|text| format!("--{name}={text}").into())
                .collect(),
        }
    }
}

/// As it is on a command line. None: such a value is none there.
fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix());
            Some(number.ok()?.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(on) => Some(on.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn unknown(name: &str) -> String {
    format!("no setting is named {name}: names are those of the flags, such as http-addr")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(text: &str, argv: &[&str]) -> Result<Vec<OsString>, ConfigError> {
        let net = Arg::new("net").long("net").env("A_NET").action(ArgAction::Append);
        let command = Command::new("program").arg(net);
        let settings: Vec<Arg> = command.get_arguments().cloned().collect();
        let mut file = File::parse(Path::new("a.toml"), text, &settings)?;
        let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
        let given = command.clone().get_matches_from(&argv);
        Ok(file.add_to(argv, &command, &given))
    }

    #[test]
    fn a_flag_that_may_be_given_often_takes_a_list() {
        let list = "net = ['10.0.0.0/8', '::1']";
        let both = ["program", "--net=10.0.0.0/8", "--net=::1"];
        assert_eq!(added(list, &["program"]).unwrap(), both);
        let given = ["program", "--net", "a"];
        assert_eq!(
            added(list, &given).unwrap(),
            given,
            "the command line has the last word"
        );
        assert_eq!(added("net = 'a'", &["program"]).unwrap(), ["program", "--net=a"]);
    }

    #[test]
    fn a_list_of_something_else_is_refused() {
        let refused = added("\nnet = [['a']]", &["program"]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "a.toml:2: net must be a text, or a list of texts"
        );
    }
}
