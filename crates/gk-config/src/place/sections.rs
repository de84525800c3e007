//! Which sections hold for a place, and the settings they add up to.

use super::below;
use crate::parse::glob;
use crate::site::{Host, Scope, Section, Settings, SettingsPatch};
use gk_rules::content::served::{Links, Served};
use regex::bytes::{Regex, RegexBuilder};
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

/// Most sums of sections kept in the cache; further ones are computed for each request.
const REMEMBERED: usize = 4096;

/// Compiles a pattern of the configuration.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    let regex = RegexBuilder::new(pattern).unicode(false).dot_matches_new_line(true).build();
    regex.map_err(|why| format!("the regular expression `{pattern}` is not understood: {why}"))
}

/// The sections of a host.
#[derive(Debug)]
pub struct Table {
    base: Arc<Settings>,
    sections: Vec<(Matcher, Option<Matcher>, SettingsPatch)>,
    sums: RwLock<HashMap<Vec<u16>, Arc<Settings>>>,
}

/// What a section is about.
#[derive(Debug)]
pub(super) enum Matcher {
    Url(String),
    UrlGlob(String),
    UrlRegex(Regex),
    Directory(String),
    DirectoryGlob(String),
    DirectoryRegex(Regex),
    Name(String),
    NameRegex(Regex),
    /// A conditional section: `branches.rs` knows.
    Never,
}

impl Table {
    /// Compiles the sections of a host.
    pub fn new(host: &Host) -> Result<Self, String> {
        let sections = host.sections.iter().map(|section| {
            let within = section.within.as_ref().map(Matcher::new).transpose()?;
            Ok((Matcher::new(&section.scope)?, within, section.set.clone()))
        });
        Ok(Self {
            base: Arc::new(host.base.clone()),
            sections: sections.collect::<Result<_, String>>()?,
            sums: RwLock::default(),
        })
    }

    /// The settings where no section matches.
    pub fn base(&self) -> Arc<Settings> {
        Arc::clone(&self.base)
    }

    /// The settings for a place. Without a section that matches, no work beyond the matching is done.
    pub fn settings(&self, url: &[u8], file: Option<&Path>) -> Arc<Settings> {
        self.at(url, file.map_or(Spot::Url, Spot::File))
    }

    /// The settings for a place that is a directory.
    pub fn settings_of_folder(&self, url: &[u8], folder: &Path) -> Arc<Settings> {
        self.at(url, Spot::Folder(folder))
    }

    /// The links that are followed out of a folder. As with Apache, sections about folders decide alone.
    pub fn links(&self, folder: &Path) -> Links {
        let mut served = self.base.served.clone();
        for (matcher, within, patch) in &self.sections {
            let speaks = matcher.kind() == 0 && patch.served.names_links();
            let spot = Spot::Folder(folder);
            if speaks && matcher.matches(b"", spot) && is_within(within.as_ref(), spot) {
                served.lay(&patch.served);
            }
        }
        served.links()
    }

    /// Whether some link may not be followed.
    pub fn refuse_links(&self) -> bool {
        let refuses = |served: &Served| served.links() != Links::Follow;
        refuses(&self.base.served) || self.sections.iter().any(|(_, _, patch)| refuses(&patch.served))
    }

    fn at(&self, url: &[u8], spot: Spot) -> Arc<Settings> {
        let mut hits: Vec<u16> = Vec::new();
        for (index, (matcher, within, _)) in self.sections.iter().enumerate() {
            if matcher.matches(url, spot) && is_within(within.as_ref(), spot) {
                hits.push(u16::try_from(index).unwrap_or(u16::MAX));
            }
        }
        if hits.is_empty() {
            return Arc::clone(&self.base);
        }
        let known = self.sums.read().unwrap_or_else(PoisonError::into_inner).get(&hits).cloned();
        known.unwrap_or_else(|| self.sum(hits))
    }

    fn sum(&self, hits: Vec<u16>) -> Arc<Settings> {
        let mut settings = (*self.base).clone();
        let hits_of = hits.iter().filter_map(|&index| self.sections.get(usize::from(index)));
        let sections: Vec<_> = hits_of.collect();
        for alike in sections.chunk_by(|a, b| a.0.kind() == b.0.kind()) {
            settings.apply_all(alike.iter().map(|(_, _, patch)| patch));
        }
        let settings = Arc::new(settings);
        let mut sums = self.sums.write().unwrap_or_else(PoisonError::into_inner);
        if sums.len() >= REMEMBERED {
            return settings;
        }
        Arc::clone(sums.entry(hits).or_insert(settings))
    }
}

