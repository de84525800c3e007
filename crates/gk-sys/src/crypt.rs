//! The system's `crypt`, which knows the older and the system's own forms of stored passwords. Loaded when it is first needed, as not
//! every system has it. It is slow on purpose, and may be called on several threads.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

/// Bytes that every known implementation's `struct crypt_data` fits into: glibc's, the largest, has 131,232.
const DATA: usize = 160 * 1024;

/// Names of the library, newest first; musl has the function in itself.
const LIBRARIES: &[&CStr] =
    &[c"libcrypt.so.2", c"libcrypt.so.1", c"libc.so", c"libc.musl-x86_64.so.1", c"libc.musl-aarch64.so.1"];

type CryptR = unsafe extern "C" fn(*const c_char, *const c_char, *mut c_void) -> *mut c_char;

/// The stored form of a password. `setting`: such a form, which says how to make it. `None`: the setting is not known.
/// `Err`: the system has no such function.
pub fn crypt(password: &CStr, setting: &CStr) -> Result<Option<Vec<u8>>, &'static str> {
    let Some(crypt_r) = function() else {
        return Err("this system has no libcrypt, which this form of password needs");
    };
    // The structure must be zero at first, and be aligned for any type.
    let mut data = vec![0u64; DATA / 8];
    // SAFETY: `crypt_r` has this signature; both texts end with NUL and live until it returns; `data` is zeroed, aligned, and larger
    // than the structure that the library writes to.
    let made = unsafe { crypt_r(password.as_ptr(), setting.as_ptr(), data.as_mut_ptr().cast()) };
    if made.is_null() {
        return Ok(None);
    }
    // SAFETY: a result that is not null is a text in `data`, which ends with NUL.
    let made = unsafe { CStr::from_ptr(made) };
    Ok(Some(made.to_bytes().to_vec()))
}

fn function() -> Option<CryptR> {
    static FOUND: OnceLock<Option<CryptR>> = OnceLock::new();
    *FOUND.get_or_init(|| LIBRARIES.iter().find_map(|name| look_up(name)))
}

fn look_up(library: &CStr) -> Option<CryptR> {
    const FLAGS: c_int = libc::RTLD_NOW | libc::RTLD_LOCAL;
    // SAFETY: the name ends with NUL; loading libcrypt or libc runs no code that could break an invariant of ours.
    let handle = unsafe { libc::dlopen(library.as_ptr(), FLAGS) };
    if handle.is_null() {
        return None;
    }
    // SAFETY: `handle` is of a library that was just loaded and is never closed; the name ends with NUL.
    let symbol = unsafe { libc::dlsym(handle, c"crypt_r".as_ptr()) };
    if symbol.is_null() {
        return None;
    }
    // SAFETY: the symbol of this name is a function of this signature in every implementation of libcrypt.
    Some(unsafe { std::mem::transmute::<*mut c_void, CryptR>(symbol) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_setting_gives_nothing_that_looks_like_a_password() {
        // A system without the library is none that the tests run on.
        let made = crypt(c"secret", c"$nothing$").expect("the library is there");
        assert!(made.is_none_or(|made| made.starts_with(b"*")));
        let made = crypt(c"secret", c"$6$ab12cd").expect("the library is there");
        assert!(made.is_some_and(|made| made.starts_with(b"$6$ab12cd$")));
    }
}
