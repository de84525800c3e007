//! The list of a folder (`Options Indexes`). It has what the same client may ask for: nothing that is withheld or closed, no link
//! that is not followed, no pipe or device.

use gk_rules::content::served::listing::Listing;
use gk_rules::content::served::page::{Chosen, Entry, Inset, Page, render};
use gk_wire::log::Civil;
use rustix::fs::Dir;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use crate::answer::files::file_place::{FilePlace, FileRules};
use crate::answer::files::links::{self, Blocked, Reached};
use crate::answer::withheld;

/// Most entries of a page.
const MOST: usize = 20_000;
/// Entries that the rules of a site are asked about without a turn for others.
const AT_ONCE: usize = 64;
/// Most bytes of a header or readme.
const LONGEST_INSET: u64 = 256 * 1024;

/// A folder to be listed, with everything that it needs on another thread.
pub struct Folder {
    /// The folder, with the settings that list it; its URL ends with a slash.
    pub place: FilePlace,
    /// The query.
    pub query: String,
}

/// What a page shows.
pub struct Contents {
    entries: Vec<Entry>,
    header: Option<Inset>,
    readme: Option<Inset>,
    /// There are more entries.
    more: bool,
}

impl Folder {
    fn listing(&self) -> Listing {
        self.place.settings.served.listing.as_deref().cloned().unwrap_or_default()
    }

    /// Reads the folder.
    pub fn read(&self) -> io::Result<Contents> {
        let listing = self.listing();
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
        let (header, readme) = (inset(&listing.header), inset(&listing.readme));
        Ok(Contents { entries, header, readme, more })
    }

    /// Takes out what the rules of the site do not show. Many entries are asked for in turns.
    pub async fn ask(&self, contents: &mut Contents, rules: &mut dyn FileRules) {
        let (listing, place) = (self.listing(), &self.place);
        let mut shown = Vec::new();
        for entry in std::mem::take(&mut contents.entries) {
            let url = [&*place.url, &entry.name].concat();
            if !rules.hide(&url, &place.path.join(OsStr::from_bytes(&entry.name)), entry.folder) {
                shown.push(entry);
            }
            if shown.len().is_multiple_of(AT_ONCE) {
                tokio::task::yield_now().await;
            }
        }
        contents.entries = shown;
        for (inset, name) in
            [(&mut contents.header, &listing.header), (&mut contents.readme, &listing.readme)]
        {
            let hides = |name: &String| {
                rules.hide(&[&*place.url, name.as_bytes()].concat(), &place.path.join(name), false)
            };
            inset.take_if(|_| name.as_ref().is_none_or(hides));
        }
    }

    /// The page.
    pub fn page(&self, contents: Contents) -> String {
        let Contents { entries, header, readme, more } = contents;
        let chosen = Chosen::read(&self.query);
        let page = Page { url: &self.place.url, chosen, header, readme, more, date: &date };
        render(&self.listing(), page, entries)
    }

    fn open(&self) -> io::Result<OwnedFd> {
        let refused = || io::ErrorKind::PermissionDenied.into();
        match links::reach(&self.place.path, &|folder| self.place.links(folder)) {
            Ok(reached) if reached.is_folder() && !self.is_withheld(&reached) => reached.open(),
            Ok(_) | Err(Blocked::Link(_)) => Err(refused()),
            Err(Blocked::Io(error)) => Err(error),
        }
    }

    fn is_withheld(&self, folder: &Reached) -> bool {
        self.place.withholds(folder.handle(), folder.id(), &self.place.path).unwrap_or(true)
    }

    /// An entry that the client may ask for.
    fn entry(&self, folder: BorrowedFd<'_>, name: &[u8]) -> Option<Entry> {
        let found = self.reach(folder, name)?;
        let (size, modified) = (found.size(), found.modified());
        Some(Entry { name: name.to_vec(), folder: found.is_folder(), size, modified })
    }

    fn reach(&self, folder: BorrowedFd<'_>, name: &[u8]) -> Option<Reached> {
        let place = &self.place;
        let path = place.path.join(OsStr::from_bytes(name));
        if withheld::is_hidden(withheld::below(&path, &place.tree)) {
            return None;
        }
        let text = CString::new(name).ok()?;
        let found = links::entry(folder, &text, place.links(&place.path), &path).ok()?;
        let url = [&place.url, name].concat();
        let settings = match (found.is_folder(), found.is_file()) {
            (true, _) => place.compiled.settings_of_folder(place.host, &[&*url, b"/"].concat(), &path),
            (_, true) => place.compiled.settings(place.host, &url, Some(&path)),
            _ => return None,
        };
        let withheld = place.withholds(found.handle(), found.id(), &path).unwrap_or(true);
        (place.admits_to(&settings) && !withheld).then_some(found)
    }

    /// A file that is shown on the page.
    fn inset(&self, folder: BorrowedFd<'_>, name: &str) -> Option<Inset> {
        let mut holder = folder.try_clone_to_owned().ok()?;
        let mut at = Self { place: self.place.clone(), query: String::new() };
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
            at.place.url = [&*at.place.url, name.as_bytes(), b"/"].concat();
            at.place.path.push(name);
            holder = opened;
        }
        None
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
