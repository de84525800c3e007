//! Files that are never served although they lie in a served tree: names that hold passwords or a history, the scripts that are
//! mounted, the configuration, what the server keeps for itself. An `Alias` that names such a file or folder itself serves it:
//! that was meant.

use gk_config::site::{MountTarget, Site};
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Folders and files that are withheld under this name, with everything below.
const NAMES: [&[u8]; 6] = [b".git", b".svn", b".hg", b".bzr", b".env", b".envrc"];
/// And under names that begin so: Apache's `<Files ".ht*">`, and `.env.local` with its relatives.
const BEGINNINGS: [&[u8]; 2] = [b".ht", b".env."];

/// Files of the server root: the token of the admin pages, and their history.
const OWN: [&str; 4] = ["admin.token", "gilkeeper.db", "gilkeeper.db-wal", "gilkeeper.db-shm"];

/// What is withheld of a site.
#[derive(Debug, Default)]
pub struct Withheld {
    /// Scripts, the configuration, a private key, what the server root holds.
    files: Vec<PathBuf>,
    /// Folders of scripts: their Python files.
    scripts: Vec<PathBuf>,
}

impl Withheld {
    /// Of this site.
    pub fn of(site: &Site) -> Self {
        let mut withheld = Self::default();
        let targets = site.hosts.iter().flat_map(|host| &host.mounts).map(|mount| &mount.target);
        for target in targets.chain(site.imports.iter().map(|import| &import.target)) {
            match target {
                MountTarget::File(path) => withheld.files.push(path.clone()),
                MountTarget::Directory(path) => withheld.scripts.push(path.clone()),
                MountTarget::Module(_) | MountTarget::Pattern(_) => {}
            }
        }
        withheld.files.extend(site.files.iter().cloned());
        withheld.files.extend(OWN.iter().map(|name| site.server_root.join(name)));
        withheld.files.extend(site.measurements.admin_tls.iter().map(|tls| tls.key.clone()));
        withheld.files.sort();
        withheld.files.dedup();
        withheld
    }

    /// Whether an open file is withheld: by what it is, however it was asked for. `path` was opened, below `tree`; `meta` is the
    /// file's.
    pub fn holds(&self, file: &File, meta: &Metadata, path: &Path, tree: &Path) -> io::Result<bool> {
        if path == tree {
            return Ok(false);
        }
        // Where the file is after all symbolic links. Without /proc it is looked up, which races with those who change them.
        let real = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let real = real.or_else(|_| path.canonicalize())?;
        if real != path && is_hidden(below(&real, &tree.canonicalize()?)) {
            return Ok(true);
        }
        if [path, &*real].iter().any(|path| extension(path).eq_ignore_ascii_case("wsgi")) {
            return Ok(true);
        }
        let is_script = extension(&real).eq_ignore_ascii_case("py")
            && self
                .scripts
                .iter()
                .any(|folder| folder.canonicalize().is_ok_and(|folder| real.starts_with(folder)));
        // The same file under any name, and whatever its link leads to by now.
        let same = |other: &PathBuf| {
            std::fs::metadata(other).is_ok_and(|other| (other.dev(), other.ino()) == (meta.dev(), meta.ino()))
        };
        Ok(is_script || self.files.iter().any(same))
    }
}

/// Whether a path below a served tree is withheld by its names.
pub fn is_hidden(below: &Path) -> bool {
    let hidden = |name: &OsStr| {
        let name = name.as_bytes();
        let begins =
            |with: &[u8]| name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
        name.first() == Some(&b'.')
            && (NAMES.iter().any(|with| name.eq_ignore_ascii_case(with))
                || BEGINNINGS.iter().any(|with| begins(with)))
    };
    below.components().any(|part| matches!(part, Component::Normal(name) if hidden(name)))
}

/// The part of a path below a tree, or all of a path that lies elsewhere.
pub fn below<'a>(path: &'a Path, tree: &Path) -> &'a Path {
    path.strip_prefix(tree).unwrap_or(path)
}

fn extension(path: &Path) -> &OsStr {
    path.extension().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_withheld() {
        let table = [
            (".htaccess", true),
            ("a/.htpasswd", true),
            (".HTACCESS", true),
            (".git", true),
            (".git/", true),
            (".git/config", true),
            ("sub/.Git/objects/aa/bb", true),
            (".svn/entries", true),
            (".hg/store/00changelog.i", true),
            (".env", true),
            (".ENV", true),
            (".env.production", true),
            (".env/bin/activate", true),
            (".well-known/acme-challenge/x", false),
            (".gitignore", false),
            (".environment", false),
            ("git/config", false),
            ("a.git/config", false),
            ("htaccess.txt", false),
            ("..env", false),
            ("", false),
        ];
        for (path, want) in table {
            assert_eq!(is_hidden(Path::new(path)), want, "{path}");
        }
    }
}
