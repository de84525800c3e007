//! The place of a file or folder in the configuration, with everything that a look at it needs on another thread; and what the rules of
//! a site say of files beside the one asked for.

use gk_config::place::Compiled;
use gk_config::site::Settings;
use gk_rules::content::served::Links;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::answer::withheld::{FileId, Withheld};

/// What the rules of a site say of files beside the one asked for. Access is not theirs.
pub trait FileRules {
    /// Whether an entry of a list is not shown, because the rules of its place refuse it.
    fn hide(&mut self, url: &[u8], path: &Path, folder: bool) -> bool;

    /// Whether a request for the file by its own URL would not be answered with it.
    fn refuse(&mut self, url: &[u8], path: &Path) -> bool;
}

/// The place of a file or folder.
#[derive(Clone)]
pub struct FilePlace {
    /// The site.
    pub compiled: Arc<Compiled>,
    /// Index of the host.
    pub host: usize,
    /// The settings of the place.
    pub settings: Arc<Settings>,
    /// Files that are not served.
    pub withheld: Arc<Withheld>,
    /// Decoded, normalised path of the URL.
    pub url: Vec<u8>,
    /// The path asked for.
    pub path: PathBuf,
    /// The served tree that it lies in.
    pub tree: PathBuf,
}

impl FilePlace {
    /// Whether a place of these settings is open to whoever was admitted here. Where access rules are asked, those of this place have
    /// admitted the client, if they are about nothing else; others nobody has asked.
    pub fn admits_to(&self, settings: &Settings) -> bool {
        let same = || settings.access == self.settings.access && settings.access.is_about_the_client();
        settings.granted().unwrap_or_else(|| !settings.closed && same())
    }

    /// Whether an open file or folder is never served.
    pub fn withholds(&self, file: BorrowedFd<'_>, id: FileId, path: &Path) -> io::Result<bool> {
        self.withheld.holds(file, id, path, &self.tree)
    }

    /// URL path of the file at `path`, which lies in the folder that the URL names, or beside the file that it names.
    pub fn url_beside(&self, path: &Path) -> Vec<u8> {
        let end = self.url.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        [&self.url[..end], path.file_name().unwrap_or_default().as_bytes()].concat()
    }

    /// Whether links in a folder are followed.
    pub fn links(&self, folder: &Path) -> Links {
        match self.compiled.refuses_links(self.host) {
            true => self.compiled.links(self.host, folder),
            false => Links::Follow,
        }
    }
}
