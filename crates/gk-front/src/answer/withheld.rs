//! Files that are never served although they lie in a served tree: scripts, names that hold passwords or a history, the
//! configuration, what the server keeps for itself. An `Alias` that names such a file or folder itself serves it, for that was
//! meant, but for scripts: a file that is a script under any name or host is no file under another.

use gk_config::place::{Compiled, Handler};
use gk_config::site::{Host, MountTarget, Scope};
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Folders and files that are withheld under this name, with everything below.
const NAMES: [&[u8]; 6] = [b".git", b".svn", b".hg", b".bzr", b".env", b".envrc"];
/// And under names that begin so: Apache's `<Files ".ht*">`, and `.env.local` with its relatives.
const BEGINNINGS: [&[u8]; 2] = [b".ht", b".env."];

/// Files of the server root: the token of the admin pages, and their history.
const OWN: [&str; 4] = ["admin.token", "gilkeeper.db", "gilkeeper.db-wal", "gilkeeper.db-shm"];

/// What is withheld of a site.
#[derive(Debug)]
pub struct Withheld {
    /// The configuration, a private key, users and groups, what the server root holds.
    files: Vec<PathBuf>,
    /// Targets of mounts: scripts, and folders whose Python files are scripts.
    scripts: Vec<PathBuf>,
    patterns: Vec<ScriptPattern>,
    compiled: Arc<Compiled>,
}

/// The file name of a `WSGIScriptAliasMatch`, or of an `AliasMatch` of a host with `SetHandler wsgi-script`: what is matched by it is a
/// script.
#[derive(Debug)]
struct ScriptPattern {
    /// What stands before the first group: a script, else the folder that is there counts.
    begin: PathBuf,
    /// What follows the last group of a component: `.xyz` of `/scripts/$1.xyz/more`. Files in the folder that end so are scripts.
    endings: Vec<String>,
}

impl ScriptPattern {
    fn new(pattern: &str) -> Self {
        let begin = bare(Path::new(pattern.split('$').next().unwrap_or_default()));
        let components = pattern.split('/').filter_map(|component| component.rsplit_once('$'));
        let endings =
            components.map(|(_, end)| end.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned());
        Self { begin, endings: endings.filter(|end| !end.is_empty()).collect() }
    }

    fn ends(&self, file: &Path) -> bool {
        let name = file.as_os_str().as_bytes();
        self.endings.iter().any(|end| name.ends_with(end.as_bytes()))
    }
}

impl Withheld {
    /// Of this site.
    pub fn of(compiled: &Arc<Compiled>) -> Self {
        let (files, scripts, patterns) = (Vec::new(), Vec::new(), Vec::new());
        let mut withheld = Self { files, scripts, patterns, compiled: Arc::clone(compiled) };
        let site = compiled.site();
        let targets = site.hosts.iter().flat_map(|host| &host.mounts).map(|mount| &mount.target);
        for target in targets.chain(site.imports.iter().map(|import| &import.target)) {
            match target {
                MountTarget::File(path) | MountTarget::Directory(path) => withheld.scripts.push(bare(path)),
                MountTarget::Pattern(pattern) => withheld.patterns.push(ScriptPattern::new(pattern)),
                MountTarget::Module(_) => {}
            }
        }
        let sections = site.hosts.iter().flat_map(|host| &host.sections);
        let by_section = sections.filter_map(|section| section.set.handler_scripts.as_ref());
        let by_host = site.hosts.iter().map(|host| &host.base.handler_scripts);
        let scripts = by_section.chain(by_host).flat_map(|scripts| scripts.values());
        withheld.scripts.extend(scripts.map(|script| bare(&script.path)));
        // Where a URL leads by AliasMatch and runs by its place, the way back from the file to the whole URL is not known.
        for host in &site.hosts {
            let matched = host.statics.iter().filter(|alias| alias.regex && runs_scripts(host, &alias.url));
            withheld.patterns.extend(matched.map(|alias| ScriptPattern::new(&alias.path.to_string_lossy())));
        }
        let places = site.hosts.iter().flat_map(|host| {
            let sections = host.sections.iter().map(|section| (&section.set.access, &section.set.dispatch));
            sections.chain([(&host.base.access, &host.base.dispatch)])
        });
        for (access, dispatch) in places {
            let users = &access.users;
            let scripts = [&access.script, dispatch, &users.script, &users.group_script];
            withheld.scripts.extend(scripts.into_iter().flatten().map(|script| bare(&script.path)));
            withheld.files.extend([&users.file, &users.groups].into_iter().flatten().cloned());
        }
        withheld.scripts.sort();
        withheld.scripts.dedup();
        withheld.files.extend(site.files.iter().cloned());
        withheld.files.extend(OWN.iter().map(|name| site.server_root.join(name)));
        withheld.files.extend(site.measurements.admin_tls.iter().map(|tls| tls.key.clone()));
        for tls in site.hosts.iter().filter_map(|host| host.tls.as_ref()) {
            // Without a file of its own, the key is in the certificate's.
            let keys = tls.certificates.iter().map(|files| files.key.as_ref().unwrap_or(&files.certificate));
            withheld.files.extend(keys.chain(&tls.ticket_key).cloned());
        }
        withheld.files.sort();
        withheld.files.dedup();
        withheld
    }

