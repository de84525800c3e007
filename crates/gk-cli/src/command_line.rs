//! The commands and their arguments, as `clap` sees them, and the overview of `gilkeeper --help`.

pub mod complaint;
mod lines;

use crate::arguments::{flag, many, option, script};
use crate::load::DEVELOP;
use crate::serve::dev;
use crate::trials::{compare, load_generator, tune};
use crate::{options, print, say};
use clap::error::ErrorKind;
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
            .help("Directory of the running server's control socket [default: $GILKEEPER_ROOT, else the one of `serve` in this folder].")
            .hide_env(true)
    };
    let whole = Command::new("gilkeeper")
        .about("A WSGI application server: daemon process groups, interpreters, GIL modes")
        .version(gk_wire::PACKAGE_VERSION)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            options::add(
                Command::new("serve").about("Serve an application, or a configuration file"),
            )
            .args(reading())
            .arg(flag(DEVELOP).hide(true).conflicts_with("config"))
            .arg(path(config.clone()).conflicts_with("script")),
        )
        .subcommand(dev::command().args(reading()))
        .subcommand(
            options::add(
                Command::new("check")
                    .about("Explain a configuration, or options of `serve`, and report its errors"),
            )
            .args(reading())
            .arg(path(config).conflicts_with("script"))
            .arg(format("text").help("How to print the resolved site."))
            .arg(flag("strict").help("Exit with status 1 if there are warnings."))
            .mut_arg("python", |python| {
                python
                    .help(
                        "Also import the installed packages that have extension modules, in child processes, and warn of those that \
                         refuse the sub-interpreters of the site [default: the Python of each process group].",
                    )
                    .num_args(0..=1)
                    .default_missing_value("")
            }),
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
            Command::new("holders")
                .about("Show which lines of the applications held the GIL while others waited for it")
                .arg(root())
                .arg(option("process-group", "NAME", "Only this process group [default: all]."))
                .arg(option("route", "ROUTE", "Only holds by requests of this route, or by this thread [default: all]."))
                .arg(
                    option("last", "SECONDS", "Length of time until now.")
                        .default_value("300")
                        .value_parser(seconds),
                )
                .arg(format("text").help("How to print the table.")),
        )
        .subcommand(
            Command::new("profile")
                .about("Show the functions in which a running server's request threads use the CPU")
                .after_help(
                    "The stack of each request thread is sampled every 20 ms of its CPU time. For speedscope.app: gilkeeper profile -o \
                     profile.speedscope.json; for go tool pprof: -o profile.pb.gz; without --format, the file's name decides.",
                )
                .arg(root())
                .arg(option("process-group", "NAME", "Only this process group [default: all]."))
                .arg(option("route", "ROUTE", "Only requests of this route [default: all]."))
                .arg(
                    option("seconds", "SECONDS", "Length of time, from 1 to 300.")
                        .default_value("10")
                        .value_parser(seconds),
                )
                .arg(
                    option("format", "FORMAT", "Format of the output [default: by the ending of the file's name, else text].")
                        .value_parser(["text", "json", "speedscope", "pprof", "folded", "svg"]),
                )
                .arg(option("output", "FILE", "File to write [default: standard output].").short('o')),
        )
        .subcommand(
            Command::new("reload")
                .about("Read the configuration again and replace the workers without losing a request")
                .arg(root())
                .arg(
                    Arg::new("group")
                        .value_name("PROCESS-GROUP")
                        .help("Replace only the workers of this process group."),
                ),
        )
        .subcommand(
            Command::new("drain")
                .about("Make load balancers send their requests elsewhere while the server still serves")
                .after_help("/readyz answers 503, and each connection ends with its next response. A preStop hook of Kubernetes, or a \
                             script before `stop`, calls it and waits.")
                .arg(root())
                .arg(
                    Arg::new("wait")
                        .long("wait")
                        .value_name("SECONDS")
                        .default_value("5")
                        .value_parser(seconds)
                        .help("Time until the command returns; choose what a load balancer needs to notice."),
                )
                .arg(flag("undo").conflicts_with("wait").help("Be ready again.")),
        )
        .subcommand(
            Command::new("upgrade")
                .about("Replace a running server with this version of Gilkeeper without losing a request")
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
                .arg(Arg::new("code").value_name("CODE").required(true).help("Code from the log, such as WSGI0084 or GK0053.")),
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
                .after_help("To read it: gilkeeper man serve | man -l -\nFor `man gilkeeper-serve`: gilkeeper man --output ~/.local/share/man/man1")
                .arg(
                    option("output", "DIR", "Write the pages of all commands into this folder, as gilkeeper-COMMAND.1.")
                        .conflicts_with("command")
                        .value_parser(clap::value_parser!(PathBuf)),
                )
                .arg(Arg::new("command").value_name("COMMAND").num_args(0..).help("Command, such as `serve` or `telemetry serve` [default: the page of gilkeeper].")),
        );
    let overview = overview(&whole);
    lines::completed(whole).override_help(overview)
}

