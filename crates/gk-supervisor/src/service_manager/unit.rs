//! A systemd unit for a command line of `serve`: hardened, with what the site needs opened again. Values in, text out.
//!
//! Users and rights are [`rights`]', folders and credentials [`places`]'.

mod places;
mod rights;

use gk_config::site::{Listen, Site};
use places::Places;
use rights::Identity;
use std::path::PathBuf;

/// Longest start of a server beside the import of its applications, in seconds.
const START: f64 = 30.0;
/// The import of groups without a startup-timeout, in seconds.
const IMPORT: f64 = 120.0;
/// The end of a server beside its own windows, in seconds.
const STOP: f64 = 5.0;

/// Everything that a unit is made of.
#[derive(Debug, Clone)]
pub struct Request {
    /// Name of the unit without `.service`.
    pub name: String,
    /// Words that start the command.
    pub command: Vec<String>,
    /// Arguments after `serve`.
    pub arguments: Vec<String>,
    /// Folder that the server is started in.
    pub directory: PathBuf,
    /// Somebody chose the server root.
    pub server_root_chosen: bool,
    /// User and group; `None`: those of the site.
    pub user: Option<(String, Option<String>)>,
    /// systemd opens the sockets.
    pub sockets: bool,
    /// `systemctl reload` sends a signal and waits for notices (systemd 253).
    pub notify_reload: bool,
    /// Credentials: name and file.
    pub credentials: Vec<(String, PathBuf)>,
}

/// The units, by their file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    /// `NAME.service`.
    pub service: String,
    /// `NAME.socket`.
    pub socket: Option<String>,
}

/// Makes the units of a site. The error is one sentence.
pub fn units(request: &Request, site: &Site) -> Result<Units, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if request.name.is_empty() || !request.name.chars().all(is_name) {
        return Err(format!("`{}` is no name of a unit; take letters, digits, - and _", request.name));
    }
    let socket = request.sockets.then(|| socket(request, site)).transpose()?;
    Ok(Units { service: service(request, site), socket })
}

/// Lines of a unit.
#[derive(Debug, Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, name: &str, value: &str) {
        self.0.push_str(&format!("{name}={value}\n"));
    }

    fn lines(&mut self, text: &[&str]) {
        text.iter().for_each(|line| self.0.push_str(&format!("{line}\n")));
    }

    fn remark(&mut self, text: &str) {
        self.0.push_str(&format!("# {text}\n"));
    }

    fn head(&mut self, name: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        self.0.push_str(&format!("{gap}[{name}]\n"));
    }
}

fn service(request: &Request, site: &Site) -> String {
    let name = &request.name;
    let identity = Identity::of(request, site);
    let places = Places::of(request, site);
    let mut out = Lines::default();
    out.remark(&format!(
        "Commands for it: gilkeeper status --server-root {}",
        places.server_root_shown(name)
    ));
    out.head("Unit");
    out.line("Description", &format!("{name}, served by Gilkeeper"));
    out.lines(&["After=network-online.target", "Wants=network-online.target"]);
    if request.sockets {
        out.line("Requires", &format!("{name}.socket"));
        out.line("After", &format!("{name}.socket"));
    }
    out.head("Service");
    let program: Vec<String> = request.command.iter().map(|word| quote(word)).collect();
    let program = program.join(" ");
    if request.notify_reload {
        out.remark("systemd 253 or newer. A reload that is refused shows in the status of the service only.");
        out.line("Type", "notify-reload");
    } else {
        out.line("Type", "notify");
        out.line("ExecReload", &format!("{program} reload --server-root {}", places.server_root(name)));
    }
    out.line("NotifyAccess", "main");
    let arguments: String = places.arguments().iter().map(|word| format!(" {word}")).collect();
    out.line("ExecStart", &format!("{program} serve{arguments}"));
    out.line("WorkingDirectory", &escape(&request.directory.to_string_lossy()));
    if !request.server_root_chosen {
        out.line("Environment", &format!("GILKEEPER_ROOT=%S/{name}"));
    }
    identity.write(&mut out);
    places.write(&mut out, name);
    if !identity.is_root() {
        places.write_keys(&mut out);
    }
    out.lines(&[
        "",
        "KillMode=mixed",
        "Restart=on-failure",
        "RestartSec=1",
        "# A configuration or an application that cannot be used is not tried again.",
        "RestartPreventExitStatus=2 3",
    ]);
    times(&mut out, site);
    out.lines(&[
        "# Applications get the first number, the front raises its own to the second: one for each connection.",
        "LimitNOFILE=1024:524288",
        "# A worker that the kernel kills for its memory is replaced; the others go on.",
        "OOMPolicy=continue",
    ]);
    rights::harden(&mut out, &places, &identity);
    out.head("Install");
    out.line("WantedBy", "multi-user.target");
    if request.sockets {
        out.line("Also", &format!("{name}.socket"));
    }
    out.0
}

