//! Redirecting what one loaded object imports: its own table entries for a function are made to point to another function.
//! Nothing else in the process is touched, no library is preloaded, and a program started from here inherits nothing.
//!
//! `object` reads ELF objects. Callers decide which functions are replaced, and why.

mod object;

use object::Loaded;
use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A loaded object: an executable or a shared library of this process.
#[derive(Debug)]
pub struct Object {
    loaded: Loaded,
}

/// A function that an object imports.
#[derive(Debug)]
pub struct Import {
    /// Addresses of the table entries that hold the function's address, and whether the entry is write-protected.
    slots: Vec<(usize, bool)>,
    /// The function that the entries lead to.
    pub original: *const c_void,
}

impl Object {
    /// The object whose code or data holds this address. The sentence says why there is none.
    pub fn containing(address: *const c_void) -> Result<Self, String> {
        Ok(Self { loaded: Loaded::containing(address as usize)? })
    }

    /// Its file, empty for the executable itself.
    pub fn path(&self) -> &str {
        &self.loaded.path
    }

    /// The import of that function, or `None` where the object does not import it. A symbol's version counts: the original
    /// is the one that the object asked for.
    pub fn import(&self, name: &CStr) -> Result<Option<Import>, String> {
        let slots = self.loaded.slots_of(name);
        let Some(first) = slots.first() else { return Ok(None) };
        let version = self.loaded.version_of(first.symbol);
        // Not what the entry holds: before the first call that may be a stub that resolves the function and then
        // overwrites the entry.
        let original = object::resolve(name, version.as_deref());
        if original.is_null() {
            return Err(format!("the dynamic linker does not know {}", name.to_string_lossy()));
        }
        let slots = slots.iter().map(|slot| (slot.address, self.loaded.protected(slot.address))).collect();
        Ok(Some(Import { slots, original }))
    }
}

impl Import {
    /// Makes the object's calls of this function go to `replacement`, from now on and for the process's life.
    ///
    /// # Safety
    /// `replacement` must be a function of the same signature that keeps the original's promises, and must stay loaded.
    pub unsafe fn redirect(&self, replacement: *const c_void) -> Result<(), String> {
        for (slot, protected) in &self.slots {
            if *protected {
                object::protect(*slot, true)?;
            }
            // SAFETY: the address of a table entry of a loaded object, word-aligned and writable now; the dynamic linker
            // and running threads only load it whole.
            let entry = unsafe { AtomicUsize::from_ptr(*slot as *mut usize) };
            entry.store(replacement as usize, Ordering::SeqCst);
            if *protected {
                object::protect(*slot, false)?;
            }
        }
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux", target_pointer_width = "64"))]
mod tests {
    use super::*;

    static CALLS: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn counted() -> libc::pid_t {
        CALLS.fetch_add(1, Ordering::Relaxed);
        4711
    }

    #[test]
    fn calls_of_this_object_are_redirected_and_those_of_others_are_not() {
        let here = Object::containing(counted as *const c_void).unwrap();
        let import = here.import(c"getppid").unwrap().expect("this test calls it below");
        let before = std::os::unix::process::parent_id();
        // SAFETY: the same signature; the test binary stays loaded.
        unsafe { import.redirect(counted as *const c_void) }.unwrap();
        // SAFETY: no arguments.
        let now = unsafe { libc::getppid() };
        assert_eq!((now, CALLS.load(Ordering::Relaxed)), (4711, 1));
        // SAFETY: the address that the dynamic linker gave for a function of that signature.
        let original: extern "C" fn() -> libc::pid_t = unsafe { std::mem::transmute(import.original) };
        assert_eq!(original(), before as libc::pid_t);
    }

    #[test]
    fn what_is_not_imported_or_not_loaded_is_said() {
        let here = Object::containing(counted as *const c_void).unwrap();
        assert!(here.import(c"no_such_function_anywhere").unwrap().is_none());
        assert!(Object::containing(std::ptr::null()).unwrap_err().contains("no loaded object"));
    }
}
