//! The options of `serve` as `clap` sees them, made of the rows in `gk_config::express::options`.

use crate::arguments::SCRIPT;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};
use gk_config::express::ServeOptions;
use gk_config::express::options::{self, ServeOption, Takes, Use};
use std::ffi::OsString;

/// Adds the options and the script to the command.
pub fn add(command: Command) -> Command {
    let script = Arg::new("script").value_name("SCRIPT").value_hint(ValueHint::FilePath).help(SCRIPT);
    command.arg(script).args(options::all().map(|option| argument(&option)))
}

fn argument(option: &ServeOption) -> Arg {
    let arg = Arg::new(option.name).long(option.name).help(option.about()).help_heading(option.heading);
    let hint = match option.placeholders().last() {
        Some(&"DIR") => ValueHint::DirPath,
        Some(&"FILE" | &"PATH") => ValueHint::AnyPath,
        Some(&"HOST") => ValueHint::Hostname,
        _ => ValueHint::Other,
    };
    match option.takes {
        Takes::Nothing => arg.action(ArgAction::SetTrue),
        // A number may be negative: then the row refuses it and says why.
        Takes::One => valued(arg, option).value_hint(hint).action(ArgAction::Set),
        Takes::Many => valued(arg, option).value_hint(hint).action(ArgAction::Append),
        Takes::Pairs(_) => valued(arg, option).value_hint(hint).num_args(2).action(ArgAction::Append),
    }
}

fn valued(arg: Arg, option: &ServeOption) -> Arg {
    arg.value_names(option.placeholders()).allow_negative_numbers(true)
}

/// A command line with `--access-log -` or `--access-log=-`, as people type it, spelled in two options: a value that may be left out
/// would take SCRIPT.
pub fn spelled_out(mut argv: Vec<OsString>) -> Vec<OsString> {
    while let Some(at) = argv.iter().position(|word| word == "--access-log=-") {
        argv[at] = "--access-log".into();
        argv.insert(at + 1, "-".into());
    }
    while let Some(at) = argv.windows(2).position(|pair| pair[0] == "--access-log" && pair[1] == "-") {
        argv[at + 1] = "--access-log-name=-".into();
    }
    argv
}

/// The options that were given.
pub fn options(given: &ArgMatches) -> ServeOptions {
    let mut options = ServeOptions::new(given.get_one::<String>("script").cloned().unwrap_or_default());
    for option in options::all() {
        match option.takes {
            Takes::Nothing if given.get_flag(option.name) => options.add(option.name, [""; 0]),
            Takes::Nothing => {}
            _ => {
                // `check --python` without a value asks for something else.
                let values = given.get_many(option.name).into_iter().flatten();
                let values: Vec<&String> =
                    values.filter(|v: &&String| option.name != "python" || !v.is_empty()).collect();
                if !values.is_empty() {
                    options.add(option.name, values);
                }
            }
        }
    }
    options
}

/// The first option given that a configuration file leaves no room for.
pub fn not_with_file(given: &ArgMatches) -> Option<&'static str> {
    // Its `--python` asks for something else than the option of `serve`.
    let is_check = given.try_contains_id("strict").is_ok();
    let used = |name: &str| given.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
    let refused = |option: &ServeOption| !(option.with_file || is_check && option.name == "python");
    options::all().find(|option| refused(option) && used(option.name)).map(|option| option.name)
}

/// Options given beside a configuration file, as lines of it. The server root is read elsewhere.
pub fn beside_file(given: &ServeOptions) -> Vec<String> {
    let directive = |option: ServeOption| {
        let directive = match option.used {
            Use::Switch(directive, word) => {
                return given.flag(option.name).then(|| format!("{directive} {word}"));
            }
            Use::Directive(directive) => directive,
            _ => return None,
        };
        let value = given.one(option.name)?;
        Some(format!("{directive} {}", gk_config::token::quote(value)))
    };
    let set = given.many("set").iter().cloned();
    let beside = options::all().filter(|option| option.with_file && option.name != "server-root");
    beside.filter_map(directive).chain(set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dash_behind_access_log_is_standard_output() {
        for dash in [&["--access-log", "-"][..], &["--access-log=-"]] {
            let argv = [&["gilkeeper", "serve"], dash, &["wsgi.py", "--log-directory", "/var/log"]].concat();
            let argv = spelled_out(argv.into_iter().map(OsString::from).collect());
            let matches = crate::command_line::command().get_matches_from(argv);
            let options = options(matches.subcommand().unwrap().1);
            assert!(options.flag("access-log") && options.script == "wsgi.py");
            assert_eq!(options.one("access-log-name"), Some("-"));
        }
    }

    #[test]
    fn options_reach_their_rows() {
        let command = add(Command::new("serve"));
        let argv = [
            "serve",
            "wsgi.py",
            "--processes",
            "2",
            "--access-log",
            "--url-alias",
            "/a",
            "a",
            "--set",
            "X 1",
        ];
        let options = options(&command.get_matches_from(argv));
        assert_eq!((options.script.as_str(), options.one("processes")), ("wsgi.py", Some("2")));
        assert!(options.flag("access-log") && !options.flag("debug-mode"));
        assert_eq!(options.pairs("url-alias").collect::<Vec<_>>(), [("/a", "a")]);
        assert_eq!(options.many("set"), ["X 1"]);
    }
}
