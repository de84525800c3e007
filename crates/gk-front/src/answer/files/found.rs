//! A file that was found and opened, and the fields that tell its version.

use bytes::Bytes;
use gk_rules::content::Content;
use gk_rules::content::compression::{Coding, tagged};
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::answer::files::conditions::Version;

/// Bytes of a file that is read as a whole when it is opened.
pub const SMALL: u64 = 64 * 1024;

/// A file to be sent.
pub struct FoundFile {
    /// Open for reading.
    pub file: File,
    /// What the file system says of it.
    pub meta: Metadata,
    /// The file whose name tells the type: of a compressed neighbour the one that it stands for.
    pub path: PathBuf,
    /// The coding of a compressed neighbour, and what the file system says of the file that it stands for.
    pub neighbour: Option<(Coding, Metadata)>,
    /// It has compressed neighbours, so that the answer depends on what the client takes.
    pub varies: bool,
    /// All bytes, where they were read already.
    pub content: Option<Bytes>,
}

impl FoundFile {
    /// A file as it is.
    pub fn new(file: File, meta: Metadata, path: PathBuf) -> Self {
        Self { file, meta, path, neighbour: None, varies: false, content: None }
    }

    /// The coding of a compressed neighbour.
    pub fn coding(&self) -> Option<Coding> {
        self.neighbour.as_ref().map(|(coding, _)| *coding)
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.meta.len()
    }

    /// The path of a neighbour of a file.
    pub fn neighbour_of(path: &Path, coding: Coding) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(".");
        name.push(coding.extension());
        PathBuf::from(name)
    }

    /// Its version.
    pub fn version(&self, rules: &Content, now: SystemTime) -> Version {
        let modified = self.meta.modified().ok();
        let tag = modified.and_then(|modified| {
            let micros = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_micros() as u64;
            // Within a second a file may change again and have the same time.
            let fresh = now.duration_since(modified).is_ok_and(|age| age < Duration::from_secs(1));
            rules.files.tag.unwrap_or_default().tag(self.meta.ino(), self.size(), micros, fresh)
        });
        let tag = match self.coding() {
            // It may be as long and as old as the file that it stands for.
            Some(coding) => tag.and_then(|tag| tagged(&tag, coding)),
            None => tag,
        };
        Version { tag, modified }
    }
}
