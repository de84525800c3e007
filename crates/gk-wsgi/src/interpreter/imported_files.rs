//! Which source files an interpreter has imported, where they are watched. When to ask, and what follows from a change, is
//! the worker's.

use gk_python::{Attached, Kept, PyError};
use gk_wire::control::SourceFile;
use std::ffi::CStr;
use std::sync::{Mutex, PoisonError};

/// The function that tells what is new, where imports are noted.
#[derive(Default)]
pub(crate) struct Imports(Mutex<Option<Kept>>);

const NOTE: &CStr =
    match CStr::from_bytes_with_nul(concat!(include_str!("imported_files.py"), "\0").as_bytes()) {
        Ok(source) => source,
        Err(_) => panic!("imported_files.py holds no NUL"),
    };

impl Imports {
    /// From now on, imports are noted for [`Imports::read`].
    pub(crate) fn note<'p>(&self, py: Attached<'p>) -> Result<(), PyError<'p>> {
        let namespace = py.run(NOTE, c"<gilkeeper>", &[])?;
        let told = namespace.item(&py.str("imported")?)?.keep();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        Ok(())
    }

    /// The source files imported since the last call, those of the standard library left out. One thread at a time. After
    /// an error there is nothing any more.
    pub(crate) fn read<'p>(&self, py: Attached<'p>) -> Result<Vec<SourceFile>, PyError<'p>> {
        // Not locked while Python runs: it may let another thread have the GIL.
        let Some(told) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(Vec::new());
        };
        let rows = told.bind(py).call(&[])?.to_tuple()?;
        let mut files = Vec::new();
        for index in 0..rows.size()? {
            let row = rows.tuple_item(index)?;
            let nanos = row.tuple_item(1)?.index()?;
            // A name that is no UTF-8 is not watched, as with scripts.
            if let Some(path) = row.tuple_item(0)?.as_utf8() {
                files.push(SourceFile { path: path.to_owned(), read: u64::try_from(nanos).ok() });
            }
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        Ok(files)
    }
}
