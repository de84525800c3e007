//! The interpreter options in force for one interpreter. `modes` reports those that cannot be.

use crate::site::{InterpreterOptions, ProcessGroup, Site};
use std::path::PathBuf;

/// The options of one interpreter.
#[derive(Debug, Clone, PartialEq)]
pub struct Interpreter {
    /// `WSGIPerInterpreterGIL`; never for the main interpreter.
    pub per_interpreter_gil: bool,
    /// `WSGIFreeThreading` of its process.
    pub free_threading: bool,
    /// `WSGISwitchInterval` in seconds, where it may be set for this interpreter.
    pub switch_interval: Option<f64>,
    /// A switch interval of this application group alone was left out, because its GIL is shared (WSGI0199).
    pub switch_interval_skipped: bool,
    /// `WSGIPythonPath` of the matching blocks, least specific first; to be added after the group's own.
    pub python_path: Vec<PathBuf>,
    /// `WSGIRestrictStdin`.
    pub restrict_stdin: bool,
    /// `WSGIRestrictStdout`.
    pub restrict_stdout: bool,
    /// `WSGIRestrictSignal`.
    pub restrict_signal: bool,
}

impl InterpreterOptions {
    /// Whether the block's selectors name this interpreter.
    pub fn selects(&self, process_group: &str, application_group: &str) -> bool {
        self.process_group.as_deref().is_none_or(|name| name == process_group)
            && self.application_group.as_deref().is_none_or(|name| name == application_group)
    }

    /// The options of one interpreter. `blocks` begins with the top level, which every block is stronger than; names
    /// are those after expansion, the main interpreter is `""`.
    pub fn resolve(blocks: &[Self], process_group: &str, application_group: &str) -> Interpreter {
        let mut layers: Vec<&Self> = blocks.iter().take(1).collect();
        let mut selected: Vec<&Self> =
            blocks.iter().skip(1).filter(|b| b.selects(process_group, application_group)).collect();
        selected.sort_by_key(|block| block.specificity());
        layers.extend(selected);
        let last = |get: fn(&Self) -> Option<bool>| layers.iter().rev().find_map(|block| get(block));
        let own_gil = !application_group.is_empty() && last(|b| b.per_interpreter_gil).unwrap_or(false);
        let free_threading = last(|b| b.free_threading).unwrap_or(false);
        let switch = layers.iter().rev().find(|block| block.switch_interval.is_some());
        let scoped =
            switch.is_some_and(|b| b.application_group.as_deref().is_some_and(|name| !name.is_empty()));
        let skipped = scoped && !own_gil;
        Interpreter {
            per_interpreter_gil: own_gil,
            free_threading,
            switch_interval: switch.filter(|_| !skipped).and_then(|block| block.switch_interval),
            switch_interval_skipped: skipped,
            python_path: layers.iter().flat_map(|block| block.python_path.iter().cloned()).collect(),
            restrict_stdin: last(|b| b.restrict_stdin).unwrap_or(false),
            restrict_stdout: last(|b| b.restrict_stdout).unwrap_or(false),
            restrict_signal: last(|b| b.restrict_signal).unwrap_or(true),
        }
    }
}

impl Site {
    /// The options of one interpreter, by its resolved group names.
    pub fn interpreter(&self, process_group: &str, application_group: &str) -> Interpreter {
        InterpreterOptions::resolve(&self.interpreters, process_group, application_group)
    }

    /// The switch interval of a group's processes in seconds: `switch-interval=`, else what blocks and the top level
    /// give its main interpreter. So does mod_wsgi, which sets the group's own one last.
    pub fn switch_interval(&self, process_group: &str) -> Option<f64> {
        let main = self.interpreter(process_group, "");
        let own = self.groups.iter().find(|g| g.name == process_group).and_then(|g| g.switch_interval);
        own.or(main.switch_interval)
    }

    /// The switch interval in seconds of the interpreters that `interpreters=N` puts behind an application group: of a block
    /// with a selector, else `switch-interval=`, else of the top level.
    pub fn switch_interval_of_several(&self, group: &ProcessGroup, application_group: &str) -> Option<f64> {
        let selected = self.interpreters.iter().filter(|b| b.specificity() > 0);
        let mut selected: Vec<InterpreterOptions> = selected.cloned().collect();
        selected.insert(0, InterpreterOptions::default());
        // Each of them has a GIL of its own, so a value of this application group alone is not skipped.
        for block in &mut selected {
            block.per_interpreter_gil = Some(true);
        }
        let of_block = InterpreterOptions::resolve(&selected, &group.name, application_group).switch_interval;
        let top =
            InterpreterOptions::resolve(&self.interpreters, &group.name, application_group).switch_interval;
        of_block.or(group.switch_interval).or(top)
    }

