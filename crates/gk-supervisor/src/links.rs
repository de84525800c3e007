//! Files that this process opens for writing where other users may have a say: logs, the pid file, the lock of the server root. As root
//! it follows only links that root has made. Otherwise the owner of a folder of logs could have root write into any file.

use gk_sys::child::identity::effective_uid;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, fstatfs, openat, openat2, readlinkat};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path};

/// Most links on the way to a file, as in the kernel.
const MOST: u32 = 40;
/// The type of the file system `/proc`, in which a link need not name what it leads to.
const PROC: u64 = 0x9fa0;

/// Opens a file. `mode`: of a file that is made.
pub fn open(path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    match effective_uid() {
        0 => open_as(0, path, flags, mode),
        _ => Ok(openat(CWD, path, flags, mode)?),
    }
}

/// Opens a file and follows no link that another user than this one has made.
fn open_as(user: u32, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    match openat2(CWD, path, flags, mode, ResolveFlags::NO_SYMLINKS) {
        // There are links, or a kernel or a filter of system calls does not know the call.
        Err(Errno::LOOP | Errno::NOSYS | Errno::PERM) => walk(user, path, flags, mode),
        other => Ok(other?),
    }
}

/// The same, name by name.
fn walk(user: u32, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let look = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder =
        |path: &OsStr| openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let start = |path: &Path| folder(OsStr::new(if path.is_absolute() { "/" } else { "." }));
    let mut dir = start(path)?;
    let mut rest = names(path);
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        let last = rest.is_empty();
        let found = match openat(&dir, &name, look, Mode::empty()) {
            Err(Errno::NOENT) if last => return Ok(openat(&dir, &name, flags | OFlags::NOFOLLOW, mode)?),
            found => found?,
        };
        let about = fstat(&found)?;
        if FileType::from_raw_mode(about.st_mode) != FileType::Symlink {
            if last {
                return Ok(openat(&dir, &name, flags | OFlags::NOFOLLOW, mode)?);
            }
            dir = found;
        } else if is_of_proc(&found)? {
            if last {
                return Ok(openat(&dir, &name, flags, mode)?);
            }
            dir = openat(&dir, &name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        } else {
            links += 1;
            if links > MOST {
                return Err(Errno::LOOP.into());
            }
            if about.st_uid != user {
                let text = format!(
                    "'{}' on the way to it is a link of user #{}, and as another user this server does not follow it: give the path that \
                     it leads to",
                    name.display(),
                    about.st_uid
                );
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
            let target = OsString::from_vec(readlinkat(&found, c"", Vec::new())?.into_bytes());
            let target = Path::new(&target);
            if target.is_absolute() {
                dir = start(target)?;
            }
            let mut then = names(target);
            then.append(&mut rest);
            rest = then;
        }
    }
    // It names a folder.
    Err(Errno::ISDIR.into())
}

/// The names of a path, without those that lead nowhere.
fn names(path: &Path) -> VecDeque<OsString> {
    let steps = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    steps.map(|part| OsStr::from_bytes(part.as_os_str().as_bytes()).to_owned()).collect()
}

fn is_of_proc(file: &impl AsFd) -> io::Result<bool> {
    Ok(fstatfs(file)?.f_type as u64 == PROC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::symlink;

    const APPEND: OFlags = OFlags::APPEND.union(OFlags::CREATE).union(OFlags::WRONLY).union(OFlags::CLOEXEC);

    fn write(user: u32, path: &Path) -> io::Result<()> {
        let file = open_as(user, path, APPEND, Mode::RUSR | Mode::WUSR)?;
        std::fs::File::from(file).write_all(b"x")
    }

    /// Reported: root opened its logs through links at each reopening. Met where the owner of the folder of logs is no administrator.
    #[test]
    fn only_links_of_the_user_itself_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("real/deep")).unwrap();
        symlink("real", at("folder")).unwrap();
        symlink(at("real/deep/target"), at("file")).unwrap();
        symlink("file", at("again")).unwrap();
        symlink("round", at("round")).unwrap();
        let own = effective_uid();
        let through = ["folder/log", "folder/deep/log", "file", "again", "folder/../file"];
        for name in through {
            write(own, &at(name)).unwrap_or_else(|why| panic!("{name}: {why}"));
            let why = write(own + 1, &at(name)).unwrap_err();
            assert_eq!(why.kind(), io::ErrorKind::PermissionDenied, "{name}");
            assert!(why.to_string().contains(&format!("a link of user #{own}")), "{why}");
        }
        assert_eq!(std::fs::read(at("real/deep/target")).unwrap(), b"xxx");
        for name in ["real/log", "real/deep/../log", "new"] {
            write(own + 1, &at(name)).unwrap_or_else(|why| panic!("{name}: {why}"));
        }
        assert_eq!(std::fs::read(at("real/log")).unwrap(), b"xxx");
        assert!(write(own, &at("round")).is_err() && write(own, &at("nowhere/log")).is_err());
        // What the kernel alone can follow.
        let open = std::fs::File::create(at("open")).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&open);
        write(own, Path::new(&format!("/proc/self/fd/{number}"))).unwrap();
        assert_eq!(std::fs::read(at("open")).unwrap(), b"x");
    }
}
