//! Codes of ours: what mod_wsgi has no message for.

use super::Code;
use super::Level::Warn;
use super::code;

const fn own(code: Code) -> Code {
    Code { ours: true, ..code }
}

/// These codes. Numbers are given out in order and never used again.
pub const CODES: &[Code] = &[own(code(
    1,
    Warn,
    "the configuration selects embedded mode (%{GLOBAL} as process group)",
    "the first process group serves in its place",
    "name the process group that is meant",
))];
