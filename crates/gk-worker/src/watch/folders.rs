//! Changes of Python files and templates below the folders of `watch=`, as the kernel tells them (inotify). The folders are watched from
//! before the imports on, and a change is reported after `Ready`. Requests that come after a change wait for the new code.

use crate::serve::engine::Engine;
use gk_sys::descriptors;
use gk_sys::fork::Withheld;
use gk_sys::log::plain;
use gk_wire::control::{self, FromWorker};
use gk_wire::log::Level;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most folders that are watched.
const MOST: usize = 10_000;
/// Bytes of events that are read at once.
const BATCH: usize = 16 << 10;
/// Files that count, beside all below a folder `templates`.
const SUFFIXES: [&str; 9] = ["py", "html", "htm", "jinja", "jinja2", "j2", "mako", "mustache", "pt"];
/// Folders that are no part of a project's own source.
const SKIPPED: [&str; 3] = ["__pycache__", "node_modules", "site-packages"];

/// Folders with those below them.
pub(crate) struct Folders {
    inotify: OwnedFd,
    /// By the kernel's number of the watch.
    known: HashMap<i32, PathBuf>,
    /// Said once: not all can be watched.
    told: bool,
}

impl Folders {
    /// Watches from now on.
    pub(crate) fn watch(roots: &[PathBuf]) -> io::Result<Self> {
        let inotify = descriptors::out_of_the_way(inotify::init(CreateFlags::CLOEXEC)?);
        let mut folders = Self { inotify, known: HashMap::new(), told: false };
        for root in roots {
            if let Err(error) = std::fs::read_dir(root) {
                warn(&format!("{} is not watched: {error}", root.display()));
                continue;
            }
            folders.add(root.clone());
        }
        Ok(folders)
    }

    /// Adds a folder with those below. Returns a file in them that counts.
    fn add(&mut self, folder: PathBuf) -> Option<PathBuf> {
        let events = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::EXCL_UNLINK
            | WatchFlags::ONLYDIR;
        let mut found = None;
        let mut left = vec![folder];
        while let Some(folder) = left.pop() {
            if self.known.len() >= MOST {
                self.tell_once(&format!("only {MOST} of the directories below those of watch= are watched"));
                break;
            }
            // Before it is read: what comes later is told.
            match inotify::add_watch(&self.inotify, &folder, events) {
                Ok(number) => drop(self.known.insert(number, folder.clone())),
                Err(Errno::NOSPC) => {
                    self.tell_once("not all directories are watched: raise fs.inotify.max_user_watches");
                    break;
                }
                // It is gone, or closed to this user.
                Err(_) => continue,
            }
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && is_of_project(&path) => left.push(path),
                    Ok(kind) if !kind.is_dir() && counts(&path) => found = Some(path),
                    _ => {}
                }
            }
        }
        found
    }

    fn tell_once(&mut self, text: &str) {
        if !std::mem::replace(&mut self.told, true) {
            warn(text);
        }
    }

    /// Waits for changes; returns the files.
    fn changed(&mut self) -> io::Result<Vec<PathBuf>> {
        let mut buffer = [MaybeUninit::uninit(); BATCH];
        let mut events = Vec::new();
        let mut reader = Reader::new(&self.inotify, &mut buffer);
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
                changed.push(PathBuf::from("more than the kernel counts"));
            }
            if kind.contains(ReadFlags::IGNORED) {
                self.known.remove(&number);
                continue;
            }
            let (Some(folder), Some(name)) = (self.known.get(&number), name) else { continue };
            let path = folder.join(name);
            changed.extend(self.change(path, kind));
        }
        Ok(changed)
    }

    /// The file that has changed by an event, if one has that counts.
    fn change(&mut self, path: PathBuf, kind: ReadFlags) -> Option<PathBuf> {
        let came = ReadFlags::CREATE | ReadFlags::MOVED_TO;
        if kind.contains(ReadFlags::ISDIR) {
            if !is_of_project(&path) {
                return None;
            }
            return if kind.intersects(came) { self.add(path) } else { Some(path) };
        }
        // A new file is told of again when it is written. A link is not.
        let written = !kind.contains(ReadFlags::CREATE) || path.is_symlink();
        Some(path).filter(|path| written && counts(path))
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
                        let message = control::encode(&FromWorker::ScriptChanged { script });
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

fn warn(text: &str) {
    plain(Level::Warn, "wsgi", None, text);
}

/// A folder that may hold source of the project: no hidden one, no packages, no virtual environment.
fn is_of_project(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().as_bytes();
    let is_skipped = name.starts_with(b".") || SKIPPED.iter().any(|skipped| skipped.as_bytes() == name);
    !is_skipped && !folder.join("pyvenv.cfg").exists()
}

/// A Python file or a template, and not what an editor writes beside it.
fn counts(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().as_bytes();
    if name.starts_with(b".") || name.starts_with(b"#") || name.ends_with(b"~") {
        return false;
    }
    let suffix = file.extension().and_then(OsStr::to_str);
    suffix.is_some_and(|suffix| SUFFIXES.contains(&suffix))
        || file.parent().is_some_and(|folder| folder.iter().any(|part| part == "templates"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_change_of_source_or_template_is_told_wherever_it_is_in_the_project() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("site");
        for folder in ["shop", "shop/templates/shop", ".git", "venv/lib", "node_modules/x"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join("venv/pyvenv.cfg"), "").unwrap();
        let mut folders = Folders::watch(std::slice::from_ref(&root)).unwrap();
        // Each step in the first column is answered by its file, and what does not count before it is passed over.
        let write = |name: &str| fs::write(root.join(name), "x").unwrap();
        let mut next = |until: &str| loop {
            let changed = folders.changed().unwrap();
            assert!(changed.iter().all(|path| *path == root.join(until)), "{changed:?} for {until}");
            if !changed.is_empty() {
                return;
            }
        };
        write("notes.txt");
        write(".git/x.py");
        write("venv/lib/x.py");
        write("node_modules/x/x.py");
        write("shop/.#models.py");
        write("shop/models.py");
        next("shop/models.py");
        write("shop/templates/shop/mail.txt");
        next("shop/templates/shop/mail.txt");
        // As editors save: beside it, then over it.
        write("shop/models.py.new");
        fs::rename(root.join("shop/models.py.new"), root.join("shop/models.py")).unwrap();
        next("shop/models.py");
        // A folder that came later, with what was in it when it came.
        let moved = place.path().join("moved");
        fs::create_dir(&moved).unwrap();
        fs::write(moved.join("new.py"), "").unwrap();
        fs::rename(&moved, root.join("late")).unwrap();
        next("late/new.py");
        write("late/new.py");
        next("late/new.py");
        std::os::unix::fs::symlink("new.py", root.join("late/link.py")).unwrap();
        next("late/link.py");
        fs::remove_file(root.join("late/new.py")).unwrap();
        next("late/new.py");
    }

    #[test]
    fn a_folder_that_is_not_there_is_no_reason_to_watch_none() {
        let place = tempfile::tempdir().unwrap();
        let folders = Folders::watch(&[place.path().join("gone"), place.path().to_owned()]).unwrap();
        assert_eq!(folders.known.len(), 1);
    }
}
