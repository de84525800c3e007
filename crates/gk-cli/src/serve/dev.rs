//! `gilkeeper dev`: `serve` with the defaults of development.

use crate::arguments::flag;
use crate::load::DEVELOP;
use crate::{Failure, options, serve};
use clap::{ArgMatches, Command};
use gk_config::express::DEVELOPMENT;
use gk_supervisor::PythonRuntime;
use std::ffi::OsString;

/// Words of the help where another default holds than with `serve`.
const OTHERWISE: [(&str, &str); 3] = [
    ("processes", "Number of worker processes, or `auto` [default: 1, whatever the project's files say]."),
    ("access-log", "Log each request. It is always on."),
    ("log-directory", "Directory of the logs [default: the terminal, whatever the project's files say]."),
];

/// The command with its options.
pub fn command() -> Command {
    let command = options::add(
        Command::new("dev")
            .about("Serve an application for development: new code at once, errors in the browser"),
    );
    let known = command.get_arguments().any(|argument| argument.get_id() == "watch");
    debug_assert!(known, "--watch is in no table");
    let mut command = command
        .arg(flag(DEVELOP).hide(true).default_value("true"))
        .after_help(
            "When a Python file or a template of the project changes, a new process imports it while the old one still serves, and requests \
             wait for it. An exception is shown in the browser and in the terminal. Static files of Django are served while DEBUG is on. \
             Clients of this machine alone are served, unless --host says otherwise.",
        );
    for (name, help) in OTHERWISE {
        command = command.mut_arg(name, |argument| argument.help(help));
    }
    for (name, standard) in DEVELOPMENT {
        let Some(standard) = standard else { continue };
        command = command.mut_arg(name, |argument| {
            let about = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let about = about.split_once(" [default").map_or(about.clone(), |(about, _)| about.to_owned());
            argument.help(format!("{about} [default: {standard}]"))
        });
    }
    command.mut_arg("watch", |argument| {
        let about = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let about = about.split_once(" [default").map_or(about.clone(), |(about, _)| about.to_owned());
        argument.help(format!("{about} [default: the working directory and those of `--python-path`]"))
    })
}

/// `arguments`: those after `dev`.
pub fn run(given: &ArgMatches, python: PythonRuntime, arguments: Vec<OsString>) -> Result<i32, Failure> {
    let develop = OsString::from(format!("--{DEVELOP}"));
    serve::run(given, python, std::iter::once(develop).chain(arguments).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_has_the_defaults_of_development() {
        let help = command().render_long_help().to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        for text in [
            "or `localhost`. [default: 127.0.0.1]",
            "[default: notice]",
            "[default: 1, whatever",
            "[default: the working directory and those of `--python-path`]",
        ] {
            assert!(help.contains(text), "{text} is not in\n{help}");
        }
        assert!(!help.contains("--develop") && !help.contains("all interfaces"), "{help}");
    }
}
