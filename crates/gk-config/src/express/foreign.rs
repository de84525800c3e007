//! Names that users of other servers type, and what they are called here: options of gunicorn, Granian, uvicorn, Flask, uWSGI and
//! waitress, and words where a command stands.

use super::options;
use std::path::Path;

/// Counterpart of another server's option.
enum Counterpart {
    /// One option of `serve` with the same value.
    Option(&'static str),
    /// Address and port in one value.
    Address,
    /// An address for one server, the version of HTTP for another.
    AddressOrVersion,
    /// Options of `serve`, or other words.
    Words(&'static str),
    /// There is none; the reason.
    None(&'static str),
}
use Counterpart::{Address, AddressOrVersion, None as Absent, Option as Same, Words};

/// One row each: the names without dashes, a single letter being a short option; and the counterpart.
#[rustfmt::skip]
const OPTIONS: &[(&[&str], Counterpart)] = &[
    (&["bind", "b", "listen"], Address),
    (&["http"], AddressOrVersion),
    (&["http-socket", "https"], Address),
    (&["h2", "http-version"], Words("`--http2` here; without it HTTP/1.1 alone is spoken")),
    (&["http2-max-concurrent-streams"], Words("`--set 'H2MaxSessionStreams N'`")),
    (&["http2-initial-stream-window-size"], Words("`--set 'H2WindowSize N'`")),
    (&["ssl", "tls"], Words("`--https-port N` with `--ssl-certificate-file FILE` here")),
    (&["unix-socket", "uds"], Same("socket")),
    (&["fd"], Absent("sockets of a service manager are taken by themselves; see `gilkeeper systemd-unit`")),
    (&["workers", "w"], Same("processes")),
    (&["p"], Words("`--port`, `--processes` or `--pid-file` here: other servers do not agree on it")),
    (&["blocking-threads", "threads-per-worker"], Same("threads")),
    (&["runtime-threads", "runtime-mode", "worker-connections", "loop", "ws", "lifespan", "interface", "runtime-blocking-threads"],
        Absent("requests run on `--threads` threads in each of `--processes` processes, and WSGI is the only interface")),
    (&["worker-class", "k", "gevent", "enable-threads"],
        Absent("there is one kind of worker: `--processes` processes with `--threads` threads each")),
    (&["timeout", "t", "harakiri", "channel-timeout"], Same("request-timeout")),
    (&["timeout-graceful-shutdown", "workers-kill-timeout"], Same("graceful-timeout")),
    (&["keep-alive", "timeout-keep-alive", "http1-keep-alive-timeout"], Same("keep-alive-timeout")),
    (&["max-requests", "limit-max-requests"], Same("maximum-requests")),
    (&["max-requests-jitter"], Same("maximum-requests-jitter")),
    (&["workers-lifetime", "max-worker-lifetime"], Same("restart-interval")),
    (&["limit-concurrency", "connection-limit"], Same("max-clients")),
    (&["backlog", "backpressure"], Same("server-backlog")),
    (&["limit-request-line"], Words("`--set 'LimitRequestLine N'`")),
    (&["limit-request-fields"], Words("`--set 'LimitRequestFields N'`")),
    (&["limit-request-field-size", "limit-request-field_size", "buffer-size"], Words("`--set 'LimitRequestFieldSize N'`")),
    (&["reload", "py-autoreload", "debug", "debugger", "touch-reload"], Words("`gilkeeper dev SCRIPT`, or `--reload-on-changes`")),
    (&["reload-dir", "reload-include", "reload-paths", "extra-files", "reload-extra-file"], Words("`--watch DIR`")),
    (&["reload-engine"], Absent("`--watch DIR` is told of changes by the kernel, `--reload-on-changes` looks once a second")),
    (&["preload", "lazy-apps", "lazy"], Absent("each worker imports the application itself, before it gets requests")),
    (&["check-config", "print-config"], Words("`gilkeeper check SCRIPT`")),
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
    (&["name", "n", "process-name", "procname"], Same("process-group")),
    (&["access-logfile", "access-log-file", "log-access"], Words("`--access-log` with `--log-directory DIR`")),
    (&["access-logformat", "access-log-fmt", "logformat"], Same("access-log-format")),
    (&["no-access-log", "disable-logging", "no-log"], Words("how it is without `--access-log`")),
    (&["error-logfile", "log-file", "logto", "log"], Words("`--log-directory DIR`")),
    (&["capture-output"], Words("how it always is: what the application prints goes to the error log")),
    (&["certfile", "ssl-certfile", "cert"], Same("ssl-certificate-file")),
    (&["keyfile", "ssl-keyfile", "key"], Same("ssl-certificate-key-file")),
    (&["ca-certs", "ssl-ca-certs", "ssl-ca"], Same("ssl-ca-certificate-file")),
    (&["forwarded-allow-ips", "proxy-allow-from", "trusted-proxy", "trusted-hosts"], Same("trust-proxy")),
    (&["proxy-headers", "trusted-proxy-headers"], Words("`--trust-proxy IP` with `--trust-proxy-header NAME`")),
    (&["root-path", "url-prefix", "url-path-prefix", "mount"], Same("mount-point")),
    (&["static-map", "static-path-mount", "static-path-route"], Words("`--static URL PATH`")),
    (&["statsd-host", "stats"], Words("`--set 'GilkeeperStatsd HOST:PORT'`")),
    (&["callable"], Same("callable-object")),
    (&["app", "A", "module", "wsgi-file", "wsgi", "file", "wsgi-app"], Words("the argument SCRIPT, as in `gilkeeper serve app:app`")),
    (&["call"], Words("`--factory`, or SCRIPT as `app:create_app()`")),
    (&["ini", "yaml", "config-file"], Words("`-c FILE` in the directive language, or `gilkeeper.toml` with the names of the options")),
    (&["master", "M", "vacuum", "die-on-term", "need-app", "respawn-failed-workers", "single-interpreter"], Words("how it always is")),
    (&["reuse-port", "no-sendfile", "sendfile", "worker-tmp-dir", "offload-threads", "thunder-lock"], Absent("nothing of the kind is needed")),
    (&["paste", "paster"], Absent("a script that calls `paste.deploy.loadapp` and names the result `application` serves it")),
    (&["workers-max-rss", "reload-on-rss", "evil-reload-on-rss"], Words("`memory-limit=` of WSGIDaemonProcess in a configuration file")),
];

/// Words where a command stands.
const COMMANDS: &[(&[&str], &str)] = &[
    (&["run", "start", "server", "start-server", "up", "web", "app", "launch"], "serve"),
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
    let (_, counterpart) = OPTIONS.iter().find(|(names, _)| names.contains(&name))?;
    let value = value.filter(|value| !value.is_empty() && !value.starts_with('-'));
    let exactly = |words: String| format!(": write `{words}`");
    Some(match counterpart {
        Same(option) => {
            let kind = options::find(option).map(|option| option.kind);
            // A star is no address of a proxy.
            let fits = |value: &&str| {
                *value != "*" && kind.is_some_and(|kind| kind.read("", value, Path::new("/")).is_ok())
            };
            let exactly = value.filter(fits).map(|value| exactly(format!("--{option} {}", word(value))));
            format!("is `--{option}` here{}", exactly.unwrap_or_default())
        }
        AddressOrVersion if value == Some("1") => "is how it always is without `--http2`".to_owned(),
        AddressOrVersion if matches!(value, Some("2" | "auto")) => {
            "is `--http2` here, which speaks HTTP/1.1, too".to_owned()
        }
        Address | AddressOrVersion => {
            let exactly = value.and_then(address).map(exactly).unwrap_or_default();
            format!("is `--host` and `--port` here{exactly}")
        }
        Words(words) => format!("is {words}"),
        Absent(why) => format!("is not there: {why}"),
    })
}

/// The same for a key of a file of options, which has no dashes.
pub fn key(name: &str) -> Option<String> {
    meaning(&name.replace('_', "-"), None).map(|text| text.replace("`--", "`"))
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
        "" => format!("--port {port}"),
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
            ("b", Some("unix:/run/x.sock"), "is `--host` and `--port` here: write `--socket /run/x.sock`"),
            ("bind", None, "is `--host` and `--port` here"),
            ("http", Some(":8000"), "is `--host` and `--port` here: write `--port 8000`"),
            ("http", Some("2"), "is `--http2` here, which speaks HTTP/1.1, too"),
            ("http", Some("auto"), "is `--http2` here, which speaks HTTP/1.1, too"),
            ("http", Some("1"), "is how it always is without `--http2`"),
            ("http", None, "is `--host` and `--port` here"),
            ("workers", Some("4"), "is `--processes` here: write `--processes 4`"),
            ("workers", Some("--x"), "is `--processes` here"),
            (
                "chdir",
                Some("/a b;'x"),
                r"is `--working-directory` here: write `--working-directory '/a b;'\''x'`",
            ),
            ("bind", Some("$(x):80"), "is `--host` and `--port` here: write `--host '$(x)' --port 80`"),
            ("forwarded-allow-ips", Some("*"), "is `--trust-proxy` here"),
            ("forwarded-allow-ips", Some("::1"), "is `--trust-proxy` here: write `--trust-proxy ::1`"),
            ("w", Some("app:app"), "is `--processes` here"),
            ("reload", None, "is `gilkeeper dev SCRIPT`, or `--reload-on-changes`"),
        ] {
            assert_eq!(meaning(name, value).as_deref(), Some(expected), "{name}");
        }
        assert!(meaning("daemon", None).unwrap().starts_with("is not there: "));
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
            if let Same(option) = counterpart {
                assert!(options::find(option).is_some(), "--{option} is no option of serve");
            }
        }
    }
}
