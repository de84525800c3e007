//! Which alias serves a URL path, and where the path splits into SCRIPT_NAME and PATH_INFO.

use super::below;
use crate::site::{Host, MountTarget};
use regex::bytes::Regex;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Facts about the file system.
pub trait Files {
    /// Kind of the entry at a path.
    fn kind(&self, path: &Path) -> Kind;
}

/// Kind of an entry of the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Nothing, or something else.
    Missing,
}

/// The target of a URL path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A script that is known at once.
    Script(Hit),
    /// A script that the file system must find: [`Candidate::finish`].
    Candidate(Candidate),
    /// A static alias: its index in the host, and the path of the file.
    Static {
        /// Index in `Host::statics`.
        alias: usize,
        /// The file asked for.
        path: PathBuf,
    },
    /// No alias matches: the document root, or 404.
    Nothing,
}

/// A script and the split of the URL path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Index in `Host::mounts`.
    pub mount: usize,
    /// Script or module to run.
    pub script: Script,
    /// `url[..split]` is SCRIPT_NAME, `url[split..]` is PATH_INFO.
    pub split: usize,
}

/// What runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Script {
    /// A file.
    File(PathBuf),
    /// An importable module.
    Module(String),
}

impl Script {
    /// The file, for directory sections.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Module(_) => None,
        }
    }
}

/// A mount whose script depends on what files there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Index in `Host::mounts`.
    pub mount: usize,
    /// Start of the search: the directory of scripts, or the file that a pattern gave.
    path: PathBuf,
    /// End of the mount's part of the URL path.
    end: usize,
    /// The rest of the URL path names components below `path`.
    descend: bool,
}

/// The file system's answer about a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A script.
    Script(Hit),
    /// Nothing is there: 404, WSGI0135.
    Missing(PathBuf),
    /// A directory is there: 403, WSGI0136.
    Directory(PathBuf),
}

impl Candidate {
    /// Finds the script. `url` is the path that gave the candidate.
    pub fn finish(&self, url: &[u8], files: &dyn Files) -> Outcome {
        if self.descend { self.descend(url, files) } else { self.ascend(url, files) }
    }

    /// The first component below the directory that is a file.
    fn descend(&self, url: &[u8], files: &dyn Files) -> Outcome {
        let mut path = self.path.clone();
        let mut at = self.end;
        while let Some(start) = url[at..].iter().position(|&b| b != b'/').map(|n| at + n) {
            let end = url[start..].iter().position(|&b| b == b'/').map_or(url.len(), |n| start + n);
            let component = &url[start..end];
            if component == b"." || component == b".." || component.contains(&0) {
                return Outcome::Missing(path);
            }
            path.push(OsStr::from_bytes(component));
            match files.kind(&path) {
                Kind::File => {
                    return Outcome::Script(Hit {
                        mount: self.mount,
                        script: Script::File(path),
                        split: end,
                    });
                }
                Kind::Directory => at = end,
                Kind::Missing => return Outcome::Missing(path),
            }
        }
        Outcome::Directory(path)
    }

    /// The longest beginning of the path that is a file; what follows it is PATH_INFO.
    fn ascend(&self, url: &[u8], files: &dyn Files) -> Outcome {
        let hit = |path: &Path, split| {
            Outcome::Script(Hit { mount: self.mount, script: Script::File(path.to_owned()), split })
        };
        match files.kind(&self.path) {
            Kind::File => return hit(&self.path, self.end),
            Kind::Directory => return Outcome::Directory(self.path.clone()),
            Kind::Missing => {}
        }
        let whole = self.path.as_os_str().as_bytes();
        for above in self.path.ancestors().skip(1) {
            match files.kind(above) {
                Kind::File => {
                    let rest = &whole[above.as_os_str().len()..];
                    let split = if url.ends_with(rest) { url.len() - rest.len() } else { url.len() };
                    return hit(above, split);
                }
                Kind::Directory => break,
                Kind::Missing => {}
            }
        }
        Outcome::Missing(self.path.clone())
    }
}