    /// Whether a group's processes run without the GIL, and whether they must.
    pub fn free_threading(&self, process_group: &str) -> FreeThreading {
        match self.groups.iter().find(|g| g.name == process_group) {
            Some(group) => FreeThreading::of(group, &self.interpreters),
            None => FreeThreading::Off,
        }
    }
}

/// Use of a free-threaded build by a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreeThreading {
    /// The GIL is on.
    Off,
    /// No GIL; if it comes back on, that is logged.
    On,
    /// No GIL; a process whose GIL comes back on is not ready.
    Required,
}

impl FreeThreading {
    /// `free-threading=` of the group, else what WSGIFreeThreading says in the blocks.
    pub(crate) fn of(group: &ProcessGroup, blocks: &[InterpreterOptions]) -> Self {
        match group.free_threading.as_deref() {
            Some("required") => Self::Required,
            Some("on") => Self::On,
            Some(_) => Self::Off,
            None if InterpreterOptions::resolve(blocks, &group.name, "").free_threading => Self::On,
            None => Self::Off,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(process: Option<&str>, application: Option<&str>) -> InterpreterOptions {
        InterpreterOptions {
            process_group: process.map(str::to_owned),
            application_group: application.map(str::to_owned),
            ..InterpreterOptions::default()
        }
    }

    #[test]
    fn more_selectors_win_and_unset_hides_nothing() {
        let blocks = [
            InterpreterOptions {
                switch_interval: Some(0.01),
                restrict_stdin: Some(true),
                ..block(None, None)
            },
            InterpreterOptions {
                per_interpreter_gil: Some(true),
                switch_interval: Some(0.001),
                ..block(Some("p"), Some("a"))
            },
            InterpreterOptions { switch_interval: Some(0.002), ..block(Some("p"), None) },
            InterpreterOptions {
                switch_interval: Some(0.003),
                per_interpreter_gil: Some(false),
                ..block(None, None)
            },
            InterpreterOptions { python_path: vec!["/x".into()], ..block(None, Some("a")) },
        ];
        let own = InterpreterOptions::resolve(&blocks, "p", "a");
        assert!(own.per_interpreter_gil && own.restrict_stdin && own.restrict_signal);
        assert_eq!(own.switch_interval, Some(0.001));
        assert_eq!(own.python_path, [PathBuf::from("/x")]);
        assert_eq!(InterpreterOptions::resolve(&blocks, "p", "b").switch_interval, Some(0.002));
        let other = InterpreterOptions::resolve(&blocks, "q", "");
        assert_eq!(other.switch_interval, Some(0.003));
        assert!(!other.per_interpreter_gil);
    }

    #[test]
    fn equal_selectors_go_by_the_file_and_shared_gil_skips() {
        let blocks = [
            InterpreterOptions::default(),
            InterpreterOptions { switch_interval: Some(0.001), ..block(None, Some("a")) },
            InterpreterOptions { switch_interval: Some(0.002), ..block(Some("p"), None) },
        ];
        assert_eq!(InterpreterOptions::resolve(&blocks, "p", "a").switch_interval, Some(0.002));
        let skipped = InterpreterOptions::resolve(&blocks, "q", "a");
        assert!(skipped.switch_interval_skipped && skipped.switch_interval.is_none());
        let main = [
            InterpreterOptions::default(),
            InterpreterOptions { switch_interval: Some(0.1), ..block(None, Some("")) },
        ];
        assert_eq!(InterpreterOptions::resolve(&main, "p", "").switch_interval, Some(0.1));
    }

    #[test]
    fn main_interpreter_never_has_its_own_gil() {
        let blocks = [InterpreterOptions { per_interpreter_gil: Some(true), ..block(None, None) }];
        assert!(!InterpreterOptions::resolve(&blocks, "p", "").per_interpreter_gil);
        assert!(InterpreterOptions::resolve(&blocks, "p", "x").per_interpreter_gil);
    }
}
