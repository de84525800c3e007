//! The forms that arguments of several commands have in common.

use clap::{Arg, ArgAction};

/// `--NAME VALUE`.
pub fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

/// The same, as often as wanted.
pub fn many(arg: Arg) -> Arg {
    arg.action(ArgAction::Append)
}

/// The application that a command is about.
pub fn script() -> Arg {
    Arg::new("script")
        .value_name("SCRIPT")
        .required(true)
        .help("A file (wsgi.py, site.wsgi) or package.module[:callable].")
}

/// `--NAME`, without a value.
pub fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}
