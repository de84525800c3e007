//! The profile of the request threads, when a reader of the scoreboard wants one: samples get their names here, on the thread that also
//! reads stacks, and go to the scoreboard as a tree of calls.

use super::measurements::{Measurements, route, waiting};
use gk_python::gil::profile::{EVERY, Profile};
use gk_python::gil::{Place, Sample};
use gk_python::{Attached, outer_frame};
use gk_sys::clock;
use gk_telemetry::CallTree;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

/// What stands for a function: the thread was not attached, ran no Python, ran code that is gone; frames beyond those that were read.
const OUTSIDE: &str = "(server)";
const NO_CODE: &str = "(no Python code)";
const GONE: &str = "(code that is gone)";
const FARTHER: &str = "(more callers)";
const COLLECTION: &str = "(garbage collection)";
/// What CPython 3.12 has in a frame between Python code and C code that calls it.
const TRAMPOLINE: &str = "<interpreter trampoline>";

/// A profile runs, or its samples have no names yet.
static RUNS: AtomicBool = AtomicBool::new(false);

/// The state of the profile, of the thread that names.
#[derive(Default)]
pub(crate) struct Profiler {
    tree: CallTree,
    runs: Option<Profile>,
    /// The end of one that could not begin: it is not tried again for the same reader.
    refused: u64,
    /// Function and line of places that have a name. They are good for one profile: code goes, and other code takes its place.
    names: HashMap<[u64; Place::WORDS], Option<(u16, u32)>>,
}

impl Measurements {
    /// Returns true if the profiler has something to do.
    pub(crate) fn profiling(&self) -> bool {
        RUNS.load(Ordering::Relaxed) || self.board.profile_wanted() > clock::monotonic_nanos()
    }

    /// Begins, continues or ends the profile. `attach` runs its argument attached to an interpreter of the application group with that
    /// number, or to the main interpreter where there is none.
    pub(crate) fn profile(
        &self,
        profiler: &mut Profiler,
        mut attach: impl FnMut(Option<u16>, &mut dyn FnMut(Attached<'_>)),
    ) {
        let until = self.board.profile_wanted();
        let wanted = until > clock::monotonic_nanos();
        if wanted && profiler.runs.is_none() && profiler.refused != until {
            attach(None, &mut |py| match Profile::start(py, EVERY) {
                Ok(profile) => {
                    profiler.tree.make_room(&self.board);
                    self.board.explain_profile("");
                    profiler.runs = Some(profile);
                    RUNS.store(true, Ordering::Relaxed);
                    self.board.set_profile_runs(true);
                }
                Err(why) => {
                    self.board.explain_profile(&why);
                    profiler.refused = until;
                }
            });
        }
        let Some(profile) = &mut profiler.runs else { return };
        let mut samples: BTreeMap<u16, Vec<Sample>> = BTreeMap::new();
        let lost = profile.take(|sample| samples.entry(waiting(sample.work).1).or_default().push(sample));
        profiler.tree.lose(&self.board, lost);
        for (group, samples) in samples {
            attach(Some(group), &mut |py| samples.iter().for_each(|sample| profiler.name(self, py, sample)));
        }
        if !wanted {
            profiler.runs = None;
            profiler.names = HashMap::new();
            RUNS.store(false, Ordering::Relaxed);
            self.board.set_profile_runs(false);
        }
    }
}

impl Profiler {
    /// Puts a sample into the tree. The thread is attached to the sample's interpreter.
    fn name(&mut self, measure: &Measurements, py: Attached<'_>, sample: &Sample) {
        let board = &measure.board;
        let mut stack = Vec::with_capacity(sample.places.len() + 2);
        let mut named = |tree: &mut CallTree, name: &str| {
            stack.extend(tree.function(board, name, "").map(|function| (function, 0)));
        };
        match sample {
            Sample { attached: false, .. } => named(&mut self.tree, OUTSIDE),
            Sample { places, .. } if places.is_empty() => named(&mut self.tree, NO_CODE),
            Sample { whole: false, .. } => named(&mut self.tree, FARTHER),
            _ => {}
        }
        for place in sample.places.iter().rev() {
            let tree = &mut self.tree;
            let known = *self.names.entry(place.words()).or_insert_with(|| match place.name(py) {
                Some(named) if named.function == TRAMPOLINE || outer_frame::is(&named) => None,
                Some(named) => Some((tree.function(board, &named.function, &named.file)?, named.line)),
                None => Some((tree.function(board, GONE, "")?, 0)),
            });
            stack.extend(known);
        }
        if stack.is_empty() {
            // Between the thread's outermost frame and the application.
            stack.extend(self.tree.function(board, NO_CODE, "").map(|function| (function, 0)));
        }
        if sample.collecting {
            stack.extend(self.tree.function(board, COLLECTION, "").map(|function| (function, 0)));
        }
        self.tree.add(board, route(sample.name), &stack, sample.nanos);
    }
}
