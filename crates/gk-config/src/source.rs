//! Where configuration text comes from. The trait is the crate's only way to a file; the implementation over the
//! real file system belongs to the command line. [`Memory`] serves tests and `serve`, whose text has no file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// Gives file contents and the files a pattern names.
pub trait Source {
    /// The file's bytes, or a sentence that says why not.
    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// The files an `Include` names, sorted: the path itself if it is a file; every file below it if it is a
    /// directory; every match (directories again expanded) if its components hold `*`, `?` or `[`. Nothing found is
    /// an empty list.
    fn glob(&self, pattern: &Path) -> Result<Vec<PathBuf>, String>;
}

/// Files held in memory.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Memory {
    /// No files at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    pub fn with(mut self, path: impl Into<PathBuf>, text: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }
}

impl Source for Memory {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.files.get(path).cloned().ok_or_else(|| "no such file".to_owned())
    }

    fn glob(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        Ok(self.files.keys().filter(|path| names(pattern, path)).cloned().collect())
    }
}

/// Expands an `Include` pattern by listing directories, for sources over a real file system. `list` gives the names in
/// a directory and whether each is a directory itself; a directory that is not there is an error of `list` and counts
/// as empty, one named without a wildcard included.
pub fn expand(
    pattern: &Path,
    list: &dyn Fn(&Path) -> Result<Listing, String>,
) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let parts: Vec<_> = pattern.components().collect();
    descend(PathBuf::new(), &parts, list, &mut found, DEPTH);
    found.sort();
    Ok(found)
}

/// Names in a directory, and whether each is a directory.
pub type Listing = Vec<(OsString, bool)>;

/// Directories inside directories that are followed.
const DEPTH: usize = 32;

fn descend(
    above: PathBuf,
    parts: &[Component],
    list: &dyn Fn(&Path) -> Result<Listing, String>,
    found: &mut Vec<PathBuf>,
    depth: usize,
) {
    let Some(left) = depth.checked_sub(1) else { return };
    let names =
        || list(if above.as_os_str().is_empty() { Path::new(".") } else { &above }).unwrap_or_default();
    let Some((part, rest)) = parts.split_first() else {
        // The pattern names a directory: every file below it.
        for (name, is_directory) in names() {
            match is_directory {
                true => descend(above.join(name), parts, list, found, left),
                false => found.push(above.join(name)),
            }
        }
        return;
    };
    let wanted = part.as_os_str().to_string_lossy();
    let plain =
        !matches!(part, Component::Normal(_)) || (!crate::glob::is_pattern(&wanted) && !rest.is_empty());
    if plain {
        return descend(above.join(part), rest, list, found, left);
    }
    for (name, is_directory) in names() {
        if !crate::glob::matches(wanted.as_bytes(), name.to_string_lossy().as_bytes()) {
            continue;
        }
        match (is_directory, rest.is_empty()) {
            (true, _) => descend(above.join(name), rest, list, found, left),
            (false, true) => found.push(above.join(name)),
            (false, false) => {}
        }
    }
}

/// Whether the pattern names the file itself or a directory above it: the rule of [`Source::glob`] for one path.
pub fn names(pattern: &Path, path: &Path) -> bool {
    let mut parts = path.components();
    for wanted in pattern.components() {
        let Some(part) = parts.next() else { return false };
        let (wanted, part) = (wanted.as_os_str().to_string_lossy(), part.as_os_str().to_string_lossy());
        if !crate::glob::matches(wanted.as_bytes(), part.as_bytes()) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_expanded_by_listing() {
        let tree = |folder: &Path| -> Result<Listing, String> {
            let entries: &[(&str, bool)] = match folder.to_str() {
                Some("/") => &[("etc", true)],
                Some("/etc") => &[("conf.d", true), ("main.conf", false)],
                Some("/etc/conf.d") => {
                    &[("b.conf", false), ("a.conf", false), ("c.bak", false), ("sub", true)]
                }
                Some("/etc/conf.d/sub") => &[("d.conf", false)],
                _ => return Err("no such directory".to_owned()),
            };
            Ok(entries.iter().map(|(name, is)| (OsString::from(name), *is)).collect())
        };
        let of = |pattern: &str| {
            let found = expand(Path::new(pattern), &tree).unwrap();
            found.iter().map(|p| p.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(of("/etc/main.conf"), ["/etc/main.conf"]);
        assert_eq!(of("/etc/conf.d/*.conf"), ["/etc/conf.d/a.conf", "/etc/conf.d/b.conf"]);
        assert_eq!(of("/etc/*/a.conf"), ["/etc/conf.d/a.conf"]);
        assert_eq!(of("/etc/conf.d").len(), 4);
        assert!(of("/etc/none/*.conf").is_empty() && of("/etc/none").is_empty());
    }
}