/// The server's own windows, and a watchdog that lets it replace a front that hangs before systemd replaces everything.
fn times(out: &mut Lines, site: &Site) {
    let most = |values: &dyn Fn(&gk_config::site::ProcessGroup) -> Option<f64>| {
        site.groups.iter().map(values).try_fold(0.0_f64, |most, value| Some(most.max(value?)))
    };
    let start = most(&|group| Some(if group.startup_timeout > 0.0 { group.startup_timeout } else { IMPORT }));
    out.line("TimeoutStartSec", &whole(start.unwrap_or(IMPORT) + START));
    let bounded = |value: f64| (value > 0.0).then_some(value);
    let graceful = most(&|group| {
        if group.service() || group.is_front() { Some(0.0) } else { bounded(group.stop_timeout()) }
    });
    let shutdown = most(&|group| bounded(group.shutdown_timeout));
    let stop = graceful.zip(shutdown).map(|(graceful, shutdown)| whole(graceful + shutdown + STOP));
    out.line("TimeoutStopSec", &stop.unwrap_or_else(|| "infinity".to_owned()));
    if site.supervision.front_timeout > 0.0 {
        out.line("WatchdogSec", &whole((2.0 * site.supervision.front_timeout).max(30.0)));
    }
}

fn whole(seconds: f64) -> String {
    format!("{:.0}", seconds.ceil())
}

fn socket(request: &Request, site: &Site) -> Result<String, String> {
    let name = &request.name;
    let mut out = Lines::default();
    out.head("Unit");
    out.line("Description", &format!("Sockets of {name}"));
    out.head("Socket");
    let mut file: Option<(u32, &str, &str)> = None;
    let (mut all, mut only) = (false, false);
    for listen in &site.listen {
        match listen {
            Listen::Tcp { port: 0, .. } => {
                return Err("a .socket unit needs a port, and `Listen` names any free one".to_owned());
            }
            Listen::Tcp { host, port, ipv6_only } => {
                let is_all = host.as_deref().is_none_or(|host| host == "::");
                all |= is_all && !ipv6_only;
                only |= is_all && *ipv6_only;
                out.line("ListenStream", &address(host.as_deref(), *port));
            }
            Listen::Unix { path, mode, owner, group } => {
                let own =
                    (mode.unwrap_or(0o666), owner.as_deref().unwrap_or(""), group.as_deref().unwrap_or(""));
                if file.is_some_and(|file| file != own) {
                    let text = "two socket files with different mode=, owner= or group= need two .socket units; write the second by hand";
                    return Err(text.to_owned());
                }
                file = Some(own);
                out.line("ListenStream", &escape(&path.to_string_lossy()));
            }
            Listen::Given { name } => {
                return Err(format!(
                    "`Listen systemd:{name}` says no address that the .socket unit could name"
                ));
            }
        }
    }
    if let Some(admin) = &site.admin {
        out.remark("The admin pages.");
        out.line("ListenStream", &escape(&admin.replace("localhost:", "127.0.0.1:")));
    }
    match (all, only) {
        (true, true) => {
            return Err("`Listen` with ipv6only=on beside one without needs two .socket units; write the second by hand".to_owned());
        }
        (true, false) => out.line("BindIPv6Only", "both"),
        (false, true) => out.line("BindIPv6Only", "ipv6-only"),
        (false, false) => {}
    }
    if let Some((mode, owner, group)) = file {
        out.line("SocketMode", &format!("{mode:04o}"));
        for (name, value) in [("SocketUser", owner), ("SocketGroup", group)] {
            if !value.is_empty() {
                out.line(name, &escape(value.trim_start_matches('#')));
            }
        }
    }
    out.line("Backlog", &site.http.listen_backlog.to_string());
    out.head("Install");
    out.line("WantedBy", "sockets.target");
    Ok(out.0)
}

/// A port alone is every address.
fn address(host: Option<&str>, port: u16) -> String {
    match host {
        None => port.to_string(),
        Some(host) if host.contains(':') => format!("[{host}]:{port}"),
        Some(host) => format!("{host}:{port}"),
    }
}

/// A text in which systemd finds no specifier.
fn escape(text: &str) -> String {
    text.replace('%', "%%")
}

/// A word of a command line: no specifier, no variable, one word.
fn quote(word: &str) -> String {
    let escaped = escape(word).replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$");
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%$*?&#~!".contains(c) || !c.is_ascii();
    let escaped = escaped.replace('\n', "\\n").replace('\t', "\\t");
    if !word.is_empty() && word.chars().all(plain) { escaped } else { format!("\"{escaped}\"") }
}

#[cfg(test)]
mod tests;
