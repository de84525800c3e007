//! Scripts that another process gives this one to run on its main thread: `sys.remote_exec` and `python -m pdb -p` (3.14). CPython
//! looks for one whenever its main thread runs Python code. A worker's main thread runs none for most of its life, so it looks here.

use crate::attached::Attached;
use crate::interpreter::Interpreter;
use crate::thread_state::ThreadStates;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

/// Word of a thread state in which another process writes that a script waits. Made by the thread of that state.
#[derive(Debug, Clone, Copy)]
pub struct Waiting(Option<usize>);

impl Waiting {
    /// For the calling thread and the interpreter that it is attached to. A CPython before 3.14 has no such word, nor has one that was
    /// built or started without remote debugging.
    pub fn new(_py: Attached<'_>) -> Self {
        static OFFSET: OnceLock<Option<usize>> = OnceLock::new();
        // SAFETY: attached, so there is a current thread state.
        let state = unsafe { pyo3_ffi::PyThreadState_Get() } as usize;
        Self(OFFSET.get_or_init(offset).map(|offset| state + offset))
    }

    /// Whether a script waits. For the thread of that state, while it lives.
    pub fn is_there(self) -> bool {
        let Some(word) = self.0 else { return false };
        // SAFETY: within the thread state of the calling thread, which lives; aligned, as CPython lays it out.
        unsafe { AtomicI32::from_ptr(word as *mut i32) }.load(Ordering::Relaxed) == 1
    }

    /// Runs the script that waits, if there is one, on this thread in the main interpreter. It may take as long as it likes.
    pub fn run(self, states: &mut ThreadStates, main: &Interpreter) {
        if self.is_there() {
            // CPython looks for it when a function begins. What the script raises was reported by CPython.
            states.attach(main, |py| {
                let _ = py.run(SOURCE, c"<gilkeeper>", &[]);
            });
        }
    }
}

const SOURCE: &std::ffi::CStr = c"
def gilkeeper_main_thread():
    pass
gilkeeper_main_thread()
";

fn offset() -> Option<usize> {
    cfg!(Py_3_14).then(crate::gil::debugger_offset).flatten()
}