/// The aliases of a host in the order they are tried.
#[derive(Debug)]
pub struct Table {
    entries: Vec<Entry>,
}

#[derive(Debug)]
enum Entry {
    Mount(usize),
    Match(usize, Regex),
    Static(usize),
}

impl Table {
    /// Puts mounts and static aliases in one order.
    pub fn new(host: &Host) -> Result<Self, String> {
        let mut entries = Vec::new();
        for (index, mount) in host.mounts.iter().enumerate() {
            let entry = match mount.regex {
                true => Entry::Match(index, super::sections::compile(&mount.url)?),
                false => Entry::Mount(index),
            };
            entries.push((mount.order, entry));
        }
        entries.extend(
            host.statics.iter().enumerate().map(|(index, alias)| (alias.order, Entry::Static(index))),
        );
        entries.sort_by_key(|(order, _)| *order);
        Ok(Self { entries: entries.into_iter().map(|(_, entry)| entry).collect() })
    }

    /// The first alias that matches.
    pub fn find(&self, host: &Host, url: &[u8]) -> Found {
        for entry in &self.entries {
            let found = match entry {
                Entry::Mount(index) => mount(host, *index, url),
                Entry::Match(index, regex) => pattern(host, *index, regex, url),
                Entry::Static(index) => fixed(host, *index, url),
            };
            if let Some(found) = found {
                return found;
            }
        }
        Found::Nothing
    }
}

fn mount(host: &Host, index: usize, url: &[u8]) -> Option<Found> {
    let mount = &host.mounts[index];
    if !below(url, mount.url.as_bytes()) {
        return None;
    }
    let split = mount.url.len();
    Some(match &mount.target {
        MountTarget::File(path) => {
            Found::Script(Hit { mount: index, script: Script::File(path.clone()), split })
        }
        MountTarget::Module(name) => {
            Found::Script(Hit { mount: index, script: Script::Module(name.clone()), split })
        }
        MountTarget::Directory(path) => {
            Found::Candidate(Candidate { mount: index, path: path.clone(), end: split, descend: true })
        }
        MountTarget::Pattern(_) => return None,
    })
}

fn pattern(host: &Host, index: usize, regex: &Regex, url: &[u8]) -> Option<Found> {
    let MountTarget::Pattern(target) = &host.mounts[index].target else { return None };
    let captures = regex.captures(url)?;
    let mut path = Vec::new();
    let mut bytes = target.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek().copied()) {
            (b'$', Some(digit @ b'0'..=b'9')) => {
                bytes.next();
                if let Some(group) = captures.get(usize::from(digit - b'0')) {
                    path.extend_from_slice(group.as_bytes());
                }
            }
            (b'\\', Some(escaped @ (b'$' | b'\\'))) => {
                bytes.next();
                path.push(escaped);
            }
            (b'&', _) => path.extend_from_slice(&captures[0]),
            _ => path.push(byte),
        }
    }
    if path.split(|&b| b == b'/').any(|part| part == b"..") || path.contains(&0) {
        return None;
    }
    let end = captures.get(0).map_or(url.len(), |whole| whole.end());
    // A split in the middle of a component would give a PATH_INFO without its slash.
    let end = if url[end..].first().is_none_or(|&b| b == b'/') { end } else { url.len() };
    let path = PathBuf::from(OsStr::from_bytes(&path));
    Some(Found::Candidate(Candidate { mount: index, path, end, descend: false }))
}

fn fixed(host: &Host, index: usize, url: &[u8]) -> Option<Found> {
    let alias = &host.statics[index];
    if !below(url, alias.url.as_bytes()) {
        return None;
    }
    let rest = &url[alias.url.len()..];
    let mut path = alias.path.clone();
    for part in rest.split(|&b| b == b'/').filter(|part| !part.is_empty()) {
        if part == b"." || part == b".." || part.contains(&0) {
            return Some(Found::Nothing);
        }
        path.push(OsStr::from_bytes(part));
    }
    Some(Found::Static { alias: index, path })
}
