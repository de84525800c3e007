//! Output of commands to the terminal, and the reasons for which a command ends without its result.

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
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
}

/// Writes to standard output; a closed one is no reason to fail.
pub fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n'));
}
