//! Routing: from host and path to a script in a process group, a file, or a refusal. Which file a path leads to is found in
//! `resource`. Pure, but for facts about files, which come through `gk_config::place::Files`. The worker is chosen later, by the
//! engine.

use gk_config::place::{Asked, Compiled, Files, Script, callable_name, group_name};
use gk_config::site::{HandlerScript, Host, Mount, Settings};
use gk_rules::Env;
use gk_wire::request::Profile;
use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::request::refusal::Refusal;
use crate::request::resource::{Decided, FileRole, Located, Resource, RunnableScript, locate};

/// The parts of a request that routing depends on.
pub struct RouteQuery<'a> {
    /// Our end of the connection; `None` on a Unix socket.
    pub local: Option<SocketAddr>,
    /// The authority: `Host` header, or that of an absolute target.
    pub host: Option<&'a [u8]>,
    /// Decoded, normalised path.
    pub path: &'a [u8],
    /// TLS.
    pub https: bool,
    /// Address of the listener, as `Listen` names it.
    pub listener: &'a str,
    /// Process id of the front.
    pub pid: u32,
    /// The request's variables, on a site that has rules.
    pub variables: Option<&'a Env>,
    /// What rules have decided.
    pub decided: Decided<'a>,
    /// The dispatch script's choice.
    pub chosen: Option<&'a Chosen>,
}

/// What a dispatch script chooses; `None`: what the configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Chosen {
    /// Process group.
    pub process_group: Option<String>,
    /// Application group.
    pub application_group: Option<String>,
    /// Callable.
    pub callable_object: Option<String>,
}

/// The path of a request as the rules left it.
#[derive(Clone, Copy)]
pub struct RuledPath<'a> {
    /// Decoded, normalised path.
    pub path: &'a [u8],
    /// It is the path that the client sent, and rules have decided nothing about its place.
    pub as_sent: bool,
    /// What rules have decided.
    pub decided: Decided<'a>,
    /// The request's variables.
    pub variables: &'a Env,
    /// The dispatch script's choice.
    pub chosen: Option<&'a Chosen>,
}

/// The place of a request in the configuration.
#[derive(Debug)]
pub struct Target {
    /// Index of the host.
    pub host: usize,
    /// The settings there.
    pub settings: Arc<Settings>,
    /// `SERVER_NAME`.
    pub server_name: String,
    /// `SERVER_PORT`.
    pub server_port: u16,
    /// The script, file or refusal that answers.
    pub destination: Destination,
    /// The result depends on the files that exist or on the request's variables, so it holds for this request only.
    pub uncacheable: bool,
    /// The names of its groups or of its callable hold a variable.
    pub named_by_variable: bool,
    /// URL path and file of the index that answers for a directory.
    pub index: Option<(Vec<u8>, PathBuf)>,
}

/// The script, file or refusal that answers a request.
#[derive(Debug)]
pub enum Destination {
    /// A script.
    App(Box<App>),
    /// A file of a served tree.
    File {
        /// The file asked for.
        path: PathBuf,
        /// The tree: the target of the alias, or the document root.
        tree: PathBuf,
        /// What it stands for.
        role: FileRole,
    },
    /// A refusal, and the line for the error log.
    Refused(Refusal, Option<(&'static str, String)>),
}

/// A script in a process group.
#[derive(Debug)]
pub struct App {
    /// Process group.
    pub group: String,
    /// The part of environ that depends on the configuration only.
    pub profile: Profile,
    /// `SCRIPT_NAME`.
    pub script_name: Vec<u8>,
    /// `PATH_INFO`.
    pub path_info: Vec<u8>,
    /// `Authorization` is passed on.
    pub pass_authorization: bool,
    /// The request chooses the application group's name: there may be any number of them.
    pub group_is_chosen: bool,
    /// File of the script, for the access log.
    pub script: String,
    /// The file asked for, where the script of a handler answers for it.
    pub filename: Option<String>,
}

/// The options on the line of a mount or of a handler's script.
#[derive(Default)]
struct OwnOptions<'a> {
    process_group: Option<&'a String>,
    application_group: Option<&'a String>,
    callable: Option<&'a str>,
    pass_authorization: Option<bool>,
}

impl<'a> OwnOptions<'a> {
    fn of_mount(mount: &'a Mount) -> Self {
        Self {
            process_group: mount.process_group.as_ref(),
            application_group: mount.application_group.as_ref(),
            callable: mount.callable_object.as_deref(),
            pass_authorization: mount.pass_authorization,
        }
    }

