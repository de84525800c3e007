//! The profile on a scoreboard: a tree of calls. Its roots are routes; each call has a function, a line, and the CPU time of samples in
//! it. One thread writes it, which names the samples; a reader takes the difference of two readings. The tree only grows, until it is emptied
//! at the beginning of a profile for which there is too little room left.

use crate::profile::{Call, CallTreeSample, Function};
use crate::scoreboard::board::{Board, Route};
use crate::scoreboard::holds::end_of;
use crate::scoreboard::layout::{self, Layout, call, header, route};
use crate::scoreboard::words::{self, Words, add_alone};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::fence;

/// Words of a function's name; the rest is its file.
const NAME: usize = 12;
/// Bytes of a function's name and file that are told apart.
const LONGEST_NAME: usize = NAME * 8 - 1;
const LONGEST_FILE: usize = (layout::FUNCTION - NAME) * 8 - 1;

/// The writer of a tree of calls.
#[derive(Default)]
pub struct CallTree {
    functions: HashMap<(String, String), u16>,
    /// Calls by who made them, function and line.
    calls: HashMap<u64, u16>,
}

impl CallTree {
    /// Makes sure that there is room for a profile: empties the tree when less than half is left.
    pub fn make_room<W: Deref<Target = Words>>(&mut self, board: &Board<W>) {
        if self.functions.len() < layout::FUNCTIONS / 2 && self.calls.len() < layout::CALLS / 2 {
            return;
        }
        let number = board.word(header::TREE).load(Relaxed) | 1;
        board.word(header::TREE).store(number, Relaxed);
        fence(Release);
        for counter in [header::FUNCTIONS, header::CALLS, header::PROFILE_LOST] {
            board.word(counter).store(0, Relaxed);
        }
        self.functions.clear();
        self.calls.clear();
        board.word(header::TREE).store(number.wrapping_add(1), Release);
    }

    /// Index of a function; `None`: there is no room.
    pub fn function<W: Deref<Target = Words>>(
        &mut self,
        board: &Board<W>,
        name: &str,
        file: &str,
    ) -> Option<u16> {
        let name = &name[..name.floor_char_boundary(LONGEST_NAME)];
        let file = end_of(file, LONGEST_FILE);
        let key = (name.to_owned(), String::from_utf8_lossy(file).into_owned());
        if let Some(index) = self.functions.get(&key) {
            return Some(*index);
        }
        let index = self.functions.len();
        if index >= layout::FUNCTIONS {
            return None;
        }
        let (name_words, file_words) = board.function_words(index).split_at(NAME);
        words::put_text(name_words, name.as_bytes());
        words::put_text(file_words, file);
        board.word(header::FUNCTIONS).store(index as u64 + 1, Release);
        self.functions.insert(key, index as u16);
        Some(index as u16)
    }

    /// Adds a sample: its route, then the functions and lines of its stack, the outermost first.
    pub fn add<W: Deref<Target = Words>>(
        &mut self,
        board: &Board<W>,
        route: Route,
        stack: &[(u16, u32)],
        ns: u64,
    ) {
        let name = words::text(&board.route_words(route.number().into())[route::NAME]);
        let root = self.function(board, &name, "");
        let mut last = None;
        for (function, line) in root.map(|root| (root, 0)).into_iter().chain(stack.iter().copied()) {
            // What finds no place counts for its caller.
            let Some(call) = self.call(board, last, function, line) else { break };
            last = Some(call);
        }
        match last {
            Some(call) => {
                let words = board.call_words(call.into());
                add_alone(&words[call::NS], ns);
                add_alone(&words[call::SAMPLES], 1);
            }
            None => self.lose(board, ns),
        }
    }

    /// Adds CPU time of samples that were lost before.
    pub fn lose<W: Deref<Target = Words>>(&self, board: &Board<W>, ns: u64) {
        add_alone(board.word(header::PROFILE_LOST), ns);
    }