    /// Whether an open file or folder is withheld: by what it is, however it was asked for. `path` was opened, below `tree`; `id` is the
    /// file's.
    pub fn holds(&self, file: BorrowedFd<'_>, id: FileId, path: &Path, tree: &Path) -> io::Result<bool> {
        // Where the file is after all symbolic links. Without /proc it is looked up, which races with those who change them. The number
        // is one of this thread's table: in embedded mode the main thread has another one.
        let real = std::fs::read_link(format!("/proc/thread-self/fd/{}", file.as_raw_fd()));
        let real = real.or_else(|_| path.canonicalize())?;
        if self.is_script(id, path, &real) {
            return Ok(true);
        }
        if path == tree {
            return Ok(false);
        }
        if real != path && is_hidden(below(&real, &tree.canonicalize()?)) {
            return Ok(true);
        }
        Ok(self.files.iter().any(|other| std::fs::metadata(other).is_ok_and(|other| identity(&other) == id)))
    }

    /// Whether the file is a script anywhere: by the target of a mount, or by a handler.
    fn is_script(&self, id: FileId, path: &Path, real: &Path) -> bool {
        let is_python = extension(real).eq_ignore_ascii_case("py");
        let in_folder =
            |folder: &Path| is_python && folder.canonicalize().is_ok_and(|folder| real.starts_with(folder));
        // The same file under any name, and whatever its link leads to by now.
        let mounted = |target: &PathBuf| match first_entry(target) {
            Some((_, found)) if found.is_file() => identity(&found) == id,
            Some((folder, _)) => folder == target.as_path() && in_folder(folder),
            None => false,
        };
        let by_pattern = |pattern: &ScriptPattern| match first_entry(&pattern.begin) {
            Some((_, found)) if found.is_file() => identity(&found) == id,
            Some((folder, _)) => {
                let within = || folder.canonicalize().is_ok_and(|folder| real.starts_with(folder));
                in_folder(folder) || ([path, real].iter().any(|path| pattern.ends(path)) && within())
            }
            None => false,
        };
        [path, real].iter().any(|path| extension(path).eq_ignore_ascii_case("wsgi"))
            || self.scripts.iter().any(mounted)
            || self.patterns.iter().any(by_pattern)
            || [path, real].iter().any(|path| self.has_handler(path))
    }

    /// Whether a host has the file under a URL path where it is a script.
    fn has_handler(&self, file: &Path) -> bool {
        let hosts = self.compiled.site().hosts.iter().enumerate();
        hosts.filter(|(index, _)| self.compiled.by_file(*index)).any(|(index, host)| {
            urls(host, file).any(|url| {
                let settings = self.compiled.settings(index, &url, Some(file));
                Handler::of(&settings, Some(file), None) == Handler::Script
            })
        })
    }
}

/// Whether a place by URL makes scripts of what an `AliasMatch` with this expression may lead to.
fn runs_scripts(host: &Host, expression: &str) -> bool {
    let begin = literal(expression);
    host.sections.iter().any(|section| {
        let place = match &section.scope {
            Scope::Location(prefix) => prefix.split(['*', '?']).next().unwrap_or_default(),
            Scope::LocationMatch(expression) => literal(expression),
            Scope::If(_) => "",
            // These ask for the file, which is known.
            Scope::Directory(_) | Scope::DirectoryMatch(_) | Scope::Files(_) | Scope::FilesMatch(_) => {
                return false;
            }
        };
        let is_script =
            section.set.handler.as_deref().is_some_and(|name| Handler::named(name) == Handler::Script);
        is_script && (begin.starts_with(place) || place.starts_with(begin))
    })
}

/// What every text begins with that matches a regular expression, as far as plain letters say it.
fn literal(expression: &str) -> &str {
    let Some(rest) = expression.strip_prefix('^').filter(|rest| !rest.contains('|')) else { return "" };
    let end = rest.find(['.', '[', '(', ')', '\\', '?', '*', '+', '{', '$', '^']).unwrap_or(rest.len());
    let may_be_missing = rest[end..].starts_with(['?', '*', '{']);
    let last = rest[..end].char_indices().next_back().map_or(0, |(last, _)| last);
    &rest[..if may_be_missing { last } else { end }]
}

