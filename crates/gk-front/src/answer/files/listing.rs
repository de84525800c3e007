//! The list of a folder (`Options Indexes`). It has what the same client may ask for: nothing that is withheld or closed, no link
//! that is not followed, no pipe or device.

use gk_config::place::Compiled;
use gk_config::site::Settings;
use gk_rules::content::served::Links;
use gk_rules::content::served::listing::Listing;
use gk_rules::content::served::page::{Chosen, Entry, Inset, Page, render};
use gk_wire::log::Civil;
use rustix::fs::Dir;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::answer::files::links::{self, Blocked, Reached};
use crate::answer::withheld::{self, Withheld};

/// Most entries of a page.
const MOST: usize = 20_000;
/// Most bytes of a header or readme.
const LONGEST_INSET: u64 = 256 * 1024;

/// A folder to be listed, with everything that it needs on another thread.
pub struct Folder {
    /// The site.
    pub compiled: Arc<Compiled>,
    /// Index of the host.
    pub host: usize,
    /// The settings of the folder.
    pub settings: Arc<Settings>,
    /// Files that are not served.
    pub withheld: Arc<Withheld>,
    /// Decoded, normalised path of the URL, with its slash.
    pub url: Vec<u8>,
    /// The folder.
    pub path: PathBuf,
    /// The served tree that it lies in.
    pub tree: PathBuf,
    /// The query.
    pub query: String,
}

impl Folder {
    /// The page.
    pub fn page(&self) -> io::Result<String> {
        let standard = Listing::default();
        let listing = self.settings.served.listing.as_deref().unwrap_or(&standard);
        let folder = self.open()?;
        let (mut entries, mut more) = (Vec::new(), false);
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || listing.ignores(name) {
                continue;
            }
            if entries.len() >= MOST {
                more = true;
                break;
            }
            entries.extend(self.entry(folder.as_fd(), name));
        }
        let inset = |name: &Option<String>| self.inset(folder.as_fd(), name.as_deref()?);
        let page = Page {
            url: &self.url,
            chosen: Chosen::read(&self.query),
            header: inset(&listing.header),
            readme: inset(&listing.readme),
            more,
            date: &date,
        };
        Ok(render(listing, page, entries))
    }

    fn open(&self) -> io::Result<OwnedFd> {
        let refused = || io::ErrorKind::PermissionDenied.into();
        match links::reach(&self.path, &|folder| self.links(folder)) {
            Ok(reached) if reached.is_folder() && !self.is_withheld(&reached) => reached.open(),
            Ok(_) | Err(Blocked::Link(_)) => Err(refused()),
            Err(Blocked::Io(error)) => Err(error),
        }
    }

    fn is_withheld(&self, folder: &Reached) -> bool {
        self.withheld.holds(folder.handle(), folder.id(), &self.path, &self.tree).unwrap_or(true)
    }

    fn links(&self, folder: &Path) -> Links {
        match self.compiled.refuses_links(self.host) {
            true => self.compiled.links(self.host, folder),
            false => Links::Follow,
        }
    }

    /// An entry that the client may ask for.
    fn entry(&self, folder: BorrowedFd<'_>, name: &[u8]) -> Option<Entry> {
        let found = self.reach(folder, name)?;
        let (size, modified) = (found.size(), found.modified());
        Some(Entry { name: name.to_vec(), folder: found.is_folder(), size, modified })
    }

    fn reach(&self, folder: BorrowedFd<'_>, name: &[u8]) -> Option<Reached> {
        let path = self.path.join(OsStr::from_bytes(name));
        if withheld::is_hidden(withheld::below(&path, &self.tree)) {
            return None;
        }
        let text = CString::new(name).ok()?;
        let found = links::entry(folder, &text, self.links(&self.path), &path).ok()?;
        let url = [&self.url, name].concat();
        let settings = match (found.is_folder(), found.is_file()) {
            (true, _) => self.compiled.settings_of_folder(self.host, &[&*url, b"/"].concat(), &path),
            (_, true) => self.compiled.settings(self.host, &url, Some(&path)),
            _ => return None,
        };
        // Where rules are asked, those of the folder have admitted the client, if they are about nothing else; others nobody has asked.
        let same = || settings.access == self.settings.access && settings.access.is_about_the_client();
        let open = settings.granted().unwrap_or_else(|| !settings.closed && same());
        let withheld = self.withheld.holds(found.handle(), found.id(), &path, &self.tree).unwrap_or(true);
        (open && !withheld).then_some(found)
    }

    /// A file that is shown on the page.
    fn inset(&self, folder: BorrowedFd<'_>, name: &str) -> Option<Inset> {
        let mut holder = folder.try_clone_to_owned().ok()?;
        let mut at = Self { path: self.path.clone(), url: self.url.clone(), ..self.alike() };
        let mut names = name.split('/').peekable();
        while let Some(name) = names.next() {
            let found = at.reach(holder.as_fd(), name.as_bytes())?;
            let opened = found.open().ok()?;
            if names.peek().is_none() {
                let mut text = Vec::new();
                File::from(opened).take(LONGEST_INSET).read_to_end(&mut text).ok()?;
                let lower = name.to_ascii_lowercase();
                let html = [".html", ".htm"].iter().any(|end| lower.ends_with(end));
                return Some(Inset { text: String::from_utf8_lossy(&text).into_owned(), html });
            }
            at.url = [&*at.url, name.as_bytes(), b"/"].concat();
            at.path.push(name);
            holder = opened;
        }
        None
    }

    /// The same place, for a folder below.
    fn alike(&self) -> Self {
        Self {
            compiled: Arc::clone(&self.compiled),
            host: self.host,
            settings: Arc::clone(&self.settings),
            withheld: Arc::clone(&self.withheld),
            url: Vec::new(),
            path: PathBuf::new(),
            tree: self.tree.clone(),
            query: String::new(),
        }
    }
}

/// Local time of a moment, as a page shows it.
fn date(seconds: i64, with_name: bool) -> String {
    let micros = u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000);
    let t = Civil::from_micros(micros, gk_sys::clock::utc_offset(seconds));
    let (year, month, day, hour, minute) = (t.year, t.month, t.day, t.hour, t.minute);
    match with_name {
        true => format!("{day:02}-{}-{year:04} {hour:02}:{minute:02}", t.month_name()),
        false => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}"),
    }
}
