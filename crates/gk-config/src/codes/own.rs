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
        10,
        Warn,
        "interpreters=N stands where there cannot be several interpreters with their own GIL",
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
];
