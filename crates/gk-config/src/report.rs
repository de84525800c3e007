//! The output of `gilkeeper check`: the diagnostics, a summary of what becomes of the directives, and the resolved site, as text
//! for people or JSON for programs. The JSON's `site` is the very value the server works from.

mod access;
mod lines;
mod mounts;
mod tls;
mod uses;

pub use mounts::{MountUse, mounts};

use crate::diagnostic::{Diagnostic, Severity, render_all};
use crate::directive::Status;
use crate::express::layers::OptionUse;
use crate::site::{
    AccessLog, Branch, EncodedSlashes, Listen, LogCondition, LogForm, ProcessGroup, Scope, Settings,
    SettingsPatch, Site, SslSettings,
};
use crate::{FreeThreading, Loaded, PythonBuild};
use gk_options::OPTIONS;
use lines::{Lines, fields};
use serde::Serialize;
use serde_json::json;

/// Said of a site that mounts nothing.
const MOUNTS_NOTHING: &str = "the configuration mounts nothing, so every request is answered 404; `WSGIScriptAlias / FILE` mounts a script";

/// The same, with the section that perhaps holds what was meant.
pub fn mounts_nothing(said: &[Diagnostic]) -> String {
    let passed = said.iter().find(|said| said.message.contains(crate::parse::PASSED_OVER));
    match passed {
        Some(Diagnostic { file, line, message, .. }) => {
            format!("{MOUNTS_NOTHING}. {file}:{line}: {message}")
        }
        None => MOUNTS_NOTHING.to_owned(),
    }
}

/// The report as text: messages, summary, site.
pub fn text(loaded: &Loaded) -> String {
    let mut out = Lines::default();
    messages(&mut out, &loaded.diagnostics);
    if loaded.site.as_ref().is_some_and(Site::mounts_nothing) {
        out.line(0, &format!("warning: {}", mounts_nothing(&loaded.diagnostics)));
    }
    out.head(&uses::summary(loaded));
    options(&mut out, loaded);
    match &loaded.site {
        Some(site) => {
            server(&mut out, site);
            groups(&mut out, loaded, site);
            interpreters(&mut out, site);
            hosts(&mut out, site);
        }
        None => out.head("The configuration has errors and is not used."),
    }
    uses::listed(&mut out, loaded);
    out.finish()
}

/// The options of `serve` with their sources, where there are any.
fn options(out: &mut Lines, loaded: &Loaded) {
    if loaded.options.is_empty() {
        return;
    }
    out.head("Options: command line, then environment, --env-file, gilkeeper.toml, pyproject.toml");
    for OptionUse { option, value, source, beats } in &loaded.options {
        let beats =
            if beats.is_empty() { String::new() } else { format!(", which beats {}", beats.join(", ")) };
        out.pair(1, option, &format!("{value} from {source}{beats}"));
    }
}

/// Errors and warnings with their source, notes on a line each.
fn messages(out: &mut Lines, said: &[Diagnostic]) {
    let grave: Vec<Diagnostic> = said.iter().filter(|d| d.severity < Severity::Note).cloned().collect();
    out.raw(&render_all(&grave));
    let notes: Vec<&Diagnostic> = said.iter().filter(|d| d.severity == Severity::Note).collect();
    if !notes.is_empty() && !grave.is_empty() {
        out.raw("\n");
    }
    for note in notes {
        out.line(0, &note.line());
    }
}

/// The report as JSON.
pub fn json(loaded: &Loaded) -> String {
    let effective = loaded.site.as_ref().map(|site| {
        let groups = site.groups.iter().map(|group| {
            json!({
                "process_group": group.name,
                "switch_interval": site.switch_interval(&group.name),
                "free_threading": free_threading(site, group),
                "python": loaded.builds.get(&group.name).map(ToString::to_string),
                "application_groups": modes(loaded, site, group),
            })
        });
        groups.collect::<Vec<_>>()
    });
    let value = json!({
        "ok": loaded.site.is_some(),
        "errors": count(loaded, Severity::Error),
        "warnings": count(loaded, Severity::Warning),
        "mounts_nothing": loaded.site.as_ref().map(Site::mounts_nothing),
        "site": loaded.site,
        "effective": effective,
        "summary": uses::summary(loaded),
        "directives": uses::json(loaded),
        "options": loaded.options,
        "diagnostics": loaded.diagnostics,
    });
    serde_json::to_string_pretty(&value).expect("values of a site have string keys and finite numbers")
}

