//! Files that were served a moment ago. Whether a file is withheld was asked then, and a look-up of its name and a read that the
//! kernel can do at once need no other thread: `openat2` and `preadv2` say so instead of waiting for a disk.

use bytes::Bytes;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{ReadWriteFlags, preadv2};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::IoSliceMut;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::answer::files::found::{FoundFile, SMALL};

/// How long an answer about a file holds. What it opens within this time was open at its beginning: another file under the name,
/// and a change of the file, its owner or its mode, make a new question.
const HOLDS: Duration = Duration::from_secs(1);
/// Most files that are remembered.
const MOST: usize = 4096;

/// The files, by the path that was asked for.
#[derive(Default)]
pub struct RecentFiles {
    known: RefCell<HashMap<PathBuf, Recent, foldhash::fast::RandomState>>,
}

/// A file that may be served.
struct Recent {
    tree: PathBuf,
    /// The URL path had a slash at its end.
    slash: bool,
    /// The file itself: that, or the index of the folder.
    file: PathBuf,
    identity: Identity,
    asked: Instant,
}

/// What tells a file, and each state of it, from others.
#[derive(PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

impl Identity {
    fn of(meta: &Metadata) -> Self {
        Self { device: meta.dev(), inode: meta.ino(), changed: (meta.ctime(), meta.ctime_nsec()) }
    }
}

impl RecentFiles {
    /// Remembers a file that is served for a path of a tree.
    pub fn remember(&self, path: &Path, tree: &Path, slash: bool, found: &FoundFile) {
        let mut known = self.known.borrow_mut();
        if known.len() >= MOST && !known.contains_key(path) {
            known.clear();
        }
        let recent = Recent {
            tree: tree.to_owned(),
            slash,
            file: found.path.clone(),
            identity: Identity::of(&found.meta),
            asked: Instant::now(),
        };
        known.insert(path.to_owned(), recent);
    }

    /// Opens a file that was served a moment ago, without waiting; `read`: with its bytes, if they are few. `None`: ask anew.
    pub fn open(&self, path: &Path, tree: &Path, slash: bool, read: bool) -> Option<FoundFile> {
        let known = self.known.borrow();
        let fits = |recent: &&Recent| recent.asked.elapsed() < HOLDS && recent.slash == slash;
        let recent = known.get(path).filter(fits).filter(|recent| recent.tree == tree)?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(openat2(CWD, &recent.file, flags, Mode::empty(), ResolveFlags::CACHED).ok()?);
        let meta = file.metadata().ok().filter(|meta| Identity::of(meta) == recent.identity)?;
        let content = (read && meta.len() <= SMALL).then(|| read_at_once(&file, meta.len())).flatten();
        Some(FoundFile { content, ..FoundFile::new(file, meta, recent.file.clone()) })
    }
}

/// All bytes of a file, if they are in memory.
fn read_at_once(file: &File, len: u64) -> Option<Bytes> {
    let mut bytes = vec![0; usize::try_from(len).ok()?];
    if !bytes.is_empty() {
        let got = preadv2(file, &mut [IoSliceMut::new(&mut bytes)], 0, ReadWriteFlags::NOWAIT).ok()?;
        if got < bytes.len() {
            return None;
        }
    }
    Some(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_file_is_opened_again() {
        let tree = tempfile::tempdir().unwrap();
        let path = tree.path().join("a");
        std::fs::write(&path, "one").unwrap();
        let recent = RecentFiles::default();
        let open = |tree: &Path, slash: bool| recent.open(&path, tree, slash, true);
        assert!(open(tree.path(), false).is_none());
        let file = File::open(&path).unwrap();
        let meta = file.metadata().unwrap();
        recent.remember(&path, tree.path(), false, &FoundFile::new(file, meta, path.clone()));
        // Where the system can open without waiting, it is this file.
        if let Some(found) = open(tree.path(), false) {
            assert_eq!((found.size(), found.content.as_deref().unwrap_or(b"one")), (3, &b"one"[..]));
        }
        assert!(open(Path::new("/elsewhere"), false).is_none());
        assert!(open(tree.path(), true).is_none());
        std::fs::write(tree.path().join("b"), "two").unwrap();
        std::fs::rename(tree.path().join("b"), &path).unwrap();
        assert!(open(tree.path(), false).is_none());
    }
}
