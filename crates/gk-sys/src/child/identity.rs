//! The user and groups of a process: names and `#id` to numbers, resolved in the parent, since the name service must not be
//! used after `fork`. [`crate::child::spawn`] applies them; callers decide which ones are allowed.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Everything a child needs to become somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups, complete.
    pub groups: Vec<u32>,
    /// User's name, if the system knows one.
    pub name: Option<String>,
    /// User's home directory, if the system knows one.
    pub home: Option<PathBuf>,
}

/// A user's entry in the user database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Name.
    pub name: String,
    /// Home directory.
    pub home: PathBuf,
}

/// The effective user id of this process.
pub fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The effective group id of this process.
pub fn effective_gid() -> u32 {
    rustix::process::getegid().as_raw()
}

/// Looks up a user by name or `#id`. `None`: no such user.
pub fn user(text: &str) -> Option<User> {
    if let Some(number) = text.strip_prefix('#') {
        return user_by_id(number.parse().ok()?);
    }
    let name = CString::new(text).ok()?;
    lookup_user(|entry, buffer, found| {
        // SAFETY: every pointer is to a live local value, the length is the buffer's, and nothing is kept.
        unsafe { libc::getpwnam_r(name.as_ptr(), entry, buffer.as_mut_ptr(), buffer.len(), found) }
    })
}

/// Looks up a user by number.
pub fn user_by_id(uid: u32) -> Option<User> {
    lookup_user(|entry, buffer, found| {
        // SAFETY: every pointer is to a live local value, the length is the buffer's, and nothing is kept.
        unsafe { libc::getpwuid_r(uid, entry, buffer.as_mut_ptr(), buffer.len(), found) }
    })
}

/// Looks up a group's number by name or `#id`.
pub fn group(text: &str) -> Option<u32> {
    if let Some(number) = text.strip_prefix('#') {
        return number.parse().ok();
    }
    let name = CString::new(text).ok()?;
    let mut buffer = vec![0; 4096];
    loop {
        // SAFETY: `group` is plain data for which all-zero is a valid value.
        let mut entry: libc::group = unsafe { std::mem::zeroed() };
        let mut found = std::ptr::null_mut();
        // SAFETY: every pointer is to a live local value, the length is the buffer's, and nothing is kept.
        let code = unsafe {
            libc::getgrnam_r(name.as_ptr(), &mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found)
        };
        if code == libc::ERANGE && buffer.len() < 1 << 20 {
            buffer.resize(buffer.len() * 4, 0);
            continue;
        }
        return (code == 0 && !found.is_null()).then_some(entry.gr_gid);
    }
}

/// The supplementary groups the system gives a user, the primary group included.
pub fn groups_of(name: &str, gid: u32) -> Vec<u32> {
    let Ok(name) = CString::new(name) else { return vec![gid] };
    let mut groups = vec![0; 64];
    for _ in 0..2 {
        let mut count = i32::try_from(groups.len()).unwrap_or(i32::MAX);
        // SAFETY: the array holds `count` entries, the name is terminated, and nothing is kept.
        let code = unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &mut count) };
        let wanted = usize::try_from(count).unwrap_or(0);
        if code >= 0 {
            groups.truncate(wanted);
            return groups;
        }
        groups.resize(wanted.max(groups.len() * 2), 0);
    }
    vec![gid]
}

type Lookup<'a> = &'a mut Vec<libc::c_char>;

fn lookup_user(
    mut ask: impl FnMut(&mut libc::passwd, Lookup<'_>, *mut *mut libc::passwd) -> i32,
) -> Option<User> {
    let mut buffer = vec![0; 4096];
    loop {
        // SAFETY: `passwd` is plain data for which all-zero is a valid value.
        let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
        let mut found = std::ptr::null_mut();
        let code = ask(&mut entry, &mut buffer, &mut found);
        if code == libc::ERANGE && buffer.len() < 1 << 20 {
            buffer.resize(buffer.len() * 4, 0);
            continue;
        }
        if code != 0 || found.is_null() {
            return None;
        }
        return Some(User {
            uid: entry.pw_uid,
            gid: entry.pw_gid,
            name: String::from_utf8_lossy(&text(entry.pw_name)).into_owned(),
            home: PathBuf::from(std::ffi::OsString::from_vec(text(entry.pw_dir))),
        });
    }
}

/// Copies a C string that a lookup left in its still living buffer.
fn text(pointer: *const libc::c_char) -> Vec<u8> {
    if pointer.is_null() {
        return Vec::new();
    }
    // SAFETY: the lookup succeeded, so the field points to a terminated string in the buffer its caller holds.
    unsafe { CStr::from_ptr(pointer) }.to_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_by_name_and_by_number() {
        let root = user("root").unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(user("#0"), Some(root));
        assert_eq!(group("root"), Some(0));
        assert_eq!(group("#12"), Some(12));
        assert!(groups_of("root", 0).contains(&0));
    }

    #[test]
    fn an_unknown_name_is_none() {
        assert_eq!(user("no-such-user-here"), None);
        assert_eq!(user("#nonsense"), None);
        assert_eq!(group("no-such-group-here"), None);
    }
}
