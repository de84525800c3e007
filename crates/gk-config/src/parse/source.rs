//! Where configuration text comes from. The trait is the crate's only way to a file; the implementation over the
//! real file system belongs to the command line. [`Memory`] serves tests and `serve`, whose text has no file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Gives file contents and the files a pattern names.
pub trait Source {
    /// The file's bytes, or a sentence that says why not.
    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// The same; `None` if there is nothing of this path. What is there and cannot be read is an error.
    fn read_if_there(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        self.is_file(path).then(|| self.read(path)).transpose()
    }

    /// Whether there is a file or a directory of this path.
    fn exists(&self, path: &Path) -> bool;

    /// Whether there is a regular file of this path.
    fn is_file(&self, path: &Path) -> bool;

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

    fn exists(&self, path: &Path) -> bool {
        self.files.keys().any(|file| file.starts_with(path))
    }

    fn is_file(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    fn glob(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        Ok(self.files.keys().filter(|path| names(pattern, path)).cloned().collect())
    }
}

/// Whether the pattern names the file itself or a directory above it: the rule of [`Source::glob`] for one path.
pub fn names(pattern: &Path, path: &Path) -> bool {
    let mut parts = path.components();
    for wanted in pattern.components() {
        let Some(part) = parts.next() else { return false };
        let (wanted, part) = (wanted.as_os_str().to_string_lossy(), part.as_os_str().to_string_lossy());
        if !super::glob::matches(wanted.as_bytes(), part.as_bytes()) {
            return false;
        }
    }
    true
}
