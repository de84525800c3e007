//! Gilkeeper's own codes, for events that mod_wsgi has no message for.

use super::Level::{Alert, Error, Warn};
use super::code;
use super::{Code, Series};

const fn own(code: Code) -> Code {
    Code { series: Series::Own, ..code }
}

/// These codes. Numbers are never reused.
pub const CODES: &[Code] = &[
    own(code(
        1,
        Warn,
        "the configuration selects embedded mode (%{GLOBAL} as process group), which is off",
        "the first process group that the host may use serves instead",
        "name the intended process group, or set GilkeeperEmbedded On",
    )),
    own(code(
        2,
        Warn,
        "half of shutdown-timeout is over, and non-daemon threads of the application still run",
        "the worker waits for them; shortly before shutdown-timeout it calls the atexit functions and then ends",
        "end the threads from a function given to gilkeeper.subscribe_shutdown: atexit functions run only after the threads",
    )),
    own(code(
        3,
        Warn,
        "half of shutdown-timeout is over, and a shutdown subscriber has not returned",
        "the worker waits for it, and ends when shutdown-timeout is over",
        "let the function only set an event for its threads and return, or raise shutdown-timeout=",
    )),
    own(code(
        4,
        Error,
        "code tried to start a daemon thread in an interpreter with its own GIL, which CPython does not allow",
        "RuntimeError in that code",
        "use a non-daemon thread and end it from a function given to gilkeeper.subscribe_shutdown",
    )),
    own(code(
        10,
        Warn,
        "interpreters=N has no effect: several interpreters with their own GIL are not possible here",
        "each application group of the process has a single interpreter",
        "do what the message says: remove the option, use Python 3.12 or later, or name an application group",
    )),
    own(code(
        11,
        Error,
        "an extension module turned the GIL back on in a process that should run without it",
        "the process goes on with the GIL, and its threads take turns again; with free-threading=required it is not ready",
        "update the module to a version that supports free-threading, or run the group with the GIL",
    )),
    own(code(
        12,
        Error,
        "a request selects a process group that runs a service script (threads=0)",
        "500 Internal Server Error",
        "mount the application on a process group with request threads",
    )),
    own(code(
        13,
        Error,
        "a request body is larger than GilkeeperBodyBufferSize, and the server root has no room for its temporary file",
        "503 Service Unavailable with Retry-After; requests with smaller bodies are served",
        "free space on that disk, or move the server root (--server-root) to another one",
    )),
    own(code(
        14,
        Error,
        "the front has reached its limit of open descriptors for connections, or the system's limit",
        "connections with a request go on; idle ones are closed to make room for new ones, the longest idle first; if none is \
            idle, new ones wait until one closes; logged at most once a minute",
        "raise the limit (LimitNOFILE= of the systemd unit, ulimit -Hn), or limit the connections with GilkeeperMaxConnections",
    )),
    own(code(
        15,
        Error,
        "an access log or a virtual host's log cannot be written",
        "requests are served; log lines are lost but counted, and a line with this code says how many when the log can be written again",
        "free space on that disk, or make sure that the program behind the terminal or pipe reads",
    )),
    own(code(
        16,
        Warn,
        "lines of the error log were lost because it could not be written; now it can be written again",
        "the lines are lost; requests were served meanwhile",
        "free space on that disk before it is full, or make sure that the program behind the terminal or pipe reads",
    )),
    own(code(
        17,
        Error,
        "the admin process ended unexpectedly, or could not be restarted",
        "requests are served; until it is back there are no admin pages, exports or new history; counters go on",
        "look for the reason in this message and those before it; a signal 9 that nobody sent means that memory ran out",
    )),
    own(code(
        24,
        Error,
        "responses to slow clients cannot be written to a temporary file in the server root",
        "nothing is lost; a response that does not fit into memory holds its request thread until its client has read more; \
            logged at most once a minute",
        "free space on that disk, or move the server root (--server-root) to another one",
    )),
    own(code(
        25,
        Error,
        "responses that their clients do not read held every request thread of a process group, and other clients' requests waited",
        "one response of the client that holds the most threads is cut off and its connection reset; further requests of that \
            client come last for ten seconds; logged at most once a minute",
        "nothing, if it is an attack; if the client is only slow, raise response-spool-size= or GilkeeperResponseSpool; behind a \
            proxy, set WSGITrustedProxies and WSGITrustedProxyHeaders, so that each client has its own address",
    )),
    own(code(
        30,
        Error,
        "the requests waiting in a process group's queue hold as much memory as queue-memory= allows",
        "new requests get 503 with Retry-After until others have been served; logged at most once a minute",
        "use more processes or threads, make requests faster, lower queue-timeout=, or raise queue-memory=",
    )),
    own(code(
        31,
        Warn,
        "a worker died or was stopped before it sent the response head of a request that is safe to repeat (GET, HEAD or OPTIONS \
            without a body)",
        "another worker gets the request, once; retry=off switches this off",
        "see what the worker logged before, and look in the kernel's log for a kill",
    )),
    own(code(
        32,
        Error,
        "workers die again and again while they serve one route, which is hardly ever answered",
        "its requests are not tried again until one is answered or ten minutes have passed; workers are replaced as usual",
        "check the code of this route: a crashing extension module, unlimited memory, os._exit",
    )),
    own(code(
        33,
        Warn,
        "a client address has as many connections as GilkeeperMaxConnectionsPerAddress allows, and opened one more",
        "the new one is closed at once and counted; logged at most once a minute",
        "raise the number if the address is a proxy or a network of many users, or name the proxy in WSGITrustedProxies",
    )),
    own(code(
        34,
        Warn,
        "for a second a worker has neither begun nor returned a request that the front gave it, as if its process were stopped",
        "its requests that no thread has begun go to other workers, and it gets none until it goes on; logged at most once a minute",
        "look for a debugger, a SIGSTOP, swapping, or a CPU limit that stops the process for long",
    )),
    own(code(
        35,
        Warn,
        "a connection did not begin with the PROXY protocol header that RemoteIPProxyProtocol expects, or the header was malformed",
        "it is closed and counted; logged at most once a minute",
        "let the proxy send the header (HAProxy: send-proxy-v2, nginx: proxy_protocol on), name peers that do not in \
            RemoteIPProxyProtocolExceptions, and block the port for others",
    )),
    own(code(
        36,
        Warn,
        "an HTTP/2 client sends too many frames besides its requests (PING, SETTINGS, RST_STREAM and others), or resets too many requests",
        "its connection and the requests on it end with GOAWAY; logged at most once a minute",
        "find out who connects from there; if it is a proxy for many clients, let it speak HTTP/1.1",
    )),
    own(code(
        40,
        Warn,
        "a child that the application forked returned from the application into the server's code",
        "the child ends, and nothing of its response is sent; the worker goes on",
        "end forked children with os._exit(), or run the work in a separate program",
    )),
    own(code(
        50,
        Error,
        "a worker's link with the front or its control socket was closed or misused while the process was alive",
        "the worker is stopped or killed, and another one starts at once; requests that it had begun get 502",
        "look for code that closes or writes to descriptors that are not its own, such as os.closerange, or that damages memory",
    )),
    own(code(
        51,
        Warn,
        "a process has given no sign of life for 5 seconds: it hangs, or a signal has stopped it",
        "the health checks, status and the dashboard say so; the front is replaced after GilkeeperFrontTimeout, a worker after deadlock-timeout=",
        "find out what the process waits for (py-spy, gdb, /proc/PID/stack); often a disk or a file server does not answer",
    )),
    own(code(
        52,
        Alert,
        "no process of a process group could serve after the start: its applications cannot be imported",
        "the server ends with exit code 3; the reason is its last line on standard error",
        "repair what the traceback names; with --keep-trying or GilkeeperKeepTrying On the server goes on and tries again",
    )),
    own(code(
        53,
        Warn,
        "the worker processes will not fit into the memory limit of the control group, or use more than three quarters of it \
            after the start",
        "none yet; when the memory is used up, the kernel kills one of the processes, and the log and the metrics say so",
        "run fewer processes (processes=), or raise the limit of the container or the service",
    )),
    own(code(
        60,
        Error,
        "64 passwords wait to be checked",
        "503 with Retry-After for further requests with a password that was not checked recently",
        "look for a client that guesses passwords; store passwords in a form that is faster to check, or add processors",
    )),
    own(code(
        61,
        Error,
        "the system provides no random bytes, which a request with a password needs",
        "500",
        "look at the kernel's log",
    )),
    own(code(
        70,
        Error,
        "requests have selected more application groups of one script than chosen-interpreters= allows, each with its own interpreter",
        "503 for requests that select one more, until the next reload",
        "use a fixed application group (WSGIApplicationGroup %{GLOBAL} or %{SERVER}), or raise chosen-interpreters=",
    )),
    own(code(
        74,
        Error,
        "logging.config.dictConfig() rejects the dictionary of GilkeeperLogConfig (serve --log-config)",
        "the worker has no interpreter for the application and is not ready; during a start the server ends",
        "correct the file as the exception in the log says; the worker must be able to import every class that it names",
    )),
];
