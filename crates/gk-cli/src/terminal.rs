//! Output of commands to the terminal, and the reasons for which a command ends without its result. Most of it holds text of
//! applications, workers, configurations or other servers, so all of it goes through [`printable`]; there is no other way out.

use gk_wire::printable;
use std::io::Write;

/// Why a command ends without having done its work.
pub enum Failure {
    /// Exit code 2.
    Input(String),
    /// Exit code 1.
    Failed(String),
}

/// Writes to standard error; a closed one is no reason to fail.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable::page(text.trim_end()));
}

/// Writes to standard output; a closed one is no reason to fail.
pub fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", printable::page(text.trim_end_matches('\n')));
}

/// Replaces the line of standard error that stands there, which is a terminal; without text: takes it away.
pub fn show(text: &str) {
    let mut terminal = std::io::stderr();
    let _ = write!(terminal, "\r\x1b[K{}", printable::line(text));
    let _ = terminal.flush();
}
