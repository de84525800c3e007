//! The folders that a unit's server may write in, and its credentials.

use super::{Lines, Request, escape, quote};
use gk_config::site::{HostTls, Listen, Site};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Options of `serve` with a private key.
const KEYS: [&str; 1] = ["--ssl-certificate-key-file"];

/// Folders by who makes them.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Below `/var/lib`, `/run` and `/var/log`.
    state: BTreeSet<String>,
    runtime: BTreeSet<String>,
    logs: BTreeSet<String>,
    /// Others.
    written: BTreeSet<PathBuf>,
    credentials: Vec<(String, PathBuf)>,
    /// Private keys that the configuration names by their paths.
    keys: BTreeSet<PathBuf>,
    /// Words after `serve`, quoted.
    arguments: Vec<String>,
    /// The server root, where somebody chose it.
    chosen: Option<PathBuf>,
    /// Something that the server reads is in a home, or below `/tmp`.
    pub(super) in_home: bool,
    pub(super) in_tmp: bool,
}

impl Places {
    pub(super) fn of(request: &Request, site: &Site) -> Self {
        let mut places = Self { credentials: request.credentials.clone(), ..Self::default() };
        places.take_arguments(request);
        if request.server_root_chosen {
            places.write_in(&site.server_root);
            places.chosen = Some(site.server_root.clone());
        } else {
            places.state.insert(request.name.clone());
        }
        let logs = site.access_log_files().into_iter().chain([site.error_log.path.as_deref()]).flatten();
        let pid_file = site.pid_file.as_deref().filter(|file| !file.starts_with(&site.server_root));
        let sockets = site.listen.iter().filter_map(|listen| match listen {
            Listen::Unix { path, .. } if !request.sockets => Some(path.as_path()),
            _ => None,
        });
        let written = logs.chain(pid_file).chain(sockets).filter_map(Path::parent);
        written.for_each(|folder| places.write_in(folder));
        let is_given = |key: &Path| {
            key.starts_with("/run/credentials") || places.credentials.iter().any(|(_, file)| file == key)
        };
        places.keys = keys(site).into_iter().filter(|key| !is_given(key)).collect();
        let words = request.command.iter().chain(&request.arguments).map(Path::new);
        let read: Vec<&Path> = words
            .filter(|path| path.is_absolute())
            .chain([request.directory.as_path()])
            .chain(site.files.iter().map(PathBuf::as_path))
            .collect();
        let below =
            |folders: &[&str]| read.iter().any(|path| folders.iter().any(|folder| path.starts_with(folder)));
        (places.in_home, places.in_tmp) =
            (below(&["/home", "/root", "/run/user"]), below(&["/tmp", "/var/tmp"]));
        places
    }

    /// A private key becomes a credential: a copy that the service's user alone can read.
    fn take_arguments(&mut self, request: &Request) {
        let mut words = request.arguments.iter();
        while let Some(word) = words.next() {
            let (option, value) = word.split_once('=').map_or((word.as_str(), None), |(a, b)| (a, Some(b)));
            let value = value.filter(|_| KEYS.contains(&option));
            let file = match value {
                Some(file) => file,
                None if KEYS.contains(&word.as_str()) => words.next().map_or("", String::as_str),
                None => {
                    self.arguments.push(quote(word));
                    continue;
                }
            };
            let name = self.credential(&request.directory.join(file));
            self.arguments.push(format!("{option} %d/{}", quote(&name)));
        }
    }

    fn credential(&mut self, file: &Path) -> String {
        if let Some((name, _)) = self.credentials.iter().find(|(_, known)| known == file) {
            return name.clone();
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.credentials.push((name.clone(), file.to_owned()));
        name
    }

    /// systemd makes folders of a service in three places; others must be there.
    fn write_in(&mut self, folder: &Path) {
        let made = [("/var/lib", &mut self.state), ("/run", &mut self.runtime), ("/var/log", &mut self.logs)];
        for (place, folders) in made {
            if let Ok(rest) = folder.strip_prefix(place)
                && rest.components().next().is_some()
            {
                folders.insert(rest.to_string_lossy().into_owned());
                return;
            }
        }
        self.written.insert(folder.to_owned());
    }

    /// The server root for a command in the unit.
    pub(super) fn server_root(&self, name: &str) -> String {
        self.chosen.as_ref().map_or_else(|| format!("%S/{name}"), |root| quote(&root.to_string_lossy()))
    }

    /// The server root for people.
    pub(super) fn server_root_shown(&self, name: &str) -> String {
        let root = self.chosen.clone().unwrap_or_else(|| Path::new("/var/lib").join(name));
        root.display().to_string()
    }

    /// Words after `serve`.
    pub(super) fn arguments(&self) -> &[String] {
        &self.arguments
    }

    pub(super) fn write(&self, out: &mut Lines, name: &str) {
        let folders = [
            ("StateDirectory", &self.state),
            ("RuntimeDirectory", &self.runtime),
            ("LogsDirectory", &self.logs),
        ];
        for (what, names) in folders {
            let mut names: Vec<String> = names.iter().map(|name| escape(name)).collect();
            // There is always one for sockets.
            if what == "RuntimeDirectory" && !names.iter().any(|own| own == name) {
                names.insert(0, name.to_owned());
            }
            if !names.is_empty() {
                out.line(what, &names.join(" "));
            }
        }
        for folder in &self.written {
            out.line("ReadWritePaths", &format!("-{}", escape(&folder.to_string_lossy())));
        }
        for (name, file) in &self.credentials {
            out.line("LoadCredential", &format!("{}:{}", escape(name), escape(&file.to_string_lossy())));
        }
    }

    /// What is left to do about the keys, where the service is not started by root.
    pub(super) fn write_keys(&self, out: &mut Lines) {
        for key in &self.keys {
            out.remark(&format!(
                "The service's user must be able to read {0}; or add LoadCredential={1}:{0} and name the key ${{CREDENTIALS_DIRECTORY}}/{1}",
                key.display(),
                self.credential_name(key)
            ));
        }
    }

    /// The name of a file; with that of its folder before it where others have the same, as certbot's `privkey.pem`.
    fn credential_name(&self, key: &Path) -> String {
        let text = |name: Option<&OsStr>| name.unwrap_or_default().to_string_lossy().into_owned();
        let name = text(key.file_name());
        let others = self.keys.iter().filter(|other| other.as_path() != key);
        let taken = self.credentials.iter().any(|(known, _)| *known == name);
        match taken || others.map(|other| text(other.file_name())).any(|other| other == name) {
            true => format!("{}-{name}", text(key.parent().and_then(Path::file_name))),
            false => name,
        }
    }
}

/// The files with private keys that a site names, and with keys of session tickets.
fn keys(site: &Site) -> Vec<PathBuf> {
    let hosts = site.hosts.iter().filter_map(|host| host.tls.as_ref());
    let of_host = |tls: &HostTls| {
        // Without a file of its own, the key is in the certificate's.
        let keys = tls.certificates.iter().map(|files| files.key.as_ref().unwrap_or(&files.certificate));
        keys.chain(&tls.ticket_key).cloned().collect::<Vec<PathBuf>>()
    };
    let admin = site.measurements.admin_tls.iter().map(|files| files.key.clone());
    hosts.flat_map(of_host).chain(admin).collect()
}
