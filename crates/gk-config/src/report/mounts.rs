//! The process group and the interpreter that each mounted script has, as its place fixes them.

use crate::site::{Host, Mount, MountTarget, Site};
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
            let (process_group, application_group) = groups(site, host, mount);
            let url = if mount.url.is_empty() { "/" } else { &mount.url };
            let script = file(&mount.target);
            let used = Some(used);
            found.push(MountUse { host: index, url, script, process_group, application_group, used });
        }
    }
    found
}

/// The file of a target, where it names one.
pub fn file(target: &MountTarget) -> Option<&Path> {
    match target {
        MountTarget::File(path) | MountTarget::Directory(path) => Some(path),
        MountTarget::Module(_) | MountTarget::Pattern(_) => None,
    }
}

/// Process group and application group of a mount: its own options, else the settings of its place, else the defaults.
pub fn groups(site: &Site, host: &Host, mount: &Mount) -> (String, String) {
    let url = if mount.url.is_empty() { "/" } else { &mount.url };
    let settings = super::access::settings(host, url, file(&mount.target));
    let first = || site.groups.iter().find(|group| !group.service()).map(|group| group.name.clone());
    let process = mount.process_group.clone().or(settings.process_group).or_else(first);
    let application = mount.application_group.clone().or(settings.application_group);
    (process.unwrap_or_default(), application.unwrap_or_else(|| "%{RESOURCE}".to_owned()))
}
