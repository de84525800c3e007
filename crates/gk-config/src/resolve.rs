//! Raw to [`Site`]: hosts inherit from the main server, sections take Apache's merge order, group names and log
//! formats are looked up, and the scripts to import at start are found.

mod embedded;
mod handlers;
mod hosts;
mod imports;
pub mod interpreters;
mod listeners;
mod log_config;
mod machine;
mod modes;
mod remote;
mod tls;
mod unselected;

use crate::diagnostic::{Complaint, Journal};
use crate::directives::raw::{GroupUse, Raw};
use crate::site::{ADMIN, ProcessGroup, PythonOptions, Site};
use crate::source::Source;
use crate::token::Word;
use crate::{PythonBuild, Surroundings};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Resolves the configuration and asks for the groups' Pythons. What is wrong is said in the journal; the site is complete
/// in any case.
pub fn resolve(
    mut raw: Raw,
    source: &dyn Source,
    surroundings: &Surroundings,
    journal: &mut Journal,
) -> (Site, BTreeMap<String, PythonBuild>) {
    let listen_implied = raw.listen.is_empty();
    listeners::resolve(&mut raw, journal);
    tls::check(&raw, journal);
    tls::close(&mut raw, journal);
    handlers::check(&raw, surroundings.ignore_unknown, journal);
    remote::lists(&mut raw, source, journal);
    remote::check_both(&raw, journal);
    remote::check_headers(&raw, journal);
    let proxy_protocol = remote::proxy_protocol(&raw, journal);
    if raw.groups.iter().all(|(group, _)| group.service()) {
        raw.groups.push((ProcessGroup::named("default"), Word::default()));
    }
    embedded::choose(&mut raw, surroundings, journal);
    embedded::check(&raw, journal);
    for (group, _) in &mut raw.groups {
        inherit_python(group, &raw.python);
        if let Some((lazy, _)) =
            raw.lazy_imports.as_ref().filter(|_| !raw.lazy_words.contains_key(&group.name))
        {
            group.lazy_imports.clone_from(lazy);
        }
    }
    check_group_uses(&raw, journal);
    check_services(&raw, journal);
    hosts::name_embedded(&mut raw);
    let builds = modes::builds(&raw, surroundings);
    machine::count_processes(&mut raw, &builds, surroundings);
    let hosts = hosts::resolve(&raw, journal);
    unselected::check(&raw, &hosts, journal);
    let imports = imports::resolve(&raw, &hosts, source, journal);
    modes::check(&raw, &imports, &builds, surroundings, source, journal);
    machine::check(&raw, &imports, source, surroundings, journal);
    if let Some((path, word)) = raw.log_config.take() {
        raw.python.log_config = log_config::read(&path, &word, source, journal);
    }
    let server_root = surroundings.server_root.clone().or(raw.server_root);
    let server_root = server_root.or_else(|| surroundings.default_server_root.clone());
    let server_root = surroundings.directory.join(server_root.unwrap_or_else(|| "gilkeeper-root".into()));
    let site = Site {
        pid_file: Some(raw.pid_file.unwrap_or_else(|| server_root.join("gilkeeper.pid"))),
        server_root,
        listen: raw.listen,
        listen_implied,
        user: raw.user,
        group: raw.group,
        error_log: raw.error_log,
        http: raw.http,
        python: raw.python,
        measurements: raw.measurements,
        supervision: raw.supervision,
        embedded: raw.groups.iter().any(|(group, _)| group.embedded),
        proxy_protocol,
        groups: raw.groups.into_iter().map(|(group, _)| group).collect(),
        hosts,
        imports,
        interpreters: raw.interpreters,
        admin_implied: raw.admin.is_none(),
        admin: raw.admin.unwrap_or_else(|| Some(ADMIN.to_owned())),
        // A text without a file has a name that is no path.
        files: journal.files().map(PathBuf::from).filter(|name| name.is_absolute()).collect(),
    };
    (site, builds)
}

/// A group takes `WSGIPythonHome` and `WSGIPythonPath` where it sets neither.
fn inherit_python(group: &mut ProcessGroup, python: &PythonOptions) {
    if group.python_home.is_none() && group.python.is_none() {
        group.python_home.clone_from(&python.home);
    }
    if group.python_path.is_empty() {
        group.python_path.clone_from(&python.path);
    }
}

/// Whether a group's name is only known with a request at hand.
fn depends_on_request(name: &str) -> bool {
    name.contains("%{")
}

fn check_group_uses(raw: &Raw, journal: &mut Journal) {
    for GroupUse { host, word, name, requests } in &raw.group_uses {
        if name.is_empty() && raw.embedded.on.is_some() {
            continue;
        }
        if name.is_empty() {
            if *requests
                && let Some(complaint) = unselected::complaint(raw, *host, "requests for `%{GLOBAL}`")
            {
                journal.say(complaint.at(word));
                continue;
            }
            let first = if *requests { raw.default_group(*host) } else { raw.first_group() };
            let message = "embedded mode is off (GilkeeperEmbedded): %{GLOBAL} means the first process group";
            let complaint = Complaint::warning(format!("{message}, `{first}`")).code("GK0001");
            journal.say(complaint.at(word));
            continue;
        }
        if depends_on_request(name) {
            continue;
        }
        let complaint = match raw.groups.iter().find(|(group, _)| group.name == *name) {
            None => {
                let message =
                    format!("no process group is named `{name}`: its requests would be answered 500");
                let near = crate::nearest::nearest(name, raw.groups.iter().map(|(g, _)| g.name.as_str()));
                let complaint = Complaint::warning(message).code("WSGI0151");
                match near {
                    Some(near) => complaint.hint(format!("did you mean `{near}`?")),
                    None => {
                        complaint.hint(format!("declare it: WSGIDaemonProcess {name} processes=2 threads=5"))
                    }
                }
            }
            Some((group, _)) if !raw.reaches(*host, group) => {
                let message = format!("the process group `{name}` belongs to another virtual host");
                Complaint::warning(message).code("WSGI0152").hint("declare it outside of the virtual hosts")
            }
            Some((group, _)) if group.is_front() => Complaint::error(format!(
                "`{name}` is the process group that GilkeeperFronts adds: its processes speak HTTP and run no application"
            ))
            .hint("name a process group that WSGIDaemonProcess declares"),
            Some((group, _)) if *requests && group.service() => {
                let message = format!("`{name}` runs a service script (threads=0) and takes no requests");
                Complaint::error(message).code("GK0012").hint("name a process group with request threads")
            }
            Some(_) => continue,
        };
        journal.say(complaint.at(word));
    }
}

/// A service script is an import of its group.
fn check_services(raw: &Raw, journal: &mut Journal) {
    for (group, word) in raw.groups.iter().filter(|(group, _)| group.service()) {
        if !raw.imports.iter().any(|(import, ..)| import.process_group == group.name) {
            let name = &group.name;
            let message =
                format!("`{name}` has threads=0, so it runs a service script, but no script is named");
            let hint = format!("WSGIImportScript FILE process-group={name} application-group=%{{GLOBAL}}");
            journal.say(Complaint::error(message).at(word).hint(hint));
        }
    }
}