impl Matcher {
    /// Compiles a scope.
    pub(super) fn new(scope: &Scope) -> Result<Self, String> {
        Ok(match scope {
            Scope::Location(path) if glob::is_pattern(path) => Self::UrlGlob(path.clone()),
            Scope::Location(path) => Self::Url(path.clone()),
            Scope::LocationMatch(regex) => Self::UrlRegex(compile(regex)?),
            Scope::Directory(path) if glob::is_pattern(path) => Self::DirectoryGlob(path.clone()),
            Scope::Directory(path) => Self::Directory(path.clone()),
            Scope::DirectoryMatch(regex) => Self::DirectoryRegex(compile(regex)?),
            Scope::Files(name) => Self::Name(name.clone()),
            Scope::FilesMatch(regex) => Self::NameRegex(compile(regex)?),
            Scope::If(_) => Self::Never,
        })
    }

    /// The kind of the section: all of a kind are merged with each other before they are laid over others.
    fn kind(&self) -> u8 {
        match self {
            Self::Directory(_) | Self::DirectoryGlob(_) | Self::DirectoryRegex(_) => 0,
            Self::Name(_) | Self::NameRegex(_) => 1,
            Self::Url(_) | Self::UrlGlob(_) | Self::UrlRegex(_) => 2,
            Self::Never => 3,
        }
    }

    /// Whether it is about a place.
    pub(super) fn matches(&self, url: &[u8], spot: Spot) -> bool {
        match self {
            // `<Location /x/>` is about what lies below `/x`, not about `/x` itself.
            Self::Url(prefix) if prefix.ends_with('/') => url.starts_with(prefix.as_bytes()),
            Self::Url(prefix) => below(url, prefix.as_bytes()),
            Self::UrlGlob(pattern) => glob::matches(pattern.as_bytes(), url),
            Self::UrlRegex(regex) => regex.is_match(url),
            Self::Directory(prefix) => spot.directory().is_some_and(|dir| below(dir, prefix.as_bytes())),
            Self::DirectoryGlob(pattern) => {
                spot.directories().any(|dir| glob::matches(pattern.as_bytes(), dir.as_os_str().as_bytes()))
            }
            Self::DirectoryRegex(regex) => spot
                .directory()
                .is_some_and(|dir| regex.is_match(dir) || regex.is_match(&[dir, b"/"].concat())),
            Self::Name(pattern) => spot.name().is_some_and(|name| glob::matches(pattern.as_bytes(), name)),
            Self::NameRegex(regex) => spot.name().is_some_and(|name| regex.is_match(name)),
            Self::Never => false,
        }
    }
}

/// The place in the file system that a URL path leads to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spot<'p> {
    /// None: a module, or nothing.
    Url,
    File(&'p Path),
    Folder(&'p Path),
}

impl<'p> Spot<'p> {
    /// The innermost directory, without a slash at its end.
    fn directory(self) -> Option<&'p [u8]> {
        let bytes = self.directories().next()?.as_os_str().as_bytes();
        Some(if bytes.len() > 1 { bytes.strip_suffix(b"/").unwrap_or(bytes) } else { bytes })
    }

    fn directories(self) -> impl Iterator<Item = &'p Path> {
        let (path, skipped) = match self {
            Self::Url => (None, 0),
            Self::File(path) => (Some(path), 1),
            Self::Folder(path) => (Some(path), 0),
        };
        path.into_iter().flat_map(move |path| path.ancestors().skip(skipped))
    }

    fn name(self) -> Option<&'p [u8]> {
        match self {
            Self::File(path) => Some(path.file_name()?.as_bytes()),
            _ => None,
        }
    }
}

/// Whether a place is in the directories that a section is limited to.
pub(super) fn is_within(within: Option<&Matcher>, spot: Spot) -> bool {
    within.is_none_or(|directories| directories.matches(b"", spot))
}

/// Whether a section matches, compiling on the way: for resolving, where each is asked once.
pub(crate) fn matches(section: &Section, url: &[u8], file: Option<&Path>) -> bool {
    let spot = file.map_or(Spot::Url, Spot::File);
    let holds = |scope: &Scope| Matcher::new(scope).is_ok_and(|m| m.matches(url, spot));
    holds(&section.scope) && section.within.as_ref().is_none_or(holds)
}