/// The commands by purpose, in the order in which a site needs them. Those in none of the groups come last.
const PURPOSES: [(&str, &[&str]); 4] = [
    ("Serve", &["serve", "dev", "check", "systemd-unit"]),
    ("A running server", &["status", "top", "reload", "drain", "upgrade", "stop"]),
    ("Measure", &["doctor", "tune", "compare", "load", "holders", "profile", "telemetry"]),
    ("Look up", &["explain", "completion", "man", "help"]),
];

/// The text of `gilkeeper --help`.
fn overview(whole: &Command) -> String {
    let named = |name: &str| whole.get_subcommands().find(|command| command.get_name() == name);
    let about = |command: &Command| command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut text = format!("{}\n\nUsage: gilkeeper COMMAND …\n", about(whole));
    let known = |name: &str| PURPOSES.iter().any(|(_, names)| names.contains(&name));
    let others: Vec<&str> =
        whole.get_subcommands().map(Command::get_name).filter(|name| !known(name)).collect();
    for (purpose, names) in PURPOSES.into_iter().chain([("Other commands", &others[..])]) {
        let lines = names.iter().filter_map(|name| match *name {
            "help" => Some(format!("  {:<14} Print the help of a command\n", "help")),
            name => Some(format!("  {name:<14} {}\n", about(named(name)?))),
        });
        let lines: String = lines.collect();
        if !lines.is_empty() {
            text.push_str(&format!("\n{purpose}:\n{lines}"));
        }
    }
    text.push_str("\nOptions:\n  -h, --help     Print this overview; `gilkeeper serve --help` prints the options of serve\n");
    text.push_str("  -V, --version  Print version, Python and build\n\nTo serve an application: gilkeeper serve app:app\n");
    text
}