fn count(loaded: &Loaded, severity: Severity) -> usize {
    loaded.diagnostics.iter().filter(|d| d.severity == severity).count()
}

fn free_threading(site: &Site, group: &ProcessGroup) -> &'static str {
    match site.free_threading(&group.name) {
        FreeThreading::Off => "off",
        FreeThreading::On => "on",
        FreeThreading::Required => "required",
    }
}

/// The GIL mode of an application group that is known before any request.
#[derive(Serialize)]
struct Mode {
    application_group: String,
    gil_mode: &'static str,
    interpreters: u32,
    /// Configured seconds.
    switch_interval: Option<f64>,
}

/// The main interpreter and the application groups of the scripts imported at start.
fn modes(loaded: &Loaded, site: &Site, group: &ProcessGroup) -> Vec<Mode> {
    let imported = site.imports.iter().filter(|import| import.process_group == group.name);
    let mut names: Vec<&str> = imported.map(|import| import.application_group.as_str()).chain([""]).collect();
    names.sort_unstable();
    names.dedup();
    let build = loaded.builds.get(&group.name);
    names.into_iter().map(|name| mode(site, group, build, name)).collect()
}

fn mode(site: &Site, group: &ProcessGroup, build: Option<&PythonBuild>, name: &str) -> Mode {
    let options = site.interpreter(&group.name, name);
    let free =
        site.free_threading(&group.name) != FreeThreading::Off && build.is_none_or(|b| b.free_threaded);
    let several = group.interpreters > 1;
    let can = !name.is_empty() && !free && build.is_none_or(|b| b.own_gils());
    let own = can && (several || options.per_interpreter_gil);
    let (gil_mode, switch_interval) = match (free, own) {
        (true, _) => ("free-threading", None),
        (_, true) if several => ("own", site.switch_interval_of_several(group, name)),
        (_, true) => ("own", options.switch_interval),
        _ => ("shared", site.switch_interval(&group.name)),
    };
    let interpreters = if own { group.interpreters } else { 1 };
    Mode { application_group: name.to_owned(), gil_mode, interpreters, switch_interval }
}

fn count_of(interpreters: u32) -> String {
    if interpreters == 1 { "one interpreter".to_owned() } else { format!("{interpreters} interpreters") }
}

fn server(out: &mut Lines, site: &Site) {
    out.head("Server");
    for listen in &site.listen {
        let text = match listen {
            Listen::Tcp { host, port, ipv6_only } => {
                let host = host.as_deref().unwrap_or("*");
                let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
                format!("{host}:{port}{}", if *ipv6_only { " ipv6only=on" } else { "" })
            }
            Listen::Given { name } => format!("systemd:{name}"),
            Listen::Unix { path, mode, owner, group } => {
                let mut text = format!("unix:{}", path.display());
                text.extend(mode.map(|mode| format!(" mode={mode:03o}")));
                text.extend(owner.as_ref().map(|owner| format!(" owner={owner}")));
                text.extend(group.as_ref().map(|group| format!(" group={group}")));
                text
            }
        };
        out.pair(1, "listen", &text);
    }
    out.pair(1, "admin", site.admin.as_deref().unwrap_or("off"));
    out.pair(1, "server-root", &site.server_root.display().to_string());
    if let Some(path) = &site.pid_file {
        out.pair(1, "pid-file", &path.display().to_string());
    }
    for (name, value) in [("user", &site.user), ("group", &site.group)] {
        if let Some(value) = value {
            out.pair(1, name, value);
        }
    }
    let log = site.error_log.path.as_ref().map_or("terminal".to_owned(), |p| p.display().to_string());
    let form = match site.error_log.form {
        LogForm::Text => String::new(),
        form => format!(", {}", form.shown()),
    };
    let areas = site.error_log.areas.iter();
    let areas: String = areas.map(|(area, level)| format!(", {area} from {level} up")).collect();
    out.pair(1, "error-log", &format!("{log}, from {} up{areas}{form}", site.error_log.level));
    out.head("HTTP");
    out.fields(1, &fields(&site.http), None);
    out.head("Python");
    out.fields(1, &fields(&site.python), None);
}

