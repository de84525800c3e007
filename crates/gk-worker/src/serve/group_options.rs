//! Interpreter options of one application group, from the configuration's blocks for this process.

use gk_wire::setup::{InterpreterSetup, WorkerSetup};

/// Options, each resolved on its own: the most specific block that sets it wins, a later one among equals.
#[derive(Debug, PartialEq)]
pub(crate) struct GroupOptions {
    pub(crate) restrict_stdin: bool,
    pub(crate) restrict_stdout: bool,
    pub(crate) restrict_signal: bool,
    pub(crate) python_path: Vec<String>,
    /// Number of interpreters with their own GIL; 0: one that shares the GIL.
    pub(crate) own_gils: u32,
    /// Switch interval of each of these in seconds; `None` leaves CPython's default.
    pub(crate) switch_interval: Option<f64>,
}

impl GroupOptions {
    /// `can`: this process can give an interpreter its own GIL.
    pub(crate) fn of(setup: &WorkerSetup, name: &str, can: bool) -> Self {
        let blocks = setup.interpreters.iter();
        let mut matching: Vec<&InterpreterSetup> =
            blocks.filter(|b| b.application_group.as_deref().is_none_or(|g| g == name)).collect();
        // Stable: file order stays among equals, so the last one that sets a value wins.
        matching.sort_by_key(|b| b.specificity);
        let last = |get: fn(&InterpreterSetup) -> Option<bool>, default: bool| {
            matching.iter().rev().find_map(|b| get(b)).unwrap_or(default)
        };
        let several = setup.group.interpreters > 1;
        // The main interpreter's GIL is the process's.
        let own = can && !name.is_empty() && (several || last(|b| b.per_interpreter_gil, false));
        let set = matching.iter().rev().find_map(|b| Some((b.specificity, b.switch_interval?)));
        let switch_interval = match set {
            // The interpreters of interpreters=N belong to the process group, so its option beats the top level.
            Some((0, top)) if several => Some(setup.group.switch_interval.unwrap_or(top)),
            None if several => setup.group.switch_interval,
            set => set.map(|(_, seconds)| seconds),
        };
        Self {
            restrict_stdin: last(|b| b.restrict_stdin, false),
            restrict_stdout: last(|b| b.restrict_stdout, false),
            restrict_signal: last(|b| b.restrict_signal, true),
            python_path: matching.iter().flat_map(|b| b.python_path.iter().cloned()).collect(),
            own_gils: if own { setup.group.interpreters.max(1) } else { 0 },
            switch_interval: switch_interval.filter(|_| own),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_wire::setup::ProcessGroup;

    fn setup(interpreters: u32, blocks: Vec<InterpreterSetup>) -> WorkerSetup {
        let group = ProcessGroup { interpreters, ..ProcessGroup::default() };
        WorkerSetup { group, interpreters: blocks, ..WorkerSetup::default() }
    }

    #[test]
    fn the_most_specific_block_that_sets_a_value_wins_and_later_beats_earlier() {
        let block = |group: Option<&str>, specificity, stdin, signal, path: &str| InterpreterSetup {
            application_group: group.map(str::to_owned),
            specificity,
            restrict_stdin: stdin,
            restrict_signal: signal,
            python_path: vec![path.to_owned()],
            ..InterpreterSetup::default()
        };
        let blocks = vec![
            block(Some("a"), 2, Some(true), None, "/2"),
            block(None, 0, Some(false), Some(false), "/0"),
            block(Some("a"), 1, Some(false), None, "/1"),
            block(Some("b"), 1, None, Some(true), "/b"),
        ];
        let setup = setup(1, blocks);
        let a = GroupOptions::of(&setup, "a", true);
        assert_eq!((a.restrict_stdin, a.restrict_signal), (true, false));
        assert_eq!(a.python_path, ["/0", "/1", "/2"]);
        let b = GroupOptions::of(&setup, "b", true);
        assert_eq!((b.restrict_stdin, b.restrict_signal), (false, true));
    }

    #[test]
    fn own_gils_are_for_named_groups_of_a_process_that_can() {
        let on = || InterpreterSetup { per_interpreter_gil: Some(true), ..InterpreterSetup::default() };
        let off = InterpreterSetup {
            application_group: Some("a".to_owned()),
            specificity: 1,
            per_interpreter_gil: Some(false),
            ..InterpreterSetup::default()
        };
        let gils = |setup: &WorkerSetup, name, can| GroupOptions::of(setup, name, can).own_gils;
        let one = setup(1, vec![on(), off.clone()]);
        assert_eq!([gils(&one, "", true), gils(&one, "a", true), gils(&one, "b", true)], [0, 0, 1]);
        assert_eq!(gils(&one, "b", false), 0);
        let four = setup(4, vec![off]);
        assert_eq!([gils(&four, "", true), gils(&four, "a", true), gils(&four, "a", false)], [0, 4, 0]);
    }

    #[test]
    fn switch_intervals_reach_own_gils_only() {
        let block = |group: Option<&str>, specificity, seconds| InterpreterSetup {
            application_group: group.map(str::to_owned),
            specificity,
            per_interpreter_gil: Some(true),
            switch_interval: Some(seconds),
            ..InterpreterSetup::default()
        };
        let blocks = vec![block(None, 0, 0.1), block(Some("a"), 1, 0.2)];
        let mut one = setup(1, blocks);
        one.group.switch_interval = Some(0.3);
        let of = |setup: &WorkerSetup, name, can| GroupOptions::of(setup, name, can).switch_interval;
        assert_eq!([of(&one, "a", true), of(&one, "b", true)], [Some(0.2), Some(0.1)]);
        assert_eq!([of(&one, "a", false), of(&one, "", true)], [None, None]);
        one.group.interpreters = 2;
        assert_eq!([of(&one, "a", true), of(&one, "b", true)], [Some(0.2), Some(0.3)]);
        one.interpreters.clear();
        assert_eq!(of(&one, "b", true), Some(0.3));
    }
}