/// The names of all commands.
pub fn names() -> Vec<String> {
    let whole = command();
    whole.get_subcommands().map(|command| command.get_name().to_owned()).collect()
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
        .arg(option("user", "USER[:GROUP]", "User of the service [default: User of the configuration, else one that systemd creates]."))
        .arg(flag("socket").help("Also print a .socket unit: systemd opens the sockets, and keeps them while the service restarts."))
        .arg(flag("notify-reload").help("Reload by a signal (Type=notify-reload, systemd 253). Without this option systemd calls `gilkeeper reload`, and systemctl shows if that fails."))
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
        .arg(option("certificate", "FILE", "Certificate for the pages in PEM form; turns TLS on."))
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
        .arg(option("callable-object", "NAME", "Callable that the script must have [default: application, else app].").alias("callable"))
        .arg(flag("factory").help("The callable is a factory: call it to get the application."))
        .arg(many(option("import", "MODULE", "Also import this module, as a request would; repeat the option for more.")))
        .arg(option("time-limit", "SECONDS", "Time limit for the import in each child process [default: 60 s]."))
        .arg(option("explain", "PACKAGE", "Only print what was tried with this package, or with the package of this module (for packages that many applications use).").conflicts_with("script"))
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

/// Prints what `clap` found: help as it is, a complaint as one sentence. Gives the exit code. `argv` is complete.
pub fn complain(error: &clap::Error, argv: &[OsString]) -> i32 {
    match error.kind() {
        ErrorKind::DisplayHelp => {
            print(&error.render().to_string());
            0
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            say(&error.render().to_string());
            2
        }
        _ => {
            let names = names();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            say(&format!("gilkeeper: {}", complaint::sentence(error, &names, argv)));
            2
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(argv: &[&str]) -> String {
        let error = command().try_get_matches_from(argv).unwrap_err();
        let names = names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
        complaint::sentence(&error, &names, &argv)
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn the_overview_has_every_command() {
        let help = command().render_help().to_string();
        for name in names() {
            assert!(help.contains(&format!("  {name} ")), "{name} is not in\n{help}");
        }
        assert!(!help.contains("Other commands"), "a command has no purpose:\n{help}");
    }

    #[test]
    fn complaints_are_one_sentence() {
        for (argv, expected) in [
            (
                &["serve", "x.py", "--proceses", "2"][..],
                "unexpected argument '--proceses' found; did you mean '--processes'? `gilkeeper serve --help` lists the options",
            ),
            (
                &["sevre"],
                "unrecognized subcommand 'sevre'; did you mean 'serve'? `gilkeeper --help` lists the commands",
            ),
            // Reported: `serv` led to `dev`, the farthest of the names that are alike.
            (
                &["serv", "x.py"],
                "unrecognized subcommand 'serv'; did you mean 'serve'? `gilkeeper --help` lists the commands",
            ),
            (&["version"], "`version` is `gilkeeper --version` here"),
            (&["app"], "`app` is no command; to serve it, write `gilkeeper serve app`"),
            // Reported: `gilkeeper dev --reload` led to `gilkeeper dev`.
            (
                &["dev", "x.py", "--reload"],
                "`--reload` is what `gilkeeper dev` always does; `gilkeeper dev --help` lists the options",
            ),
            (
                &["dev", "-c", "site.conf"],
                "`-c` is no option of `gilkeeper dev`, which takes SCRIPT; `gilkeeper serve -c FILE` serves a configuration file; \
                 `gilkeeper dev --help` lists the options",
            ),
        ] {
            assert_eq!(complaint(&[&["gilkeeper"], argv].concat()), expected);
        }
        assert!(!complaint(&["gilkeeper", "explain"]).contains('\n'));
    }

    /// Reported: names of other servers were "unexpected", with a near spelling of another meaning: `--timeout` led to
    /// `--body-timeout`. Met by everybody who comes from one.
    #[test]
    fn names_of_other_servers_are_understood() {
        let listed = "; `gilkeeper serve --help` lists the options";
        for (argv, expected) in [
            (
                &["serve", "a:a", "--bind", "0.0.0.0:80"][..],
                "`--bind` is `--host` and `--port` here: write `--host 0.0.0.0 --port 80`",
            ),
            (&["serve", "a:a", "--bind=:80"], "`--bind` is `--host` and `--port` here: write `--port 80`"),
            (&["serve", "a:a", "-w4"], "`-w` is `--processes` here: write `--processes 4`"),
            (&["serve", "a:a", "-w", "4"], "`-w` is `--processes` here: write `--processes 4`"),
            (
                &["serve", "a:a", "--timeout", "30"],
                "`--timeout` is `--request-timeout` here: write `--request-timeout 30`",
            ),
            (
                &["serve", "a:a", "--daemon"],
                "`--daemon` is not there: a service manager keeps it running: `gilkeeper systemd-unit serve …` prints a unit",
            ),
            (&["serve", "a:a", "8080"], "`8080` stands where nothing is expected: write `--port 8080`"),
            // Reported: found no name of others.
            (&["tune", "a:a", "--workers", "4"], "`--workers` is `--processes` here: write `--processes 4`"),
            (
                &["doctor", "a:a", "--chdir=x"],
                "`--chdir` is `--working-directory` here: write `--working-directory x`",
            ),
            (&["run", "a:a"], "`run` is `gilkeeper serve` here"),
            (
                &["--port", "80", "a:a"],
                "`--port` is an option of a command: write `gilkeeper serve SCRIPT --port …`",
            ),
        ] {
            let of = argv.first().copied().filter(|word| ["tune", "doctor"].contains(word));
            let listed = of.map_or(listed.to_owned(), |command| listed.replace("serve", command));
            assert_eq!(complaint(&[&["gilkeeper"], argv].concat()), format!("{expected}{listed}"));
        }
        assert_eq!(
            complaint(&["gilkeeper", "a:a", "-b", ":80"]),
            "`a:a` is no command; to serve it, write `gilkeeper serve a:a`"
        );
        assert_eq!(
            complaint(&["gilkeeper", "status", "--bind"]),
            "unexpected argument '--bind' found; `gilkeeper status --help` lists the options"
        );
    }
}
