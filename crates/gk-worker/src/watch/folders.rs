//! Changes of Python files and templates below the folders of `watch=`, as the kernel tells them (inotify). The folders are watched from
//! before the imports on, and a change is reported after `Ready`. Requests that come after a change wait for the new code.
//!
//! Symbolic links are followed, after everything that is no link, so that what they lead to takes nobody's place. The folder that holds
//! one of `watch=` is watched for this one name: it may be absent for a while, as during `git checkout`, or be a link that is switched.

mod tree;

use crate::serve::engine::Engine;
use gk_sys::descriptors;
use gk_sys::fork::Withheld;
use gk_sys::log::plain;
use gk_wire::control::FromWorker;
use gk_wire::log::Level;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader};
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tree::{Place, Tree, counts, is_of_project, warn};

/// Bytes of events that are read at once.
const BATCH: usize = 16 << 10;

/// Folders with those below them.
pub(crate) struct Folders {
    tree: Tree,
    roots: Vec<PathBuf>,
}

impl Folders {
    /// Watches from now on.
    pub(crate) fn watch(roots: &[PathBuf]) -> io::Result<Self> {
        let inotify = descriptors::out_of_the_way(inotify::init(CreateFlags::CLOEXEC)?);
        let mut folders = Self { tree: Tree::new(inotify), roots: roots.to_vec() };
        for root in roots {
            if let Err(error) = std::fs::read_dir(root) {
                warn(&format!("{} is not watched before it is there: {error}", root.display()));
            }
        }
        folders.add_roots();
        Ok(folders)
    }

    fn add_roots(&mut self) {
        for root in &self.roots {
            self.tree.guard(root);
            self.tree.add(Place::root(root));
        }
        self.tree.follow_links();
    }

    /// Waits for changes; returns the files.
    fn changed(&mut self) -> io::Result<Vec<PathBuf>> {
        let mut buffer = [MaybeUninit::uninit(); BATCH];
        let mut events = Vec::new();
        let mut reader = Reader::new(&self.tree.inotify, &mut buffer);
        loop {
            let event = reader.next()?;
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()).to_owned());
            events.push((event.wd(), event.events(), name));
            if reader.is_buffer_empty() {
                break;
            }
        }
        let mut changed = Vec::new();
        for (number, kind, name) in events {
            if kind.contains(ReadFlags::QUEUE_OVERFLOW) {
                // Folders may have come.
                self.add_roots();
                changed.push(PathBuf::from("more than the kernel counts"));
            }
            if self.tree.is_linked_file(number) {
                changed.extend(self.tree.linked_file(number, kind));
                continue;
            }
            if kind.contains(ReadFlags::IGNORED) {
                let roots = self.tree.ended(number);
                changed.extend(roots.into_iter().filter_map(|root| self.root_changed(root)));
                continue;
            }
            let Some(name) = name else { continue };
            let roots = self.tree.roots_at(number, &name);
            changed.extend(roots.into_iter().filter_map(|root| self.root_changed(root)));
            let Some(folder) = self.tree.known.get(&number) else { continue };
            let place = folder.entry(&name);
            changed.extend(self.change(place, kind));
            self.tree.follow_links();
        }
        Ok(changed)
    }

    /// A folder of `watch=` has come or gone, or one above it.
    fn root_changed(&mut self, root: PathBuf) -> Option<PathBuf> {
        let was_there = self.tree.forget(&root);
        self.tree.guard(&root);
        self.tree.add(Place::root(&root));
        self.tree.follow_links();
        Some(root).filter(|root| was_there || root.is_dir())
    }

    /// The file that has changed by an event, if one has that counts.
    fn change(&mut self, place: Place, kind: ReadFlags) -> Option<PathBuf> {
        let came = kind.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
        let is_link = came && place.path.is_symlink();
        let is_folder = kind.contains(ReadFlags::ISDIR);
        // A folder that was moved away tells nothing any more, and what a link led to does not either.
        let was_known = (is_folder || self.tree.is_followed(&place.path))
            && (is_link || !came)
            && self.tree.forget(&place.path);
        if is_folder {
            if !is_of_project(&place.path) {
                return None;
            }
            return if came { self.tree.add(place) } else { Some(place.path) };
        }
        if is_link {
            self.tree.link(&place);
        }
        // A new file is told of again when it is written. A link is not.
        let written = || !kind.contains(ReadFlags::CREATE) || is_link || has_other_names(&place.path);
        let told =
            was_known || is_link && self.tree.leads_to_folder(&place.path) || counts(&place) && written();
        told.then_some(place.path)
    }

    /// Starts the thread that reports changes. `control`: a second descriptor of the socket to the supervisor.
    pub(crate) fn report(mut self, engine: &Arc<Engine>, control: OwnedFd) -> io::Result<()> {
        let engine = Arc::clone(engine);
        let builder = std::thread::Builder::new().name("gk-folders".to_owned()).stack_size(256 << 10);
        let run = move || {
            let _withheld = Withheld::descriptor(&control);
            loop {
                match self.changed() {
                    Ok(changed) => {
                        let Some(file) = changed.first() else { continue };
                        engine.reloads.expect();
                        let script = file.display().to_string();
                        plain(Level::Info, "wsgi", None, &format!("File '{script}' has changed"));
                        let message = gk_messages::encode(&FromWorker::ScriptChanged { script });
                        let _ = descriptors::send(&control, &message, &[]);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return warn(&format!("Directories are not watched any more: {error}")),
                }
            }
        };
        builder.spawn(run).map(drop)
    }
}

/// Whether it is a second name of a file that was there before.
fn has_other_names(file: &Path) -> bool {
    file.symlink_metadata().is_ok_and(|metadata| metadata.nlink() > 1)
}

#[cfg(test)]
#[path = "folders_tests.rs"]
mod tests;
