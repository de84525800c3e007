//! The file that a URL path leads to, and its handler: a script to run, a file to serve, or a refusal. Most sites need no file
//! system for it: a mount names its script, and other files are looked at when they are opened. Where handlers or names of index
//! files are configured, the file comes first, as with Apache.

use gk_config::place::handlers::{DEFAULT, Handler, WSGI};
use gk_config::place::{Compiled, Files, Found, FoundPath, Kind, Origin, Script, Walked, script_name_end};
use gk_config::site::{HandlerScript, Host, Settings};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::answer::withheld::is_hidden;
use crate::request::refusal::Refusal;

/// The handler of what `ScriptAlias` names.
const CGI: &str = "cgi-script";

/// The end of a search.
#[derive(Debug)]
pub struct Located {
    /// What answers.
    pub resource: Resource,
    /// The settings there.
    pub settings: Arc<Settings>,
    /// It depends on the files that exist, so it holds for this request only.
    pub uncacheable: bool,
    /// URL path and file of the index that answers for a directory.
    pub index: Option<(Vec<u8>, PathBuf)>,
}

/// The script, file or refusal that a path leads to.
#[derive(Debug)]
pub enum Resource {
    /// A script.
    Script(RunnableScript),
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

/// What a file of a served tree stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileRole {
    /// What the URL path names; nobody has looked at it.
    Named,
    /// It was seen and is a file: the index of a folder whose URL path ends with a slash, or named by a rule.
    Index,
    /// It was seen and is a folder without an index, which is listed.
    Folder,
}

/// A script, and how the URL path splits at it.
#[derive(Debug)]
pub struct RunnableScript {
    /// Index in `Host::mounts`; `None`: its handler made it a script.
    pub mount: Option<usize>,
    /// The script of `WSGIHandlerScript` that answers for it, by the name of the handler.
    pub handler: Option<(String, HandlerScript)>,
    /// Script or module; with `handler` the file asked for.
    pub script: Script,
    /// `SCRIPT_NAME`.
    pub script_name: Vec<u8>,
    /// `PATH_INFO`.
    pub path_info: Vec<u8>,
}

/// What rules have decided about the place of a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Decided<'a> {
    /// Numbers of the conditional sections that hold.
    pub branches: &'a [usize],
    /// The handler that RewriteRule forces.
    pub handler: Option<&'a str>,
    /// The file that RewriteRule has put in place of aliases and scripts.
    pub file: Option<&'a RewrittenFile>,
}

/// A file that RewriteRule names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RewrittenFile {
    /// Below the document root.
    BelowRoot(Vec<u8>),
    /// Of the whole file system.
    Absolute(Vec<u8>),
}

impl Decided<'_> {
    /// Whether the place is as it is configured.
    pub fn is_nothing(self) -> bool {
        self.branches.is_empty() && self.handler.is_none() && self.file.is_none()
    }
}

impl RewrittenFile {
    /// The path in the file system.
    pub fn found(&self, compiled: &Compiled, host: usize) -> Found {
        match self {
            Self::BelowRoot(path) => compiled.find_below_root(host, path),
            Self::Absolute(path) => FoundPath::rewritten(path),
        }
    }
}

/// Finds what a URL path of a host leads to.
pub fn locate(
    compiled: &Compiled,
    host: usize,
    url: &[u8],
    files: &dyn Files,
    decided: Decided<'_>,
) -> Located {
    let search = Search { compiled, host, files, decided };
    let found = match decided.file {
        None => compiled.find(host, url),
        Some(file) => file.found(compiled, host),
    };
    match found {
        Found::Script(hit) => {
            let settings = search.settings(url, hit.script.file());
            let (script_name, path_info) = url.split_at(hit.split);
            let script = FoundScript { mount: Some(hit.mount), script: hit.script, script_name, path_info };
            let resource =
                script.by_handler(&settings, Handler::of(&settings, script.script.file(), Some(WSGI)));
            Located { resource, settings, uncacheable: false, index: None }
        }
        Found::Path(found) if search.needs_files(found.origin) => search.by_file(url, &found),
        Found::Path(found) => search.unseen(url, &found),
        Found::Nothing => {
            let settings = search.settings(url, None);
            let handler = Handler::of(&settings, None, None);
            let resource = match handler {
                Handler::By(..) => FoundScript::nowhere(url).by_handler(&settings, handler),
                _ => Resource::Refused(Refusal::NotFound, None),
            };
            Located { resource, settings, uncacheable: false, index: None }
        }
    }
}

struct Search<'a> {
    compiled: &'a Compiled,
    host: usize,
    files: &'a dyn Files,
    decided: Decided<'a>,
}