fn groups(out: &mut Lines, loaded: &Loaded, site: &Site) {
    for group in &site.groups {
        out.head(&format!("Process group {}", group.name));
        out.line(1, "(* differs from the default)");
        let standard = fields(&ProcessGroup::named(&group.name));
        let mut values = fields(group);
        values.retain(|(name, _)| !without_effect(name));
        out.fields(1, &values, Some(&standard));
        if let Some(build) = loaded.builds.get(&group.name) {
            out.pair(1, "python build", &build.to_string());
        }
        out.pair(1, "effective free-threading", free_threading(site, group));
        for mode in modes(loaded, site, group) {
            let interval = mode.switch_interval.map_or("CPython's default".to_owned(), |s| format!("{s} s"));
            let text = match mode.gil_mode {
                "free-threading" => "no GIL".to_owned(),
                "own" => {
                    format!("{} with their own GIL, switch interval {interval}", count_of(mode.interpreters))
                }
                _ => format!("the process's GIL, switch interval {interval}"),
            };
            let name = lines::interpreter(&mode.application_group);
            out.pair(1, &format!("effective mode of {name}"), &text);
        }
        for import in site.imports.iter().filter(|import| import.process_group == group.name) {
            let callable =
                import.callable_object.as_deref().map(|c| format!(", callable {c}")).unwrap_or_default();
            let script = lines::target(&import.target);
            let application = lines::interpreter(&import.application_group);
            out.pair(1, "imports at start", &format!("{script} in {application}{callable}"));
        }
    }
}

/// The option of this name is accepted and changes nothing; a note at its line says so.
fn without_effect(name: &str) -> bool {
    let row = OPTIONS.iter().find(|row| row.name == name);
    row.is_some_and(|row| matches!(row.status, Status::WithoutEffect(_)))
}

fn interpreters(out: &mut Lines, site: &Site) {
    for (index, block) in site.interpreters.iter().enumerate() {
        let mut fields = fields(block);
        fields.retain(|(name, _)| name != "process-group" && name != "application-group");
        if fields.is_empty() {
            continue;
        }
        let mut title = String::from("Interpreters");
        match index {
            0 => title.push_str(" (all)"),
            _ => {
                for (key, value) in
                    [("process-group", &block.process_group), ("application-group", &block.application_group)]
                {
                    if let Some(value) = value {
                        title.push_str(&format!(" {key}={}", lines::group(value)));
                    }
                }
            }
        }
        out.head(&title);
        out.fields(1, &fields, None);
    }
}

