//! The sources of `serve`'s options in their order: command line, environment, file of `--env-file`, `gilkeeper.toml`, `[tool.gilkeeper]`
//! of `pyproject.toml`. Each option is taken from the first that has it.

mod toml_file;
mod variables;

use super::ServeOptions;
use super::options::{self, ServeOption, Takes};
use crate::Surroundings;
use crate::source::Source;
use std::collections::BTreeMap;
use std::path::Path;
pub use variables::variable;

/// Files of options in the working directory, the stronger one first.
pub const FILES: [&str; 2] = ["gilkeeper.toml", "pyproject.toml"];
/// Name of SCRIPT in variables and files.
pub const SCRIPT: &str = "script";
/// The option that names a file of variables.
pub const ENV_FILE: &str = "env-file";
/// The option that may have the value `-`, as on the command line, which stands for the value of the other.
const ACCESS_LOG: &str = "access-log";
const ACCESS_LOG_NAME: &str = "access-log-name";

/// The sources that are asked beside the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sources {
    /// None: the server belongs to a command that has chosen all options.
    CommandLine,
    /// The files, for a server that is started in another environment.
    Files,
    /// All.
    All,
    /// Variables only, and of these the ones that go together with a configuration file.
    BesideFile,
}

/// An option's value in one source.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    option: &'static str,
    /// None: a flag that is switched off.
    values: Option<Vec<String>>,
    /// Name in messages, such as `GILKEEPER_PORT` or `port in gilkeeper.toml`.
    origin: String,
}

/// Adds what the other sources say to the options of the command line, and the variables of `--env-file` to the environment.
/// Returns these variables. The error: one sentence that names source and option.
pub fn gather(
    given: &mut ServeOptions,
    source: &dyn Source,
    surroundings: &mut Surroundings,
    sources: Sources,
) -> Result<BTreeMap<String, String>, String> {
    if sources == Sources::CommandLine {
        return Ok(BTreeMap::new());
    }
    let files = match sources {
        Sources::BesideFile => Vec::new(),
        _ => toml_files(source, &surroundings.directory)?,
    };
    let (has_variables, beside_file) = (sources != Sources::Files, sources == Sources::BesideFile);
    if has_variables {
        let found = variables::entries(&surroundings.environment, None, beside_file)?;
        given.lay_under(found);
        given.remarks.extend(variables::misspelt(&surroundings.environment, None));
    }
    let named = given.one(ENV_FILE).map(|name| (name.to_owned(), given.called(ENV_FILE)));
    let in_files = || {
        let entry = files.iter().find(|entry| entry.option == ENV_FILE)?;
        Some((entry.values.as_ref()?.first()?.clone(), entry.origin.clone()))
    };
    let mut added = BTreeMap::new();
    if let Some((name, called)) = named.or_else(in_files) {
        let read = source.read(&surroundings.directory.join(&name));
        let text = read.map_err(|why| format!("{called}: {name} cannot be read: {why}"))?;
        let all = variables::of_file(&plain_text(text, &name)?, &name)?;
        // The environment of the process beats the file.
        added = all.into_iter().filter(|(name, _)| !surroundings.environment.contains_key(name)).collect();
        given.lay_under(variables::entries(&added, Some(&name), beside_file)?);
        given.remarks.extend(variables::misspelt(&added, Some(&name)));
        surroundings.environment.extend(added.clone());
        surroundings.env_file = Some((name, added.keys().cloned().collect()));
    }
    given.lay_under(files);
    Ok(added)
}

fn toml_files(source: &dyn Source, directory: &Path) -> Result<Vec<Entry>, String> {
    let mut found = Vec::new();
    for name in FILES {
        let read = source.read_if_there(&directory.join(name));
        if let Some(text) = read.map_err(|why| format!("{name} cannot be read: {why}"))? {
            found.extend(toml_file::entries(name, &plain_text(text, name)?)?);
        }
    }
    Ok(found)
}

