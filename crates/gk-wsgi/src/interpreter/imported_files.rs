//! Source files that an interpreter has imported, if they are watched. The worker decides when to ask and what follows from
//! a change.

use gk_python::{Attached, Kept, PyError};
use gk_wire::control::SourceFile;
use std::ffi::CStr;
use std::sync::{Mutex, PoisonError};

/// The Python function that returns new imports, if they are recorded.
#[derive(Default)]
pub(crate) struct ImportedFiles(Mutex<Option<Kept>>);

const NOTE: &CStr =
    match CStr::from_bytes_with_nul(concat!(include_str!("imported_files.py"), "\0").as_bytes()) {
        Ok(source) => source,
        Err(_) => panic!("imported_files.py holds no NUL"),
    };

impl ImportedFiles {
    /// Records imports from now on, for [`ImportedFiles::read`].
    pub(crate) fn note<'p>(&self, py: Attached<'p>) -> Result<(), PyError<'p>> {
        let namespace = py.run(NOTE, c"<gilkeeper>", &[])?;
        let told = namespace.item(&py.str("imported")?)?.keep();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        Ok(())
    }

    /// Source files imported since the last call, without those of the standard library. One thread at a time. Empty after
    /// an error.
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
            // A name that is not UTF-8 is not watched, as with scripts.
            if let Some(path) = row.tuple_item(0)?.as_utf8() {
                files.push(SourceFile { path: path.to_owned(), read: u64::try_from(nanos).ok() });
            }
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        Ok(files)
    }
}
