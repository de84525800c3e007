//! The commands and their arguments, as `clap` sees them; its complaints in one sentence.

use crate::arguments::{flag, many, option, script};
use crate::trials::{compare, load_generator, tune};
use crate::{options, print, say};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;
use std::path::PathBuf;

/// The whole command line.
pub fn command() -> Command {
    let config = Arg::new("config").short('c').long("config").value_name("FILE").help("Configuration file.");
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
            .help("Directory of the running server's control socket [default: $GILKEEPER_ROOT, else ./gilkeeper-root].")
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
                .arg(format("text").help("How to print the resolved site."))
                .arg(flag("strict").help("Exit with status 1 when there are warnings."))
                .arg(
                    option("python", "PATH", "Also import the installed packages that have extension modules, in child processes, and warn of \
                            those that refuse the sub-interpreters of the site [default: the Python of each process group].")
                        .num_args(0..=1)
                        .default_missing_value(""),
                )
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
                .arg(format("text").help("How to print the status.")),
        )
        .subcommand(
            Command::new("top")
                .about("Show a running server's figures in the terminal, once a second")
                .arg(root())
                .arg(flag("once").help("Print the figures once and end.")),
        )
        .subcommand(
            Command::new("reload")
                .about("Read the configuration again and replace the workers, without losing a request")
                .arg(root())
                .arg(
                    Arg::new("group")
                        .value_name("PROCESS-GROUP")
                        .help("Replace only the workers of this process group."),
                ),
        )
        .subcommand(
            Command::new("drain")
                .about("Make load balancers send their requests elsewhere, while the server serves on")
                .after_help("/readyz answers 503, and each connection ends with its next response. A preStop hook of Kubernetes, or a \
                             script before `stop`, calls it and waits.")
                .arg(root())
                .arg(
                    Arg::new("wait")
                        .long("wait")
                        .value_name("SECONDS")
                        .default_value("5")
                        .value_parser(seconds)
                        .help("Time until the command returns: what a load balancer needs to notice."),
                )
                .arg(flag("undo").conflicts_with("wait").help("Be ready again.")),
        )
        .subcommand(
            Command::new("upgrade")
                .about("Replace a running server by this package's, without losing a request")
                .after_help(
                    "Call it by the path of the new package: /srv/new/venv/bin/gilkeeper upgrade --server-root DIR. The new server takes over \
                     options, sockets, server root and logs of the old one.",
                )
                .arg(root()),
        )
        .subcommand(
            Command::new("stop")
                .about("End a running server")
                .arg(root())
                .arg(flag("now").help("End at once, without waiting for running requests.")),
        )
        .subcommand(systemd_unit())
        .subcommand(compare::command())
        .subcommand(tune::command())
        .subcommand(load_generator::command())
        .subcommand(doctor().arg(format("text").help("How to print the report.")))
        .subcommand(telemetry())
        .subcommand(
            Command::new("explain")
                .about("Explain a message code")
                .arg(Arg::new("code").value_name("WSGInnnn").required(true).help("Code as the log has it.")),
        )
        .subcommand(
            Command::new("completion")
                .about("Print the completion script of a shell")
                .after_help("For bash: gilkeeper completion bash > ~/.local/share/bash-completion/completions/gilkeeper")
                .arg(
                    Arg::new("shell")
                        .value_name("SHELL")
                        .required(true)
                        .value_parser(clap::value_parser!(clap_complete::Shell))
                        .help("Shell that reads the script."),
                ),
        )
        .subcommand(
            Command::new("man")
                .about("Print the manual page of gilkeeper or of one command")
                .after_help("To read it: gilkeeper man serve | man -l -")
                .arg(Arg::new("command").value_name("COMMAND").num_args(0..).help("Command, as `serve` or `telemetry serve` [default: the page of gilkeeper].")),
        )
}

/// Seconds, at most a day.
fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=86_400.0).contains(number));
    number.ok_or_else(|| format!("takes seconds from 0 to 86400, not `{text}`"))
}

