//! Codes of ours: what mod_wsgi has no message for.

use super::Code;
use super::Level::{Error, Warn};
use super::code;

const fn own(code: Code) -> Code {
    Code { ours: true, ..code }
}

/// These codes. Numbers are given out in order and never used again.
pub const CODES: &[Code] = &[
    own(code(
        1,
        Warn,
        "the configuration selects embedded mode (%{GLOBAL} as process group)",
        "the first process group serves in its place",
        "name the process group that is meant",
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
];
