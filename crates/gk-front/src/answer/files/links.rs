//! The way to a file of the disk, name by name, where some symbolic links may not be followed. Each name is looked up in the folder
//! that was reached before, and what was looked at is what is used: a link that is put there in between changes nothing.

use gk_rules::content::served::Links;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat};
use rustix::io::Errno;
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Why a path leads nowhere.
#[derive(Debug)]
pub enum Blocked {
    /// This link may not be followed, or leads nowhere.
    Link(PathBuf),
    /// The system's answer.
    Io(io::Error),
}

impl From<Errno> for Blocked {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// An entry that was reached, and was not opened yet.
pub struct Reached {
    folder: OwnedFd,
    /// Its name there; of a link that was followed, what that leads to.
    name: CString,
    followed: bool,
    /// A handle that only names the entry.
    handle: OwnedFd,
    stat: Stat,
}

impl Reached {
    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        kind(&self.stat) == FileType::RegularFile
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        kind(&self.stat) == FileType::Directory
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        u64::try_from(self.stat.st_size).unwrap_or(0)
    }

    /// Time of change, seconds since the epoch.
    pub fn modified(&self) -> i64 {
        self.stat.st_mtime
    }

    /// Device and inode.
    pub fn id(&self) -> (u64, u64) {
        (self.stat.st_dev, self.stat.st_ino)
    }

    /// A handle that names it, for questions and not for reading.
    pub fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Opens it for reading. Another entry in its place by now is refused.
    pub fn open(&self) -> io::Result<OwnedFd> {
        let mut flags = READ;
        if !self.followed {
            flags |= OFlags::NOFOLLOW;
        }
        let opened = openat(&self.folder, &self.name, flags, Mode::empty())?;
        match is_same(&fstat(&opened)?, &self.stat) {
            true => Ok(opened),
            false => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }
}

/// Flags for reading. Opening a pipe does not wait for its other end.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
const NAME_ONLY: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// Goes from the root to an absolute path; `follows` says which links of a folder are followed.
pub fn reach(path: &Path, follows: &dyn Fn(&Path) -> Links) -> Result<Reached, Blocked> {
    let mut here = PathBuf::from("/");
    let mut names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(Ok(name)),
        Component::ParentDir => Some(Err(Blocked::Io(io::ErrorKind::NotFound.into()))),
        _ => None,
    });
    let root = || openat(CWD, c"/", NAME_ONLY | OFlags::DIRECTORY, Mode::empty());
    let mut reached = step(root()?, c".".to_owned(), Links::Follow, &here)?;
    while let Some(name) = names.next().transpose()? {
        let links = follows(&here);
        let name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)?;
        let folder = reached.handle;
        here.push(OsStr::from_bytes(name.as_bytes()));
        reached = step(folder, name, links, &here)?;
    }
    Ok(reached)
}

/// Looks at an entry of an open folder; `path` is the entry's.
pub fn entry(folder: BorrowedFd<'_>, name: &CStr, links: Links, path: &Path) -> Result<Reached, Blocked> {
    step(folder.try_clone_to_owned().map_err(Blocked::Io)?, name.to_owned(), links, path)
}

fn step(folder: OwnedFd, name: CString, links: Links, path: &Path) -> Result<Reached, Blocked> {
    let handle = openat(&folder, &name, NAME_ONLY | OFlags::NOFOLLOW, Mode::empty())?;
    let stat = fstat(&handle)?;
    if kind(&stat) != FileType::Symlink {
        return Ok(Reached { folder, name, followed: false, handle, stat });
    }
    let refused = || Blocked::Link(path.to_owned());
    // What the link says cannot change; what is put in its place later is another one.
    let target = match links {
        Links::Refuse => return Err(refused()),
        Links::Follow | Links::OfOwner => readlinkat(handle.as_fd(), c"", Vec::new())?,
    };
    let found = openat(&folder, &target, NAME_ONLY, Mode::empty()).map_err(|_| refused())?;
    let found_stat = fstat(&found)?;
    if links == Links::OfOwner && found_stat.st_uid != stat.st_uid {
        return Err(refused());
    }
    Ok(Reached { folder, name: target, followed: true, handle: found, stat: found_stat })
}

