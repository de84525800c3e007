//! Every option of `serve`: one row each. Options of the process group come from gk_options' table, the rest is here.
//!
//! A row says what it takes, its default and its effect: a line with a directive, an option of
//! WSGIDaemonProcess, or code in [`super::text`]. `--help`, completion, manual page and reference are made of the rows.

use crate::site::{ADMIN, HttpLimits, LIMIT_REQUEST_BODY, ReadTimeouts, Supervision};
use gk_options::rows::headings::{LIMITS, PROCESSES, PYTHON, RELOADING};
use gk_options::{Kind, OPTIONS, ProcessOption, Value};

const LISTENING: &str = "Listening";
const TELEMETRY: &str = "Telemetry";
const APPLICATION: &str = "Application";
const PROXIES: &str = "Proxies";
const LOGS: &str = "Logs and files";

/// Headings of `--help` in their order.
pub const HEADINGS: [&str; 9] =
    [LISTENING, APPLICATION, PROCESSES, PYTHON, RELOADING, LIMITS, PROXIES, LOGS, TELEMETRY];

/// Number of values that an option takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Takes {
    /// None: it is given or not.
    Nothing,
    /// One.
    One,
    /// One each time it is given.
    Many,
    /// Two each time it is given; the first one's name in usage lines.
    Pairs(&'static str),
}

