//! Which scripts a process imports when it starts: those of WSGIImportScript, and every mount whose process group
//! and application group are known without a request. mod_wsgi asks that both stand on the alias itself; here it is
//! enough that the settings of its place fix them, because a reload must know what to try before it drains.

use super::depends_on_request;
use crate::diagnostic::{Complaint, Journal};
use crate::directives::raw::{Raw, RawMount};
use crate::place::handlers::{Handler, WSGI};
use crate::place::script_name_end;
use crate::site::{Host, ImportScript, Listen, MountTarget, Settings};
use crate::source::Source;
use crate::token::Word;
use std::path::Path;

/// All imports, without doubles.
pub fn resolve(raw: &Raw, hosts: &[Host], source: &dyn Source, journal: &mut Journal) -> Vec<ImportScript> {
    let mut imports = Vec::new();
    for (script, host, word) in &raw.imports {
        let mut script = script.clone();
        if script.process_group.is_empty() {
            script.process_group = raw.default_group(*host).to_owned();
        }
        match raw.groups.iter().find(|(group, _)| group.name == script.process_group) {
            Some((group, _)) if raw.reaches(*host, group) => push(&mut imports, script),
            // The use of the name itself was reported with its place.
            Some(_) => {}
            None => journal.say(
                Complaint::error(format!("the process group `{}` is not declared", script.process_group))
                    .at(word)
                    .hint("WSGIImportScript needs a WSGIDaemonProcess of that name"),
            ),
        }
    }
    for (index, host) in raw.hosts.iter().enumerate() {
        for mount in &host.mounts {
            check_order(raw, mount, journal);
            push_mount(raw, &hosts[index], index, mount, source, &mut imports);
        }
    }
    imports
}

/// Adds an import; one that is there already is only given its callable.
fn push(imports: &mut Vec<ImportScript>, script: ImportScript) {
    let place = |i: &ImportScript| (i.target.clone(), i.process_group.clone(), i.application_group.clone());
    let wanted = place(&script);
    let known = imports.iter_mut().filter(|other| place(other) == wanted);
    for other in known {
        other.reloading |= script.reloading;
        if script.callable_object.is_none() || other.callable_object == script.callable_object {
            return;
        }
        if other.callable_object.is_none() {
            other.callable_object = script.callable_object;
            return;
        }
    }
    imports.push(script);
}

/// An alias that names both groups must stand below the declaration of its group.
fn check_order(raw: &Raw, mount: &RawMount, journal: &mut Journal) {
    let RawMount { mount, word, groups_above } = mount;
    let (Some(group), Some(_)) = (&mount.process_group, &mount.application_group) else { return };
    // Those that nobody declared have no place in the file.
    let mut declared = raw.groups.iter().filter(|(_, word)| *word != Word::default());
    let at = declared.position(|(declared, _)| declared.name == *group);
    if at.is_some_and(|at| at >= *groups_above) {
        let message =
            format!("the process group `{group}` is declared below this alias, which preloads its script");
        journal.say(Complaint::error(message).at(word).hint("move WSGIDaemonProcess above it"));
    }
}

/// The script of a mount: the first file on the path of its target, and the rest of that path.
fn script(target: &MountTarget, source: &dyn Source) -> Option<(MountTarget, String)> {
    let (MountTarget::File(path) | MountTarget::Directory(path)) = target else {
        return matches!(target, MountTarget::Module(_)).then(|| (target.clone(), String::new()));
    };
    let text = path.to_str()?;
    let is_file = |end: &usize| source.is_file(Path::new(&text[..*end]));
    let slashes = text.match_indices('/').map(|(at, _)| at).skip(1);
    match slashes.chain([text.len()]).find(is_file) {
        Some(end) => Some((MountTarget::File(text[..end].into()), text[end..].to_owned())),
        // It may come later.
        None if matches!(target, MountTarget::File(_)) && !source.exists(path) => {
            Some((target.clone(), String::new()))
        }
        None => None,
    }
}

fn push_mount(
    raw: &Raw,
    host: &Host,
    index: usize,
    mount: &RawMount,
    source: &dyn Source,
    imports: &mut Vec<ImportScript>,
) {
    let mount = &mount.mount;
    let Some((target, rest)) = script(&mount.target, source) else { return };
    let file = match &target {
        MountTarget::File(path) => Some(path.as_path()),
        _ => None,
    };
    let url = if mount.url.is_empty() { "/" } else { &mount.url };
    let settings = settings_at(host, url, file);
    if Handler::of(&settings, file, Some(WSGI)) != Handler::Script {
        return;
    }
    // That of every request: what a URL has more goes on behind the rest.
    let script_name = match rest.as_str() {
        "" => mount.url.as_str(),
        rest => &url[..script_name_end(url.as_bytes(), rest.as_bytes())],
    };
    let group = mount.process_group.clone().or(settings.process_group);
    let group = group.unwrap_or_else(|| raw.default_group(index).to_owned());
    let wanted = mount.application_group.clone().or(settings.application_group);
    let Some(application) = application_group(raw, host, index, script_name, wanted.as_deref()) else {
        return;
    };
    let callable = mount.callable_object.clone().unwrap_or(settings.callable_object);
    let known = raw.groups.iter().find(|(declared, _)| declared.name == group);
    let usable = known.is_some_and(|(declared, _)| declared.threads > 0 && raw.reaches(index, declared));
    if usable && !depends_on_request(&callable) {
        push(
            imports,
            ImportScript {
                target,
                process_group: group,
                application_group: application,
                callable_object: Some(callable),
                lone_app: false,
                reloading: settings.script_reloading,
            },
        );
    }
}

/// The settings of a mount's place.
pub fn settings_at(host: &Host, url: &str, file: Option<&Path>) -> Settings {
    let mut settings = host.base.clone();
    for section in &host.sections {
        if crate::place::section_matches(section, url.as_bytes(), file) {
            settings.apply(&section.set);
        }
    }
    settings
}

/// The application group of a mount, if it can be known before any request.
fn application_group(
    raw: &Raw,
    host: &Host,
    index: usize,
    url: &str,
    wanted: Option<&str>,
) -> Option<String> {
    let wanted = wanted.unwrap_or("%{RESOURCE}");
    match wanted {
        "%{SERVER}" | "%{RESOURCE}" => {
            let name = host.server_name.as_deref()?;
            let port = only_port(raw, index)?;
            let server = crate::place::server_and_port(name, port);
            Some(if wanted == "%{SERVER}" { server } else { format!("{server}|{url}") })
        }
        name if depends_on_request(name) => None,
        name => Some(name.to_owned()),
    }
}

/// The port every request of a host comes by, if there is only one.
fn only_port(raw: &Raw, index: usize) -> Option<u16> {
    if let Some(port) = raw.hosts[index].server_port {
        return Some(port);
    }
    let mut ports: Vec<u16> = Vec::new();
    for listen in &raw.listen {
        match listen {
            Listen::Tcp { port, .. } if *port != 0 => ports.push(*port),
            _ => return None,
        }
    }
    ports.dedup();
    match ports.as_slice() {
        [port] => Some(*port),
        _ => None,
    }
}
