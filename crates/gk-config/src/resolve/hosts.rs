//! Hosts: what a virtual host inherits, in which order its sections and aliases stand.

use crate::diagnostic::{Complaint, Journal};
use crate::directives::NICKNAMES;
use crate::directives::raw::{Raw, RawHost, RawLog};
use crate::resolve::tls;
use crate::site::{
    AccessLog, Host, LogForm, Mount, ReadTimeouts, Scope, Section, Settings, SettingsPatch, StaticAlias,
};
use gk_rules::rewrite::Rewrite;
use std::collections::BTreeMap;

/// Puts the first group that a host may use where the embedded process is named, which does not exist here.
pub fn name_embedded(raw: &mut Raw) {
    let of_hosts: Vec<String> = (0..raw.hosts.len()).map(|host| raw.default_group(host).to_owned()).collect();
    let first = raw.first_group().to_owned();
    for (host, first) in raw.hosts.iter_mut().zip(&of_hosts) {
        replace_embedded(&mut host.base, first);
        for section in &mut host.sections {
            replace_embedded(&mut section.section.set, first);
        }
        for mount in &mut host.mounts {
            replace_empty(&mut mount.mount.process_group, first);
        }
    }
    for block in &mut raw.interpreters {
        replace_empty(&mut block.process_group, &first);
    }
}

/// Every host, the main server first.
pub fn resolve(raw: &Raw, journal: &mut Journal) -> Vec<Host> {
    let main = &raw.hosts[0];
    let base = Settings::default().patched(&main.base);
    raw.hosts.iter().enumerate().map(|(index, host)| one(index, host, main, &base, journal)).collect()
}

fn replace_embedded(patch: &mut SettingsPatch, first: &str) {
    replace_empty(&mut patch.process_group, first);
    for script in patch.handler_scripts.iter_mut().flat_map(|scripts| scripts.values_mut()) {
        replace_empty(&mut script.process_group, first);
    }
    for name in patch.restrict_process.iter_mut().flatten().filter(|name| name.is_empty()) {
        *name = first.to_owned();
    }
}

fn replace_empty(name: &mut Option<String>, first: &str) {
    if name.as_deref() == Some("") {
        *name = Some(first.to_owned());
    }
}

fn one(index: usize, host: &RawHost, main: &RawHost, base: &Settings, journal: &mut Journal) -> Host {
    let (mut settings, layers) = match index {
        0 => (base.clone(), vec![host]),
        _ => (base.patched(&host.base), vec![main, host]),
    };
    if index > 0 {
        settings.rules.rewrite = Rewrite::of_host(&main.base.rules.rewrite, &host.base.rules.rewrite);
    }
    let (mounts, statics) = aliases(host, (index > 0).then_some(main));
    let mut formats: BTreeMap<&str, &str> = NICKNAMES.iter().copied().collect();
    for layer in &layers {
        formats.extend(layer.formats.iter().map(|(name, format)| (name.as_str(), format.as_str())));
    }
    let logs = if host.access_logs.is_empty() { &main.access_logs } else { &host.access_logs };
    Host {
        server_name: host.server_name.clone().or_else(|| main.server_name.clone()),
        server_port: host.server_port.or(if host.server_name.is_none() { main.server_port } else { None }),
        aliases: host.aliases.clone(),
        addresses: host.addresses.clone(),
        server_admin: host.server_admin.clone().or_else(|| main.server_admin.clone()),
        document_root: host.document_root.clone().or_else(|| main.document_root.clone()),
        mounts,
        statics,
        base: settings,
        sections: ordered(&layers),
        read_timeouts: ReadTimeouts {
            handshake: host
                .handshake_timeout
                .or(main.handshake_timeout)
                .unwrap_or(ReadTimeouts::STANDARD.handshake),
            header: host.header_timeout.or(main.header_timeout).unwrap_or(ReadTimeouts::STANDARD.header),
            body: host.body_timeout.or(main.body_timeout).unwrap_or(ReadTimeouts::STANDARD.body),
        },
        error_log: host.error_log.clone(),
        // As with Apache it is not inherited.
        encoded_slashes: host.encoded_slashes.unwrap_or_default(),
        protocols: host.protocols.or(main.protocols).unwrap_or_default(),
        http2: host.http2.over(&main.http2),
        access_logs: logs.iter().map(|log| access_log(log, &formats, journal)).collect(),
        remote: host.remote.under(&main.remote),
        tls: tls::host(&host.tls, &main.tls),
    }
}

/// The host's aliases, then the main server's, with positions that go on.
fn aliases(host: &RawHost, main: Option<&RawHost>) -> (Vec<Mount>, Vec<StaticAlias>) {
    let mut mounts: Vec<Mount> = host.mounts.iter().map(|m| m.mount.clone()).collect();
    let mut statics = host.statics.clone();
    if let Some(main) = main {
        let shift = host.next_order;
        let moved = |order: usize| order + shift;
        mounts.extend(main.mounts.iter().map(|m| Mount { order: moved(m.mount.order), ..m.mount.clone() }));
        statics.extend(main.statics.iter().map(|s| StaticAlias { order: moved(s.order), ..s.clone() }));
    }
    (mounts, statics)
}

/// Sections in merge order: by kind, the main server's before the host's, directories by depth.
fn ordered(layers: &[&RawHost]) -> Vec<Section> {
    let mut sections: Vec<Section> =
        layers.iter().flat_map(|layer| layer.sections.iter().map(|s| s.section.clone())).collect();
    sections.sort_by_key(|section| match &section.scope {
        // Those outside of other sections first, then in the order of the sections around them.
        Scope::If(_) => (4, section.around.first().map(|(scope, _)| rank(scope))),
        scope => (rank(scope).0, Some(rank(scope))),
    });
    sections
}

/// The place of a kind of section in the merge order.
fn rank(scope: &Scope) -> (usize, usize) {
    match scope {
        Scope::Directory(path) => (0, path.split('/').filter(|part| !part.is_empty()).count()),
        Scope::DirectoryMatch(_) => (1, 0),
        Scope::Files(_) | Scope::FilesMatch(_) => (2, 0),
        Scope::Location(_) | Scope::LocationMatch(_) => (3, 0),
        Scope::If(_) => (4, 0),
    }
}

fn access_log(log: &RawLog, formats: &BTreeMap<&str, &str>, journal: &mut Journal) -> AccessLog {
    let (path, when) = (log.path.clone(), log.when.clone());
    let format = log.format.as_str();
    if let Some(found) = formats.get(format) {
        return AccessLog { path, format: (*found).to_owned(), form: LogForm::Text, when };
    }
    if let Some(form) = LogForm::named(format) {
        return AccessLog { path, format: String::new(), form, when };
    }
    if !format.contains('%') {
        let names = formats.keys().copied().filter(|name| name.chars().all(char::is_alphanumeric));
        let complaint = Complaint::warning(format!(
            "no LogFormat is named `{format}`: the log would hold this very text"
        ));
        let complaint = match crate::nearest::nearest(format, names) {
            Some(near) => complaint.hint(format!("did you mean `{near}`?")),
            None => complaint.hint("common, combined, json and logfmt are there from the start"),
        };
        journal.say(complaint.at(&log.word));
    }
    AccessLog { path, format: format.to_owned(), form: LogForm::Text, when }
}
