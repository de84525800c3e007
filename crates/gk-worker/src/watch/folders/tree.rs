//! The folders that are watched, and which files of them count.

use gk_sys::log::plain;
use gk_wire::log::Level;
use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Most folders that are watched.
const MOST: usize = 10_000;
/// Most of them that links lead to: such a link may lead anywhere.
const MOST_LINKED: usize = 1_000;
/// Files that count, beside all below a folder `templates`.
const SUFFIXES: [&str; 9] = ["py", "html", "htm", "jinja", "jinja2", "j2", "mako", "mustache", "pt"];
/// Folders that are no part of a project's own source.
const SKIPPED: [&str; 3] = ["__pycache__", "node_modules", "site-packages"];
const TEMPLATES: &str = "templates";

/// A file or folder below one of `watch=`.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// It is, or is in, a folder `templates` of the project. One above the project says nothing of its files.
    of_templates: bool,
    /// A link led to it.
    linked: bool,
}

impl Place {
    /// One of `watch=`.
    pub(super) fn root(path: &Path) -> Self {
        let of_templates = path.file_name().is_some_and(|name| name == TEMPLATES);
        Self { path: path.to_owned(), of_templates, linked: false }
    }

    /// An entry of this folder.
    pub(super) fn entry(&self, name: &OsStr) -> Self {
        Self {
            path: self.path.join(name),
            of_templates: self.of_templates || name == TEMPLATES,
            linked: self.linked,
        }
    }
}

/// What is watched.
pub(super) struct Tree {
    pub(super) inotify: OwnedFd,
    /// Folders by the kernel's number of the watch.
    pub(super) known: HashMap<i32, Place>,
    /// Files that links lead to, by the path of the link.
    files: HashMap<i32, Place>,
    /// Names that lead to folders of `watch=`, by the folder that holds them.
    doors: HashMap<i32, HashSet<(OsString, PathBuf)>>,
    /// Links to folders that are followed.
    followed: HashSet<PathBuf>,
    /// Links that are still to be followed.
    links: Vec<Place>,
    /// Said once: not all can be watched.
    told: bool,
}

impl Tree {
    pub(super) fn new(inotify: OwnedFd) -> Self {
        Self {
            inotify,
            known: HashMap::new(),
            files: HashMap::new(),
            doors: HashMap::new(),
            followed: HashSet::new(),
            links: Vec::new(),
            told: false,
        }
    }

