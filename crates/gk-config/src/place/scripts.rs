//! Which alias serves a URL path, the path in the file system that it gives, and what the file system has there.
//!
//! The path of an alias is a text: its target, and behind it the rest of the URL, as Apache puts them together. The script is
//! the first file on that path; what follows it is PATH_INFO. So `WSGIScriptAlias /sub /p/a.wsgi/prefix` runs `/p/a.wsgi`.

use super::collapse;
use crate::site::{Host, MountTarget};
use gk_rules::content::served::Links;
use regex::bytes::Regex;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Facts about the file system.
pub trait Files {
    /// Kind of the entry at a path.
    fn kind(&self, path: &Path) -> Kind;

    /// Whether a symbolic link on the way to a path may not be followed; `links` says what holds in a folder.
    fn refuses_link(&self, _path: &Path, _links: &dyn Fn(&Path) -> Links) -> bool {
        false
    }
}

/// A file system that nobody has looked at: every target counts as the script itself.
pub struct NoFiles;

impl Files for NoFiles {
    fn kind(&self, _: &Path) -> Kind {
        Kind::Missing
    }
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
    /// A path that the file system knows more about: [`FoundPath::walk`].
    Path(FoundPath),
    /// No alias matches, and there is no document root.
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

/// The line of the configuration that gave a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Index in `Host::mounts`.
    Mount(usize),
    /// Index in `Host::statics`.
    Alias(usize),
    /// `DocumentRoot`.
    Root,
    /// None: RewriteRule has named the file.
    Rewritten,
}

/// The path in the file system that an alias and a URL path give together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPath {
    /// The line that gave it.
    pub origin: Origin,
    path: Vec<u8>,
}

/// The first entry on a path that is no directory, or the directory at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// The entry.
    pub file: PathBuf,
    /// Its kind.
    pub kind: Kind,
    /// The rest of the path, with its slash: PATH_INFO of a script.
    pub rest: Vec<u8>,
}

impl FoundPath {
    fn new(origin: Origin, target: &[u8], rest: &[u8]) -> Self {
        let joined = [target, rest].concat();
        Self { origin, path: collapse(&joined).into_owned() }
    }

    /// What an alias gives. The front has no dots in its paths; here nothing depends on that.
    fn found(origin: Origin, target: &[u8], rest: &[u8]) -> Found {
        match rest.contains(&0) || rest.split(|&b| b == b'/').any(|part| part == b".." || part == b".") {
            true => Found::Nothing,
            false => Found::Path(Self::new(origin, target, rest)),
        }
    }

    /// A file that RewriteRule has named.
    pub fn rewritten(path: &[u8]) -> Found {
        Self::found(Origin::Rewritten, b"", path)
    }

    /// All of it.
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.path))
    }

    /// Asks the file system: for the whole path, else component by component.
    pub fn walk(&self, files: &dyn Files) -> Walked {
        let path = |end: usize| PathBuf::from(OsStr::from_bytes(&self.path[..end]));
        let whole = path(self.path.len());
        match files.kind(&whole) {
            Kind::Missing => {}
            kind => return Walked { file: whole, kind, rest: Vec::new() },
        }
        let mut at = 0;
        loop {
            let end = self.path.get(at + 1..).unwrap_or_default().iter().position(|&b| b == b'/');
            let end = end.map_or(self.path.len(), |n| at + 1 + n);
            let kind = files.kind(&path(end));
            if kind != Kind::Directory || end >= self.path.len() {
                return Walked { file: path(end), kind, rest: self.path[end..].to_vec() };
            }
            at = end;
        }
    }
}

/// The end of SCRIPT_NAME in the URL path of a script that was found with this PATH_INFO: their common end is taken off, back to
/// the border of a component.
pub fn script_name_end(url: &[u8], path_info: &[u8]) -> usize {
    let same = url.iter().rev().zip(path_info.iter().rev()).take_while(|(a, b)| a == b).count();
    let at = url.len() - same;
    if path_info.is_empty() || at == 0 {
        return at;
    }
    url[at - 1..].iter().position(|&b| b == b'/').map_or(url.len(), |n| at - 1 + n)
}

/// The aliases of a host in the order they are tried, and its document root. Static ones come first, as mod_alias does before
/// mod_wsgi.
#[derive(Debug)]
pub struct Table {
    entries: Vec<Entry>,
    root: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Entry {
    /// A mount whose target is the script itself or a module: nobody needs to ask the file system.
    Plain(usize, Vec<u8>),
    Mount(usize, Vec<u8>),
    Match(usize, Regex),
    Static(usize, Vec<u8>),
    StaticMatch(usize, Regex),
}

impl Table {
    /// Puts static aliases and mounts in their order. A target counts as the script itself unless `files` know better.
    pub fn new(host: &Host, files: &dyn Files) -> Result<Self, String> {
        let text = |path: &Path| path.as_os_str().as_bytes().to_vec();
        let mut entries = Vec::new();
        for (index, mount) in host.mounts.iter().enumerate() {
            let entry = match &mount.target {
                _ if mount.regex => Entry::Match(index, super::sections::compile(&mount.url)?),
                MountTarget::File(path) if is_script(&text(path), files) => Entry::Plain(index, text(path)),
                MountTarget::File(path) | MountTarget::Directory(path) => Entry::Mount(index, text(path)),
                MountTarget::Module(_) | MountTarget::Pattern(_) => Entry::Plain(index, Vec::new()),
            };
            // Static aliases are tried before all of these, wherever they stand.
            entries.push(((true, mount.order), entry));
        }
        for (index, alias) in host.statics.iter().enumerate() {
            let entry = match alias.regex {
                true => Entry::StaticMatch(index, super::sections::compile(&alias.url)?),
                false => Entry::Static(index, text(&alias.path)),
            };
            entries.push(((false, alias.order), entry));
        }
        entries.sort_by_key(|(order, _)| *order);
        let root = host.document_root.as_deref().map(text);
        Ok(Self { entries: entries.into_iter().map(|(_, entry)| entry).collect(), root })
    }

