//! What a long run of `doctor` says meanwhile, on standard error.

use super::study::{ImportTarget, Job, Setting};
use crate::say;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two lines; a short run says nothing.
const PAUSE: Duration = Duration::from_secs(3);

/// The trials done so far.
pub struct Progress {
    state: Mutex<State>,
}

struct State {
    done: usize,
    last: Instant,
}

impl Progress {
    pub fn new() -> Self {
        Self { state: Mutex::new(State { done: 0, last: Instant::now() }) }
    }

    /// A trial is done; `left` more are known to follow.
    pub fn done(&self, job: &Job, left: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.done += 1;
        if state.last.elapsed() >= PAUSE {
            state.last = Instant::now();
            say(&format!("doctor: {} trials done, {left} or more to go; last {}", state.done, shown(job)));
        }
    }
}

/// The trial in words.
fn shown((setting, what): &Job) -> String {
    let place = match setting {
        Setting::Main => "the main interpreter",
        Setting::Shared => "sub-interpreters",
        Setting::Own => "a sub-interpreter with a GIL of its own",
        Setting::Free => "a free-threaded process",
        Setting::Forced => "a free-threaded process with the GIL forced off",
    };
    match what {
        ImportTarget::Application => format!("the application in {place}"),
        ImportTarget::Import(name) | ImportTarget::Extension(name) => format!("{name} in {place}"),
        ImportTarget::Extensions => format!("extension modules by themselves in {place}"),
        ImportTarget::Unloaded => format!("modules that are imported later in {place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_in_words() {
        let job = (Setting::Own, ImportTarget::Import("numpy".to_owned()));
        assert_eq!(shown(&job), "numpy in a sub-interpreter with a GIL of its own");
    }
}
