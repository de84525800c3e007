//! The options of `serve`: one row each, with the field of `ServeOptions` it fills. Judging the values is
//! `gk_config::express`'s.

use clap::{Arg, ArgAction, ArgMatches, Command};
use gk_config::express::ServeOptions;

/// Where an option's values go.
enum Field {
    Flag(fn(&mut ServeOptions) -> &mut bool),
    One(fn(&mut ServeOptions) -> &mut Option<String>),
    Many(fn(&mut ServeOptions) -> &mut Vec<String>),
    Pairs(fn(&mut ServeOptions) -> &mut Vec<(String, String)>),
}
use Field::{Flag, Many, One, Pairs};

/// Name, names of the values, help, field.
type Row = (&'static str, &'static [&'static str], &'static str, Field);

/// Heading of the help and its options.
type Section = (&'static str, &'static [Row]);

#[rustfmt::skip]
const SECTIONS: &[Section] = &[
    ("Listening", &[
        ("host", &["IP"], "Address to listen on [default: all interfaces]", One(|o| &mut o.host)),
        ("port", &["N"], "Port; 0 takes any free one [default: 8000]", One(|o| &mut o.port)),
        ("socket", &["PATH"], "Listen on a socket file", One(|o| &mut o.socket)),
        ("https-port", &["N"], "Port for HTTPS: not built yet, refused", One(|o| &mut o.https_port)),
        ("ssl-certificate-file", &["FILE"], "Certificate for HTTPS", One(|o| &mut o.ssl_certificate_file)),
        ("ssl-certificate-key-file", &["FILE"], "Its private key", One(|o| &mut o.ssl_certificate_key_file)),
        ("server-name", &["HOST"], "Name of the site", One(|o| &mut o.server_name)),
        ("server-alias", &["HOST"], "Another name; wildcards allowed", Many(|o| &mut o.server_alias)),
        ("server-backlog", &["N"], "Connections that may wait to be accepted", One(|o| &mut o.server_backlog)),
        ("admin", &["HOST:PORT"], "Admin pages, or off [default: 127.0.0.1:8001]", One(|o| &mut o.admin)),
    ]),
    ("Telemetry", &[
        ("telemetry-service", &["unix:PATH"], "Send mod_wsgi's telemetry datagrams there", One(|o| &mut o.telemetry_service)),
        ("telemetry-interval", &["SECONDS"], "Between two of them [default: 1]", One(|o| &mut o.telemetry_interval)),
        ("slow-requests", &["SECONDS"], "Keep requests that take longer, with a stack", One(|o| &mut o.slow_requests)),
    ]),
    ("Application", &[
        ("mount-point", &["URL"], "Where the application is mounted [default: /]", One(|o| &mut o.mount_point)),
        ("callable-object", &["NAME"], "The callable [default: application]", One(|o| &mut o.callable_object)),
        ("process-group", &["NAME"], "Name of the process group", One(|o| &mut o.process_group)),
        ("application-group", &["NAME"], "Interpreter [default: %{GLOBAL}, with own GILs the process group's name]", One(|o| &mut o.application_group)),
        ("url-alias", &["URL", "PATH"], "Serve a file or directory", Pairs(|o| &mut o.url_alias)),
        ("document-root", &["DIR"], "Files tried before the application", One(|o| &mut o.document_root)),
        ("setenv", &["NAME", "VALUE"], "Set a variable of the WSGI environ", Pairs(|o| &mut o.setenv)),
        ("passenv", &["NAME"], "Pass a process variable to the WSGI environ", Many(|o| &mut o.passenv)),
        ("error-override", &[], "The server's own error pages", Flag(|o| &mut o.error_override)),
        ("enable-sendfile", &[], "Use sendfile for wsgi.file_wrapper", Flag(|o| &mut o.enable_sendfile)),
        ("service-script", &["NAME", "PATH"], "Keep a script running beside the application, in a process of its own", Pairs(|o| &mut o.service_script)),
    ]),
    ("Processes and threads", &[
        ("processes", &["N"], "Worker processes [default: 1]", One(|o| &mut o.processes)),
        ("threads", &["N"], "Request threads of each [default: 5]", One(|o| &mut o.threads)),
        ("interpreters", &["N"], "Own-GIL interpreters of each process", One(|o| &mut o.interpreters)),
        ("per-interpreter-gil", &[], "A GIL for each sub-interpreter", Flag(|o| &mut o.per_interpreter_gil)),
        ("free-threading", &[], "Without a GIL, on builds that can", Flag(|o| &mut o.free_threading)),
        ("switch-interval", &["SECONDS"], "How long a thread may keep the GIL", One(|o| &mut o.switch_interval)),
        ("user", &["NAME"], "Run as this user (needs root)", One(|o| &mut o.user)),
        ("group", &["NAME"], "Run as this group (needs root)", One(|o| &mut o.group)),
        ("umask", &["OCTAL"], "File mode mask of the workers", One(|o| &mut o.umask)),
    ]),
    ("Python", &[
        ("python", &["PATH"], "Python executable of the workers", One(|o| &mut o.python)),
        ("python-home", &["DIR"], "Virtual environment or prefix of the workers", One(|o| &mut o.python_home)),
        ("python-path", &["DIR"], "Directory put on sys.path", Many(|o| &mut o.python_path)),
        ("python-warnings", &["SPEC"], "Filter, as of python -W", Many(|o| &mut o.python_warnings)),
        ("working-directory", &["DIR"], "Working directory, first on sys.path", One(|o| &mut o.working_directory)),
        ("lang", &["NAME"], "LANG of the workers", One(|o| &mut o.lang)),
        ("locale", &["NAME"], "Locale of the workers", One(|o| &mut o.locale)),
        ("orphan-interpreter", &[], "Do not end interpreters at exit", Flag(|o| &mut o.orphan_interpreter)),
        ("debug-mode", &[], "One process with one thread", Flag(|o| &mut o.debug_mode)),
    ]),
    ("Reloading", &[
        ("reload-on-changes", &[], "Reload when a loaded module's file changes", Flag(|o| &mut o.reload_on_changes)),
        ("disable-reloading", &[], "Never reload because a script changed", Flag(|o| &mut o.disable_reloading)),
        ("maximum-requests", &["N"], "Replace a process after so many requests", One(|o| &mut o.maximum_requests)),
        ("maximum-requests-jitter", &["N"], "Up to so many more, at random", One(|o| &mut o.maximum_requests_jitter)),
        ("restart-interval", &["SECONDS"], "Replace a process after so long", One(|o| &mut o.restart_interval)),
    ]),
    ("Timeouts and limits", &[
        ("request-timeout", &["SECONDS"], "For one request [default: 60]", One(|o| &mut o.request_timeout)),
        ("interrupt-timeout", &["SECONDS"], "For a request that was interrupted", One(|o| &mut o.interrupt_timeout)),
        ("queue-timeout", &["SECONDS"], "For waiting in the queue [default: 45]", One(|o| &mut o.queue_timeout)),
        ("connect-timeout", &["SECONDS"], "For waiting for a worker to exist", One(|o| &mut o.connect_timeout)),
        ("socket-timeout", &["SECONDS"], "For a stalled read or write", One(|o| &mut o.socket_timeout)),
        ("response-socket-timeout", &["SECONDS"], "For a client that does not read", One(|o| &mut o.response_socket_timeout)),
        ("header-timeout", &["SECONDS"], "For the complete request head", One(|o| &mut o.header_timeout)),
        ("body-timeout", &["SECONDS"], "For a stalled request body", One(|o| &mut o.body_timeout)),
        ("keep-alive-timeout", &["SECONDS"], "For an idle connection", One(|o| &mut o.keep_alive_timeout)),
        ("startup-timeout", &["SECONDS"], "For importing the application", One(|o| &mut o.startup_timeout)),
        ("graceful-timeout", &["SECONDS"], "For finishing requests before a replacement", One(|o| &mut o.graceful_timeout)),
        ("eviction-timeout", &["SECONDS"], "The same for SIGUSR1", One(|o| &mut o.eviction_timeout)),
        ("shutdown-timeout", &["SECONDS"], "From the order to stop to the kill", One(|o| &mut o.shutdown_timeout)),
        ("deadlock-timeout", &["SECONDS"], "Without the GIL", One(|o| &mut o.deadlock_timeout)),
        ("inactivity-timeout", &["SECONDS"], "Without a request", One(|o| &mut o.inactivity_timeout)),
        ("ignore-activity", &["URL"], "Requests that do not count as activity", Many(|o| &mut o.ignore_activity)),
        ("cpu-time-limit", &["SECONDS"], "CPU time of a process", One(|o| &mut o.cpu_time_limit)),
        ("max-clients", &["N"], "Most connections at once", One(|o| &mut o.max_clients)),
        ("limit-request-body", &["BYTES"], "Longest request body", One(|o| &mut o.limit_request_body)),
        ("daemon-backlog", &["N"], "Requests that may wait for a worker", One(|o| &mut o.daemon_backlog)),
    ]),
    ("Proxies", &[
        ("trust-proxy-header", &["NAME"], "Header that a proxy sets", Many(|o| &mut o.trust_proxy_header)),
        ("trust-proxy", &["IP"], "Address or network of a proxy", Many(|o| &mut o.trust_proxy)),
    ]),
    ("Logs and files", &[
        ("access-log", &[], "Log each request", Flag(|o| &mut o.access_log)),
        ("access-log-format", &["FORMAT"], "common, combined or a LogFormat", One(|o| &mut o.access_log_format)),
        ("access-log-name", &["FILE"], "File name of the access log", One(|o| &mut o.access_log_name)),
        ("error-log-name", &["FILE"], "File name of the error log", One(|o| &mut o.error_log_name)),
        ("error-log-format", &["FORMAT"], "apache or json", One(|o| &mut o.error_log_format)),
        ("log-directory", &["DIR"], "Directory of the logs", One(|o| &mut o.log_directory)),
        ("log-to-terminal", &[], "Logs to the terminal", Flag(|o| &mut o.log_to_terminal)),
        ("log-level", &["LEVEL"], "Lowest level logged [default: warn]", One(|o| &mut o.log_level)),
        ("server-root", &["DIR"], "State directory [default: ./gilkeeper-root]", One(|o| &mut o.server_root)),
        ("pid-file", &["FILE"], "Where the process id is written", One(|o| &mut o.pid_file)),
        ("set", &["DIRECTIVE"], "Any directive, as one argument: 'Name args'", Many(|o| &mut o.set)),
    ]),
];

/// Options that go together with a configuration file and beat it, with the directive that says the same ("": read
/// elsewhere).
const WITH_FILE: [(&str, &str); 7] = [
    ("set", ""),
    ("server-root", ""),
    ("admin", "GilkeeperAdmin"),
    ("pid-file", "PidFile"),
    ("user", "User"),
    ("group", "Group"),
    ("log-level", "LogLevel"),
];

fn rows() -> impl Iterator<Item = &'static Row> {
    SECTIONS.iter().flat_map(|(_, rows)| rows.iter())
}