    fn call<W: Deref<Target = Words>>(
        &mut self,
        board: &Board<W>,
        from: Option<u16>,
        function: u16,
        line: u32,
    ) -> Option<u16> {
        let from = from.map_or(0, |from| u64::from(from) + 1);
        let place = from | u64::from(function) << 16 | u64::from(line) << 32;
        if let Some(index) = self.calls.get(&place) {
            return Some(*index);
        }
        let index = self.calls.len();
        if index >= layout::CALLS {
            return None;
        }
        let words = board.call_words(index);
        words[call::PLACE].store(place, Relaxed);
        words[call::NS].store(0, Relaxed);
        words[call::SAMPLES].store(0, Relaxed);
        board.word(header::CALLS).store(index as u64 + 1, Release);
        self.calls.insert(place, index as u16);
        Some(index as u16)
    }
}

impl<W: Deref<Target = Words>> Board<W> {
    /// Wants a profile until that monotonic time in nanoseconds, or until a later one that was wanted before.
    pub fn want_profile(&self, until: u64) {
        self.word(header::PROFILE_UNTIL).fetch_max(until, Relaxed);
    }

    /// Monotonic time in nanoseconds until which a profile is wanted.
    pub fn profile_wanted(&self) -> u64 {
        self.word(header::PROFILE_UNTIL).load(Relaxed)
    }

    /// Says whether a profile runs. When it has ended, all of its samples are in the tree.
    pub fn set_profile_runs(&self, runs: bool) {
        self.word(header::PROFILE_RUNS).store(runs.into(), Release);
    }

    /// Whether a profile runs.
    pub fn profile_runs(&self) -> bool {
        self.word(header::PROFILE_RUNS).load(Acquire) == 1
    }

    /// Says why a profile did not begin; empty: it did.
    pub fn explain_profile(&self, why: &str) {
        words::put_text(self.range(header::PROFILE_WHY), why.as_bytes());
    }

    /// Reads the tree of calls. `None`: it is being emptied.
    pub fn read_calls(&self) -> Option<CallTreeSample> {
        let number = self.word(header::TREE).load(Acquire);
        let count = |word: usize, most: usize| (self.word(word).load(Acquire) as usize).min(most);
        let (functions, calls) =
            (count(header::FUNCTIONS, layout::FUNCTIONS), count(header::CALLS, layout::CALLS));
        let function = |index: usize| {
            let (name, file) = self.function_words(index).split_at(NAME);
            Function { name: words::text(name), file: words::text(file) }
        };
        let call = |index: usize| {
            let load = |word: usize| self.call_words(index)[word].load(Relaxed);
            let place = load(call::PLACE);
            // A call stands behind the one that it was made from.
            let from = (place as u16).checked_sub(1).map(usize::from).filter(|from| *from < index);
            let function = usize::from((place >> 16) as u16).min(functions.saturating_sub(1));
            Call {
                from,
                function,
                line: (place >> 32) as u32,
                ns: load(call::NS),
                samples: load(call::SAMPLES),
            }
        };
        let sample = CallTreeSample {
            number,
            lost: self.word(header::PROFILE_LOST).load(Relaxed),
            why: words::text(self.range(header::PROFILE_WHY)),
            functions: (0..functions).map(function).collect(),
            calls: (0..if functions == 0 { 0 } else { calls }).map(call).collect(),
        };
        fence(Acquire);
        (number & 1 == 0 && self.word(header::TREE).load(Relaxed) == number).then_some(sample)
    }

    fn function_words(&self, index: usize) -> &Words {
        let at = Layout::function(index.min(layout::FUNCTIONS - 1));
        self.range(at..at + layout::FUNCTION)
    }