fn hosts(out: &mut Lines, site: &Site) {
    for (index, host) in site.hosts.iter().enumerate() {
        let name = host.server_name.as_deref().unwrap_or("(no name)");
        out.head(&match index {
            0 => format!("Main server {name}"),
            _ => format!("Virtual host {name}"),
        });
        for address in &host.addresses {
            let port = address.port.map_or("*".to_owned(), |p| p.to_string());
            out.pair(1, "address", &format!("{}:{port}", address.host.as_deref().unwrap_or("*")));
        }
        for alias in &host.aliases {
            out.pair(1, "server-alias", alias);
        }
        if site.has_tls() {
            tls::of(out, host);
        }
        if let Some(root) = &host.document_root {
            out.pair(1, "document-root", &root.display().to_string());
        }
        let mut aliases: Vec<(usize, String)> = Vec::new();
        for mount in &host.mounts {
            let url = if mount.url.is_empty() { "/" } else { &mount.url };
            let kind = if mount.regex { "match" } else { "mount" };
            let mut text = format!("{kind} {url} -> {}", lines::target(&mount.target));
            if let Some(callable) = &mount.callable_object {
                text.push_str(&format!(" callable-object={callable}"));
            }
            let (process, application) = mounts::groups(site, index, mount);
            if mounts::served(site, index, &process) {
                let application = lines::interpreter(&application);
                text.push_str(&format!("\n    served by process group {process}, {application}"));
            } else {
                text.push_str(&format!("\n    answered 500: this host may not use process group {process}"));
            }
            if !mount.regex {
                text.push_str(&access::below(host, url, mount.target.file()));
            }
            aliases.push((mount.order, text));
        }
        for alias in &host.statics {
            let url = if alias.url.is_empty() { "/" } else { &alias.url };
            let kind = match (alias.program, alias.regex) {
                (true, _) => "closed",
                (false, true) => "files matching",
                (false, false) => "files",
            };
            let mut text = format!("{kind} {url} -> {}", alias.path.display());
            if !alias.program && !alias.regex {
                text.push_str(&access::below(host, url, Some(&alias.path)));
            }
            aliases.push((alias.order, text));
        }
        aliases.sort();
        for (_, text) in &aliases {
            out.line(1, text);
        }
        match host.encoded_slashes {
            EncodedSlashes::Refused => {}
            EncodedSlashes::Decoded => out.pair(1, "encoded slashes", "On"),
            EncodedSlashes::Kept => out.pair(1, "encoded slashes", "NoDecode"),
        }
        if let Some(log) = &host.error_log {
            out.pair(1, "error-log", &log.display().to_string());
        }
        for log in &host.access_logs {
            let path = log.path.as_ref().map_or("standard output".to_owned(), |p| p.display().to_string());
            let format = if log.form == LogForm::Text { &log.format } else { log.form.shown() };
            out.pair(1, "access-log", &format!("{path}, {format}{}", log_condition(log)));
        }
        out.line(1, "settings (* differs from the default)");
        out.fields(2, &fields(&host.base), Some(&fields(&Settings::default())));
        access::listed(out, host.base.closed, &host.base.access, host.base.dispatch.as_ref());
        tls::of_place(out, &host.base.ssl);
        for section in &host.sections {
            let mut within =
                section.within.as_ref().map(|w| format!(" within {}", scope(w))).unwrap_or_default();
            for (around, _) in section.around.iter().rev() {
                within.push_str(&format!(" within {}", scope(around)));
            }
            out.line(1, &format!("section {}{within}", scope(&section.scope)));
            out.fields(2, &changed(&section.set), None);
            let set = &section.set;
            access::listed(out, set.closed, &set.access, set.dispatch.as_ref());
            let mut ssl = SslSettings::default();
            ssl.lay(&section.set.ssl);
            tls::of_place(out, &ssl);
        }
    }
}

fn changed(patch: &SettingsPatch) -> Vec<(String, String)> {
    fields(patch)
}

fn scope(scope: &Scope) -> String {
    match scope {
        Scope::Location(place) => format!("<Location {place}>"),
        Scope::LocationMatch(regex) => format!("<LocationMatch {regex}>"),
        Scope::Directory(place) => format!("<Directory {place}>"),
        Scope::DirectoryMatch(regex) => format!("<DirectoryMatch {regex}>"),
        Scope::Files(name) => format!("<Files {name}>"),
        Scope::FilesMatch(regex) => format!("<FilesMatch {regex}>"),
        Scope::If(Branch { not, is: Some(expression) }) if not.is_empty() => {
            format!("<If \"{}\">", expression.text())
        }
        Scope::If(Branch { is: Some(expression), .. }) => format!("<ElseIf \"{}\">", expression.text()),
        Scope::If(Branch { is: None, .. }) => "<Else>".to_owned(),
    }
}

fn log_condition(log: &AccessLog) -> String {
    match &log.when {
        Some(LogCondition::Variable { name, set: true }) => format!(", where {name} is set"),
        Some(LogCondition::Variable { name, set: false }) => format!(", where {name} is not set"),
        Some(LogCondition::Expression(expression)) => format!(", where {} is true", expression.text()),
        None => String::new(),
    }
}
