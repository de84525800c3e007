//! The search for what a request for a file is answered with: the file, a compressed neighbour, the index of a folder or its
//! list. It asks the file system, and runs where waiting for that stops nobody.

use gk_rules::content::compression::{Coding, accepted};
use rustix::io::Errno;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::answer::files::file_place::FilePlace;
use crate::answer::files::found::{FoundFile, SMALL};
use crate::answer::files::links::{self, Blocked, Reached};
use crate::answer::withheld;

/// The index of a folder, where no other name is configured.
pub const INDEX: &str = "index.html";

/// A search, with everything that it needs on another thread.
pub struct Search {
    /// The place.
    pub place: FilePlace,
    /// The URL path names a folder.
    pub slash: bool,
    /// The folder was seen, and its index is none of the file system's.
    pub without_index: bool,
    /// The client's `Accept-Encoding`.
    pub accept: String,
    /// A small file is read at once.
    pub read: bool,
}

/// What was found.
pub enum Opened {
    /// A file.
    File(Box<FoundFile>),
    /// A folder whose URL path has no slash.
    NeedsSlash,
    /// A folder without an index.
    Folder,
    /// A file that is never served.
    Withheld,
    /// A symbolic link that may not be followed, or leads nowhere.
    Link(PathBuf),
    /// Neither file nor folder: a pipe, a socket, a device.
    Special(PathBuf),
}

/// An entry of the file system.
enum Entry {
    File(File, Metadata),
    Folder,
    Special,
}

impl Search {
    /// Searches.
    pub fn run(&self) -> io::Result<Opened> {
        match self.named() {
            Err(Blocked::Link(path)) => Ok(Opened::Link(path)),
            Err(Blocked::Io(error)) => Err(error),
            Ok(opened) => Ok(opened),
        }
    }

    fn named(&self) -> Result<Opened, Blocked> {
        match self.look(&self.place.path)? {
            Entry::File(..) if self.slash => Err(Blocked::Io(io::ErrorKind::NotFound.into())),
            Entry::File(file, meta) => self.file(file, meta, self.place.path.clone()),
            Entry::Special => Ok(Opened::Special(self.place.path.clone())),
            Entry::Folder if !self.slash && !self.without_index => Ok(Opened::NeedsSlash),
            Entry::Folder if self.without_index => Ok(Opened::Folder),
            Entry::Folder => {
                let index = self.place.path.join(INDEX);
                match self.look(&index) {
                    Ok(Entry::File(file, meta)) => self.file(file, meta, index),
                    Ok(Entry::Special) => Ok(Opened::Special(index)),
                    Ok(Entry::Folder) => Ok(Opened::Folder),
                    Err(Blocked::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(Opened::Folder),
                    Err(blocked) => Err(blocked),
                }
            }
        }
    }

    fn file(&self, file: File, meta: Metadata, path: PathBuf) -> Result<Opened, Blocked> {
        if self.holds(&file, &meta, &path).map_err(Blocked::Io)? {
            return Ok(Opened::Withheld);
        }
        let mut found = FoundFile::new(file, meta, path);
        if let Some(codings) = self.place.settings.served.precompressed.as_deref().filter(|c| !c.is_empty()) {
            self.choose_neighbour(&mut found, codings);
        }
        if self.read && found.size() <= SMALL {
            let mut bytes = vec![0; found.size() as usize];
            found.content = found.file.read_exact_at(&mut bytes, 0).is_ok().then(|| bytes.into());
        }
        Ok(Opened::File(Box::new(found)))
    }

    /// Puts the compressed neighbour that the client likes best in place of a file.
    fn choose_neighbour(&self, found: &mut FoundFile, codings: &[Coding]) {
        let mut there = Vec::new();
        for &coding in codings {
            let path = FoundFile::neighbour_of(&found.path, coding);
            if let Some((file, meta)) = self.neighbour(&path, &found.meta) {
                there.push((coding, file, meta));
            }
        }
        found.varies = !there.is_empty();
        let codings: Vec<Coding> = there.iter().map(|(coding, ..)| *coding).collect();
        let chosen = accepted(&codings, &self.accept);
        if let Some((coding, file, meta)) = there.into_iter().find(|(coding, ..)| Some(*coding) == chosen) {
            let plain = std::mem::replace(&mut found.meta, meta);
            (found.neighbour, found.file) = (Some((coding, plain)), file);
        }
    }

    /// A neighbour that may be served in place of a file, and is not older than that.
    fn neighbour(&self, path: &Path, of: &Metadata) -> Option<(File, Metadata)> {
        let Ok(Entry::File(file, meta)) = self.look(path) else { return None };
        let place = &self.place;
        let url = place.url_beside(path);
        let usable = meta.mtime() >= of.mtime()
            && place.admits_to(&place.compiled.settings(place.host, &url, Some(path)))
            && self.holds(&file, &meta, path).is_ok_and(|withheld| !withheld);
        usable.then_some((file, meta))
    }

    fn holds(&self, file: &File, meta: &Metadata, path: &Path) -> io::Result<bool> {
        self.place.withholds(file.as_fd(), withheld::identity(meta), path)
    }

    /// Looks at a path, and opens it if it is a file.
    fn look(&self, path: &Path) -> Result<Entry, Blocked> {
        if self.place.compiled.refuses_links(self.place.host) {
            let reached = self.reach(path)?;
            return match (reached.is_folder(), reached.is_file()) {
                (true, _) => Ok(Entry::Folder),
                (_, true) => seen(File::from(reached.open().map_err(Blocked::Io)?)),
                _ => Ok(Entry::Special),
            };
        }
        let meta = std::fs::metadata(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound if links::is_dangling(path) => Blocked::Link(path.to_owned()),
            _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => Blocked::Link(path.to_owned()),
            _ => Blocked::Io(error),
        })?;
        if meta.is_dir() {
            return Ok(Entry::Folder);
        }
        // Opening anything else may wait, or do something.
        if !meta.is_file() {
            return Ok(Entry::Special);
        }
        seen(File::from(links::open_plainly(path).map_err(Blocked::Io)?))
    }

    fn reach(&self, path: &Path) -> Result<Reached, Blocked> {
        links::reach(path, &|folder| self.place.links(folder))
    }
}

/// An open file as it is now: another one may have been put under its name.
fn seen(file: File) -> Result<Entry, Blocked> {
    let meta = file.metadata().map_err(Blocked::Io)?;
    Ok(if meta.is_file() { Entry::File(file, meta) } else { Entry::Special })
}
