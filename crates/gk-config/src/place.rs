//! The answers of a finished site to a request: host, script, settings, group names. Everything that can be prepared
//! is prepared once in [`Compiled`]. Nothing here opens a file: facts about the file system come through [`Files`].
//!
//! Paths are URL paths after percent-decoding, as bytes, with slashes collapsed by [`collapse`] and without `.` and
//! `..` components (the front answers those before).

mod branches;
mod expand;
pub mod handlers;
mod hosts;
mod scripts;
mod sections;

pub use expand::{Asked, callable_name, group_name, server_and_port};
pub use handlers::Handler;
pub(crate) use hosts::first as first_host;
pub(crate) use scripts::covers;
pub use scripts::{Files, Found, FoundPath, Hit, Kind, NoFiles, Origin, Script, Walked, script_name_end};
pub(crate) use sections::matches as section_matches;

use crate::site::{AccessLog, Branch, EncodedSlashes, LogCondition, Scope, Section, Settings, Site};
use gk_rules::content::served::Links;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// A site with its patterns compiled, ready for requests.
#[derive(Debug)]
pub struct Compiled {
    site: Arc<Site>,
    hosts: Vec<CompiledHost>,
    /// Some host has rules.
    ruled: bool,
    /// Some host has `RemoteIPHeader`.
    names_clients: bool,
    /// Some host takes encoded slashes.
    slashes: bool,
}

#[derive(Debug)]
struct CompiledHost {
    scripts: scripts::Table,
    sections: sections::Table,
    branches: branches::Table,
    by_file: bool,
    refuses_links: bool,
    /// It has rules, itself or in a section, or conditional sections, or a log with an expression.
    ruled: bool,
}

impl Compiled {
    /// Compiles a site. A pattern that does not compile is an error that quotes it; a site that came out of
    /// [`crate::load`] has none. `files` tell which targets are the scripts themselves, so that it need not be asked for each
    /// request.
    pub fn new(site: Arc<Site>, files: &dyn Files) -> Result<Self, String> {
        let hosts = site.hosts.iter().map(|host| {
            let branches = branches::Table::new(host)?;
            let in_section = || host.sections.iter().any(|section| section.set.asks());
            let in_log = |log: &AccessLog| log.when.as_ref().is_some_and(LogCondition::is_expression);
            let in_logs = || host.access_logs.iter().any(in_log);
            let ruled = !branches.is_empty() || host.base.asks() || in_section() || in_logs();
            let sections = sections::Table::new(host)?;
            Ok(CompiledHost {
                scripts: scripts::Table::new(host, files)?,
                refuses_links: sections.refuse_links(),
                sections,
                branches,
                by_file: handlers::depend_on_files(host),
                ruled,
            })
        });
        let hosts = hosts.collect::<Result<Vec<_>, String>>()?;
        let ruled = hosts.iter().any(|host| host.ruled);
        let names_clients = site.hosts.iter().any(|host| host.remote.header.is_some());
        let slashes = site.hosts.iter().any(|host| !host.encoded_slashes.are_refused());
        Ok(Self { hosts, site, ruled, names_clients, slashes })
    }