fn systemd_unit() -> Command {
    let words = Arg::new("words")
        .value_name("serve …")
        .required(true)
        .num_args(1..)
        .trailing_var_arg(true)
        .allow_hyphen_values(true)
        .value_parser(clap::value_parser!(OsString))
        .help("The command line of the server, from `serve` on. It is read as `serve` reads it, in the current directory.");
    Command::new("systemd-unit")
        .about("Print a hardened systemd unit for a command line of `serve`")
        .after_help(
            "gilkeeper systemd-unit --name site --user www-data serve -c /srv/site/site.conf > /etc/systemd/system/site.service",
        )
        .arg(option("name", "NAME", "Name of the unit, and of its state directory [default: gilkeeper]."))
        .arg(option("user", "USER[:GROUP]", "User of the service [default: User of the configuration, else one that systemd makes up]."))
        .arg(flag("socket").help("Also make a .socket unit: systemd opens the sockets, and keeps them while the service restarts."))
        .arg(flag("notify-reload").help("Reload by a signal (Type=notify-reload, systemd 253); without it `gilkeeper reload` is called, whose failure systemctl shows."))
        .arg(many(option("credential", "NAME:FILE", "Pass a file as a credential, ${CREDENTIALS_DIRECTORY}/NAME in the configuration; repeat the option for more.")))
        .arg(option("output", "DIR", "Write the units into this folder [default: print them].").value_parser(clap::value_parser!(PathBuf)))
        .arg(words)
}

fn telemetry() -> Command {
    let directory = option(
        "directory",
        "DIR",
        "Directory of the history and the token [default: ./gilkeeper-telemetry].",
    );
    let serve = Command::new("serve")
        .about("Show the figures of other servers: mod_wsgi sends datagrams, Gilkeeper also OTLP")
        .arg(option(
            "listen-datagrams",
            "unix:PATH",
            "Socket that WSGITelemetryService of the other servers names [default: telemetry.sock in DIR].",
        ))
        .arg(option(
            "socket-mode",
            "OCTAL",
            "File mode of the socket, which decides who may send [default: 0660].",
        ))
        .arg(option("listen", "IP:PORT", "Address of the pages [default: 127.0.0.1:8002]."))
        .arg(option("otlp", "IP:PORT", "Address to receive OTLP over HTTP on [default: none]."))
        .arg(option("certificate", "FILE", "Certificate of the pages in PEM form; they speak TLS then."))
        .arg(option("key", "FILE", "Private key of the certificate."))
        .arg(option(
            "client-ca",
            "FILE",
            "Authorities in PEM form; a client with a certificate of theirs needs no token.",
        ))
        .arg(directory.value_parser(clap::value_parser!(PathBuf)));
    Command::new("telemetry")
        .about("Receive telemetry of other servers")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(serve)
}

fn doctor() -> Command {
    Command::new("doctor")
        .about("Import an application in every kind of interpreter and report what fails there")
        .arg(script())
        .arg(
            many(option("for", "MODE", "Mode that must be safe for exit status 0; repeat the option for more [default: all modes of the Python]."))
                .value_parser(["sub-interpreter", "own-gil", "free-threading"]),
        )
        .arg(option("python", "PATH", "Python executable that imports it [default: the Python that runs this command]."))
        .arg(many(option("python-path", "DIR", "Directory put on sys.path; repeat the option for more.")))
        .arg(option("working-directory", "DIR", "Working directory and first entry of sys.path [default: the current directory]."))
        .arg(option("callable-object", "NAME", "Callable that the script must have [default: application].").alias("callable"))
        .arg(many(option("import", "MODULE", "Also import this module, as a request would; repeat the option for more.")))
        .arg(option("time-limit", "SECONDS", "Time limit of the import in one child [default: 60 s]."))
}

/// Arguments of all commands that read a configuration.
fn reading() -> [Arg; 2] {
    [
        Arg::new("define")
            .short('D')
            .value_name("NAME[=VALUE]")
            .action(ArgAction::Append)
            .help("Define a name for <IfDefine> and ${NAME}; repeat the option for more."),
        flag("ignore-unknown").help("Report unknown directives as warnings instead of errors."),
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