    fn call_words(&self, index: usize) -> &Words {
        let at = Layout::call(index.min(layout::CALLS - 1));
        self.range(at..at + layout::CALL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;
    use crate::scoreboard::board::Identity;
    use std::sync::atomic::AtomicU64;

    fn board() -> Board<Box<[AtomicU64]>> {
        let words = (0..Layout::new(1).words()).map(|_| AtomicU64::new(0)).collect();
        Board::create(words, &Identity { threads: 1, ..Identity::default() }).unwrap()
    }

    fn folded(profile: &Profile) -> Vec<(String, u64)> {
        let name = |call: &usize| {
            let call = &profile.calls[*call];
            format!("{}:{}", profile.functions[call.function].name, call.line)
        };
        let stack = |call: usize| profile.stack(call).iter().map(name).collect::<Vec<_>>().join(";");
        let mut all: Vec<_> = (0..profile.calls.len())
            .filter(|call| profile.calls[*call].ns > 0)
            .map(|call| (stack(call), profile.calls[call].ns))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn samples_add_up_by_stack_and_two_readings_have_a_difference() {
        let (board, mut tree) = (board(), CallTree::default());
        let slow = board.route(b"/slow");
        let outer = tree.function(&board, "outer", "app.py").unwrap();
        let inner = tree.function(&board, "inner", "app.py").unwrap();
        assert_eq!(tree.function(&board, "outer", "app.py"), Some(outer));
        tree.add(&board, slow, &[(outer, 3), (inner, 9)], 20);
        let before = board.read_calls().unwrap();
        tree.add(&board, slow, &[(outer, 3), (inner, 9)], 30);
        tree.add(&board, slow, &[(outer, 3)], 5);
        tree.add(&board, slow, &[(outer, 4), (inner, 9)], 7);
        tree.lose(&board, 11);
        let now = board.read_calls().unwrap();
        let mut profile = Profile::default();
        profile.add(&now, Some(&before));
        let want = [("/slow:0;outer:3", 5), ("/slow:0;outer:3;inner:9", 30), ("/slow:0;outer:4;inner:9", 7)];
        assert_eq!(folded(&profile), want.map(|(stack, ns)| (stack.to_owned(), ns)));
        assert_eq!((profile.lost, profile.samples()), (11, 3));
        // A second worker with the same functions.
        profile.add(&now, None);
        assert_eq!(folded(&profile)[1], ("/slow:0;outer:3;inner:9".to_owned(), 80));
        assert_eq!(profile.functions.len(), 3);
        let only = profile.of_route("/other");
        assert_eq!((only.samples(), profile.of_route("/slow").samples()), (0, profile.samples()));
    }

    #[test]
    fn a_full_tree_loses_nothing_but_places_and_is_emptied_for_the_next_profile() {
        let (board, mut tree) = (board(), CallTree::default());
        let function =
            tree.function(&board, &"long".repeat(50), &format!("/srv/{}app.py", "x/".repeat(200))).unwrap();
        for line in 0..layout::CALLS as u32 + 10 {
            tree.add(&board, Route::UNKNOWN, &[(function, line)], 1);
        }
        let full = board.read_calls().unwrap();
        assert_eq!(full.calls.iter().map(|call| call.ns).sum::<u64>(), layout::CALLS as u64 + 10);
        assert!(
            full.functions[0].name.starts_with("longlong") && full.functions[0].file.ends_with("x/app.py")
        );
        tree.make_room(&board);
        let empty = board.read_calls().unwrap();
        assert_eq!((empty.calls.len(), empty.functions.len()), (0, 0));
        tree.add(&board, Route::UNKNOWN, &[], 4);
        let mut profile = Profile::default();
        profile.add(&board.read_calls().unwrap(), Some(&full));
        assert_eq!(folded(&profile), [("(unknown):0".to_owned(), 4)], "another tree than before");
        for name in 0..layout::FUNCTIONS + 5 {
            let _ = tree.function(&board, &name.to_string(), "f.py");
        }
        assert_eq!(tree.function(&board, "one more", ""), None);
    }

    #[test]
    fn rubbish_is_bounded() {
        let board = board();
        let words = Layout::function(0)..Layout::call(layout::CALLS);
        board.range(words).iter().for_each(|word| word.store(u64::MAX, Relaxed));
        for counter in [header::FUNCTIONS, header::CALLS] {
            board.word(counter).store(u64::MAX, Relaxed);
        }
        let mut profile = Profile::default();
        profile.add(&board.read_calls().unwrap(), None);
        assert!(!profile.stack(profile.calls.len() - 1).is_empty());
        board.word(header::TREE).store(1, Relaxed);
        assert!(board.read_calls().is_none());
    }

    #[test]
    fn the_later_end_counts() {
        let board = board();
        board.want_profile(10);
        board.want_profile(7);
        assert_eq!(board.profile_wanted(), 10);
        board.explain_profile("no frames");
        assert_eq!(board.read_calls().unwrap().why, "no frames");
    }
}