impl Search<'_> {
    fn needs_files(&self, origin: Origin) -> bool {
        matches!(origin, Origin::Mount(_))
            || self.decided.handler.is_some()
            || self.compiled.by_file(self.host)
    }

    /// Whether RewriteRule has named the file, so that a slash at the end of the URL says nothing about it.
    fn is_named(&self, found: &FoundPath) -> bool {
        self.decided.file.is_some() && !found.path().as_os_str().as_bytes().ends_with(b"/")
    }

    fn settings(&self, url: &[u8], file: Option<&Path>) -> Arc<Settings> {
        self.decided(self.compiled.settings(self.host, url, file))
    }

    /// Settings with what rules have decided.
    fn decided(&self, settings: Arc<Settings>) -> Arc<Settings> {
        let Decided { branches, handler, .. } = self.decided;
        if branches.is_empty() && handler.is_none() {
            return settings;
        }
        let mut changed = (*settings).clone();
        self.compiled.apply_branches(self.host, &mut changed, branches);
        if let Some(handler) = handler {
            changed.handler = Some(handler.to_owned());
        }
        Arc::new(changed)
    }

    fn configured(&self) -> &Host {
        &self.compiled.site().hosts[self.host]
    }

    /// A file of a host without handlers: it is looked at when it is opened.
    fn unseen(&self, url: &[u8], found: &FoundPath) -> Located {
        let path = found.path();
        let named = self.is_named(found);
        let (settings, index) = match url.ends_with(b"/") && !named {
            // It can only be a directory, and what is served is its index.
            true => {
                let (name, file) = ([url, b"index.html"].concat(), path.join("index.html"));
                let settings = for_index(&self.settings(url, Some(&file)), self.settings(&name, Some(&file)));
                (settings, Some((name, file)).filter(|_| self.decided.file.is_none()))
            }
            false => (self.settings(url, Some(path)), None),
        };
        let resource = Resource::File {
            path: path.to_owned(),
            tree: self.tree(found.origin, found.path()),
            role: if named { FileRole::Index } else { FileRole::Named },
        };
        Located { resource, settings, uncacheable: false, index }
    }

    /// A file whose handler decides.
    fn by_file(&self, url: &[u8], found: &FoundPath) -> Located {
        let walked = found.walk(self.files);
        if walked.kind != Kind::Directory {
            let settings = self.settings(url, Some(&walked.file));
            return self.handled(url, found, walked, settings);
        }
        let settings = self.decided(self.compiled.settings_of_folder(self.host, url, &walked.file));
        if !url.ends_with(b"/") {
            // Redirected to the path with its slash, whatever the handler.
            let resource = match settings.granted() {
                Some(true) | None => Resource::File {
                    path: walked.file,
                    tree: self.tree(found.origin, found.path()),
                    role: FileRole::Named,
                },
                Some(false) => Resource::Refused(Refusal::Forbidden, Some(("AH01630", denied(&walked.file)))),
            };
            return Located { resource, settings, uncacheable: true, index: None };
        }
        match self.index(url, &settings) {
            Some(located) => Located { settings: for_index(&settings, located.settings), ..located },
            None => self.handled(url, found, walked, settings),
        }
    }

    /// The first index file of a directory that is a file, as a request for its own URL path.
    fn index(&self, url: &[u8], settings: &Settings) -> Option<Located> {
        settings.directory_index.iter().find_map(|name| {
            let url = if name.starts_with('/') {
                name.as_bytes().to_vec()
            } else {
                [url, name.as_bytes()].concat()
            };
            match self.compiled.find(self.host, &url) {
                Found::Script(hit) => {
                    // The mount answers for the name, too, if its script is there.
                    let file = hit.script.file()?;
                    let there = self.files.kind(file) == Kind::File;
                    there
                        .then(|| {
                            locate(
                                self.compiled,
                                self.host,
                                &url,
                                self.files,
                                Decided { file: None, ..self.decided },
                            )
                        })
                        .map(|located| Located {
                            uncacheable: true,
                            index: Some((url.clone(), file.to_owned())),
                            ..located
                        })
                }
                Found::Path(found) => {
                    let walked = found.walk(self.files);
                    (walked.kind == Kind::File).then(|| {
                        let settings = self.settings(&url, Some(&walked.file));
                        let file = walked.file.clone();
                        let mut located = self.handled(&url, &found, walked, settings);
                        if let Resource::File { role, .. } = &mut located.resource {
                            *role = FileRole::Index;
                        }
                        located.index = Some((url, file));
                        located
                    })
                }
                Found::Nothing => None,
            }
        })
    }

    /// The answer of a file's handler.
    fn handled(&self, url: &[u8], found: &FoundPath, walked: Walked, settings: Arc<Settings>) -> Located {
        let Walked { file, kind, rest } = walked;
        let mount = match found.origin {
            Origin::Mount(index) => Some(index),
            _ => None,
        };
        let own = match found.origin {
            Origin::Mount(_) => Some(WSGI),
            Origin::Alias(index) if self.configured().statics[index].program => Some(CGI),
            _ => None,
        };
        let name = (kind != Kind::Directory).then_some(file.as_path());
        let resource = match Handler::of(&settings, name, own) {
            Handler::File if mount.is_none() => {
                let role = match kind {
                    Kind::Directory => FileRole::Folder,
                    _ if self.is_named(found) => FileRole::Index,
                    _ => FileRole::Named,
                };
                let (path, tree) = (found.path().to_owned(), self.tree(found.origin, found.path()));
                Resource::File { path, tree, role }
            }
            Handler::Unbuilt(_) if kind == Kind::Missing => Resource::Refused(Refusal::NotFound, None),
            Handler::Script if mount.is_none() && !settings.exec_cgi => {
                let text = format!("the script {} is not run: Options ExecCGI is off here", file.display());
                Resource::Refused(Refusal::Forbidden, Some(("WSGI0134", text)))
            }
            Handler::Script | Handler::By(..) if mount.is_none() && self.refuses_link(found) => refused(
                Refusal::Forbidden,
                "AH00037",
                &file,
                "lies behind a symbolic link that is not followed",
            ),
            Handler::Script if kind == Kind::Missing => {
                refused(Refusal::NotFound, "WSGI0135", &file, "does not exist")
            }
            Handler::Script if kind == Kind::Directory => {
                refused(Refusal::Forbidden, "WSGI0136", &file, "is a directory")
            }
            handler => {
                let script_name = &url[..script_name_end(url, &rest)];
                let script = Script::File(file);
                FoundScript { mount, script, script_name, path_info: &rest }.by_handler(&settings, handler)
            }
        };
        Located { resource, settings, uncacheable: true, index: None }
    }

    /// Whether a link on the way to a file may not be followed.
    fn refuses_link(&self, found: &FoundPath) -> bool {
        let follows = |folder: &Path| self.compiled.links(self.host, folder);
        self.compiled.refuses_links(self.host) && self.files.refuses_link(found.path(), &follows)
    }

    fn tree(&self, origin: Origin, file: &Path) -> PathBuf {
        let host = self.configured();
        match origin {
            Origin::Mount(_) => PathBuf::new(),
            Origin::Alias(index) => host.statics[index].path.clone(),
            Origin::Root => host.document_root.clone().unwrap_or_default(),
            // The directory that holds it: what a link leads out of it to is not served. Of a hidden one, that around it.
            Origin::Rewritten => {
                let holder = file.parent().unwrap_or(Path::new("/"));
                let hidden =
                    |folder: &&Path| folder.file_name().is_some_and(|name| is_hidden(Path::new(name)));
                holder.ancestors().filter(hidden).last().and_then(Path::parent).unwrap_or(holder).to_owned()
            }
        }
    }
}

