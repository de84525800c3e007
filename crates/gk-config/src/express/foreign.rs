//! Names that users of other servers type, and what they are called here: options of gunicorn, Granian, uvicorn, Flask, Django, uWSGI,
//! waitress and mod_wsgi-express, and words where a command stands.

use super::options;
use crate::directive::Status;
use std::path::Path;

/// Counterpart of another server's option.
enum Counterpart {
    /// One option of `serve` with the same value.
    Option(&'static str),
    /// The same, with further options that it needs here.
    With(&'static str, &'static str),
    /// Address and port in one value.
    Address,
    /// An address for one server, the version of HTTP for another.
    AddressOrVersion,
    /// Options of `serve`, or other words.
    Words(&'static str),
    /// A log: these words, and others for the value `-`, which is the terminal.
    Log(&'static str, &'static str),
    /// What `gilkeeper dev` does.
    Development,
    /// There is none; the reason.
    None(&'static str),
}
use Counterpart::{Address, AddressOrVersion, Development, Log, None as Absent, Option as Same, With, Words};

/// One row each: the names without dashes, a single letter being a short option; and the counterpart.
#[rustfmt::skip]
const OPTIONS: &[(&[&str], Counterpart)] = &[
    (&["bind", "b", "listen"], Address),
    (&["http"], AddressOrVersion),
    (&["http-socket", "https"], Address),
    (&["h2", "http-version"], Words("`--http2` here; without it HTTP/1.1 alone is spoken")),
    (&["http2-max-concurrent-streams"], Words("`--set 'H2MaxSessionStreams N'`")),
    (&["http2-initial-stream-window-size"], Words("`--set 'H2WindowSize N'`")),
    (&["http1-header-read-timeout"], Words("`--header-timeout SECONDS` here")),
    (&["header-max-timeout", "header-min-rate"], Words("`--set 'RequestReadTimeout header=20-40,MinRate=500'`")),
    (&["body-max-timeout", "body-min-rate"], Words("`--set 'RequestReadTimeout body=20-60,MinRate=500'`")),
    (&["http1-keep-alive", "no-http1-keep-alive"], Words("`--keep-alive-timeout SECONDS` here")),
    (&["header"], Words("`--set 'Header set NAME VALUE'`")),
    (&["error-document"], Words("`--set 'ErrorDocument CODE …'`")),
    (&["ssl", "tls"], Words("`--https-port N` with `--ssl-certificate-file FILE` here")),
    (&["ssl-port"], Same("https-port")),
    (&["unix-socket", "uds"], Same("socket")),
    (&["chmod-socket", "unix-socket-perms", "uds-permissions"], Same("socket-mode")),
    (&["fd"], Absent("sockets of a service manager are taken by themselves; see `gilkeeper systemd-unit`")),
    (&["workers", "w"], Same("processes")),
    (&["p"], Words("`--port`, `--processes` or `--pid-file` here: other servers do not agree on it")),
    (&["blocking-threads", "threads-per-worker"], Same("threads")),
    (&["with-threads"], Words("`--threads N` here, and 5 without it")),
    (&["without-threads", "nothreading"], Words("`--threads 1` here")),
    (&["cheaper", "initial-workers", "minimum-spare-workers", "maximum-spare-workers"],
        Absent("the number of processes is fixed: `--processes`")),
    (&["runtime-threads", "runtime-mode", "worker-connections", "loop", "task-impl", "ws", "no-ws", "lifespan", "interface", "runtime-blocking-threads"],
        Absent("requests run on `--threads` threads in each of `--processes` processes, and WSGI is the only interface")),
    (&["worker-class", "k", "gevent", "enable-threads"],
        Absent("there is one kind of worker: `--processes` processes with `--threads` threads each")),
    (&["timeout", "t", "harakiri", "channel-timeout"], Same("request-timeout")),
    (&["timeout-graceful-shutdown", "workers-kill-timeout", "reload-mercy", "worker-reload-mercy"], Same("graceful-timeout")),
    (&["keep-alive", "timeout-keep-alive", "http1-keep-alive-timeout"], Same("keep-alive-timeout")),
    (&["max-requests", "limit-max-requests"], Same("maximum-requests")),
    (&["max-requests-jitter"], Same("maximum-requests-jitter")),
    (&["workers-lifetime", "max-worker-lifetime"], Same("restart-interval")),
    (&["limit-concurrency", "connection-limit"], Same("max-clients")),
    (&["backlog", "backpressure"], Same("server-backlog")),
    (&["max-request-body-size"], Same("limit-request-body")),
    (&["limit-request-line"], Words("`--set 'LimitRequestLine N'`")),
    (&["limit-request-fields"], Words("`--set 'LimitRequestFields N'`")),
    (&["limit-request-field-size", "limit-request-field_size", "buffer-size"], Words("`--set 'LimitRequestFieldSize N'`")),
    (&["reload", "py-autoreload", "debug", "debugger", "touch-reload"], Development),
    (&["no-debug", "no-debugger", "no-reload", "noreload"],
        Words("how `gilkeeper serve` is; `gilkeeper dev --disable-reloading` does not reload either")),
    (&["reload-exclude", "reload-ignore-dirs", "reload-ignore-patterns", "exclude-patterns", "reload-delay", "reload-tick"],
        Absent("the kernel tells of changes; hidden folders, `node_modules` and virtual environments are not watched")),
    (&["reload-dir", "reload-include", "reload-paths", "extra-files", "reload-extra-file"], Words("`--watch DIR`")),
    (&["reload-engine"], Absent("`--watch DIR` is told of changes by the kernel, `--reload-on-changes` looks once a second")),
    (&["preload", "lazy-apps", "lazy"], Absent("each worker imports the application itself, before it gets requests")),
    (&["check-config", "print-config"], Words("`gilkeeper check SCRIPT`")),
    (&["setup-only"], Words("`gilkeeper check SCRIPT`, which starts nothing; `gilkeeper systemd-unit` prints a unit")),
    (&["settings"], Words("`DJANGO_SETTINGS_MODULE=…` in front of the command, or a line in the file of `--env-file FILE`")),
    (&["chdir", "working-dir", "app-dir"], Same("working-directory")),
    (&["pythonpath", "pp"], Same("python-path")),
    (&["venv", "virtualenv", "home", "H"], Same("python-home")),
    (&["daemon", "daemonize", "D", "d", "background"], Absent("a service manager keeps it running: `gilkeeper systemd-unit serve …` prints a unit")),
    (&["env", "e"], Words("`--setenv NAME VALUE` for the WSGI environ, `--env-file FILE` for the process")),
    (&["env-files"], Same("env-file")),
    (&["pid", "pidfile"], Same("pid-file")),
    (&["uid", "u"], Same("user")),
    (&["gid", "g"], Same("group")),
    (&["m"], Same("umask")),
    (&["name", "n", "process-name", "procname", "proc-name"], Same("process-group")),
    (&["access-logfile", "access-log-file", "log-access"],
        Log("`--access-log` with `--log-directory DIR`", "`--access-log -` here")),
    (&["access-logformat", "access-log-fmt", "logformat"], Same("access-log-format")),
    (&["no-access-log", "disable-logging", "no-log"], Words("how it is without `--access-log`")),
    (&["error-logfile", "log-file", "logto", "log"],
        Log("`--log-directory DIR`", "how it is without `--log-directory DIR`")),
    (&["log-config-json", "log-config-dict"], Words("`--log-config FILE`, a file in TOML or JSON")),
    (&["logger-class"], Absent("`--log-format` and `--log-config FILE` decide how logs look")),
    (&["log-syslog", "log-syslog-to", "log-syslog-prefix", "log-syslog-facility"],
        Absent("logs go to the terminal or to files, and under systemd to the journal")),
    (&["rotate-logs", "max-log-size"], Absent("logrotate does that, and `kill -USR2` opens the logs again")),
    (&["use-colors", "no-use-colors"], Words("how it is in a terminal; `NO_COLOR=1` turns colours off")),
    (&["capture-output", "enable-stdio-inheritance", "R"], Words("how it always is: what the application prints goes to the error log")),
    (&["certfile", "ssl-certfile", "cert"], Same("ssl-certificate-file")),
    (&["keyfile", "ssl-keyfile", "key"], Same("ssl-certificate-key-file")),
    (&["ca-certs", "ssl-ca-certs", "ssl-ca"], Same("ssl-ca-certificate-file")),
    (&["cert-reqs", "ssl-cert-reqs", "ssl-client-verify"], Words("`--ssl-ca-certificate-file FILE`, which asks clients for certificates")),
    (&["ssl-version", "ssl-protocol-min"], Words("`--set 'SSLProtocol TLSv1.3'`")),
    (&["ciphers", "ssl-ciphers"], Words("`--set 'SSLCipherSuite …'`")),
    (&["ssl-keyfile-password"], Absent("a key with a pass phrase cannot be used; `openssl pkey -in FILE` prints it without")),
    (&["forwarded-allow-ips", "trusted-proxy", "trusted-hosts"],
        With("trust-proxy", "--trust-proxy-header X-Forwarded-For --trust-proxy-header X-Forwarded-Proto")),
    (&["proxy-allow-from"],
        Absent("with `--proxy-protocol` every client sends the header, so a firewall or the address of `--host` has to admit the proxy alone")),
    (&["proxy-headers", "trusted-proxy-headers"], Words("`--trust-proxy IP` with `--trust-proxy-header NAME`")),
    (&["root-path", "url-prefix", "url-path-prefix", "mount"], Same("mount-point")),
    (&["static-map", "static-path-mount", "static-path-route"], Words("`--static URL PATH`")),
    (&["check-static"], Same("document-root")),
    (&["directory-index"], Words("`--set 'DirectoryIndex NAME'`")),
    (&["directory-listing"], Words("`--set 'Options +Indexes'`")),
    (&["mime-types"], Words("`--set 'AddType TYPE ENDING'`")),
    (&["map-head-to-get"], Words("`--set 'WSGIMapHEADToGET Auto|On|Off'`")),
    (&["rewrite-rules"], Words("`--set 'RewriteEngine On'` with `--set 'RewriteRule …'` for each rule, or `-c FILE` for a whole configuration")),
    (&["allow-override"], Absent("`.htaccess` files are not read; `--set DIRECTIVE` and `-c FILE` take their lines")),
    (&["envvars-script"], Words("`--env-file FILE`, with one NAME=VALUE on a line")),
    (&["embedded-mode"], Words("`--embedded` here")),
    (&["startup-log", "startup-log-name"], Words("the error log, which has the start, too")),
    (&["verbose-debugging"], Words("`--log-level debug` here")),
    (&["service-user", "service-group"], Words("`user=` and `group=` of the service's WSGIDaemonProcess in a configuration file")),
    (&["with-newrelic", "with-newrelic-agent", "with-newrelic-platform"], Absent("the application is wrapped with the agent in its own code")),
    (&["with-php5", "with-cgi"], Absent("WSGI applications and files are served, and no CGI programs")),
    (&["enable-debugger", "debugger-startup", "enable-coverage", "coverage-directory", "enable-recorder", "recorder-directory", "enable-gdb", "gdb-executable"],
        Absent("such a tool runs with the application's tests; `gilkeeper profile` looks into a running server")),
    (&["compress-responses"], Words("`--set 'GilkeeperCompress gzip br'`")),
    (&["proxy-mount-point", "proxy-url-alias", "proxy-virtual-host"], Absent("Gilkeeper is no proxy; one in front of it can do that")),
    (&["statsd-host"], Words("`--set 'GilkeeperStatsd HOST:PORT'`")),
    (&["statsd-prefix"], Words("`--set 'GilkeeperStatsd HOST:PORT prefix=NAME'`")),
    (&["stats", "metrics", "metrics-address", "metrics-port", "server-metrics", "server-status"],
        Words("`--admin HOST:PORT`: the dashboard, and `/metrics` for Prometheus")),
    (&["enable-profiler", "profiler-directory"], Words("`gilkeeper profile`, while the server runs")),
    (&["callable"], Same("callable-object")),
    (&["app", "A", "module", "wsgi-file", "wsgi", "file", "wsgi-app", "entry-point"], Words("the argument SCRIPT, as in `gilkeeper serve app:app`")),
    (&["application-type"], Absent("SCRIPT is a file if there is one of that name, else a module")),
    (&["call"], Words("`--factory`, or SCRIPT as `app:create_app()`")),
    (&["ini", "yaml", "config-file"], Words("`-c FILE` in the directive language, or `gilkeeper.toml` with the names of the options")),
    (&["include-file"], Words("`--set DIRECTIVE`, or `-c FILE` for a whole configuration")),
    (&["service-log-file"], Words("the error log, which has the output of service scripts, too")),
    (&["mule", "cron", "spooler", "attach-daemon"], Words("`--service-script NAME PATH` with a loop of its own")),
    (&["post-buffering"], Words("how it always is: a thread gets a request when its body is there")),
    (&["master", "M", "vacuum", "die-on-term", "need-app", "respawn-failed-workers", "single-interpreter"], Words("how it always is")),
    (&["reuse-port", "no-sendfile", "sendfile", "worker-tmp-dir", "offload-threads", "thunder-lock", "plugin", "plugins", "modules-directory",
        "httpd-executable", "apachectl-executable", "rotatelogs-executable", "shell-executable", "server-mpm", "socket-prefix", "socket-path", "isatty",
        "enable-docs"], Absent("nothing of the kind is needed")),
    (&["paste", "paster"], Absent("a script that calls `paste.deploy.loadapp` and names the result `application` serves it")),
    (&["workers-max-rss", "reload-on-rss", "evil-reload-on-rss"], Words("`memory-limit=` of WSGIDaemonProcess in a configuration file")),
];

/// Words where a command stands.
const COMMANDS: &[(&[&str], &str)] = &[
    (&["run", "start", "server", "start-server", "up", "launch"], "serve"),
    (&["runserver", "develop", "development", "debug", "livereload"], "dev"),
    (&["restart", "graceful", "hup"], "reload"),
    (&["shutdown", "quit", "kill", "down", "end"], "stop"),
    (&["configtest", "test", "validate", "check-config", "config", "lint"], "check"),
    (&["ps", "list", "info", "stats"], "status"),
    (&["bench", "benchmark", "wrk", "ab"], "load"),
    (&["monitor", "watch"], "top"),
    (&["completions"], "completion"),
    (&["systemd", "unit", "service", "install"], "systemd-unit"),
];

/// What an option of another server is here, as the end of a sentence about it: `is … here`, or `is not there: …`. `name`: without
/// dashes. `value`: what was typed behind it.
pub fn meaning(name: &str, value: Option<&str>) -> Option<String> {
    if options::find(name).is_some() {
        return None;
    }
    let Some((_, counterpart)) = OPTIONS.iter().find(|(names, _)| names.contains(&name)) else {
        return of_process(name);
    };
    let is_terminal = value == Some("-");
    let value = value.filter(|value| !value.is_empty() && !value.starts_with('-'));
    let exactly = |words: String| format!(": write `{words}`");
    Some(match counterpart {
        Same(option) | With(option, _) => {
            let kind = options::find(option).map(|option| option.kind);
            // A star is no address of a proxy.
            let fits = |value: &&str| {
                *value != "*" && kind.is_some_and(|kind| kind.read("", value, Path::new("/")).is_ok())
            };
            let more = match counterpart {
                With(_, more) => format!(" {more}"),
                _ => String::new(),
            };
            let exactly =
                value.filter(fits).map(|value| exactly(format!("--{option} {}{more}", word(value))));
            let with = if more.is_empty() { more } else { format!(" with `{}`", more.trim_start()) };
            format!("is `--{option}` here{}", exactly.unwrap_or(with))
        }
        AddressOrVersion if matches!(value, Some("1" | "h11" | "httptools")) => {
            "is how it always is without `--http2`".to_owned()
        }
        AddressOrVersion if matches!(value, Some("2" | "auto")) => {
            "is `--http2` here, which speaks HTTP/1.1, too".to_owned()
        }
        Address | AddressOrVersion => {
            let exactly = value.and_then(address).map(exactly).unwrap_or_default();
            format!("is `--host` and `--port` here{exactly}")
        }
        Words(words) => format!("is {words}"),
        Log(_, terminal) if is_terminal => format!("is {terminal}"),
        Log(words, _) => format!("is {words}"),
        Development => "is `gilkeeper dev SCRIPT`, or `--reload-on-changes`".to_owned(),
        Absent(why) => format!("is not there: {why}"),
    })
}

/// An option of WSGIDaemonProcess that `serve` does not have.
fn of_process(name: &str) -> Option<String> {
    let row = gk_options::OPTIONS.iter().find(|row| row.name == name)?;
    Some(match row.status {
        Status::WithoutEffect(why) => format!("is not there: {why}"),
        _ => format!("is `{name}=` of WSGIDaemonProcess in a configuration file"),
    })
}

/// The option of `serve` that has the same values as an option of another server.
pub fn option(name: &str) -> Option<&'static str> {
    match OPTIONS.iter().find(|(names, _)| names.contains(&name))? {
        (_, Same(option) | With(option, _)) => Some(option),
        _ => None,
    }
}

/// The same for a key of a file of options, which has no dashes.
pub fn key(name: &str) -> Option<String> {
    meaning(&name.replace('_', "-"), None).map(|text| text.replace("`--", "`"))
}

/// Whether an option of another server asks for what `gilkeeper dev` does by itself.
pub fn is_of_development(name: &str) -> bool {
    OPTIONS.iter().any(|(names, counterpart)| matches!(counterpart, Development) && names.contains(&name))
}

/// `HOST:PORT`, a port or `unix:PATH` as options of `serve`.
pub fn address(value: &str) -> Option<String> {
    if let Some(path) = value.strip_prefix("unix:") {
        return Some(format!("--socket {}", word(path)));
    }
    let (host, port) = value.rsplit_once(':').unwrap_or(("", value));
    let port: u16 = port.parse().ok()?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some(match host {
        // All addresses, as without an option.
        "" | "*" => format!("--port {port}"),
        host => format!("--host {} --port {port}", word(host)),
    })
}

/// A value as a shell takes it: what is to be written may be copied from a terminal.
fn word(value: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:,+@%=".contains(c);
    match value.chars().all(is_plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', r"'\''")),
    }
}

/// The command that a word stands for.
pub fn command(word: &str) -> Option<&'static str> {
    COMMANDS.iter().find(|(words, _)| words.contains(&word)).map(|(_, command)| *command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_servers_lead_to_ours() {
        for (name, value, expected) in [
            (
                "bind",
                Some("0.0.0.0:8000"),
                "is `--host` and `--port` here: write `--host 0.0.0.0 --port 8000`",
            ),
            ("b", Some(":8000"), "is `--host` and `--port` here: write `--port 8000`"),
            ("listen", Some("*:8080"), "is `--host` and `--port` here: write `--port 8080`"),
            ("b", Some("unix:/run/x.sock"), "is `--host` and `--port` here: write `--socket /run/x.sock`"),
            ("bind", None, "is `--host` and `--port` here"),
            ("http", Some(":8000"), "is `--host` and `--port` here: write `--port 8000`"),
            ("http", Some("2"), "is `--http2` here, which speaks HTTP/1.1, too"),
            ("http", Some("auto"), "is `--http2` here, which speaks HTTP/1.1, too"),
            ("http", Some("1"), "is how it always is without `--http2`"),
            ("http", Some("h11"), "is how it always is without `--http2`"),
            ("http", None, "is `--host` and `--port` here"),
            ("access-logfile", Some("-"), "is `--access-log -` here"),
            ("access-logfile", Some("a.log"), "is `--access-log` with `--log-directory DIR`"),
            ("log-file", Some("-"), "is how it is without `--log-directory DIR`"),
            ("workers", Some("4"), "is `--processes` here: write `--processes 4`"),
            ("workers", Some("--x"), "is `--processes` here"),
            (
                "chdir",
                Some("/a b;'x"),
                r"is `--working-directory` here: write `--working-directory '/a b;'\''x'`",
            ),
            ("bind", Some("$(x):80"), "is `--host` and `--port` here: write `--host '$(x)' --port 80`"),
            (
                "forwarded-allow-ips",
                Some("*"),
                "is `--trust-proxy` here with `--trust-proxy-header X-Forwarded-For --trust-proxy-header X-Forwarded-Proto`",
            ),
            (
                "forwarded-allow-ips",
                Some("::1"),
                "is `--trust-proxy` here: write `--trust-proxy ::1 --trust-proxy-header X-Forwarded-For --trust-proxy-header X-Forwarded-Proto`",
            ),
            ("w", Some("app:app"), "is `--processes` here"),
            ("reload", None, "is `gilkeeper dev SCRIPT`, or `--reload-on-changes`"),
            ("memory-limit", Some("1G"), "is `memory-limit=` of WSGIDaemonProcess in a configuration file"),
            ("directory-listing", None, "is `--set 'Options +Indexes'`"),
        ] {
            assert_eq!(meaning(name, value).as_deref(), Some(expected), "{name}");
        }
        assert!(is_of_development("reload") && !is_of_development("workers"));
        for name in ["daemon", "server-mpm", "socket-prefix", "send-buffer-size", "proxy-allow-from"] {
            assert!(meaning(name, None).unwrap().starts_with("is not there: "), "{name}");
        }
        assert_eq!((meaning("threads", None), meaning("no-such-thing", None)), (None, None));
        assert_eq!(key("max_requests").as_deref(), Some("is `maximum-requests` here"));
        assert_eq!((command("restart"), command("serve")), (Some("reload"), None));
    }

    #[test]
    fn counterparts_are_options_and_no_name_is_there_twice() {
        let mut names = std::collections::HashSet::new();
        for (of, counterpart) in OPTIONS {
            for name in *of {
                assert!(names.insert(name), "{name} is there twice");
                assert!(options::find(name).is_none(), "--{name} is an option of ours");
            }
            if let Same(option) | With(option, _) = counterpart {
                assert!(options::find(option).is_some(), "--{option} is no option of serve");
            }
        }
    }
}
