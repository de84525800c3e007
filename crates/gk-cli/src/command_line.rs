//! The commands and what they take, as `clap` sees them; its complaints in one sentence.

use crate::arguments::{flag, many, option, script};
use crate::trials::{compare, load_generator, tune};
use crate::{options, print, say};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};
use std::path::PathBuf;

/// The whole command line.
pub fn command() -> Command {
    let config = Arg::new("config").short('c').long("config").value_name("FILE").help("Configuration file");
    let path = |arg: Arg| arg.value_parser(clap::value_parser!(PathBuf));
    let format = |first| {
        Arg::new("format")
            .long("format")
            .value_name("FORMAT")
            .value_parser(["text", "json"])
            .default_value(first)
    };
    let root = || {
        path(Arg::new("server-root").long("server-root").value_name("DIR"))
            .env("GILKEEPER_ROOT")
            .help("Directory of the running server's control socket [default: ./gilkeeper-root]")
            .hide_env(true)
    };
    Command::new("gilkeeper")
        .about("A WSGI application server: daemon process groups, interpreters, GIL modes")
        .version(gk_wire::PACKAGE_VERSION)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(
            options::add(
                Command::new("serve").about("Serve an application, or what a configuration file says"),
            )
            .args(reading())
            .arg(path(config.clone()).conflicts_with("script")),
        )
        .subcommand(
            Command::new("check")
                .about("Read a configuration and say what it means and what is wrong with it")
                .args(reading())
                .arg(path(config).required(true))
                .arg(format("text").help("How to print the resolved site"))
                .arg(flag("strict").help("Exit with 1 when there are warnings"))
                .arg(
                    Arg::new("server-root")
                        .long("server-root")
                        .value_name("DIR")
                        .env("GILKEEPER_ROOT")
                        .hide_env(true),
                ),
        )
        .subcommand(
            Command::new("status")
                .about("Show what a running server does")
                .arg(root())
                .arg(format("text").help("How to print it")),
        )
        .subcommand(
            Command::new("top")
                .about("Show a running server's figures in the terminal, once a second")
                .arg(root())
                .arg(flag("once").help("Print them once and end")),
        )
        .subcommand(
            Command::new("reload")
                .about("Read the configuration again and replace the workers, without losing a request")
                .arg(root())
                .arg(
                    Arg::new("group")
                        .value_name("PROCESS-GROUP")
                        .help("Replace this process group's workers only"),
                ),
        )
        .subcommand(
            Command::new("stop")
                .about("End a running server")
                .arg(root())
                .arg(flag("now").help("Do not wait for requests")),
        )
        .subcommand(compare::command())
        .subcommand(tune::command())
        .subcommand(load_generator::command())
        .subcommand(doctor().arg(format("text").help("How to print the report")))
        .subcommand(telemetry())
        .subcommand(
            Command::new("explain")
                .about("Explain a message code")
                .arg(Arg::new("code").value_name("WSGInnnn").required(true)),
        )
}

fn telemetry() -> Command {
    let directory =
        option("directory", "DIR", "History and token are kept there [default: ./gilkeeper-telemetry]");
    let serve = Command::new("serve")
        .about("Show what other servers tell: mod_wsgi by datagrams, Gilkeepers also by OTLP")
        .arg(option("listen-datagrams", "unix:PATH", "Socket for WSGITelemetryService [default: in DIR]"))
        .arg(option("socket-mode", "OCTAL", "Who may send there [default: 0660]"))
        .arg(option("listen", "IP:PORT", "Address of the pages [default: 127.0.0.1:8002]"))
        .arg(option("otlp", "IP:PORT", "Take OTLP over HTTP there"))
        .arg(option("certificate", "FILE", "The pages speak TLS with this certificate"))
        .arg(option("key", "FILE", "Its private key"))
        .arg(option("client-ca", "FILE", "Whose client certificates stand for the token"))
        .arg(directory.value_parser(clap::value_parser!(PathBuf)));
    Command::new("telemetry")
        .about("Telemetry of other servers")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(serve)
}

fn doctor() -> Command {
    Command::new("doctor")
        .about("Import an application in every kind of interpreter and say what does not work there")
        .arg(script())
        .arg(
            many(option("for", "MODE", "The mode that must be safe for exit status 0 [default: all it has]"))
                .value_parser(["sub-interpreter", "own-gil", "free-threading"]),
        )
        .arg(option("python", "PATH", "Python executable to examine it with [default: this one]"))
        .arg(many(option("python-path", "DIR", "Directory put on sys.path")))
        .arg(option("working-directory", "DIR", "Working directory, first on sys.path"))
        .arg(option("callable-object", "NAME", "The callable it must have").alias("callable"))
        .arg(many(option("import", "MODULE", "Import this one, too, as a request would")))
        .arg(option("time-limit", "SECONDS", "For the import in one child [default: 60]"))
}

/// What commands that read a configuration have in common.
fn reading() -> [Arg; 2] {
    [
        Arg::new("define")
            .short('D')
            .value_name("NAME[=VALUE]")
            .action(ArgAction::Append)
            .help("Define a name for <IfDefine> and ${NAME}"),
        flag("ignore-unknown").help("Unknown directives are warnings"),
    ]
}

/// Prints what `clap` found: help and version as they are, a complaint as one sentence. Gives the exit code.
pub fn complain(error: &clap::Error) -> i32 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            print(&error.render().to_string());
            0
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            say(&error.render().to_string());
            2
        }
        _ => {
            say(&format!("gilkeeper: {}", sentence(error)));
            2
        }
    }
}

/// `clap`'s complaint without usage and without line breaks.
fn sentence(error: &clap::Error) -> String {
    let rendered = error.render().to_string();
    let text = rendered.strip_prefix("error: ").unwrap_or(&rendered);
    let text = text.split("\n\n").next().unwrap_or(text);
    let mut sentence = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let near = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    let near = near.iter().find_map(|kind| match error.get(*kind)? {
        ContextValue::String(one) => Some(one.clone()),
        ContextValue::Strings(many) => many.first().cloned(),
        _ => None,
    });
    match near {
        Some(near) => sentence.push_str(&format!("; did you mean '{near}'?")),
        None => sentence.push_str("; `gilkeeper --help` says what there is"),
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(argv: &[&str]) -> String {
        sentence(&command().try_get_matches_from(argv).unwrap_err())
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn complaints_are_one_sentence() {
        assert_eq!(
            complaint(&["gilkeeper", "serve", "x.py", "--proceses", "2"]),
            "unexpected argument '--proceses' found; did you mean '--processes'?"
        );
        assert_eq!(
            complaint(&["gilkeeper", "sevre"]),
            "unrecognized subcommand 'sevre'; did you mean 'serve'?"
        );
        assert!(!complaint(&["gilkeeper", "check"]).contains('\n'));
    }
}