    /// The first alias that matches, else the document root.
    pub fn find(&self, host: &Host, url: &[u8]) -> Found {
        for entry in &self.entries {
            let found = match entry {
                Entry::Plain(index, text) => plain(host, *index, text, url),
                Entry::Mount(index, text) => behind(url, host.mounts[*index].url.as_bytes())
                    .map(|at| FoundPath::found(Origin::Mount(*index), text, &url[at..])),
                Entry::Match(index, regex) => mount_pattern(host, *index, regex, url),
                Entry::Static(index, text) => behind(url, host.statics[*index].url.as_bytes())
                    .map(|at| FoundPath::found(Origin::Alias(*index), text, &url[at..])),
                Entry::StaticMatch(index, regex) => static_pattern(host, *index, regex, url),
            };
            if let Some(found) = found {
                return found;
            }
        }
        self.below_root(url)
    }

    /// The document root alone.
    pub fn below_root(&self, url: &[u8]) -> Found {
        match &self.root {
            Some(root) => FoundPath::found(Origin::Root, root, url),
            None => Found::Nothing,
        }
    }
}

/// Whether a target is itself the script: a file, or nothing yet where a file may come.
fn is_script(target: &[u8], files: &dyn Files) -> bool {
    let walked = FoundPath::new(Origin::Root, target, b"").walk(files);
    match walked.kind {
        Kind::File => walked.rest.is_empty(),
        Kind::Directory => false,
        Kind::Missing => true,
    }
}

/// Whether an alias of one URL path is about all URLs of another's; the root may be empty.
pub(crate) fn covers(alias: &str, other: &str) -> bool {
    let other = if other.is_empty() { "/" } else { other };
    behind(other.as_bytes(), alias.as_bytes()).is_some()
}

/// The end of an alias's own part of a URL path, if the alias is about it: it ends with a slash, or the URL path goes on with one.
fn behind(url: &[u8], alias: &[u8]) -> Option<usize> {
    let rest = url.strip_prefix(alias)?;
    (alias.ends_with(b"/") || rest.first().is_none_or(|&b| b == b'/')).then_some(alias.len())
}

fn plain(host: &Host, index: usize, text: &[u8], url: &[u8]) -> Option<Found> {
    let mount = &host.mounts[index];
    let split = behind(url, mount.url.as_bytes())?;
    let script = match &mount.target {
        // `WSGIScriptAlias /t/ /p/a.wsgi`: `/t/x` is the file `/p/a.wsgix`.
        MountTarget::File(_) if url[split..].first().is_some_and(|&b| b != b'/') => {
            return Some(FoundPath::found(Origin::Mount(index), text, &url[split..]));
        }
        MountTarget::File(path) | MountTarget::Directory(path) => Script::File(path.clone()),
        MountTarget::Module(name) => Script::Module(name.clone()),
        MountTarget::Pattern(_) => return None,
    };
    Some(Found::Script(Hit { mount: index, script, split }))
}

fn mount_pattern(host: &Host, index: usize, regex: &Regex, url: &[u8]) -> Option<Found> {
    let MountTarget::Pattern(target) = &host.mounts[index].target else { return None };
    let (path, end) = substituted(target.as_bytes(), regex, url)?;
    // What lies behind the match goes on behind the path.
    let rest = if &url[..end] == b"/" { url } else { &url[end..] };
    Some(FoundPath::found(Origin::Mount(index), &path, rest))
}

fn static_pattern(host: &Host, index: usize, regex: &Regex, url: &[u8]) -> Option<Found> {
    let (path, _) = substituted(host.statics[index].path.as_os_str().as_bytes(), regex, url)?;
    Some(FoundPath::found(Origin::Alias(index), &path, b""))
}

/// A pattern's path with the groups of its match put in, and the end of the match.
fn substituted(target: &[u8], regex: &Regex, url: &[u8]) -> Option<(Vec<u8>, usize)> {
    let captures = regex.captures(url)?;
    let mut path = Vec::new();
    let mut bytes = target.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek().copied()) {
            (b'$', Some(digit @ b'0'..=b'9')) => {
                bytes.next();
                if let Some(group) = captures.get(usize::from(digit - b'0')) {
                    path.extend_from_slice(group.as_bytes());
                }
            }
            (b'\\', Some(escaped)) => {
                bytes.next();
                path.push(escaped);
            }
            _ => path.push(byte),
        }
    }
    if !path.starts_with(b"/") || path.split(|&b| b == b'/').any(|part| part == b"..") || path.contains(&0) {
        return None;
    }
    Some((path, captures.get(0).map_or(url.len(), |whole| whole.end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_names_end_where_apache_ends_them() {
        let table = [
            ("/koji", "", "/koji"),
            ("/koji/x", "/x", "/koji"),
            ("/wiki", "/", "/wiki"),
            ("/wiki/", "/", "/wiki"),
            ("/sub/a", "/prefix/a", "/sub"),
            ("/sub", "/prefix", "/sub"),
            ("/t", "/t", ""),
            ("/t/q", "/t/q", ""),
            ("/", "/", ""),
            ("/fed/a/b/auth", "/fed/a/b/auth", ""),
            ("/x/x", "/x", "/x"),
            ("/tt/", "", "/tt/"),
        ];
        for (url, path_info, script_name) in table {
            let end = script_name_end(url.as_bytes(), path_info.as_bytes());
            assert_eq!(&url[..end], script_name, "{url} {path_info}");
        }
    }
}