    fn of_handler(script: &'a HandlerScript) -> Self {
        Self {
            process_group: script.process_group.as_ref(),
            application_group: script.application_group.as_ref(),
            callable: Some("handle_request"),
            pass_authorization: script.pass_authorization,
        }
    }
}

/// Routes a request.
pub fn target(compiled: &Compiled, query: &RouteQuery<'_>, files: &dyn Files) -> Target {
    let host = compiled.host(query.local, query.host);
    let (server_name, server_port) =
        authority(&compiled.site().hosts[host], query.host, query.local, query.https);
    let Located { resource, settings, mut uncacheable, index } =
        locate(compiled, host, query.path, files, query.decided);
    let place = Place { compiled, host, query, settings: &settings, named_by_variable: Cell::new(false) };
    let destination = match resource {
        Resource::Script(run) => place.app(run),
        Resource::File { path, tree, role } => Destination::File { path, tree, role },
        Resource::Refused(refusal, note) => Destination::Refused(refusal, note),
    };
    let named_by_variable = place.named_by_variable.get();
    uncacheable |= named_by_variable && query.variables.is_some();
    Target { host, settings, server_name, server_port, destination, uncacheable, named_by_variable, index }
}

/// `SERVER_NAME` and `SERVER_PORT`: those that the client asked for, else the configured ones, else the listener's.
pub fn authority(host: &Host, asked: Option<&[u8]>, local: Option<SocketAddr>, https: bool) -> (String, u16) {
    let default_port = if https { 443 } else { 80 };
    let requested = asked.map(String::from_utf8_lossy).unwrap_or_default();
    let (name, port) = match requested.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port.parse().ok()),
        _ => (&*requested, None),
    };
    let configured = host.server_name.clone();
    if name.is_empty() {
        let name = configured.or_else(|| Some(local?.ip().to_string())).unwrap_or_else(|| "localhost".into());
        return (name, host.server_port.or(local.map(|l| l.port())).unwrap_or(default_port));
    }
    (name.to_owned(), port.or(host.server_port).unwrap_or(default_port))
}

/// The name and port in the names of groups: the configured ones, else the listener's. Never the client's: it could create any
/// number of groups, each with an interpreter of its own.
fn own_authority<'a>(host: &'a Host, query: &RouteQuery<'a>) -> (&'a str, u16) {
    let listener = query.listener.rsplit_once(':').map(|(address, _)| address);
    let listener =
        listener.filter(|address| !address.starts_with("unix") && !matches!(*address, "0.0.0.0" | "[::]"));
    let name = host.server_name.as_deref().or(listener).unwrap_or("localhost");
    let port = host.server_port.or(query.local.map(|local| local.port()));
    (name, port.unwrap_or(if query.https { 443 } else { 80 }))
}

/// The place of a request, from which its script's profile is made.
struct Place<'a> {
    compiled: &'a Compiled,
    host: usize,
    query: &'a RouteQuery<'a>,
    settings: &'a Settings,
    /// A name that was made holds a variable.
    named_by_variable: Cell<bool>,
}