/// Adds the options and the script to the command.
pub fn add(mut command: Command) -> Command {
    let help = "A file (wsgi.py, site.wsgi) or package.module[:callable]";
    command = command.arg(Arg::new("script").value_name("SCRIPT").help(help));
    for (heading, rows) in SECTIONS {
        for (name, values, help, field) in *rows {
            let arg = Arg::new(*name).long(*name).help(*help).help_heading(*heading);
            command = command.arg(match field {
                Flag(_) => arg.action(ArgAction::SetTrue),
                One(_) => arg.value_name(values[0]).action(ArgAction::Set),
                Many(_) => arg.value_name(values[0]).action(ArgAction::Append),
                Pairs(_) => arg.value_names(values.iter().copied()).num_args(2).action(ArgAction::Append),
            });
        }
    }
    command
}

/// The options that were given.
pub fn options(given: &ArgMatches) -> ServeOptions {
    let script = given.get_one::<String>("script").cloned().unwrap_or_default();
    let mut options = ServeOptions { script, ..ServeOptions::default() };
    for (name, _, _, field) in rows() {
        let values = || given.get_many::<String>(name).into_iter().flatten().cloned();
        match field {
            Flag(at) => *at(&mut options) = given.get_flag(name),
            One(at) => *at(&mut options) = given.get_one::<String>(name).cloned(),
            Many(at) => *at(&mut options) = values().collect(),
            Pairs(at) => {
                let all: Vec<String> = values().collect();
                let pairs = all.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
                *at(&mut options) = pairs.collect();
            }
        }
    }
    options
}

/// The first option given that a configuration file leaves no room for.
pub fn not_with_file(given: &ArgMatches) -> Option<&'static str> {
    let used = |name: &str| given.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
    rows().map(|(name, ..)| *name).find(|name| used(name) && WITH_FILE.iter().all(|(with, _)| with != name))
}

/// What was given beside a configuration file, as lines of it.
pub fn beside_file(given: &ArgMatches) -> Vec<String> {
    let directive = |(name, directive): &(&str, &str)| {
        let value = given.get_one::<String>(name).filter(|_| !directive.is_empty())?;
        Some(format!("{directive} {}", gk_config::token::quote(value)))
    };
    let set = given.get_many::<String>("set").into_iter().flatten().cloned();
    WITH_FILE.iter().filter_map(directive).chain(set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_reach_their_fields() {
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
        assert_eq!((options.script.as_str(), options.processes.as_deref()), ("wsgi.py", Some("2")));
        assert!(options.access_log && !options.debug_mode);
        assert_eq!(options.url_alias, [("/a".to_owned(), "a".to_owned())]);
        assert_eq!(options.set, ["X 1"]);
    }
}
