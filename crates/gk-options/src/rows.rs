//! Every option of WSGIDaemonProcess in the order of the reference: name, type, default, kind, help.
//!
//! The comment above a row is its help text on all surfaces. `serve(…)` makes the row an option of `serve`, too, with
//! the defaults of mod_wsgi-express where these differ.

use crate::field::Field;
use crate::kind::Kind;
use crate::row::Row;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Name of the process group of `GilkeeperFronts`.
pub const FRONTS: &str = "fronts";

/// One option of WSGIDaemonProcess.
pub type ProcessOption = Row<ProcessGroup>;

/// Headings of `serve --help` that rows of this table stand under.
pub mod headings {
    /// Process and thread numbers, and what the processes run as.
    pub const PROCESSES: &str = "Processes and threads";
    /// The interpreter and its paths.
    pub const PYTHON: &str = "Python";
    /// Replacing processes.
    pub const RELOADING: &str = "Reloading";
    /// Timeouts and limits.
    pub const LIMITS: &str = "Timeouts and limits";
}
use headings::{LIMITS, PROCESSES, PYTHON, RELOADING};

/// Declares the struct, its defaults and the table from one row each.
macro_rules! process_group {
    ($($(#[doc = $help:literal])+ $field:ident: $type:ty = $default:expr, $name:literal, $row:expr;)+) => {
        /// The values of one `WSGIDaemonProcess`. Durations are seconds, sizes bytes.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct ProcessGroup {
            /// Name; unique.
            pub name: String,
            /// Index of the host that declared it (`None`: the main server, visible to all).
            pub host: Option<usize>,
            /// `processes=` was given, even as 1: `wsgi.multiprocess`.
            pub multiprocess: bool,
            /// Its processes speak HTTP themselves (`GilkeeperEmbedded`, `GilkeeperFronts`).
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            pub embedded: bool,
            $($(#[doc = $help])+ pub $field: $type,)+
        }

        impl ProcessGroup {
            /// A group with every option at its default.
            pub fn named(name: impl Into<String>) -> Self {
                Self { name: name.into(), host: None, multiprocess: false, embedded: false, $($field: $default,)+ }
            }
        }

        /// Every option.
        pub const OPTIONS: &[ProcessOption] = &[$(Row {
            name: $name,
            help: concat!($($help),+),
            set: |group, value| group.$field = Field::of(value),
            get: |group| group.$field.value(),
            ..$row
        },)+];
    };
}

process_group! {
    /// Number of worker processes. If it is set, even to `1`, `wsgi.multiprocess` is true. `auto`: one for each CPU that
    /// the container, the service or the machine may use, rounded up.
    processes: u32 = 1, "processes", row(Kind::WholeOrAuto { least: 1, most: 10_000, unit: "processes" }).serve(PROCESSES);

    /// Request threads in each process. With 0 the group serves no requests: it runs its import script as a service script
    /// on the main thread.
    threads: u32 = 15, "threads", whole(0, 65_533, "threads").serve(PROCESSES).serve_default(5.0)
        .serve_kind(Kind::Whole { least: 1, most: 65_533, unit: "threads" }).serve_help("Request threads in each process.");

    /// User that the processes run as. Needs a server started by root; root itself is refused.
    user: Option<String> = None, "user", row(Kind::NotRoot).absent("the server's user");

    /// Group that the processes run as.
    group: Option<String> = None, "group", row(Kind::Identity).absent("the user's group");

    /// Replaces the supplementary groups of the user.
    supplementary_groups: Option<Vec<String>> = None, "supplementary-groups", row(Kind::Identities).absent("the user's");

    /// Prevents programs started by the processes from gaining privileges through `sudo`, other setuid programs or file
    /// capabilities (`PR_SET_NO_NEW_PRIVS`).
    no_new_privileges: Option<bool> = None, "no-new-privileges",
        row(Kind::Switch).absent("On with user=, else Off").ours();

    /// Permission bits that new files of the processes never have.
    umask: Option<u32> = None, "umask", row(Kind::Octal).absent("inherited").serve(PROCESSES);

    /// Root directory of the processes. Needs a server started by root.
    chroot: Option<PathBuf> = None, "chroot", row(Kind::AbsoluteDirectory);

    /// Working directory of the processes and first entry of `sys.path`.
    home: Option<PathBuf> = None, "home", row(Kind::AbsoluteDirectory);

    /// Python executable of the processes: a path, or a name to look up on PATH.
    python: Option<PathBuf> = None, "python",
        row(Kind::Program).absent("the Python that runs the server").ours().serve(PYTHON);

    /// Prefix or virtual environment of the processes' Python.
    python_home: Option<PathBuf> = None, "python-home", row(Kind::Path("DIR")).absent("WSGIPythonHome");

    /// Directories put in front of `sys.path` with `site.addsitedir()`.
    python_path: Vec<PathBuf> = Vec::new(), "python-path", row(Kind::Directories).absent("WSGIPythonPath").serve(PYTHON)
        .serve_help("Directory put in front of `sys.path` with `site.addsitedir()`; repeat the option for more.");

    /// Cache directory for unpacked eggs (`PYTHON_EGG_CACHE`).
    python_eggs: Option<PathBuf> = None, "python-eggs", row(Kind::Path("DIR"));

    /// Sets `LANG` in the processes.
    lang: Option<String> = None, "lang", row(Kind::Text("LOCALE")).absent("inherited").serve(PYTHON);

    /// Sets `LC_ALL` and calls `setlocale` in the processes; an unknown name is logged (WSGI0079).
    locale: Option<String> = None, "locale", row(Kind::Text("LOCALE")).absent("inherited").serve(PYTHON);

    /// CPython's UTF-8 mode (`PYTHONUTF8`). On: `open()` and file names use UTF-8 whatever the locale. Off: they follow
    /// `lang=` and `locale=`. From CPython 3.15 on, the mode is on unless this option says otherwise.
    utf8_mode: Option<String> = None, "utf8-mode", row(Kind::Choice(&["on", "off"])).absent("CPython's choice").ours().serve(PYTHON);

    /// Imports that an application declares lazy (CPython 3.15). `eager` runs them like ordinary imports, so a module that
    /// cannot be imported is noticed before the first request. `application` leaves them to CPython: the first use imports,
    /// usually during a request. `GilkeeperLazyImports` sets it for all groups without this option.
    lazy_imports: String = "eager".to_owned(), "lazy-imports", row(Kind::Choice(&["eager", "application"])).ours().serve(PYTHON)
        .serve_help("Imports that the application declares lazy (CPython 3.15) run where they stand, so that a module that cannot be \
            imported is noticed before the first request (`eager`), or at the first use (`application`).");

    /// Requires that scripts of this group belong to this user and are writable by nobody else; requests for other scripts
    /// get 403.
    script_user: Option<String> = None, "script-user", row(Kind::Identity);

    /// Requires that scripts of this group belong to this group and are not writable by others; requests for other scripts
    /// get 403.
    script_group: Option<String> = None, "script-group", row(Kind::Identity);

    /// Owner of the socket between front and workers.
    socket_user: Option<String> = None, "socket-user",
        row(Kind::Identity).inert("front and workers use a socket pair that the supervisor makes");

    /// Title of the processes in `ps`; `%{GROUP}` stands for `(wsgi:NAME)`.
    display_name: Option<String> = None, "display-name", row(Kind::Text("TITLE"));

    /// Stack of each request thread.
    stack_size: Option<u64> = None, "stack-size", whole(65_536, 1 << 34, "bytes").absent("the system's");

    /// Nice value of the processes.
    cpu_priority: i32 = 0, "cpu-priority", row(Kind::Signed { least: -20, most: 19 });

    /// Restarts a process gracefully after it has used this much CPU time.
    cpu_time_limit: u64 = 0, "cpu-time-limit", whole(0, 1_000_000_000, "seconds").zero("off").serve(LIMITS);

    /// Limits the data segment of each process (`RLIMIT_DATA`).
    memory_limit: u64 = 0, "memory-limit", whole(0, Kind::MOST, "bytes").zero("off");

    /// Limits the address space of each process (`RLIMIT_AS`).
    virtual_memory_limit: u64 = 0, "virtual-memory-limit", whole(0, Kind::MOST, "bytes").zero("off");

    /// Time that a thread may keep the GIL while other threads ask for it. It does not apply to interpreters with their own
    /// GIL.
    switch_interval: Option<f64> = None, "switch-interval",
        row(Kind::PositiveSeconds).absent("WSGISwitchInterval, else CPython's 0.005 s").serve(PROCESSES)
        .serve_help("Time that a thread may keep the GIL while other threads ask for it.");

    /// Runs the processes without the GIL on a free-threaded build. With `required`, a process in which the GIL was turned
    /// back on is not ready.
    free_threading: Option<String> = None, "free-threading",
        row(Kind::Choice(&["on", "off", "required"])).absent("WSGIFreeThreading").ours();

    /// Sub-interpreters with their own GIL for each named application group (CPython 3.12 and later); each request goes to
    /// the least busy. `switch-interval=` applies to them.
    interpreters: u32 = 1, "interpreters", whole(1, 256, "interpreters").ours().serve(PROCESSES)
        .serve_help("Sub-interpreters with their own GIL in each process (CPython 3.12 and later); each request goes to the least busy.");

    /// Restarts a process gracefully after this many requests.
    maximum_requests: u64 = 0, "maximum-requests", whole(0, Kind::MOST, "requests").zero("off").serve(RELOADING);

    /// Adds a random number up to this one to `maximum-requests` in each process, so that processes do not restart together.
    maximum_requests_jitter: u64 = 0, "maximum-requests-jitter",
        whole(0, Kind::MOST, "requests").zero("off").ours().serve(RELOADING);

    /// Restarts a process gracefully when it reaches this age.
    restart_interval: f64 = 0.0, "restart-interval", seconds().zero("off").serve(RELOADING);

    /// Restarts a process that has not imported its applications this long after its start, or after its first request if
    /// nothing is imported earlier.
    startup_timeout: f64 = 0.0, "startup-timeout", seconds().zero("off").serve(LIMITS).serve_default(15.0);

    /// Ends a process by force this long after its shutdown began.
    shutdown_timeout: f64 = 5.0, "shutdown-timeout", seconds().zero("never").serve(LIMITS);

    /// Time for running requests and open streams to finish before a graceful restart becomes a shutdown, and when the server
    /// stops.
    graceful_timeout: Option<f64> = None, "graceful-timeout",
        seconds().absent("15 s; 4 s when the server stops").zero("without limit").serve(LIMITS);

    /// Time for running requests to finish after the process gets SIGUSR1.
    eviction_timeout: f64 = 0.0, "eviction-timeout", seconds().zero("graceful-timeout").serve(LIMITS);

    /// Restarts a process when the GIL of its main interpreter has not been available for this long.
    deadlock_timeout: f64 = 300.0, "deadlock-timeout", seconds().zero("off").serve(LIMITS).serve_default(60.0);

    /// Restarts a process that has served at least one request and then none for this long.
    inactivity_timeout: f64 = 0.0, "inactivity-timeout", seconds().zero("off").serve(LIMITS);

    /// Base time limit of a request: with T threads, a process is restarted if a request runs longer than this × (1 + ln T).
    request_timeout: f64 = 0.0, "request-timeout", seconds().zero("off").serve(LIMITS).serve_default(60.0);

    /// Raises `mod_wsgi.RequestTimeout` in a thread whose request is over its limit, and restarts the process only if it
    /// still runs this much later.
    interrupt_timeout: f64 = 0.0, "interrupt-timeout", seconds().zero("off").serve(LIMITS);

    /// Time that a request waits until the group has a process, or while `listen-backlog` other requests wait.
    connect_timeout: f64 = 15.0, "connect-timeout", seconds().serve(LIMITS);

    /// Time that the front waits for the response head, and for each next block of the body.
    socket_timeout: f64 = 0.0, "socket-timeout", seconds().zero("Timeout").serve(LIMITS)
        .serve_help("Time without progress by the client or the response after which the request is given up; also sets `Timeout`.");

    /// Time that a request may wait for a free request thread; then it gets 503 with Retry-After.
    queue_timeout: f64 = 0.0, "queue-timeout", seconds().zero("off").serve(LIMITS).serve_default(45.0);

    /// Bytes of memory that requests may use while they wait for a free request thread: their heads, bodies that are not in
    /// a temporary file, and their connections. Above that the newest request gets 503 with Retry-After.
    queue_memory: u64 = 256 << 20, "queue-memory", row(Kind::Size { least: 1 << 20 }).zero("without limit").ours().serve(LIMITS);

    /// Limit of sub-interpreters per script and process whose names clients can choose: application groups named by
    /// `%{HOST}`, by a variable of the request, or by `%{RESOURCE}` if the mount point is a pattern. Requests that need one
    /// more get 503 (GK0070).
    chosen_interpreters: u32 = 100, "chosen-interpreters", whole(1, 1_000_000, "interpreters").ours().serve(LIMITS);

    /// When this many requests wait, others wait at most `connect-timeout` and then get 503, as with the full socket of a
    /// mod_wsgi daemon.
    listen_backlog: Option<u32> = None, "listen-backlog",
        whole(1, 1_000_000, "requests").absent("any number").serve(LIMITS).serve_name("daemon-backlog");

    /// Tries a request again, once, if its process died before it sent the response head. `safe`: only GET, HEAD and
    /// OPTIONS without a body.
    retry: String = "safe".to_owned(), "retry", row(Kind::Choice(&["safe", "off"])).ours().serve(LIMITS);

    /// Send buffer of the socket between front and workers.
    send_buffer_size: u64 = 0, "send-buffer-size", row(Kind::Size { least: 512 }).inert(OWN_FLOW_CONTROL);

    /// Receive buffer of the socket between front and workers.
    receive_buffer_size: u64 = 0, "receive-buffer-size", row(Kind::Size { least: 512 }).inert(OWN_FLOW_CONTROL);

    /// Longest line of a response head; 0 means the default.
    header_buffer_size: u64 = 32_768, "header-buffer-size", row(Kind::Size { least: 8192 });

    /// Bytes of a response that may wait in memory for a slow client, at least 256 KiB; further bytes go to an unnamed
    /// file, and the request thread is free. 0 means the default.
    response_buffer_size: u64 = 1_048_576, "response-buffer-size", row(Kind::Size { least: 65_536 });

    /// Bytes of a response that may wait in a file for a slow client. Above that the request thread waits for the client.
    /// 0: no file.
    response_spool_size: u64 = 268_435_456, "response-spool-size", row(Kind::Size { least: 65_536 }).ours();

    /// Time without progress in writing to the client after which the response is given up.
    response_socket_timeout: f64 = 0.0, "response-socket-timeout", seconds().zero("socket-timeout").serve(LIMITS);

    /// Time that the front waits for more output before it flushes.
    response_flush_delay: u64 = 5, "response-flush-delay", whole(0, Kind::MOST, "milliseconds")
        .inert("blocks that arrive together are written together, without waiting");

    /// Lets `mod_wsgi.server_metrics()` return data in this group.
    server_metrics: bool = false, "server-metrics", row(Kind::Switch)
        .unbuilt("`mod_wsgi.server_metrics()` returns None; the figures of all processes are on `/metrics`");

    /// Restarts the group gracefully when the source file of an imported module changes; the files are checked once a
    /// second.
    reload_on_changes: bool = false, "reload-on-changes", row(Kind::Switch).ours().serve(RELOADING);

    /// Restarts the group gracefully as soon as a Python file or a template below one of these directories changes;
    /// requests wait for the new code.
    watch: Vec<PathBuf> = Vec::new(), "watch", row(Kind::Directories).ours().serve(RELOADING)
        .serve_help("Directory to watch: the processes restart as soon as a Python file or template in it or below changes; \
            repeat the option for more.");
}

const OWN_FLOW_CONTROL: &str =
    "front and workers use a socket pair that the supervisor makes, and have their own flow control";

const fn row(kind: Kind) -> ProcessOption {
    Row::new(kind)
}

const fn whole(least: u64, most: u64, unit: &'static str) -> ProcessOption {
    row(Kind::Whole { least, most, unit })
}

const fn seconds() -> ProcessOption {
    row(Kind::Seconds)
}

/// Seconds that requests have when their process is replaced: mod_wsgi's default of graceful-timeout.
const REPLACED: f64 = 15.0;
/// Seconds that requests have when the server stops. With shutdown-timeout after them, a stop ends within the ten seconds after
/// which `docker stop` kills.
const STOPPED: f64 = 4.0;

impl ProcessGroup {
    /// Seconds that running requests have when their process is replaced; 0: without limit.
    pub fn graceful_timeout(&self) -> f64 {
        self.graceful_timeout.unwrap_or(REPLACED)
    }

    /// Seconds that running requests have when the server stops; 0: without limit.
    pub fn stop_timeout(&self) -> f64 {
        self.graceful_timeout.unwrap_or(STOPPED)
    }

    /// The group runs a service script and takes no requests.
    pub fn service(&self) -> bool {
        self.threads == 0
    }

    /// Its processes are those of several fronts: they speak HTTP, and run no application.
    pub fn is_front(&self) -> bool {
        self.embedded && self.name == FRONTS
    }

    /// Its processes renounce new privileges: by default where a user of its own keeps it apart from the rest of the machine.
    pub fn renounces_privileges(&self) -> bool {
        self.no_new_privileges.unwrap_or(self.user.is_some())
    }
}

impl Default for ProcessGroup {
    fn default() -> Self {
        Self::named("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;
    use std::path::Path;

    /// The ends of a row's range and numbers outside of it.
    fn ends(kind: Kind) -> (Vec<String>, Vec<String>) {
        let text = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect();
        let huge = "99999999999999999999999";
        match kind {
            Kind::Whole { least, most, .. } => {
                let below = least.checked_sub(1).map_or("-1".to_owned(), |number| number.to_string());
                (
                    vec![least.to_string(), most.to_string()],
                    vec![below, (most + 1).to_string(), huge.to_owned()],
                )
            }
            Kind::WholeOrAuto { least, most, .. } => (
                vec!["auto".to_owned(), "AUTO".to_owned(), least.to_string(), most.to_string()],
                vec![(least - 1).to_string(), (most + 1).to_string(), "automatic".to_owned(), String::new()],
            ),
            Kind::Size { least } => (
                vec!["0".to_owned(), least.to_string(), Kind::MOST.to_string()],
                vec![(least - 1).to_string(), (Kind::MOST + 1).to_string(), huge.to_owned()],
            ),
            Kind::Signed { least, most } => (
                vec![least.to_string(), most.to_string()],
                vec![(least - 1).to_string(), (most + 1).to_string(), huge.to_owned()],
            ),
            Kind::Seconds => {
                (text(&["0", "1.5", "1000000000"]), text(&["-1", "1000000001", huge, "inf", "1e3"]))
            }
            Kind::PositiveSeconds => {
                (text(&["0.000001", "1000000000"]), text(&["0", "-1", "1000000001", huge]))
            }
            Kind::Octal => (text(&["0", "0777"]), text(&["1000", "-1", "8", huge])),
            Kind::Switch => (text(&["On", "off"]), text(&["1", ""])),
            Kind::Choice(words) => (text(words), text(&["", "other"])),
            Kind::NotRoot => (text(&["www", "#33"]), text(&["root", "#0", "#00", "", "#-1"])),
            Kind::Identity => (text(&["www", "#33", "root"]), text(&["", "#-1", "a b"])),
            Kind::AbsoluteDirectory => (text(&["/srv"]), text(&["srv"])),
            Kind::Identities | Kind::Text(_) | Kind::Path(_) | Kind::Program | Kind::Directories => {
                (text(&["a"]), Vec::new())
            }
        }
    }

    #[test]
    fn every_row_takes_its_range_and_nothing_else() {
        for row in OPTIONS {
            let (good, bad) = ends(row.kind);
            for text in good {
                let value = row.kind.read("x=", &text, Path::new("/base")).unwrap();
                let mut group = ProcessGroup::named("g");
                (row.set)(&mut group, value.clone());
                assert_eq!(row.value(&group), Some(value), "{}={text}", row.name);
            }
            for text in bad {
                let refusal = row.kind.read("x=", &text, Path::new("/base")).unwrap_err();
                assert!(refusal.message.starts_with("x= "), "{}={text}: {}", row.name, refusal.message);
            }
        }
    }

    #[test]
    fn every_row_is_described() {
        let mut names = std::collections::HashSet::new();
        let group = serde_json::to_value(ProcessGroup::named("")).unwrap();
        for row in OPTIONS {
            assert!(names.insert(row.name), "{} is there twice", row.name);
            assert!(group.get(row.name.replace('-', "_")).is_some(), "{} names no field", row.name);
            let helps = [Some(row.help()), row.serve.and_then(|serve| serve.help)];
            for help in helps.into_iter().flatten() {
                assert!(help.ends_with('.') && !help.contains("  "), "{}: {help}", row.name);
            }
            if let Some(default) = row.default() {
                let again = row.kind.read("x=", &default.spelled(), Path::new("/")).unwrap();
                assert_eq!(again, default, "{}", row.name);
            }
        }
    }

    #[test]
    fn defaults_have_units_and_say_what_0_means() {
        let words = |name: &str| OPTIONS.iter().find(|row| row.name == name).unwrap().default_words();
        for (name, expected) in [
            ("threads", "15"),
            ("graceful-timeout", "15 s; 4 s when the server stops"),
            ("shutdown-timeout", "5 s"),
            ("restart-interval", "0, off"),
            ("header-buffer-size", "32768 bytes"),
            ("umask", "inherited"),
            ("reload-on-changes", "Off"),
        ] {
            assert_eq!(words(name), expected, "{name}");
        }
        assert_eq!(Value::Octal(0o27).spelled(), "027");
    }

    #[test]
    fn numbers_are_strict_and_name_the_unit() {
        let read = |kind: Kind, text: &str| kind.read("x=", text, Path::new("/")).unwrap_err();
        let threads = Kind::Whole { least: 0, most: 9, unit: "threads" };
        let refusal = read(threads, "60s");
        assert_eq!(refusal.message, "x= takes a whole number of threads from 0 to 9, not `60s`");
        assert_eq!(refusal.hint.unwrap(), "unit suffixes such as `s` are not understood: write 60");
        let port = Kind::Whole { least: 0, most: 65_535, unit: "" };
        assert_eq!(read(port, "-1").message, "x= takes a whole number from 0 to 65535, not `-1`");
        for bad in ["", "-1", "+1", "1e3", "inf", "nan", "1_000", "junk", " 1", ".", "1.2.3"] {
            read(threads, bad);
            read(Kind::Seconds, bad);
        }
    }
}
