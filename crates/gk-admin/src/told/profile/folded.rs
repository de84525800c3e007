//! Folded stacks: a line for each stack, calls joined by `;`, then microseconds of CPU time. Flame-graph tools read it.

use super::{stacks, words};
use gk_telemetry::Profile;
use std::fmt::Write as _;

pub(super) fn lines(profile: &Profile) -> String {
    let mut out = String::new();
    for (call, stack) in stacks(profile) {
        let names: Vec<String> =
            stack.iter().map(|call| words(profile, *call).replace([';', '\n', '\r'], ",")).collect();
        let _ = writeln!(out, "{} {}", names.join(";"), call.ns / 1_000);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;

    #[test]
    fn a_line_is_a_stack() {
        assert_eq!(
            super::lines(&example().profile),
            "/report,x;application (/srv/app.py:30) 20000\n\
             /report,x;application (/srv/app.py:30);<lambda> (/srv/app.py:7) 60000\n\
             /report,x;application (/srv/app.py:30);<lambda> (/srv/app.py:8) 40000\n"
        );
    }
}
