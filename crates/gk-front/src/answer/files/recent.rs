//! Files that were served a moment ago. Whether a file is withheld was asked then, and a look-up of its name and a read that the
//! kernel can do at once need no other thread: `openat2` and `preadv2` say so instead of waiting for a disk.

use bytes::Bytes;
use gk_rules::content::compression::Coding;
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
/// Most of them of one path: clients ask for different codings.
const MOST_OF_A_PATH: usize = 4;

/// The files, by the path that was asked for.
#[derive(Default)]
pub struct RecentFiles {
    known: RefCell<HashMap<PathBuf, Vec<Recent>, foldhash::fast::RandomState>>,
}

/// What a request asks for.
#[derive(Clone, Copy)]
pub struct AskedFile<'a> {
    /// The path.
    pub path: &'a Path,
    /// The served tree that it lies in.
    pub tree: &'a Path,
    /// The URL path has a slash at its end.
    pub slash: bool,
    /// Compressed neighbours are looked for.
    pub has_neighbours: bool,
    /// The codings that the client takes, where there may be neighbours.
    pub accept: &'a str,
}

/// A file that may be served.
struct Recent {
    tree: PathBuf,
    slash: bool,
    has_neighbours: bool,
    accept: String,
    /// The file that tells the type: that asked for, or the index of the folder.
    path: PathBuf,
    /// The state of what is sent.
    identity: Identity,
    /// A compressed neighbour is sent; the state of the file that it stands for.
    neighbour: Option<(Coding, Identity)>,
    varies: bool,
    asked: Instant,
}

/// What tells a file, and each state of it, from others.
#[derive(PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Identity {
    fn of(meta: &Metadata) -> Self {
        let changed = (meta.ctime(), meta.ctime_nsec());
        Self { device: meta.dev(), inode: meta.ino(), size: meta.len(), changed }
    }
}

impl Recent {
    fn answers(&self, asked: &AskedFile<'_>) -> bool {
        (self.slash, self.has_neighbours) == (asked.slash, asked.has_neighbours)
            && self.accept == asked.accept
            && self.tree == asked.tree
    }
}

impl RecentFiles {
    /// Remembers a file that is served.
    pub fn remember(&self, asked: &AskedFile<'_>, found: &FoundFile) {
        let mut known = self.known.borrow_mut();
        if known.len() >= MOST && !known.contains_key(asked.path) {
            known.clear();
        }
        let recent = Recent {
            tree: asked.tree.to_owned(),
            slash: asked.slash,
            has_neighbours: asked.has_neighbours,
            accept: asked.accept.to_owned(),
            path: found.path.clone(),
            identity: Identity::of(&found.meta),
            neighbour: found.neighbour.as_ref().map(|(coding, plain)| (*coding, Identity::of(plain))),
            varies: found.varies,
            asked: Instant::now(),
        };
        let of_path = known.entry(asked.path.to_owned()).or_default();
        of_path.retain(|other| !other.answers(asked));
        if of_path.len() >= MOST_OF_A_PATH {
            of_path.remove(0);
        }
        of_path.push(recent);
    }

    /// Opens a file that was served a moment ago, without waiting; `read`: with its bytes, if they are few. `None`: ask anew.
    pub fn open(&self, asked: &AskedFile<'_>, read: bool) -> Option<FoundFile> {
        let known = self.known.borrow();
        let recent = known.get(asked.path)?.iter().find(|recent| recent.answers(asked))?;
        if recent.asked.elapsed() >= HOLDS {
            return None;
        }
        let reading = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let (file, meta, neighbour) = match &recent.neighbour {
            None => {
                let (file, meta) = open_at_once(&recent.path, reading, &recent.identity)?;
                (file, meta, None)
            }
            Some((coding, plain)) => {
                let (_, plain) = open_at_once(&recent.path, OFlags::PATH, plain)?;
                let path = FoundFile::neighbour_of(&recent.path, *coding);
                let (file, meta) = open_at_once(&path, reading, &recent.identity)?;
                (file, meta, Some((*coding, plain)))
            }
        };
        let content = (read && meta.len() <= SMALL).then(|| read_at_once(&file, meta.len())).flatten();
        let found = FoundFile::new(file, meta, recent.path.clone());
        Some(FoundFile { neighbour, varies: recent.varies, content, ..found })
    }
}

/// Opens a file in a state that is known, if the look-up of its name need not wait.
fn open_at_once(path: &Path, flags: OFlags, known: &Identity) -> Option<(File, Metadata)> {
    let opened = openat2(CWD, path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::CACHED).ok()?;
    let file = File::from(opened);
    let meta = file.metadata().ok().filter(|meta| Identity::of(meta) == *known)?;
    Some((file, meta))
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

    fn found(path: &Path) -> FoundFile {
        let file = File::open(path).unwrap();
        let meta = file.metadata().unwrap();
        FoundFile::new(file, meta, path.to_owned())
    }

    #[test]
    fn only_the_same_file_is_opened_again() {
        let tree = tempfile::tempdir().unwrap();
        let path = tree.path().join("a");
        std::fs::write(&path, "one").unwrap();
        let recent = RecentFiles::default();
        let asked =
            AskedFile { path: &path, tree: tree.path(), slash: false, has_neighbours: false, accept: "" };
        assert!(recent.open(&asked, true).is_none());
        recent.remember(&asked, &found(&path));
        // Where the system can open without waiting, it is this file.
        if let Some(found) = recent.open(&asked, true) {
            assert_eq!((found.size(), found.content.as_deref().unwrap_or(b"one")), (3, &b"one"[..]));
        }
        assert!(recent.open(&AskedFile { tree: Path::new("/elsewhere"), ..asked }, true).is_none());
        assert!(recent.open(&AskedFile { slash: true, ..asked }, true).is_none());
        std::fs::write(tree.path().join("b"), "two").unwrap();
        std::fs::rename(tree.path().join("b"), &path).unwrap();
        assert!(recent.open(&asked, true).is_none());
    }

    #[test]
    fn a_neighbour_is_not_sent_for_another_file_or_client() {
        let tree = tempfile::tempdir().unwrap();
        let path = tree.path().join("a.css");
        for (name, text) in [("a.css", "plain"), ("a.css.gz", "packed")] {
            std::fs::write(tree.path().join(name), text).unwrap();
        }
        let recent = RecentFiles::default();
        let asked =
            AskedFile { path: &path, tree: tree.path(), slash: false, has_neighbours: true, accept: "gzip" };
        let plain = found(&path);
        let packed = found(&tree.path().join("a.css.gz"));
        let neighbour = Some((Coding::Gzip, plain.meta));
        recent.remember(&asked, &FoundFile { path: path.clone(), neighbour, varies: true, ..packed });
        if let Some(found) = recent.open(&asked, true) {
            assert_eq!((found.coding(), found.size(), found.varies), (Some(Coding::Gzip), 6, true));
        }
        assert!(recent.open(&AskedFile { accept: "br", ..asked }, true).is_none());
        assert!(recent.open(&AskedFile { has_neighbours: false, ..asked }, true).is_none());
        std::fs::write(&path, "plain and new").unwrap();
        assert!(recent.open(&asked, true).is_none());
    }
}