/// Opens a path whose links are all followed, if it is a regular file.
pub fn open_plainly(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, READ, Mode::empty())?)
}

/// Whether a path that leads nowhere ends in a link.
pub fn is_dangling(path: &Path) -> bool {
    let looked = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW);
    looked.is_ok_and(|stat| kind(&stat) == FileType::Symlink)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn all(links: Links) -> impl Fn(&Path) -> Links {
        move |_| links
    }

    #[test]
    fn links_are_followed_where_they_may_be() {
        let tree = tempfile::tempdir().unwrap();
        let root = tree.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        std::fs::write(root.join("real/a"), "a").unwrap();
        for (to, name) in [("real", "folder"), ("real/a", "file"), ("none", "dangling"), ("loop", "loop")] {
            symlink(to, root.join(name)).unwrap();
        }
        let table = [
            ("real/a", Some(()), Some(()), Some(())),
            ("file", Some(()), Some(()), None),
            ("folder/a", Some(()), Some(()), None),
            ("folder", Some(()), Some(()), None),
            ("dangling", None, None, None),
            ("loop", None, None, None),
        ];
        for (name, follow, own, refuse) in table {
            for (links, want) in [(Links::Follow, follow), (Links::OfOwner, own), (Links::Refuse, refuse)] {
                let found = reach(&root.join(name), &all(links));
                assert_eq!(found.is_ok().then_some(()), want, "{name} {links:?}");
                if want.is_none() {
                    assert!(
                        matches!(found, Err(Blocked::Link(path)) if path == root.join(name.split('/').next().unwrap()))
                    );
                }
            }
        }
        // A link of ours to a file of somebody else.
        let theirs = root.join("theirs");
        symlink("/etc/passwd", &theirs).unwrap();
        if rustix::process::geteuid().is_root() {
            let nobody = Some(rustix::process::Uid::from_raw(65534));
            rustix::fs::chownat(CWD, &theirs, nobody, None, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        }
        assert!(reach(&theirs, &all(Links::Follow)).is_ok());
        assert!(matches!(reach(&theirs, &all(Links::OfOwner)), Err(Blocked::Link(_))));
        let missing = reach(&root.join("real/none"), &all(Links::Refuse));
        assert!(matches!(missing, Err(Blocked::Io(error)) if error.kind() == io::ErrorKind::NotFound));
        let behind = reach(&root.join("real/a/x"), &all(Links::Refuse));
        assert!(matches!(behind, Err(Blocked::Io(error)) if error.kind() == io::ErrorKind::NotADirectory));
        let found = reach(&root.join("real/a"), &all(Links::Refuse)).unwrap();
        assert!(found.is_file() && found.size() == 1);
        assert!(found.open().is_ok());
    }

    #[test]
    fn what_was_looked_at_is_what_is_opened() {
        let tree = tempfile::tempdir().unwrap();
        let root = tree.path().canonicalize().unwrap();
        std::fs::write(root.join("a"), "a").unwrap();
        std::fs::write(root.join("secret"), "s").unwrap();
        let found = reach(&root.join("a"), &all(Links::Refuse)).unwrap();
        std::fs::remove_file(root.join("a")).unwrap();
        symlink("secret", root.join("a")).unwrap();
        assert!(found.open().is_err());
        std::fs::remove_file(root.join("a")).unwrap();
        std::fs::rename(root.join("secret"), root.join("a")).unwrap();
        assert!(found.open().is_err());
    }

    #[test]
    fn the_folder_of_a_link_decides() {
        let tree = tempfile::tempdir().unwrap();
        let root = tree.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("free/real")).unwrap();
        std::fs::write(root.join("free/real/a"), "a").unwrap();
        symlink("real", root.join("free/link")).unwrap();
        symlink("free", root.join("outer")).unwrap();
        let free = root.join("free");
        let follows = |folder: &Path| if folder.starts_with(&free) { Links::Follow } else { Links::Refuse };
        assert!(reach(&free.join("link/a"), &follows).is_ok());
        assert!(reach(&root.join("outer/real/a"), &follows).is_err());
    }
}