/// The URL paths of a file in the trees of a host; where an `AliasMatch` leads to it, what they begin with.
fn urls<'h>(host: &'h Host, file: &'h Path) -> impl Iterator<Item = Vec<u8>> + 'h {
    let (matched, plain) = host.statics.iter().partition::<Vec<_>, _>(|alias| alias.regex);
    let matched = matched.into_iter().filter_map(move |alias| {
        let pattern = ScriptPattern::new(&alias.path.to_string_lossy());
        let (tree, _) = first_entry(&pattern.begin)?;
        file.starts_with(tree).then(|| literal(&alias.url).as_bytes().to_owned())
    });
    let trees = plain.into_iter().map(|alias| (alias.url.as_str(), &alias.path));
    let root = host.document_root.iter().map(|root| ("/", root));
    let plain = trees.chain(root).filter_map(move |(url, tree)| {
        let rest = file.strip_prefix(tree).ok()?.as_os_str().as_bytes();
        let slash: &[u8] = if url.ends_with('/') || rest.is_empty() { b"" } else { b"/" };
        Some([url.as_bytes(), slash, rest].concat())
    });
    matched.chain(plain)
}

/// A path without a slash at its end, behind which a file would not be found.
fn bare(path: &Path) -> PathBuf {
    path.components().collect()
}

/// The entry at a path, else the one above it that is there: what follows a script in a target is no part of its file.
fn first_entry(path: &Path) -> Option<(&Path, Metadata)> {
    path.ancestors().find_map(|path| Some((path, std::fs::metadata(path).ok()?)))
}

/// Device and inode: what tells a file from others.
pub type FileId = (u64, u64);

/// The file's own.
pub fn identity(meta: &Metadata) -> FileId {
    (meta.dev(), meta.ino())
}

/// Whether a path below a served tree is withheld by its names.
pub fn is_hidden(below: &Path) -> bool {
    let hidden = |name: &OsStr| {
        let name = name.as_bytes();
        let begins =
            |with: &[u8]| name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
        name.first() == Some(&b'.')
            && (NAMES.iter().any(|with| name.eq_ignore_ascii_case(with))
                || BEGINNINGS.iter().any(|with| begins(with)))
    };
    below.components().any(|part| matches!(part, Component::Normal(name) if hidden(name)))
}

/// The part of a path below a tree, or all of a path that lies elsewhere.
pub fn below<'a>(path: &'a Path, tree: &Path) -> &'a Path {
    path.strip_prefix(tree).unwrap_or(path)
}

fn extension(path: &Path) -> &OsStr {
    path.extension().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::files::disk::FileSystem;
    use gk_config::source::Memory;
    use gk_config::{Surroundings, load_text};
    use std::fs::File;
    use std::os::fd::AsFd;

    #[test]
    fn a_script_is_withheld_and_the_file_beside_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (scripts, script) = (folder.path().join("scripts"), folder.path().join("scripts/one.py"));
        std::fs::create_dir(&scripts).unwrap();
        std::fs::write(&script, "application = None").unwrap();
        let beside = folder.path().join("one.txt");
        std::fs::write(&beside, "text").unwrap();
        let text =
            format!("WSGIScriptAlias /run {}/\nAlias /read {}\n", scripts.display(), folder.path().display());
        let around = Surroundings { directory: "/".into(), ..Surroundings::default() };
        let site = load_text("site.conf", &text, &Memory::new(), &around).site.unwrap();
        let compiled = Compiled::new(Arc::new(site), &FileSystem).unwrap();
        let withheld = Withheld::of(&Arc::new(compiled));
        let holds = |path: &std::path::Path| {
            let file = File::open(path).unwrap();
            let id = identity(&file.metadata().unwrap());
            withheld.holds(file.as_fd(), id, path, folder.path()).unwrap()
        };
        assert_eq!((holds(&script), holds(&beside)), (true, false));
    }

    #[test]
    fn names_that_are_withheld() {
        let table = [
            (".htaccess", true),
            ("a/.htpasswd", true),
            (".HTACCESS", true),
            (".git", true),
            (".git/", true),
            (".git/config", true),
            ("sub/.Git/objects/aa/bb", true),
            (".svn/entries", true),
            (".hg/store/00changelog.i", true),
            (".env", true),
            (".ENV", true),
            (".env.production", true),
            (".env/bin/activate", true),
            (".well-known/acme-challenge/x", false),
            (".gitignore", false),
            (".environment", false),
            ("git/config", false),
            ("a.git/config", false),
            ("htaccess.txt", false),
            ("..env", false),
            ("", false),
        ];
        for (path, want) in table {
            assert_eq!(is_hidden(Path::new(path)), want, "{path}");
        }
    }

    #[test]
    fn what_an_expression_begins_with() {
        let table = [
            ("^/m/(.*)$", "/m/"),
            ("^/~([a-z]+)(/.*)?$", "/~"),
            ("^/files?/x", "/file"),
            ("^/exact$", "/exact"),
            ("^/plain", "/plain"),
            ("^/a|/b", ""),
            ("^/x/(a|b)", ""),
            ("/anywhere", ""),
            ("^", ""),
            ("^?", ""),
            ("^/é*", "/"),
            ("", ""),
        ];
        for (expression, want) in table {
            assert_eq!(literal(expression), want, "{expression}");
        }
    }
}