/// The text of a file, without the mark that some editors put in front.
fn plain_text(bytes: Vec<u8>, name: &str) -> Result<String, String> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} of {name} is not in UTF-8; save the file in that encoding")
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// The option of a name that a source may use; SCRIPT among them.
fn known(name: &str) -> Option<Known> {
    match name {
        SCRIPT => Some(Known { name: SCRIPT, takes: Takes::One, option: None }),
        _ => options::find(name).map(|o| Known { name: o.name, takes: o.takes, option: Some(o) }),
    }
}

/// An option or SCRIPT.
struct Known {
    name: &'static str,
    takes: Takes,
    option: Option<ServeOption>,
}

impl Known {
    /// An entry of values as texts: one; for options that can be repeated any number; pairs one after the other.
    fn entry(&self, values: Vec<String>, origin: String) -> Result<Entry, String> {
        let entry = |values| Entry { option: self.name, values, origin: origin.clone() };
        match self.takes {
            Takes::Nothing => {
                let word = values.first().map(String::as_str).unwrap_or_default();
                match word.to_ascii_lowercase().as_str() {
                    "on" | "yes" | "true" | "1" => Ok(entry(Some(Vec::new()))),
                    "off" | "no" | "false" | "0" => Ok(entry(None)),
                    "-" if self.name == ACCESS_LOG => Ok(entry(Some(values))),
                    _ => Err(format!("{origin} takes on or off, not `{word}`")),
                }
            }
            Takes::Pairs(first) if !values.len().is_multiple_of(2) => {
                let second = self.option.map_or("VALUE", |option| option.kind.placeholder());
                // The words may be secrets.
                Err(format!(
                    "{origin} takes pairs of {first} and {second}, not an odd number of words ({})",
                    values.len()
                ))
            }
            _ => Ok(entry(Some(values))),
        }
    }
}

/// One option with its value and source, for `check`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct OptionUse {
    /// Name without dashes; `script` for SCRIPT.
    pub option: &'static str,
    /// Its value; several with a space between.
    pub value: String,
    /// Its source: `the command line`, `PORT`, `port in gilkeeper.toml`.
    pub source: String,
    /// Values of weaker sources that it beats.
    pub beats: Vec<String>,
}

impl ServeOptions {
    /// Adds the entries of a source that is weaker than those so far.
    fn lay_under(&mut self, entries: Vec<Entry>) {
        for Entry { option, values, origin } in entries {
            let shown = values.as_ref().map_or("off".to_owned(), |values| shown(values));
            let known = if option == SCRIPT { !self.script.is_empty() } else { self.is_decided(option) };
            if known {
                self.beaten.push((option, format!("{shown} of {origin}")));
                continue;
            }
            self.origins.insert(option, origin.clone());
            match values {
                Some(values) if option == SCRIPT => self.script = values.concat(),
                Some(values) if option == ACCESS_LOG => {
                    self.add(option, [""; 0]);
                    if !values.is_empty() && !self.is_decided(ACCESS_LOG_NAME) {
                        self.origins.insert(ACCESS_LOG_NAME, origin);
                        self.add(ACCESS_LOG_NAME, values);
                    }
                }
                Some(values) => self.add(option, values),
                None => {}
            }
        }
    }

    fn is_decided(&self, option: &str) -> bool {
        self.values.contains_key(option) || self.origins.contains_key(option)
    }

    /// Every option that a source has, with the sources.
    pub fn uses(&self) -> Vec<OptionUse> {
        let script = (!self.script.is_empty() || self.origins.contains_key(SCRIPT)).then_some(SCRIPT);
        let decided = options::all().map(|option| option.name).filter(|name| self.is_decided(name));
        let one = |option: &'static str| {
            let values = self.values.get(option);
            let value = match option {
                SCRIPT => self.script.clone(),
                _ => values.map_or("off".to_owned(), |values| shown(values)),
            };
            let source = self.origins.get(option).cloned().unwrap_or_else(|| "the command line".to_owned());
            let beats = self.beaten.iter().filter(|(of, _)| *of == option).map(|(_, text)| text.clone());
            OptionUse { option, value, source, beats: beats.collect() }
        };
        script.into_iter().chain(decided).map(one).collect()
    }
}

