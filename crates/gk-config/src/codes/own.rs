//! Codes of ours: what mod_wsgi has no message for.

use super::Code;
use super::Level::{Alert, Error, Warn};
use super::code;

const fn own(code: Code) -> Code {
    Code { ours: true, ..code }
}

/// These codes. Numbers are given out in order and never used again.
pub const CODES: &[Code] = &[
    own(code(
        1,
        Warn,
        "the configuration selects embedded mode (%{GLOBAL} as process group), which is off",
        "the first process group serves in its place",
        "name the process group that is meant, or write GilkeeperEmbedded On",
    )),
    own(code(
        2,
        Warn,
        "half of shutdown-timeout is over, and threads of the application that are no daemons still run",
        "the worker waits for them; shortly before shutdown-timeout the atexit functions are called, then it is ended",
        "end the threads from a function given to gilkeeper.subscribe_shutdown: atexit comes after them",
    )),
    own(code(
        3,
        Warn,
        "half of shutdown-timeout is over, and a shutdown subscriber has not returned",
        "the worker waits for it, and is ended when shutdown-timeout is over",
        "let the function set an event for its threads and return, or raise shutdown-timeout=",
    )),
    own(code(
        4,
        Error,
        "a daemon thread was asked for in an interpreter with its own GIL, which CPython does not allow",
        "RuntimeError where the thread was made",
        "make it an ordinary thread and end it from a function given to gilkeeper.subscribe_shutdown",
    )),
    own(code(
        10,
        Warn,
        "interpreters=N has no effect: there cannot be several interpreters with their own GIL here",
        "each application group of the process has one interpreter, as without the option",
        "do what the message says: leave it out, use Python 3.12 or later, or name an application group",
    )),
    own(code(
        11,
        Error,
        "an extension module turned the GIL back on in a process that is to run without it",
        "the process goes on with the GIL, its threads take turns again; with free-threading=required it is not ready",
        "update the module to a version that supports free-threading, or run the group with the GIL",
    )),
    own(code(
        12,
        Error,
        "a request asks for a process group that runs a service script (threads=0)",
        "500 Internal Server Error",
        "mount the application on a process group with request threads",
    )),
    own(code(
        13,
        Error,
        "a request body larger than GilkeeperBodyBufferSize finds no room for its temporary file in the server root",
        "503 Service Unavailable with Retry-After; requests whose bodies fit into memory are served",
        "make room on that disk, or put the server root (--server-root) on another one",
    )),
    own(code(
        14,
        Error,
        "the front has as many descriptors open as its limit leaves for connections, or the system has no more of them",
        "connections with a request go on; idle ones give way to new ones, the longest idle first; without one, new ones wait until one closes; at most one line a minute",
        "raise the limit (LimitNOFILE= of the systemd unit, ulimit -Hn), or bound the connections with GilkeeperMaxConnections",
    )),
    own(code(
        15,
        Error,
        "an access log cannot be written",
        "requests are served, their lines are lost and counted; another line says so when it can be written again",
        "make room on that disk, or see that the program behind the terminal or pipe reads",
    )),
    own(code(
        16,
        Warn,
        "lines of the error log could not be written, and now it can be written again",
        "the lines are lost, and requests were served meanwhile",
        "make room on that disk before it is full, or see that the program behind the terminal or pipe reads",
    )),
    own(code(
        17,
        Error,
        "the admin process ended although nobody wanted it to, or could not be started again",
        "requests are served; until it is back there are no admin pages, no exports and no new history; counters go on, but for those of workers that had ended",
        "look for the reason in the message and before it; a signal 9 that nobody sent is want of memory",
    )),
    own(code(
        24,
        Error,
        "bytes of responses to slow clients cannot be written to a temporary file in the server root",
        "nothing is lost; a response that does not fit into memory holds its request thread until its client has read on; at most one line a minute",
        "make room on that disk, or put the server root (--server-root) on another one",
    )),
    own(code(
        25,
        Error,
        "responses that their clients do not read held every request thread of a process group, and requests of others waited",
        "one of them, of the client that holds the most, is cut off, and its connection is reset; further requests of that client come \
         last for ten seconds; at most one line a minute",
        "nothing, when it is an attack; a larger response-spool-size= or GilkeeperResponseSpool for a reader that is only slow; behind a \
         proxy, WSGITrustedProxies and WSGITrustedProxyHeaders, so that its clients have addresses of their own",
    )),
    own(code(
        30,
        Error,
        "the requests that wait in a process group's queue hold as much memory as queue-memory= allows",
        "the newest get 503 with Retry-After until others have been served; at most one line a minute",
        "more processes or threads, faster requests, a queue-timeout= that gives up earlier, or a greater queue-memory=",
    )),
    own(code(
        31,
        Warn,
        "a worker died, or was stopped, before the response head of a request that is safe to repeat (GET, HEAD or OPTIONS without a body)",
        "another worker gets the request, once; retry=off turns that off",
        "look for what the worker logged before, and at the kernel's log for a kill",
    )),
    own(code(
        32,
        Error,
        "workers die again and again while they serve requests of one route, which is hardly ever answered",
        "its requests are not tried again until it is answered again or ten minutes have passed; workers are replaced as ever",
        "look at what this route runs: an extension module that crashes, memory without bound, os._exit",
    )),
    own(code(
        33,
        Warn,
        "a client address has as many connections as GilkeeperMaxConnectionsPerAddress allows, and came with a further one",
        "the further one is closed at once and counted; at most one line a minute",
        "raise the number if the address is a proxy or a network of many users, or name the proxy in WSGITrustedProxies",
    )),
    own(code(
        34,
        Warn,
        "a worker has begun no request that the front has given it for a second, and returned none, as if its process was stopped",
        "its requests that no thread has begun go to other workers, and it gets none until it goes on; at most one line a minute",
        "look for a debugger, a SIGSTOP, swapping, or a CPU limit that holds the process for long",
    )),
    own(code(
        35,
        Warn,
        "a connection did not begin with the header of the PROXY protocol that RemoteIPProxyProtocol expects, or with a malformed one",
        "it is closed and counted; at most one line a minute",
        "let the proxy send it (HAProxy: send-proxy-v2, nginx: proxy_protocol on), name peers without it in RemoteIPProxyProtocolExceptions, and keep others from the port",
    )),
    own(code(
        36,
        Warn,
        "an HTTP/2 client sends too many frames beside its requests (PING, SETTINGS, RST_STREAM and others), or takes back too many requests",
        "its connection is ended with GOAWAY, and its requests with it; at most one line a minute",
        "look at who connects from there; a proxy that does this for many clients is better spoken to in HTTP/1.1",
    )),
    own(code(
        40,
        Warn,
        "a child that the application forked came out of the code that the server had called",
        "the child ends, nothing of its response is sent; the worker goes on",
        "end forked children with os._exit(), or run the work in a program of its own",
    )),
    own(code(
        50,
        Error,
        "a socket of a worker ended or was misused while its process lived: its link with the front, or its control socket",
        "the worker is stopped or killed, another one starts at once; requests that it had begun get 502",
        "look for code that closes or writes to descriptors which are not its own, such as os.closerange, or that damages memory",
    )),
    own(code(
        51,
        Warn,
        "a process gives no sign of life for 5 seconds: it hangs, or a signal has stopped it",
        "the health checks, status and the dashboard say so; the front is replaced after GilkeeperFrontTimeout, a worker after deadlock-timeout=",
        "look at what the process waits for (py-spy, gdb, /proc/PID/stack); a disk or a file server that does not answer is a common reason",
    )),
    own(code(
        52,
        Alert,
        "no process of a process group came to serve since the server started: its applications cannot be imported",
        "the server ends with exit code 3 and prints the reason last on standard error",
        "repair what the traceback names; --keep-trying or GilkeeperKeepTrying On goes on and tries again",
    )),
    own(code(
        53,
        Warn,
        "the worker processes will not fit into the memory that the control group may use, or hold more than three quarters of it after the start",
        "none; when the memory is used up, the kernel kills one of the processes, and the log and the metrics say so",
        "run fewer processes (processes=), or raise the limit of the container or the service",
    )),
    own(code(
        60,
        Error,
        "64 passwords wait to be checked",
        "503 with Retry-After for further requests with a password that was not checked lately",
        "look for a client that tries passwords; store passwords in a form that is quicker to check, or add processors",
    )),
    own(code(
        61,
        Error,
        "the system gives no random bytes, which a request with a password needs",
        "500",
        "look at the kernel's log",
    )),
    own(code(
        70,
        Error,
        "requests have asked for more application groups of one script than chosen-interpreters= allows, each with an interpreter of its own",
        "503 for requests that name a further one, until the next reload",
        "name the application group (WSGIApplicationGroup %{GLOBAL} or %{SERVER}), or raise chosen-interpreters=",
    )),
    own(code(
        74,
        Error,
        "logging.config.dictConfig() refuses the dictionary of GilkeeperLogConfig (serve --log-config)",
        "the worker has no interpreter for the application, and is not ready; at a start the server ends",
        "correct the file by the exception in the log: a class it names must be importable by the worker",
    )),
];
