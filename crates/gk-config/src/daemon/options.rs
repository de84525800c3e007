//! The rows of WSGIDaemonProcess's options, in the order of their page, without what they apply.

use super::identity::*;
use super::numbers::*;
use super::timers::*;
use super::{DaemonOption, Given};
use crate::directive::{Applied, Status};
use crate::site::ProcessGroup;

/// Every option.
pub const OPTIONS: &[DaemonOption] = &[
    row(
        "processes",
        "number",
        "1",
        processes,
        "Worker processes. Given at all, even as `1`, it makes `wsgi.multiprocess` true.",
    ),
    row(
        "threads",
        "number",
        "15",
        threads,
        "Request threads in each process. 0 runs a service script: the group's import script on the main thread, no requests.",
    ),
    row(
        "user",
        "name or #id",
        "the server's user",
        user,
        "Who the processes run as. Needs a server started by root; root itself is refused.",
    ),
    row("group", "name or #id", "the user's group", group, "Which group the processes run as."),
    row(
        "supplementary-groups",
        "names, comma between",
        "the user's",
        supplementary_groups,
        "Replaces the supplementary groups.",
    ),
    row("umask", "octal number", "inherited", umask, "Mask of the permissions of new files."),
    row(
        "chroot",
        "directory",
        "none",
        chroot,
        "Root directory of the processes. Needs a server started by root.",
    ),
    row("home", "directory", "none", home, "Working directory and first entry of `sys.path`. Absolute."),
    DaemonOption {
        ours: true,
        ..row(
            "python",
            "path",
            "the Python that runs the server",
            python,
            "The interpreter's executable for this group.",
        )
    },
    row(
        "python-home",
        "directory",
        "WSGIPythonHome",
        python_home,
        "Prefix or virtual environment of this group.",
    ),
    row(
        "python-path",
        "directories, colon between",
        "WSGIPythonPath",
        python_path,
        "Directories put in front of `sys.path` with `site.addsitedir()`.",
    ),
    row("python-eggs", "directory", "none", python_eggs, "Cache of unpacked eggs (`PYTHON_EGG_CACHE`)."),
    row("lang", "locale name", "inherited", lang, "Sets `LANG`."),
    row(
        "locale",
        "locale name",
        "inherited",
        locale,
        "Sets `LC_ALL` and calls `setlocale`; a name that is not known is logged (WSGI0079).",
    ),
    row(
        "script-user",
        "name",
        "none",
        script_user,
        "Scripts of this group must belong to this user and be writable by nobody else; otherwise 403.",
    ),
    row(
        "script-group",
        "name",
        "none",
        script_group,
        "Scripts of this group must belong to this group and not be writable by the world; otherwise 403.",
    ),
    DaemonOption {
        status: Status::WithoutEffect("front and workers share a socket pair made by the supervisor"),
        ..row(
            "socket-user",
            "name or #id",
            "none",
            socket_user,
            "Owner of the socket between front and workers.",
        )
    },
    row(
        "display-name",
        "text",
        "none",
        display_name,
        "Title of the processes in `ps`; `%{GROUP}` stands for `(wsgi:NAME)`.",
    ),
    row("stack-size", "bytes", "the system's", stack_size, "Stack of each request thread."),
    row("cpu-priority", "number from -20 to 19", "0", cpu_priority, "Nice value."),
    row(
        "cpu-time-limit",
        "number",
        "0, off",
        cpu_time_limit,
        "CPU time after which a process is restarted gracefully.",
    ),
    row("memory-limit", "bytes", "0, off", memory_limit, "Bytes of data (`RLIMIT_DATA`)."),
    row(
        "virtual-memory-limit",
        "bytes",
        "0, off",
        virtual_memory_limit,
        "Bytes of address space (`RLIMIT_AS`).",
    ),
    row(
        "switch-interval",
        "seconds",
        "WSGISwitchInterval",
        switch_interval,
        "How long a thread may keep the GIL while others ask for it. Never reaches interpreters with a GIL of their own.",
    ),
    DaemonOption {
        ours: true,
        ..row(
            "free-threading",
            "on, off or required",
            "WSGIFreeThreading",
            free_threading,
            "Runs the processes without the GIL on a free-threaded build. `required`: a process whose GIL comes back on is not ready.",
        )
    },
    DaemonOption {
        ours: true,
        ..row(
            "interpreters",
            "number",
            "1",
            interpreters,
            "Own-GIL sub-interpreters behind each named application group (CPython 3.12 and later); each request goes to the least busy. `switch-interval=` reaches these.",
        )
    },
    row(
        "maximum-requests",
        "number",
        "0, off",
        maximum_requests,
        "Requests after which a process is restarted gracefully.",
    ),
    DaemonOption {
        ours: true,
        ..row(
            "maximum-requests-jitter",
            "number",
            "0",
            maximum_requests_jitter,
            "Up to that many are added at random to `maximum-requests=` in each process, so that they do not restart together.",
        )
    },
    row(
        "restart-interval",
        "seconds",
        "0, off",
        restart_interval,
        "Age at which a process is restarted gracefully.",
    ),
    row(
        "startup-timeout",
        "seconds",
        "0, off",
        startup_timeout,
        "The first script must have been loaded this long after the first request.",
    ),
    row(
        "shutdown-timeout",
        "seconds",
        "5",
        shutdown_timeout,
        "From the start of a shutdown to the forced end; 0 is never forced.",
    ),
    row(
        "graceful-timeout",
        "seconds",
        "15",
        graceful_timeout,
        "How long running requests may take to end before a graceful restart becomes a shutdown. 0: as long as they want.",
    ),
    row("eviction-timeout", "seconds", "0, graceful-timeout", eviction_timeout, "The same for SIGUSR1."),
    row(
        "deadlock-timeout",
        "seconds",
        "300",
        deadlock_timeout,
        "A process whose main interpreter's GIL cannot be had for so long is restarted; 0 is off.",
    ),
    row(
        "inactivity-timeout",
        "seconds",
        "0, off",
        inactivity_timeout,
        "A process that has served a request and then none for so long is restarted.",
    ),
    row(
        "request-timeout",
        "seconds",
        "0, off",
        request_timeout,
        "Base limit of one request; see the guide for how threads stretch it.",
    ),
    row(
        "interrupt-timeout",
        "seconds",
        "0, off",
        interrupt_timeout,
        "Grace after `mod_wsgi.RequestTimeout` was raised in a request thread that is over its limit.",
    ),
    row(
        "connect-timeout",
        "seconds",
        "15",
        connect_timeout,
        "How long a request waits for any process of the group to exist.",
    ),
    row(
        "socket-timeout",
        "seconds",
        "0, Timeout",
        socket_timeout,
        "How long the front waits for the response head and between blocks of the body.",
    ),
    row(
        "queue-timeout",
        "seconds",
        "0, off",
        queue_timeout,
        "How long a request may wait for a free request thread; then 503 with Retry-After.",
    ),
    row(
        "listen-backlog",
        "number",
        "100",
        listen_backlog,
        "How many requests may wait for a free request thread.",
    ),
    DaemonOption {
        status: Status::WithoutEffect(
            "front and workers share a socket pair made by the supervisor, with flow control of its own",
        ),
        ..row(
            "send-buffer-size",
            "bytes",
            "0",
            send_buffer_size,
            "Buffer of the socket between front and workers.",
        )
    },
    DaemonOption {
        status: Status::WithoutEffect(
            "front and workers share a socket pair made by the supervisor, with flow control of its own",
        ),
        ..row(
            "receive-buffer-size",
            "bytes",
            "0",
            receive_buffer_size,
            "Buffer of the socket between front and workers.",
        )
    },
    row(
        "header-buffer-size",
        "bytes",
        "32768",
        header_buffer_size,
        "Longest line of a response head; 0 is the default.",
    ),
    DaemonOption {
        status: Status::WithoutEffect("flow control bounds what is held per request"),
        ..row(
            "response-buffer-size",
            "bytes",
            "0",
            response_buffer_size,
            "How much of a response is held before it is flushed.",
        )
    },
    row(
        "response-socket-timeout",
        "seconds",
        "0, socket-timeout",
        response_socket_timeout,
        "How long writing to the client may make no progress.",
    ),
    DaemonOption {
        status: Status::WithoutEffect("blocks that arrive together are written together, without waiting"),
        ..row(
            "response-flush-delay",
            "number",
            "5",
            response_flush_delay,
            "Milliseconds the front waits for more output before it flushes.",
        )
    },
    DaemonOption {
        status: Status::NotBuiltYet("telemetry"),
        ..row(
            "server-metrics",
            "On or Off",
            "Off",
            server_metrics,
            "Lets `mod_wsgi.server_metrics()` give data in this group.",
        )
    },
    DaemonOption {
        ours: true,
        status: Status::NotBuiltYet(
            "watching imported modules; until then a change of the script itself restarts its group",
        ),
        ..row(
            "reload-on-changes",
            "On or Off",
            "Off",
            reload_on_changes,
            "Restarts the group gracefully when a source file it has imported changes.",
        )
    },
];

/// A row that is honoured.
const fn row(
    name: &'static str,
    value: &'static str,
    default: &'static str,
    apply: fn(&mut ProcessGroup, &Given) -> Applied,
    doc: &'static str,
) -> DaemonOption {
    DaemonOption { name, value, default, status: Status::Honoured, doc, ours: false, apply }
}
