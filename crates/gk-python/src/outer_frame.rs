//! The outermost Python frame of a thread in an interpreter. Profilers and debuggers that read a process from outside expect one in each
//! thread state; CPython's own profiler (3.15) gives a whole sample up when it finds a state without.
//!
//! A frame stands on the C stack, so the thread's work goes on inside of it: Python code calls back in here, and the thread detaches.

use crate::attached::Attached;
use crate::class::{Class, MethodResult, Type};
use crate::error::PyError;
use crate::gil::Named;
use crate::object::Object;
use std::ffi::CStr;

/// Qualified name of the frame's function, and its file.
pub const NAME: &str = "gilkeeper_thread";
/// See [`NAME`].
pub const FILE: &str = "<gilkeeper>";

/// Whether a place in Python code stands in that frame: what is busy there is this server.
pub fn is(place: &Named) -> bool {
    place.function == NAME && place.file == FILE
}

const SOURCE: &CStr = c"
def gilkeeper_thread(work):
    work()
";

/// Address of the work of the thread that calls: a `&mut &mut dyn FnMut()` of a function that waits for this call.
struct Work(usize);

impl Class for Work {
    const NAME: &'static CStr = c"gilkeeper.Work";
    const CALLABLE: bool = true;

    fn call<'p>(&self, this: &Object<'p>, _: &[Object<'p>], _: Option<Object<'p>>) -> MethodResult<'p> {
        let py = this.py();
        let Some(work) = CURRENT.with(|current| (current.replace(0) == self.0).then_some(self.0)) else {
            return Ok(py.none());
        };
        py.detach(|| {
            // SAFETY: `run` of this very thread waits for this call, with the value at that address; it is called once, as `CURRENT`
            // does not name it any more.
            let work = unsafe { &mut *(work as *mut &mut (dyn FnMut() + '_)) };
            work();
        });
        Ok(py.none())
    }
}

thread_local! {
    /// Address of the work that the next call on this thread does; 0: none. An object that Python code keeps does nothing later.
    static CURRENT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Runs `work` detached, inside a Python frame of the interpreter that this thread is attached to. On an error it did not run, or it ran
/// and something was raised afterwards, which concerns nobody. `work` does not panic.
pub(crate) fn run<'p>(py: Attached<'p>, work: &mut dyn FnMut()) -> Result<(), PyError<'p>> {
    let mut work = work;
    let address = &raw mut work as usize;
    let namespace = py.run(SOURCE, c"<gilkeeper>", &[])?;
    let function = namespace.item(&py.str(NAME)?)?;
    let object = Type::<Work>::new(py)?.instance(Work(address))?;
    CURRENT.with(|current| current.set(address));
    let result = function.call(&[&object]).map(drop);
    CURRENT.with(|current| current.set(0));
    result
}