impl Place<'_> {
    fn app(&self, run: RunnableScript) -> Destination {
        let RunnableScript { mount, handler, script, script_name, path_info } = run;
        let site = self.compiled.site();
        let host = &site.hosts[self.host];
        let own = match (&handler, mount) {
            (Some((_, script)), _) => OwnOptions::of_handler(script),
            (None, Some(index)) => OwnOptions::of_mount(&host.mounts[index]),
            (None, None) => OwnOptions::default(),
        };
        let settings = self.settings;
        let script_text = String::from_utf8_lossy(&script_name);
        let variable = |name: &str| {
            self.named_by_variable.set(true);
            let ruled = || self.query.variables?.get(name).map(|v| String::from_utf8_lossy(v).into_owned());
            settings.env.get(name).cloned().or_else(ruled).or_else(|| std::env::var(name).ok())
        };
        let host_header = self.query.host.map(String::from_utf8_lossy);
        let (server_name, port) = own_authority(host, self.query);
        let asked = Asked {
            server_name,
            port,
            host_header: host_header.as_deref(),
            script_name: &script_text,
            variable: &variable,
        };
        let chosen = |pick: fn(&Chosen) -> &Option<String>| self.query.chosen.and_then(|c| pick(c).as_ref());
        let group =
            match chosen(|c| &c.process_group).or(own.process_group).or(settings.process_group.as_ref()) {
                Some(name) => group_name(name, &asked).into_owned(),
                None => match site.default_group(self.host) {
                    Some(group) => group.name.clone(),
                    None => return fault("WSGI0150", "no process group is defined".into()),
                },
            };
        if let Some(fault) = self.group_fault(&group) {
            return fault;
        }
        let configured = own.application_group.or(settings.application_group.as_ref());
        let by_script = chosen(|c| &c.application_group);
        let application_group = by_script.or(configured).map_or("%{RESOURCE}", |g| g);
        let group_is_chosen =
            by_script.is_none() && self.is_chosen(application_group, mount, handler.is_some());
        let callable = chosen(|c| &c.callable_object).map(String::as_str).or(own.callable);
        let callable = callable.unwrap_or(&settings.callable_object);
        let (module, asked_for) = match script {
            Script::File(path) => (false, path.to_string_lossy().into_owned()),
            Script::Module(name) => (true, name),
        };
        let mut environ = self.environ(host);
        // The file asked for is the client's choice, so with a handler's script it is no part of the profile.
        let (module, script, filename) = match &handler {
            Some((name, script)) => {
                let script = script.path.to_string_lossy().into_owned();
                environ.push(("mod_wsgi.request_handler".into(), name.clone()));
                environ.push(("mod_wsgi.handler_script".into(), script.clone()));
                (false, script, Some(asked_for))
            }
            None => {
                environ.push(("SCRIPT_FILENAME".into(), asked_for.clone()));
                (module, asked_for, None)
            }
        };
        environ.extend(settings.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        Destination::App(Box::new(App {
            profile: Profile {
                module,
                callable: callable_name(callable, &asked).into_owned(),
                application_group: group_name(application_group, &asked).into_owned(),
                script_reloading: settings.script_reloading,
                ignore_activity: settings.ignore_activity,
                environ,
                error_log: host.error_log.as_ref().map(|log| log.to_string_lossy().into_owned()),
                script: script.clone(),
                hook: false,
            },
            group,
            script_name,
            path_info,
            pass_authorization: own.pass_authorization.unwrap_or(settings.pass_authorization),
            group_is_chosen,
            script,
            filename,
        }))
    }

    /// Whether requests choose the name of an application group: by their Host, by a variable that no directive fixes, or by the
    /// mount point where a pattern or a handler makes it of the URL.
    fn is_chosen(&self, group: &str, mount: Option<usize>, handled: bool) -> bool {
        let host = &self.compiled.site().hosts[self.host];
        let variable = group.strip_prefix("%{ENV:").and_then(|rest| rest.strip_suffix('}'));
        match (group, mount) {
            ("%{HOST}", _) => true,
            ("%{RESOURCE}", Some(mount)) => handled || host.mounts[mount].regex,
            ("%{RESOURCE}", None) => handled || host.statics.iter().any(|alias| alias.regex),
            _ => variable.is_some_and(|name| !self.settings.env.contains_key(name)),
        }
    }

    fn group_fault(&self, name: &str) -> Option<Destination> {
        let site = self.compiled.site();
        if let Some(allowed) = &self.settings.restrict_process
            && !allowed.iter().any(|a| a == name || (name.is_empty() && a == "%{GLOBAL}"))
        {
            return Some(fault(
                "WSGI0149",
                format!("WSGIRestrictProcess does not allow process group '{name}' here"),
            ));
        }
        if name.is_empty() {
            let text = "process group %{GLOBAL} (embedded mode) is not available: name a WSGIDaemonProcess";
            return Some(fault("WSGI0143", text.into()));
        }
        let Some(group) = site.groups.iter().find(|g| g.name == name && !g.is_front()) else {
            return Some(fault("WSGI0151", format!("no WSGIDaemonProcess defines process group '{name}'")));
        };
        if group.service() {
            let text =
                format!("process group '{name}' runs a service script (threads=0) and takes no requests");
            return Some(fault("GK0012", text));
        }
        let text = || format!("process group '{name}' belongs to another virtual host");
        (!site.reaches(self.host, group)).then(|| fault("WSGI0152", text()))
    }

    /// The environ entries that depend on the place only.
    fn environ(&self, host: &Host) -> Vec<(String, String)> {
        let root = host.document_root.as_ref().map(|r| r.to_string_lossy().into_owned()).unwrap_or_default();
        let (listener_host, listener_port) = match self.query.listener.rsplit_once(':') {
            Some((address, port)) if port.bytes().all(|b| b.is_ascii_digit()) => {
                let any = matches!(address, "0.0.0.0" | "[::]" | "*");
                (if any { "" } else { address.trim_matches(['[', ']']) }, port)
            }
            _ => ("", ""),
        };
        let admin = host.server_admin.clone().unwrap_or_else(|| "[no address given]".into());
        let fixed: [(&str, String); 8] = [
            ("SERVER_SOFTWARE", crate::SOFTWARE.into()),
            ("SERVER_ADMIN", admin),
            ("DOCUMENT_ROOT", root.clone()),
            ("CONTEXT_PREFIX", String::new()),
            ("CONTEXT_DOCUMENT_ROOT", root),
            ("mod_wsgi.listener_host", listener_host.into()),
            ("mod_wsgi.listener_port", listener_port.into()),
            ("mod_wsgi.server_pid", self.query.pid.to_string()),
        ];
        fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

fn fault(code: &'static str, text: String) -> Destination {
    Destination::Refused(Refusal::Internal, Some((code, text)))
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