    /// The site it was made from.
    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }

    /// Whether any host has rules (`SetEnvIf`, `Require ip` and the like): the one question that requests of other sites pay for.
    pub fn has_rules(&self) -> bool {
        self.ruled
    }

    /// Whether any host takes the client from a header field (`RemoteIPHeader`).
    pub fn names_clients(&self) -> bool {
        self.names_clients
    }

    /// Whether this host has rules, itself or in a section.
    pub fn host_has_rules(&self, host: usize) -> bool {
        self.hosts.get(host).is_some_and(|host| host.ruled)
    }

    /// The settings of a host that hold where no section matches.
    pub fn base_settings(&self, host: usize) -> Arc<Settings> {
        self.hosts.get(host).map_or_else(Arc::default, |compiled| compiled.sections.base())
    }

    /// Index of the host for a connection to `local` (`None`: a Unix socket) and the value of the Host header.
    pub fn host(&self, local: Option<SocketAddr>, header: Option<&[u8]>) -> usize {
        hosts::select(&self.site.hosts, local, header)
    }

    /// What `%2F` means to the host of a request.
    pub fn encoded_slashes(&self, local: Option<SocketAddr>, header: Option<&[u8]>) -> EncodedSlashes {
        if !self.slashes {
            return EncodedSlashes::Refused;
        }
        self.site.hosts[self.host(local, header)].encoded_slashes
    }

    /// Index of the host of a connection before it has named one: the first of those whose addresses fit best.
    pub fn first_host(&self, local: Option<SocketAddr>) -> usize {
        hosts::first(&self.site.hosts, local)
    }

    /// The target of a URL path of a host: the first alias that matches.
    pub fn find(&self, host: usize, url: &[u8]) -> Found {
        let (Some(compiled), Some(host)) = (self.hosts.get(host), self.site.hosts.get(host)) else {
            return Found::Nothing;
        };
        compiled.scripts.find(host, url)
    }

    /// The document root of a host alone, past its aliases and scripts.
    pub fn find_below_root(&self, host: usize, url: &[u8]) -> Found {
        self.hosts.get(host).map_or(Found::Nothing, |compiled| compiled.scripts.below_root(url))
    }

    /// URL and target of the alias that a path came from.
    pub fn alias(&self, host: usize, origin: Origin) -> Option<(&str, &Path)> {
        let Origin::Alias(index) = origin else { return None };
        let alias = self.site.hosts.get(host)?.statics.get(index).filter(|alias| !alias.regex)?;
        Some((&alias.url, &alias.path))
    }

    /// Whether a host has conditional sections.
    pub fn has_branches(&self, host: usize) -> bool {
        self.hosts.get(host).is_some_and(|host| !host.branches.is_empty())
    }

    /// Numbers of the conditional sections of a host that hold for a URL path and the script or file behind it; `holds` answers
    /// for a condition.
    pub fn branches<E>(
        &self,
        host: usize,
        url: &[u8],
        file: Option<&Path>,
        holds: &mut dyn FnMut(&Branch) -> Result<bool, E>,
    ) -> Result<Vec<usize>, E> {
        match self.hosts.get(host) {
            Some(compiled) => compiled.branches.holding(url, file, holds),
            None => Ok(Vec::new()),
        }
    }

    /// Lays the conditional sections of these numbers over settings.
    pub fn apply_branches(&self, host: usize, settings: &mut Settings, branches: &[usize]) {
        if let Some(compiled) = self.hosts.get(host) {
            compiled.branches.apply(settings, branches);
        }
    }

    /// Whether handlers or names of index files decide about the files of a host, so that the file system must be asked first.
    pub fn by_file(&self, host: usize) -> bool {
        self.hosts.get(host).is_some_and(|host| host.by_file)
    }

    /// Whether there are symbolic links that a host does not follow.
    pub fn refuses_links(&self, host: usize) -> bool {
        self.hosts.get(host).is_some_and(|host| host.refuses_links)
    }

    /// The symbolic links that are followed out of a folder.
    pub fn links(&self, host: usize, folder: &Path) -> Links {
        self.hosts.get(host).map_or(Links::Refuse, |host| host.sections.links(folder))
    }

    /// Whether conditional sections of a host decide about access: what they close is known for a request only.
    pub fn may_close_by_condition(&self, host: usize) -> bool {
        let closes = |section: &Section| {
            matches!(section.scope, Scope::If(_)) && (section.set.closed || !section.set.access.is_empty())
        };
        self.site.hosts.get(host).is_some_and(|host| host.sections.iter().any(closes))
    }

    /// The settings for a URL path that leads to a directory.
    pub fn settings_of_folder(&self, host: usize, url: &[u8], folder: &Path) -> Arc<Settings> {
        match self.hosts.get(host) {
            Some(compiled) => compiled.sections.settings_of_folder(url, folder),
            None => Arc::new(Settings::default()),
        }
    }

    /// The settings for a URL path and the script or file behind it. The same sections give the same `Arc`, so its
    /// address may stand for the settings.
    pub fn settings(&self, host: usize, url: &[u8], file: Option<&Path>) -> Arc<Settings> {
        match self.hosts.get(host) {
            Some(compiled) => compiled.sections.settings(url, file),
            None => Arc::new(Settings::default()),
        }
    }
}

/// The path with runs of slashes made one.
pub fn collapse(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.windows(2).any(|pair| pair == b"//") {
        return Cow::Borrowed(path);
    }
    let mut out = Vec::with_capacity(path.len());
    for &byte in path {
        if byte != b'/' || out.last() != Some(&b'/') {
            out.push(byte);
        }
    }
    Cow::Owned(out)
}

/// Whether `path` is `prefix` or lies below it, on component borders. An empty prefix holds everything.
pub(crate) fn below(path: &[u8], prefix: &[u8]) -> bool {
    let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_and_borders() {
        assert_eq!(&*collapse(b"//a///b/"), b"/a/b/");
        assert!(matches!(collapse(b"/a/b"), Cow::Borrowed(_)));
        assert!(below(b"/a/b", b"/a") && below(b"/a", b"/a") && below(b"/x", b"") && below(b"/a/b", b"/a/"));
        assert!(!below(b"/ab", b"/a") && !below(b"/", b"/a"));
    }
}
