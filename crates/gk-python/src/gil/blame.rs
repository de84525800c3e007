//! Waits are booked to lines from [`note_places`] on. It begins with a proof: a known Python function calls in here, and
//! what is read of its frame must be that function, that file, that line.

use super::memory::Access;
use super::names::Named;
use super::{offsets, place, threshold};
use crate::attached::Attached;
use crate::class::{Class, MethodResult, Type};
use crate::object::Object;
use pyo3_ffi as ffi;
use std::ffi::CStr;
use std::sync::{Mutex, OnceLock, PoisonError};

/// From now on waits of at least `threshold` nanoseconds are booked to lines (`None`: the switch interval). The sentence says why that
/// is not possible with this CPython. For a thread that is attached to an interpreter with a GIL.
pub fn note_places(py: Attached<'_>, threshold: Option<u64>) -> Result<(), String> {
    verified(py)?;
    threshold::set(threshold);
    Ok(())
}

/// Whether frames are read rightly, tried once. For a thread that is attached to an interpreter.
pub(super) fn verified(py: Attached<'_>) -> Result<(), String> {
    static RESULT: OnceLock<Result<(), String>> = OnceLock::new();
    if RESULT.get().is_none() {
        // Not within the cell's own initialisation, for which another thread would wait with the GIL that this one needs.
        let _ = RESULT.set(verify(py));
    }
    RESULT.get().map_or(Ok(()), Clone::clone)
}

/// A function within a function, whose call of `look` stands in the sixth line. Its name is not all ASCII; said like this, as Python
/// imports `unicodedata`, which takes a third of a megabyte, for such a name in a source.
const KNOWN: &CStr = c"
def outer(look):
    def known():
        several = (
            1,
            look(),
        )
    known.__code__ = known.__code__.replace(co_qualname='outer.<locals>.na\\u00efve')
    known()
";
const FILE: &CStr = c"<gilkeeper>";

fn known() -> Named {
    let file = FILE.to_string_lossy().into_owned();
    Named { function: "outer.<locals>.naïve".to_owned(), file, line: 6 }
}

/// Called by the known function: reads where its own thread stands.
struct Look {
    seen: Mutex<Option<Named>>,
}

impl Class for Look {
    const NAME: &'static CStr = c"gilkeeper.Look";
    const CALLABLE: bool = true;

    fn call<'p>(&self, this: &Object<'p>, _: &[Object<'p>], _: Option<Object<'p>>) -> MethodResult<'p> {
        let py = this.py();
        // SAFETY: attached, so there is a current thread state.
        let state = unsafe { ffi::PyThreadState_Get() } as usize;
        // SAFETY: nothing is followed but through the kernel.
        let place = offsets::known().ok().and_then(|at| unsafe { place::read(state, Access::Checked, at) });
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = place.and_then(|place| place.name(py));
        Ok(py.none())
    }
}

fn verify(py: Attached<'_>) -> Result<(), String> {
    offsets::known()?;
    let seen = || {
        let namespace = py.run(KNOWN, FILE, &[])?;
        let kind = Type::<Look>::new(py)?;
        let look = kind.instance(Look { seen: Mutex::new(None) })?;
        namespace.item(&py.str("outer")?)?.call(&[&look])?;
        let seen = kind
            .value(&look)
            .and_then(|look| look.seen.lock().unwrap_or_else(PoisonError::into_inner).take());
        Ok::<_, crate::error::PyError<'_>>(seen)
    };
    match seen() {
        Ok(seen) if seen.as_ref() == Some(&known()) => Ok(()),
        Ok(_) => Err("the frames of this CPython are not where they should be".to_owned()),
        Err(error) => Err(format!("the frames of this CPython could not be tried: {}", error.summary())),
    }
}
