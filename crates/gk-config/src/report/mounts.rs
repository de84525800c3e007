//! The process group and the interpreter that each mounted script has, as its place fixes them.

use crate::site::{Mount, Site};
use crate::{Loaded, Used};
use std::path::Path;

/// A mounted script with the groups that serve it.
#[derive(Debug, Clone, PartialEq)]
pub struct MountUse<'l> {
    /// Index of its host.
    pub host: usize,
    /// URL prefix or pattern.
    pub url: &'l str,
    /// The script, or the folder of scripts, where it is a file.
    pub script: Option<&'l Path>,
    /// Process group; it may hold an expansion.
    pub process_group: String,
    /// Application group, as written; empty: the main interpreter.
    pub application_group: String,
    /// The directive that mounts it, where it is known.
    pub used: Option<&'l Used>,
}

/// Every mounted script. Hosts inherit the main server's; each stands once, with the host that names it.
pub fn mounts(loaded: &Loaded) -> Vec<MountUse<'_>> {
    let Some(site) = &loaded.site else { return Vec::new() };
    let mut found = Vec::new();
    for (index, host) in site.hosts.iter().enumerate() {
        let named = |used: &&Used| {
            used.host == index && ["WSGIScriptAlias", "WSGIScriptAliasMatch"].contains(&used.name.as_str())
        };
        let lines: Vec<&Used> = loaded.used.iter().filter(named).collect();
        let own = host.mounts.len().min(lines.len());
        for (mount, used) in host.mounts.iter().take(own).zip(lines) {
            let (process_group, application_group) = groups(site, index, mount);
            let url = if mount.url.is_empty() { "/" } else { &mount.url };
            let script = mount.target.file();
            let used = Some(used);
            found.push(MountUse { host: index, url, script, process_group, application_group, used });
        }
    }
    found
}

/// Process group and application group of a mount: its own options, else the settings of its place, else the defaults.
pub fn groups(site: &Site, index: usize, mount: &Mount) -> (String, String) {
    let host = &site.hosts[index];
    let url = if mount.url.is_empty() { "/" } else { &mount.url };
    let settings = super::access::settings(host, url, mount.target.file());
    let first = || site.default_group(index).map(|group| group.name.clone());
    let process = mount.process_group.clone().or(settings.process_group).or_else(first);
    let application = mount.application_group.clone().or(settings.application_group);
    (process.unwrap_or_default(), application.unwrap_or_else(|| "%{RESOURCE}".to_owned()))
}

/// The process group of this name answers requests of the host, as far as that is known without a request.
pub fn served(site: &Site, index: usize, name: &str) -> bool {
    name.contains("%{") || site.groups.iter().any(|group| group.name == name && site.reaches(index, group))
}