/// Value of an option that is not given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Standard {
    /// Nothing to say.
    None,
    /// Words for the behaviour without the option.
    Words(&'static str),
    /// A number of the row's kind.
    Number(f64),
    /// A text.
    Text(&'static str),
}

/// Effect of an option.
#[derive(Debug, Clone, Copy)]
pub enum Use {
    /// A line with this directive and the values.
    Directive(&'static str),
    /// A line with this directive, and the value between these two texts.
    Enclosed(&'static str, &'static str, &'static str),
    /// A line with this directive and these words, with a space between two.
    Switch(&'static str, &'static str),
    /// An option of WSGIDaemonProcess.
    Process(&'static ProcessOption),
    /// Code in [`super::text`].
    Code,
}

/// One option of `serve`.
#[derive(Debug, Clone, Copy)]
pub struct ServeOption {
    /// Name without the dashes.
    pub name: &'static str,
    /// Heading of `--help`.
    pub heading: &'static str,
    /// Number of values.
    pub takes: Takes,
    /// Accepted values (of a pair: the second one).
    pub kind: Kind,
    /// Help: whole sentences.
    pub help: &'static str,
    /// Value without the option.
    pub standard: Standard,
    /// Meaning of 0, if it has one of its own.
    pub zero: &'static str,
    /// Place of the value in the JSON of `check`, as a JSON pointer; empty where there is none.
    pub pointer: &'static str,
    /// Effect.
    pub used: Use,
    /// It goes together with a configuration file, and beats it.
    pub with_file: bool,
}

impl ServeOption {
    const fn new(
        heading: &'static str,
        name: &'static str,
        takes: Takes,
        kind: Kind,
        help: &'static str,
    ) -> Self {
        let (standard, zero, pointer, used) = (Standard::None, "", "", Use::Code);
        Self { name, heading, takes, kind, help, standard, zero, pointer, used, with_file: false }
    }

    const fn directive(self, name: &'static str) -> Self {
        Self { used: Use::Directive(name), ..self }
    }

    /// The default, and its place in the JSON of `check`.
    const fn standard(self, standard: Standard, pointer: &'static str) -> Self {
        Self { standard, pointer, ..self }
    }

    const fn words(self, words: &'static str) -> Self {
        self.standard(Standard::Words(words), "")
    }

    const fn zero(self, zero: &'static str) -> Self {
        Self { zero, ..self }
    }

    const fn with_file(self) -> Self {
        Self { with_file: true, ..self }
    }

    /// The option of `serve` that sets an option of the process group, if there is one.
    fn of_process(row: &'static ProcessOption) -> Option<Self> {
        let serve = row.serve?;
        let kind = serve.kind.unwrap_or(row.kind);
        let takes = match kind {
            Kind::Switch => Takes::Nothing,
            Kind::Directories => Takes::Many,
            _ => Takes::One,
        };
        let help = serve.help.unwrap_or(row.help());
        let option = Self::new(serve.heading, serve.name.unwrap_or(row.name), takes, kind, help);
        Some(Self {
            used: Use::Process(row),
            zero: row.zero,
            standard: Standard::Words(row.absent),
            ..option
        })
    }

    /// The default, where it is a value.
    pub fn default(&self) -> Option<Value> {
        match (self.used, self.standard) {
            (Use::Process(row), _) => {
                row.serve.and_then(|serve| serve.default(self.kind)).or_else(|| row.default())
            }
            (_, Standard::Text(text)) => Some(Value::Text(text.to_owned())),
            (_, Standard::Number(number)) => Some(match self.kind {
                Kind::Seconds | Kind::PositiveSeconds => Value::Seconds(number),
                _ => Value::Whole(number as u64),
            }),
            _ => None,
        }
    }

    /// The facts in brackets behind the help: default with unit, meaning of 0, range.
    pub fn facts(&self) -> String {
        let mut facts = Vec::new();
        let default = self.default().filter(|_| self.takes != Takes::Nothing);
        let zero = default.as_ref().is_some_and(Value::is_zero) && !self.zero.is_empty();
        match (default, self.standard) {
            (Some(_), _) if zero => facts.push(format!("default: 0, {}", self.zero)),
            (Some(value), _) => facts.push(format!("default: {}{}", value.spelled(), self.kind.unit())),
            // A flag is off.
            (None, Standard::None | Standard::Words("none")) if self.takes == Takes::Nothing => {}
            (None, Standard::Words(words)) => facts.push(format!("default: {words}")),
            (None, _) => facts.push("default: none".to_owned()),
        }
        if !zero && !self.zero.is_empty() {
            facts.push(format!("0: {}", self.zero));
        }
        facts.extend(self.kind.range());
        facts.join("; ")
    }

    /// The whole help text.
    pub fn about(&self) -> String {
        match self.facts() {
            facts if facts.is_empty() => self.help.to_owned(),
            facts => format!("{} [{facts}]", self.help),
        }
    }

    /// The names of its values in usage lines.
    pub fn placeholders(&self) -> Vec<&'static str> {
        match self.takes {
            Takes::Nothing => Vec::new(),
            Takes::Pairs(first) => vec![first, self.kind.placeholder()],
            Takes::One | Takes::Many => vec![self.kind.placeholder()],
        }
    }
}

/// Every option, by heading in the order of `--help`.
pub fn all() -> impl Iterator<Item = ServeOption> {
    let every = || OPTIONS.iter().filter_map(ServeOption::of_process).chain(ROWS.iter().copied());
    HEADINGS.into_iter().flat_map(move |heading| every().filter(move |option| option.heading == heading))
}

/// The option with this name.
pub fn find(name: &str) -> Option<ServeOption> {
    all().find(|option| option.name == name)
}

const FILE: Kind = Kind::Path("FILE");
const DIR: Kind = Kind::Path("DIR");
const PATH: Kind = Kind::Path("PATH");
const SECONDS: Kind = Kind::Seconds;

const fn whole(least: u64, most: u64, unit: &'static str) -> Kind {
    Kind::Whole { least, most, unit }
}

const fn text(name: &'static str) -> Kind {
    Kind::Text(name)
}

const fn one(heading: &'static str, name: &'static str, kind: Kind, help: &'static str) -> ServeOption {
    ServeOption::new(heading, name, Takes::One, kind, help)
}

const fn many(heading: &'static str, name: &'static str, kind: Kind, help: &'static str) -> ServeOption {
    ServeOption::new(heading, name, Takes::Many, kind, help)
}

const fn flag(heading: &'static str, name: &'static str, help: &'static str) -> ServeOption {
    ServeOption::new(heading, name, Takes::Nothing, Kind::Switch, help)
}

/// A flag that stands for a directive with this word.
const fn switch(
    heading: &'static str,
    name: &'static str,
    directive: &'static str,
    word: &'static str,
    help: &'static str,
) -> ServeOption {
    ServeOption { used: Use::Switch(directive, word), ..flag(heading, name, help) }
}

const fn pairs(
    heading: &'static str,
    name: &'static str,
    first: &'static str,
    kind: Kind,
    help: &'static str,
) -> ServeOption {
    ServeOption::new(heading, name, Takes::Pairs(first), kind, help)
}

const HTTP: HttpLimits = HttpLimits::STANDARD;
const READ: ReadTimeouts = ReadTimeouts::STANDARD;
use Standard::{Number, Text};

/// The options that are none of the process group.
#[rustfmt::skip]
const ROWS: &[ServeOption] = &[
    one(LISTENING, "host", text("IP"), "Numeric address to listen on, or `localhost`.").words("all interfaces").with_file(),
    one(LISTENING, "port", whole(0, 65535, ""), "Port to listen on; 0 takes any free one.").standard(Number(8000.0), "/listen/0/tcp/port").with_file(),
    one(LISTENING, "socket", PATH, "Listen on a socket file instead; with `--host` or `--port` also on these.").with_file(),
    one(LISTENING, "socket-mode", Kind::Octal, "File mode of the socket file, which decides who may connect.").words("0666").with_file(),
    one(LISTENING, "https-port", whole(1, 65535, ""), "Port for TLS, in addition to `--port`; needs a certificate."),
    one(LISTENING, "ssl-certificate-file", FILE, "Certificate for `--https-port` in PEM form, followed by its chain."),
    one(LISTENING, "ssl-certificate-key-file", FILE, "Private key of the certificate in PEM form, without a pass phrase.")
        .words("in the certificate's file"),
    one(LISTENING, "ssl-certificate", PATH, "Certificate and key in one: PATH.crt and PATH.key."),
    one(LISTENING, "ssl-certificate-chain-file", FILE, "Intermediate certificates between the server's and the root."),
    one(LISTENING, "ssl-ca-certificate-file", FILE, "Authorities of client certificates: only clients with a certificate from \
        them are served, on the whole site or below the URLs of `--ssl-verify-client`."),
    many(LISTENING, "ssl-verify-client", text("URL"), "URL path below which a client certificate is required, instead of on the whole site."),
    flag(LISTENING, "ssl-environment", "Pass the variables `SSL_*` to the application."),
    flag(LISTENING, "https-only", "Redirect plain HTTP to `--https-port`."),
    one(LISTENING, "hsts-policy", text("POLICY"), "Strict-Transport-Security of responses with `--https-only`, such as 'max-age=31536000'."),
    switch(LISTENING, "http2", "Protocols", "h2 h2c http/1.1", "Speak HTTP/2, too: over TLS by ALPN, without TLS to clients that \
        start with it."),
    one(LISTENING, "server-name", text("HOST"), "Name of the site.").directive("ServerName"),
    many(LISTENING, "server-alias", text("HOST"), "Another name of the site; wildcards are allowed.").directive("ServerAlias"),
    one(LISTENING, "server-backlog", whole(1, 65535, "connections"), "Connections that may wait to be accepted.")
        .directive("ListenBacklog").standard(Number(HTTP.listen_backlog as f64), "/http/listen_backlog"),
    one(LISTENING, "admin", text("HOST:PORT"), "Address of the admin pages, or `off`.")
        .directive("GilkeeperAdmin").standard(Text(ADMIN), "/admin").with_file(),

    one(TELEMETRY, "telemetry-service", text("unix:PATH"), "Send mod_wsgi's telemetry datagrams to this socket."),
    one(TELEMETRY, "telemetry-interval", SECONDS, "Time between two telemetry datagrams.").standard(Number(1.0), ""),
    one(TELEMETRY, "slow-requests", SECONDS, "Record requests that take longer than this, with a stack.")
        .directive("WSGISlowRequests").standard(Number(0.0), "/measurements/slow_requests").zero("off"),

    one(APPLICATION, "mount-point", text("URL"), "URL path where the application is mounted.").standard(Text("/"), ""),
    one(APPLICATION, "callable-object", text("NAME"), "Name of the WSGI callable in the script.")
        .words("the one that SCRIPT names, else application, else app"),
    flag(APPLICATION, "factory", "The callable is a factory, by default `create_app`: call it to get the application."),
    one(APPLICATION, "process-group", text("NAME"), "Name of the process group.").standard(Text("default"), "/groups/0/name"),
    one(APPLICATION, "application-group", text("NAME"), "Interpreter that runs the application.")
        .words("%{GLOBAL}, with own GILs the process group's name"),
    pairs(APPLICATION, "url-alias", "URL", PATH, "Serve a file or directory under a URL path."),
    pairs(APPLICATION, "static", "URL", PATH, "Serve files under a URL path; clients that accept it get the `.br` or `.gz` file \
        beside a file."),
    one(APPLICATION, "document-root", DIR, "Directory of files that are served before the application is asked.").directive("DocumentRoot"),
    pairs(APPLICATION, "setenv", "NAME", text("VALUE"), "Set a variable of the WSGI environ.").directive("SetEnv"),
    many(APPLICATION, "passenv", text("NAME"), "Pass a variable of the process to the WSGI environ.").directive("PassEnv"),
    switch(APPLICATION, "error-override", "WSGIErrorOverride", "On", "Answer errors of the application with the server's own pages."),
    switch(APPLICATION, "enable-sendfile", "WSGIEnableSendfile", "On", "Accepted without effect: a regular file in `wsgi.file_wrapper` is always sent without Python."),
    one(APPLICATION, "host-access-script", FILE, "Script whose `allow_access(environ, host)` admits or refuses every client."),
    one(APPLICATION, "auth-user-script", FILE, "Script that checks users and passwords; every request then needs a user."),
    one(APPLICATION, "auth-type", Kind::Choice(&["basic", "digest"]), "HTTP authentication scheme.").words("basic"),
    one(APPLICATION, "auth-group-script", FILE, "Script that returns the groups of a user."),
    one(APPLICATION, "auth-group", text("NAME"), "Group that users must belong to, with `--auth-group-script`.").words("wsgi"),
    pairs(APPLICATION, "service-script", "NAME", PATH, "Keep a script running in its own process beside the application."),

    switch(PROCESSES, "embedded", "GilkeeperEmbedded", "On", "Embedded mode: the processes accept connections and speak HTTP \
        themselves. A crash breaks the connections of its process."),
    one(PROCESSES, "fronts", Kind::WholeOrAuto { least: 1, most: 256, unit: "front processes" }, "Processes that accept connections and speak HTTP; `auto` is one for every eight CPUs.")
        .directive("GilkeeperFronts").words("1"),
    switch(PROCESSES, "per-interpreter-gil", "WSGIPerInterpreterGIL", "On", "Give each sub-interpreter its own GIL (CPython 3.12 \
        and later)."),
    switch(PROCESSES, "free-threading", "WSGIFreeThreading", "On", "Run without the GIL on a free-threaded build."),
    one(PROCESSES, "user", Kind::Identity, "User that front and workers run as; needs a server started by root.").directive("User").with_file(),
    one(PROCESSES, "group", Kind::Identity, "Group that front and workers run as; needs a server started by root.").directive("Group").with_file(),

    one(PYTHON, "python-home", DIR, "Virtual environment or prefix of the workers' Python.").directive("WSGIPythonHome"),
    many(PYTHON, "python-warnings", text("SPEC"), "Warning filter, as of `python -W`.").directive("WSGIPythonWarnings"),
    one(PYTHON, "working-directory", DIR, "Working directory of the workers and first entry of `sys.path`.").words("the current directory"),
    switch(PYTHON, "orphan-interpreter", "WSGIDestroyInterpreter", "Off", "Do not take interpreters down when a process ends."),
    flag(PYTHON, "debug-mode", "Run one process with one thread."),

    switch(PROCESSES, "keep-trying", "GilkeeperKeepTrying", "On", "If the application cannot be imported at the start, keep \
        running and try again instead of ending with exit code 3.")
        .with_file(),
    one(PROCESSES, "front-timeout", SECONDS, "Time without a sign of life after which the front is replaced.")
        .directive("GilkeeperFrontTimeout").standard(Number(Supervision::STANDARD.front_timeout), "/supervision/front_timeout")
        .zero("off").with_file(),

    switch(RELOADING, "disable-reloading", "WSGIScriptReloading", "Off", "Never reload because a script or module changed."),

    ServeOption { used: Use::Enclosed("RequestReadTimeout", "header=", ",MinRate=500"), ..one(LIMITS, "header-timeout", SECONDS, "Time \
        for a client to send a request head, plus a second for each 500 bytes.") }
        .words("20 s, at most 40 s").zero("off"),
    ServeOption { used: Use::Enclosed("RequestReadTimeout", "body=", ",MinRate=500"), ..one(LIMITS, "body-timeout", SECONDS, "Time \
        for a client to send a request body, plus a second for each 500 bytes.") }
        .standard(Number(READ.body.seconds), "/hosts/0/read_timeouts/body/seconds").zero("off"),
    one(LIMITS, "keep-alive-timeout", SECONDS, "Time that a connection may wait for its next request.")
        .directive("KeepAliveTimeout").standard(Number(HTTP.keep_alive_timeout), "/http/keep_alive_timeout"),
    many(LIMITS, "ignore-activity", text("URL"), "URL path of requests that do not count as activity for `--inactivity-timeout`."),
    one(LIMITS, "max-clients", whole(0, u32::MAX as u64, "connections"), "Limit of simultaneous connections.")
        .directive("GilkeeperMaxConnections").standard(Number(HTTP.max_connections as f64), "/http/max_connections").zero("as many as descriptors allow"),
    one(LIMITS, "limit-request-body", whole(0, Kind::MOST, "bytes"), "Longest request body; requests with a longer one get 413.")
        .directive("LimitRequestBody").standard(Number(LIMIT_REQUEST_BODY as f64), "/hosts/0/base/limit_request_body").zero("without limit"),

    many(PROXIES, "trust-proxy-header", text("NAME"), "Header that a trusted proxy sets.").directive("WSGITrustedProxyHeaders"),
    many(PROXIES, "trust-proxy", text("IP"), "Address or network of a trusted proxy.").directive("WSGITrustedProxies"),
    switch(PROXIES, "proxy-protocol", "RemoteIPProxyProtocol", "On", "Expect the PROXY protocol, version 1 or 2, at the start of each connection."),

    flag(LOGS, "access-log", "Log each request; `--access-log -` logs to standard output whatever `--log-directory` says."),
    one(LOGS, "log-format", Kind::Choice(&["text", "json", "logfmt"]), "Format of both logs: Apache's text, one JSON object per \
        line, or lines of name=value pairs.")
        .words("text"),
    one(LOGS, "access-log-format", text("FORMAT"), "Format of the access log: common, combined, json, logfmt or a LogFormat; turns the log on.")
        .words("combined, or what `--log-format` says"),
    one(LOGS, "access-log-name", text("FILE"), "File name of the access log; `-` is standard output.").standard(Text("access_log"), ""),
    one(LOGS, "error-log-name", text("FILE"), "File name of the error log.").standard(Text("error_log"), ""),
    one(LOGS, "error-log-format", Kind::Choice(&["apache", "text", "json", "logfmt"]), "Format of the error log, if it differs \
        from `--log-format`; apache is text.").words("text"),
    one(LOGS, "log-config", FILE, "JSON or TOML file with a dictionary for `logging.config.dictConfig()` in the application.")
        .directive("GilkeeperLogConfig"),
    switch(LOGS, "request-id", "GilkeeperRequestId", "On", "Give each request an id: in the lines of both logs, for the \
        application, and as X-Request-ID in the response."),
    one(LOGS, "log-directory", DIR, "Directory of the logs.").words("the logs go to the terminal"),
    flag(LOGS, "log-to-terminal", "Write the logs to the terminal even with `--log-directory`."),
    one(LOGS, "log-level", text("LEVEL"), "Lowest level that is logged: emerg, alert, crit, error, warn, notice, info, debug or \
        trace. `warn,front:debug` sets another level for one process: supervisor, front, admin or worker.")
        .directive("LogLevel").standard(Text("warn"), "/error_log/level").with_file(),
    one(APPLICATION, "env-file", FILE, "File with one NAME=VALUE per line: environment variables for the application, and \
        options.").with_file(),
    one(LOGS, "server-root", DIR, "Directory of the control socket, the pid file and other state.").directive("ServerRoot").words("a folder of the project in `$XDG_STATE_HOME/gilkeeper`").with_file(),
    one(LOGS, "pid-file", FILE, "File that the process id is written to.").directive("PidFile").words("gilkeeper.pid in the server root").with_file(),
    many(LOGS, "set", text("DIRECTIVE"), "Any directive, as one argument 'Name arguments'; repeat the option for more.").with_file(),
];