    /// Adds a folder with those below, and notes the links in them. Returns a file in them that counts.
    pub(super) fn add(&mut self, folder: Place) -> Option<PathBuf> {
        let events = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::EXCL_UNLINK
            | WatchFlags::ONLYDIR;
        let (mut found, mut linked) = (None, 0);
        let mut left = vec![folder];
        while let Some(folder) = left.pop() {
            if self.known.len() >= MOST {
                self.tell_once(&format!("only {MOST} of the directories below those of watch= are watched"));
                break;
            }
            linked += usize::from(folder.linked);
            if linked > MOST_LINKED {
                let path = folder.path.display();
                self.tell_once(&format!("a link leads to more than {MOST_LINKED} directories, of which not all are watched: {path}"));
                break;
            }
            // Before it is read: what comes later is told.
            match inotify::add_watch(&self.inotify, &folder.path, events) {
                // A link leads to what is watched by its own name.
                Ok(number) if self.known.get(&number).is_some_and(|known| known.path != folder.path) => {
                    continue;
                }
                Ok(number) => drop(self.known.insert(number, folder.clone())),
                Err(Errno::NOSPC) => {
                    self.tell_once("not all directories are watched: raise fs.inotify.max_user_watches");
                    break;
                }
                // It is gone, or closed to this user.
                Err(_) => continue,
            }
            for entry in std::fs::read_dir(&folder.path).into_iter().flatten().flatten() {
                let place = folder.entry(&entry.file_name());
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => {
                        if is_of_project(&place.path) {
                            left.push(place);
                        }
                    }
                    Ok(kind) => {
                        if kind.is_symlink() {
                            self.link(&place);
                        }
                        if counts(&place) {
                            found = Some(place.path);
                        }
                    }
                    Err(_) => {}
                }
            }
        }
        found
    }

    /// Notes a link to a folder, or to a file that counts.
    pub(super) fn link(&mut self, link: &Place) {
        if link.path.is_dir() {
            if is_of_project(&link.path) {
                self.links.push(Place { linked: true, ..link.clone() });
            }
        } else if counts(link) {
            self.add_file(link.clone());
        }
    }

    /// Adds the folders that links lead to.
    pub(super) fn follow_links(&mut self) {
        while let Some(link) = self.links.pop() {
            self.followed.insert(link.path.clone());
            self.add(link);
        }
    }

    /// Whether it is a link whose folder is watched.
    pub(super) fn is_followed(&self, link: &Path) -> bool {
        self.followed.contains(link)
    }

    /// Whether it is a link that has been noted just now.
    pub(super) fn leads_to_folder(&self, link: &Path) -> bool {
        self.links.last().is_some_and(|last| last.path == link)
    }

    /// Watches the file that a link leads to. An editor may put another one in its place.
    fn add_file(&mut self, link: Place) {
        let events =
            WatchFlags::CLOSE_WRITE | WatchFlags::ATTRIB | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        if self.files.len() < MOST
            && let Ok(number) = inotify::add_watch(&self.inotify, &link.path, events)
        {
            self.files.insert(number, link);
        }
    }

    /// Whether it is the watch of a file that a link leads to.
    pub(super) fn is_linked_file(&self, number: i32) -> bool {
        self.files.contains_key(&number)
    }

    /// The link whose file has changed.
    pub(super) fn linked_file(&mut self, number: i32, kind: ReadFlags) -> Option<PathBuf> {
        if kind.contains(ReadFlags::IGNORED) {
            self.files.remove(&number);
            return None;
        }
        let link = self.files.get(&number)?.clone();
        // It may lead to another file now.
        self.add_file(link.clone());
        Some(link.path)
    }

    /// Watches the folder that holds this one of `watch=`, or the first one above that is there, for the next name on the way
    /// to it; and those that hold links on this way.
    pub(super) fn guard(&mut self, root: &Path) {
        let events = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::MASK_ADD
            | WatchFlags::ONLYDIR;
        let mut reached = false;
        for way in root.ancestors() {
            let (Some(holder), Some(name)) = (way.parent(), way.file_name()) else { return };
            if reached && !way.is_symlink() {
                continue;
            }
            if let Ok(number) = inotify::add_watch(&self.inotify, holder, events) {
                self.doors.entry(number).or_default().insert((name.to_owned(), root.to_owned()));
                // It has come meanwhile: the next name is to be watched.
                if !reached && way != root && way.is_dir() {
                    return self.guard(root);
                }
                reached = true;
            }
        }
    }

    /// The folders of `watch=` to which a name leads.
    pub(super) fn roots_at(&self, number: i32, name: &OsStr) -> Vec<PathBuf> {
        let doors = self.doors.get(&number).into_iter().flatten();
        doors.filter(|(door, _)| door == name).map(|(_, root)| root.clone()).collect()
    }

    /// Ends the watches of a folder and of those below. Returns whether there were any.
    pub(super) fn forget(&mut self, folder: &Path) -> bool {
        let below: Vec<i32> = self
            .known
            .iter()
            .filter(|(_, place)| place.path.starts_with(folder))
            .map(|(number, _)| *number)
            .collect();
        for number in &below {
            self.known.remove(number);
            if !self.doors.contains_key(number) {
                let _ = inotify::remove_watch(&self.inotify, *number);
            }
        }
        self.followed.retain(|link| !link.starts_with(folder));
        !below.is_empty()
    }

    /// The kernel has ended a watch. Returns the folders of `watch=` to which it led.
    pub(super) fn ended(&mut self, number: i32) -> Vec<PathBuf> {
        self.known.remove(&number);
        self.doors.remove(&number).into_iter().flatten().map(|(_, root)| root).collect()
    }

    fn tell_once(&mut self, text: &str) {
        if !std::mem::replace(&mut self.told, true) {
            warn(text);
        }
    }
}

pub(super) fn warn(text: &str) {
    plain(Level::Warn, "wsgi", None, text);
}

/// A folder that may hold source of the project: no hidden one, no packages, no virtual environment.
pub(super) fn is_of_project(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().as_bytes();
    let is_skipped = name.starts_with(b".") || SKIPPED.iter().any(|skipped| skipped.as_bytes() == name);
    !is_skipped && !folder.join("pyvenv.cfg").exists()
}

/// A Python file or a template, and not what an editor writes beside it.
pub(super) fn counts(file: &Place) -> bool {
    let name = file.path.file_name().unwrap_or_default().as_bytes();
    if name.starts_with(b".") || name.starts_with(b"#") || name.ends_with(b"~") {
        return false;
    }
    let suffix = file.path.extension().and_then(OsStr::to_str);
    suffix.is_some_and(|suffix| SUFFIXES.contains(&suffix)) || file.of_templates
}
