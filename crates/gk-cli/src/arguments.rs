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

/// Help of the application that a command is about.
pub const SCRIPT: &str = "A file (wsgi.py, site.wsgi) or package.module, either with the application in it: `:app` or `:create_app('x')`.";

/// The application that a command is about, if it is not the one of the project.
pub fn script() -> Arg {
    let help = format!("{SCRIPT} [default: `script` in gilkeeper.toml, pyproject.toml or GILKEEPER_SCRIPT]");
    Arg::new("script").value_name("SCRIPT").help(help)
}

/// `--NAME`, without a value.
pub fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}