fn shown(values: &[String]) -> String {
    if values.is_empty() { "on".to_owned() } else { values.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Memory;

    type Variables<'a> = &'a [(&'a str, &'a str)];

    fn surroundings(variables: Variables<'_>) -> Surroundings {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Surroundings {
            directory: "/srv".into(),
            environment: environment.collect(),
            ..Surroundings::default()
        }
    }

    fn all(source: &Memory, variables: &[(&str, &str)], given: ServeOptions) -> Result<ServeOptions, String> {
        let mut given = given;
        gather(&mut given, source, &mut surroundings(variables), Sources::All).map(|_| given)
    }

    /// Each source beats the ones behind it, and `check` says which was taken.
    #[test]
    fn the_first_source_that_has_an_option_gives_it() {
        let source = Memory::new()
            .with(
                "/srv/gilkeeper.toml",
                "threads = 4\nprocesses = 5\nprocess-group = 'toml'\numask = '027'\n",
            )
            .with(
                "/srv/pyproject.toml",
                "[tool.gilkeeper]\nscript = 'app:app'\nthreads = 3\nlang = 'C'\n[tool.other]\nx = 1\n",
            )
            .with("/srv/my.env", "GILKEEPER_PROCESS_GROUP=file\nGILKEEPER_PORT=81\nOTHER=1\n");
        let given = ServeOptions::new("").with("env-file", ["my.env"]).with("host", ["::1"]);
        let variables =
            [("GILKEEPER_PORT", "82"), ("PORT", "83"), ("WEB_CONCURRENCY", "6"), ("GILKEEPER_HOST", "::2")];
        let got = all(&source, &variables, given).unwrap();
        let uses = got.uses();
        let of = |option: &str| uses.iter().find(|one| one.option == option).unwrap();
        for (option, value, from, beats) in [
            ("host", "::1", "the command line", &["::2 of GILKEEPER_HOST"][..]),
            ("port", "82", "GILKEEPER_PORT", &["83 of PORT"]),
            ("processes", "6", "WEB_CONCURRENCY", &["5 of processes in gilkeeper.toml"]),
            (
                "process-group",
                "file",
                "GILKEEPER_PROCESS_GROUP in my.env",
                &["toml of process-group in gilkeeper.toml"],
            ),
            ("threads", "4", "threads in gilkeeper.toml", &["3 of threads in pyproject.toml"]),
            ("lang", "C", "lang in pyproject.toml", &[]),
            ("script", "app:app", "script in pyproject.toml", &[]),
        ] {
            let found = of(option);
            assert_eq!((found.value.as_str(), found.source.as_str()), (value, from), "{option}");
            assert_eq!(found.beats, beats, "{option}");
        }
    }

    #[test]
    fn the_variables_of_an_env_file_reach_the_application_unless_the_environment_has_them() {
        let source = Memory::new().with("/srv/x", "# all\nexport A=1\nB='two words'\nC=\"x\" # y\nD=\n");
        let mut given = ServeOptions::new("app:app").with("env-file", ["x"]);
        let mut surroundings = surroundings(&[("A", "0")]);
        let added = gather(&mut given, &source, &mut surroundings, Sources::All).unwrap();
        let wanted = [("B", "two words"), ("C", "x"), ("D", "")];
        assert_eq!(added, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(["A", "B"].map(|name| &*surroundings.environment[name]), ["0", "two words"]);
        assert_eq!(["A", "B"].map(|name| surroundings.file_of(name)), [None, Some("x")]);
    }

    /// Reported: a file of variables that an editor of Windows had saved was refused. Met with a mark in front of its text.
    #[test]
    fn a_mark_in_front_and_other_ends_of_lines_count_for_nothing() {
        let source = Memory::new()
            .with("/srv/gilkeeper.toml", "\u{feff}threads = 4\r\n[setenv]\r\nDEBUG = true\r\n")
            .with("/srv/e", "\u{feff}GILKEEPER_PORT=81\r\nGILKEEPER_THREDS=2\r\n");
        let got = all(&source, &[("GILKEEPER_ENV_FILE", "e")], ServeOptions::new("app:app")).unwrap();
        assert_eq!((got.one("threads"), got.one("port")), (Some("4"), Some("81")));
        assert_eq!(got.pairs("setenv").collect::<Vec<_>>(), [("DEBUG", "true")]);
        assert_eq!(got.remarks, ["GILKEEPER_THREDS in e is no option; did you mean GILKEEPER_THREADS?"]);
    }

    #[test]
    fn a_flag_that_is_off_beats_one_that_is_on() {
        let source = Memory::new().with("/srv/gilkeeper.toml", "access-log = true\nhttp2 = true\n");
        let got = all(&source, &[("GILKEEPER_ACCESS_LOG", "off")], ServeOptions::new("app:app")).unwrap();
        assert!(!got.flag("access-log") && got.flag("http2"));
        crate::express::load(&got, &surroundings(&[])).unwrap();
        // Reported: `--access-log -` had no counterpart here.
        let got = all(&source, &[("GILKEEPER_ACCESS_LOG", "-")], ServeOptions::new("app:app")).unwrap();
        assert_eq!((got.flag("access-log"), got.one("access-log-name")), (true, Some("-")));
    }

    #[test]
    fn several_values_and_pairs() {
        let toml = "python-path = ['a', 'b c']\n[setenv]\nX = '1'\nY = 2\n[url-alias]\n'/s' = 'static'\n";
        let source = Memory::new().with("/srv/gilkeeper.toml", toml);
        let got = all(&source, &[("GILKEEPER_PASSENV", "A 'B C' D")], ServeOptions::new("app:app")).unwrap();
        assert_eq!(got.many("python-path"), ["a", "b c"]);
        assert_eq!(got.pairs("setenv").collect::<Vec<_>>(), [("X", "1"), ("Y", "2")]);
        assert_eq!(got.pairs("url-alias").collect::<Vec<_>>(), [("/s", "static")]);
        assert_eq!(got.many("passenv"), ["A", "B C", "D"]);
    }

    #[test]
    fn what_is_wrong_names_its_source() {
        let toml = |text: &str| Memory::new().with("/srv/gilkeeper.toml", text);
        let cases: &[(Memory, Variables<'_>, &str)] = &[
            (
                toml("proceses = 2"),
                &[],
                "`proceses` in gilkeeper.toml is no option of serve; did you mean `processes`?",
            ),
            (toml("workers = 2"), &[], "`workers` in gilkeeper.toml is `processes` here"),
            // The form of pyproject.toml.
            (
                toml("[tool.gilkeeper]\nthreads = 2"),
                &[],
                "options stand at the top of gilkeeper.toml, not in a table `[tool.gilkeeper]`",
            ),
            (
                toml("[gilkeeper]\nthreads = 2"),
                &[],
                "options stand at the top of gilkeeper.toml, not in a table `[gilkeeper]`",
            ),
            (toml("x = ["), &[], "gilkeeper.toml is no TOML: "),
            (toml("port = { a = 1 }"), &[], "port in gilkeeper.toml takes one value, not a table"),
            (
                toml("setenv = ['A']"),
                &[],
                "setenv in gilkeeper.toml takes pairs of NAME and VALUE, not an odd number of words (1)",
            ),
            (toml("port = 2026-01-01"), &[], "port in gilkeeper.toml takes one value, not a date"),
            (
                Memory::new().with("/srv/gilkeeper.toml", b"port = 1\n# \xe4"),
                &[],
                "line 2 of gilkeeper.toml is not in UTF-8",
            ),
            (
                Memory::new().with("/srv/e", b"A=\xe4"),
                &[("GILKEEPER_ENV_FILE", "e")],
                "line 1 of e is not in UTF-8",
            ),
            (toml("http2 = 'maybe'"), &[], "http2 in gilkeeper.toml takes on or off, not `maybe`"),
            (Memory::new(), &[("GILKEEPER_HTTP2", "x")], "GILKEEPER_HTTP2 takes on or off, not `x`"),
            (Memory::new(), &[("GILKEEPER_ENV_FILE", "gone")], "GILKEEPER_ENV_FILE: gone cannot be read: "),
            (
                Memory::new().with("/srv/e", "A B"),
                &[("GILKEEPER_ENV_FILE", "e")],
                "line 1 of e is no NAME=VALUE; a name has letters, digits and _",
            ),
            (
                Memory::new().with("/srv/pyproject.toml", "[tool]\ngilkeeper = 1"),
                &[],
                "tool.gilkeeper in pyproject.toml is no table",
            ),
        ];
        for (source, variables, expected) in cases {
            let error = all(source, variables, ServeOptions::new("app:app")).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    /// A value that its kind refuses is found with all others, and named by its source there, too.
    #[test]
    fn a_bad_value_names_its_source() {
        let none = Memory::new();
        for (variables, expected) in [
            ([("WEB_CONCURRENCY", "many")], "WEB_CONCURRENCY takes a whole number of processes"),
            ([("GILKEEPER_THREADS", "0")], "GILKEEPER_THREADS takes a whole number of threads from 1"),
            ([("PORT", "http")], "PORT takes a whole number from 0 to 65535, not `http`"),
            ([("GILKEEPER_HOST", "nowhere")], "GILKEEPER_HOST takes a numeric address"),
            ([("GILKEEPER_LOG_LEVEL", "loud")], "GILKEEPER_LOG_LEVEL takes one of"),
        ] {
            let got = all(&none, &variables, ServeOptions::new("app:app")).unwrap();
            let error = crate::express::load(&got, &surroundings(&[])).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    /// Reported: a value that a directive refuses was shown in a line of a text that nobody has written. Met with names of networks.
    #[test]
    fn a_value_that_a_directive_refuses_names_its_source() {
        for (option, value) in [
            ("server-name", "a b"),
            ("trust-proxy", "proxy"),
            ("telemetry-service", "1.2.3.4"),
            ("ignore-activity", "status"),
        ] {
            let variable = variable(option);
            let got = all(&Memory::new(), &[(&variable, value)], ServeOptions::new("app:app")).unwrap();
            let error = crate::express::load(&got, &surroundings(&[])).unwrap_err();
            assert!(error.contains(&format!("= help: it is the value of {variable}")), "{error}");
        }
    }

    #[test]
    fn beside_a_configuration_file_only_variables_of_ours_count() {
        let source = Memory::new().with("/srv/gilkeeper.toml", "processes = 2");
        let gather = |variables: &[(&str, &str)]| {
            let mut given = ServeOptions::new("");
            gather(&mut given, &source, &mut surroundings(variables), Sources::BesideFile).map(|_| given)
        };
        let got = gather(&[("PORT", "81"), ("WEB_CONCURRENCY", "3"), ("GILKEEPER_HOST", "::1")]).unwrap();
        assert_eq!(got.uses().iter().map(|one| one.option).collect::<Vec<_>>(), ["host"]);
        let refused = gather(&[("GILKEEPER_PROCESSES", "3")]).unwrap_err();
        assert!(refused.starts_with("GILKEEPER_PROCESSES does not go with -c"), "{refused}");
    }

    #[test]
    fn what_others_put_into_the_environment_is_left_alone() {
        // Kubernetes and Docker links do this for a service that is called gilkeeper.
        let variables = [
            ("GILKEEPER_PORT", "tcp://10.0.0.1:80"),
            ("GILKEEPER_SERVICE_HOST", "10.0.0.1"),
            ("GILKEEPER_HOME", "/opt"),
            ("PORT", ""),
        ];
        let got = all(&Memory::new(), &variables, ServeOptions::new("app:app")).unwrap();
        assert_eq!(got.uses().len(), 1);
        assert!(got.remarks.is_empty());
        let got = all(&Memory::new(), &[("GILKEEPER_PROCESES", "2")], ServeOptions::new("app:app")).unwrap();
        assert_eq!(got.remarks, ["GILKEEPER_PROCESES is no option; did you mean GILKEEPER_PROCESSES?"]);
        // Reported: names of other servers were passed over in silence.
        let got = all(&Memory::new(), &[("GILKEEPER_WORKERS", "2")], ServeOptions::new("app:app")).unwrap();
        assert_eq!(got.remarks, ["GILKEEPER_WORKERS is no option: `workers` is `processes` here"]);
    }
}