/// A script that was found, before its handler has decided.
struct FoundScript<'u> {
    mount: Option<usize>,
    script: Script,
    script_name: &'u [u8],
    path_info: &'u [u8],
}

impl<'u> FoundScript<'u> {
    /// A URL path that leads to no file: its first part is SCRIPT_NAME, as below a document root that has nothing.
    fn nowhere(url: &'u [u8]) -> Self {
        let end = url.iter().skip(1).position(|&b| b == b'/').map_or(url.len(), |n| n + 1);
        let (script_name, path_info) = url.split_at(end);
        Self { mount: None, script: Script::File(PathBuf::new()), script_name, path_info }
    }

    /// Runs it, unless its handler is another: what is mounted is never served as a file.
    fn by_handler(&self, settings: &Settings, handler: Handler<'_>) -> Resource {
        let name = || match &self.script {
            Script::File(path) => path.display().to_string(),
            Script::Module(name) => name.clone(),
        };
        let set = match handler {
            Handler::Script | Handler::By(..) if !settings.accept_path_info && !self.path_info.is_empty() => {
                let text =
                    format!("the script {} takes no path behind its own: AcceptPathInfo is Off here", name());
                return Resource::Refused(Refusal::NotFound, Some(("WSGI0137", text)));
            }
            Handler::Script | Handler::By(..) => {
                let by = match handler {
                    Handler::By(name, script) => Some((name.to_owned(), script.clone())),
                    _ => None,
                };
                return Resource::Script(RunnableScript {
                    mount: self.mount,
                    handler: by,
                    script: self.script.clone(),
                    script_name: self.script_name.to_vec(),
                    path_info: self.path_info.to_vec(),
                });
            }
            Handler::File => DEFAULT,
            Handler::Unbuilt(set) => set,
        };
        let text = match self.mount {
            Some(_) => format!("the script {} is not served: the handler here is {set}", name()),
            None => format!("{} is not served: the handler {set} is not built here", name()),
        };
        Resource::Refused(Refusal::Forbidden, Some(("AH01630", text)))
    }
}

/// The settings for a directory that is answered by its index: who may not have the directory does not get it. Where rules must
/// be asked, those of the directory come first, and the file is another request.
fn for_index(folder: &Settings, file: Arc<Settings>) -> Arc<Settings> {
    if folder.granted() == Some(true) {
        return file;
    }
    let mut joined = (*file).clone();
    (joined.access, joined.closed) = (folder.access.clone(), folder.closed);
    // The file's own rules are asked only where there are rules.
    joined.closed |= file.granted() == Some(false);
    Arc::new(joined)
}

fn denied(file: &Path) -> String {
    format!("client denied by server configuration: {}", file.display())
}

fn refused(refusal: Refusal, code: &'static str, path: &Path, why: &str) -> Resource {
    Resource::Refused(refusal, Some((code, format!("the script {} {why}", path.display()))))
}
