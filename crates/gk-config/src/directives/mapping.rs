//! Which script serves which URL: script aliases, imports, the callable, handler and dispatch scripts.

pub mod handlers;
mod shadowed;

use super::raw::{GroupUse, Need, RawMount};
use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::site::{EncodedSlashes, HandlerScript, ImportScript, Mount, MountTarget, StaticAlias};
use crate::token::{Word, key_value};
use crate::{nearest, values};

const SERVER: Contexts = Contexts::SERVER;

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("WSGIScriptAlias", "url-path file-or-directory [option=value …]", SERVER, Arity::options(2), script_alias)
        .doc("Mounts a script at a URL path. The rest of the URL is appended to the target, and the first file on that path is the \
              script; if the target is a directory, every file in it is a script. What follows the script is PATH_INFO, so \
              `WSGIScriptAlias /sub /p/a.wsgi/prefix` gives `/prefix/x` for `/sub/x`. A URL path that ends with a slash does not \
              match the path without it. `module:package.module` in place of a file mounts an importable module (only here). \
              Options: `process-group=`, `application-group=`, `callable-object=`, `pass-authorization=On|Off`. The first alias in \
              the file that matches is used, so write specific paths first. A virtual host's aliases are tried before those of the \
              main server, and `Alias` before all of them."),
    Directive::honoured("WSGIScriptAliasMatch", "regex file-pattern [option=value …]", SERVER, Arity::options(2), script_alias_match)
        .doc("Like WSGIScriptAlias with a regular expression for the URL path; `$1` … `$9` in the file pattern are its groups. What \
              follows the match in the URL is appended."),
    Directive::honoured("WSGIImportScript", "path process-group=name application-group=name", SERVER, Arity::options(1), import_script)
        .doc("Imports a script in every process of a group when it starts. Both options are required. In a group with \
            `threads=0` the script is a service: it runs on the main thread, and again whenever it ends."),
    Directive::honoured("WSGICallableObject", "name", Contexts::ANY.or(Contexts::HTACCESS), Arity::exactly(1), callable_object)
        .default("application")
        .doc("Name of the callable in the script. `%{ENV:name}` takes it from the request's variables. `web.app` and a call with \
            literals, such as `create_app('x')`, are looked up once in each interpreter, where the process imports the script \
            when it starts (an addition of Gilkeeper)."),
    Directive::honoured("Alias", "url-path path", SERVER, Arity::exactly(2), alias)
        .doc("Serves a file or the files of a directory at a URL path, without the application. The rest of the URL is appended to \
              the path unchanged, so with `Alias /static/` the path needs a slash at its end, too. A URL path that ends with a slash \
              does not match the path without it."),
    Directive::honoured("DocumentRoot", "directory", SERVER, Arity::exactly(1), document_root)
        .doc("Directory whose files are served if no alias matches."),
    Directive::honoured("AllowEncodedSlashes", "Off|On|NoDecode", SERVER, Arity::exactly(1), encoded_slashes)
        .default("Off")
        .doc("The meaning of `%2F` in the path of a URL. `Off`: the answer is 404. `NoDecode`: it stays encoded, also in PATH_INFO, \
              and is part of a name. `On`: it is a slash, also for aliases and sections. A virtual host does not inherit the \
              server's setting."),
    Directive::honoured("AliasMatch", "regex path", SERVER, Arity::exactly(2), alias_match)
        .doc("Serves files at the URL paths a regular expression matches; `$1` … `$9` in the path are its groups."),
    Directive::honoured("ScriptAlias", "url-path path", SERVER, Arity::exactly(2), program_alias)
        .doc("Gilkeeper runs no CGI programs: everything at and below the URL path gets 403, with a warning. Keep a server that \
            runs them, and let a proxy in front choose by path."),
    Directive::honoured("WSGIDispatchScript", "path [application-group=name]", Contexts::ANY, Arity::options(1), super::access::users::dispatch_script)
        .doc("A script whose functions `process_group(environ)`, `application_group(environ)` and `callable_object(environ)` \
            make the choice for each request; each function is optional, and `None` keeps the configured value. It runs in a \
            worker of the process group that the configuration names, in the main interpreter without `application-group=`. If \
            the choice is not allowed or the script fails, the request gets 500."),
    Directive::honoured("WSGIHandlerScript", "name path [option=value …]", Contexts::ANY, Arity::options(2), handler_script)
        .doc("A script that answers requests for files whose handler has this name (`SetHandler`, `AddHandler`), even if they do \
            not exist. Its callable is `handle_request`; `SCRIPT_FILENAME` is the file. Options: `process-group=`, \
              `application-group=`, `pass-authorization=On|Off`."),
    Directive::inert("WSGICaseSensitivity", "On|Off", Contexts::GLOBAL,
        "script paths are compared exactly as the file system has them"),
];

fn encoded_slashes(scope: &mut Scope, words: &[Word]) -> Applied {
    let meaning = match words[0].text.to_ascii_lowercase().as_str() {
        "off" => EncodedSlashes::Refused,
        "on" => EncodedSlashes::Decoded,
        "nodecode" => EncodedSlashes::Kept,
        _ => {
            let message = format!("AllowEncodedSlashes takes Off, On or NoDecode, not `{}`", words[0].text);
            return Err(Complaint::error(message).at(&words[0]));
        }
    };
    scope.host().encoded_slashes = Some(meaning);
    Ok(())
}

/// Options of an alias or an import.
#[derive(Default)]
struct Options {
    process_group: Option<String>,
    application_group: Option<String>,
    callable_object: Option<String>,
    pass_authorization: Option<bool>,
}

const ALIAS_KEYS: &[&str] = &["process-group", "application-group", "callable-object", "pass-authorization"];
const HANDLER_KEYS: &[&str] = &["process-group", "application-group", "pass-authorization"];
const IMPORT_KEYS: &[&str] = &["process-group", "application-group"];

fn options(scope: &mut Scope, words: &[Word], keys: &[&'static str]) -> Result<Options, Complaint> {
    let mut options = Options::default();
    for word in words {
        let Some((key, value)) = key_value(word) else {
            let message = format!("an option of {} is written key=value, not `{}`", scope.name, word.text);
            return Err(Complaint::error(message).at(word));
        };
        match key.as_str() {
            key if !keys.contains(&key) => {
                let complaint = Complaint::error(format!("{} has no option `{key}`", scope.name)).at(word);
                return Err(match nearest::nearest(key, keys.iter().copied()) {
                    Some(near) => complaint.hint(format!("did you mean `{near}=`?")),
                    None => complaint.hint(format!("known: {}", keys.join(", "))),
                });
            }
            "process-group" => {
                let name = group_name(value);
                let host = scope.host;
                let requests = keys != IMPORT_KEYS;
                scope.raw.group_uses.push(GroupUse {
                    host,
                    word: word.clone(),
                    name: name.clone(),
                    requests,
                });
                options.process_group = Some(name);
            }
            "application-group" => options.application_group = Some(group_name(value)),
            "callable-object" => options.callable_object = Some(value.to_owned()),
            _ => options.pass_authorization = Some(values::switch("pass-authorization=", word, value)?),
        }
    }
    Ok(options)
}

/// A group's name as it is kept: `%{GLOBAL}` is the empty name.
pub fn group_name(text: &str) -> String {
    if text == "%{GLOBAL}" { String::new() } else { text.to_owned() }
}

/// The meaning of a script path: `module:…`, a directory, a file.
fn target(scope: &Scope, word: &Word) -> Result<MountTarget, Complaint> {
    if let Some(module) = word.text.strip_prefix("module:") {
        let dotted = |part: &str| {
            let mut chars = part.chars();
            chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
                && chars.all(|c| c.is_alphanumeric() || c == '_')
        };
        return if module.split('.').all(dotted) {
            Ok(MountTarget::Module(module.to_owned()))
        } else {
            let message =
                format!("`module:` takes a dotted module name such as package.module, not `{module}`");
            Err(Complaint::error(message).at(word))
        };
    }
    let path = scope.path(&word.text);
    Ok(if word.text.ends_with('/') { MountTarget::Directory(path) } else { MountTarget::File(path) })
}

/// A URL path. A slash at its end counts.
fn url_path(scope: &Scope, word: &Word) -> Result<String, Complaint> {
    if !word.text.starts_with('/') {
        let message =
            format!("{} takes a URL path that begins with a slash, not `{}`", scope.name, word.text);
        return Err(Complaint::error(message).at(word));
    }
    let collapsed = crate::place::collapse(word.text.as_bytes());
    Ok(String::from_utf8_lossy(&collapsed).into_owned())
}

fn add_mount(scope: &mut Scope, mut mount: Mount, word: &Word, given: Options) -> Applied {
    mount.process_group = given.process_group;
    mount.application_group = given.application_group;
    mount.callable_object = given.callable_object;
    mount.pass_authorization = given.pass_authorization;
    if !mount.regex {
        shadowed::check_mount(scope, &mount.url, word);
    }
    let groups_above = scope.raw.groups.len();
    let host = scope.host();
    mount.order = host.next_order;
    host.next_order += 1;
    host.mounts.push(RawMount { mount, word: word.clone(), groups_above });
    Ok(())
}

fn script_alias(scope: &mut Scope, words: &[Word]) -> Applied {
    let url = url_path(scope, &words[0])?;
    let target = target(scope, &words[1])?;
    if let MountTarget::File(path) | MountTarget::Directory(path) = &target {
        scope.need(Need::Script(path.clone()), &words[1]);
    }
    let mount = Mount::new(if url == "/" { String::new() } else { url }, target);
    let given = options(scope, &words[2..], ALIAS_KEYS)?;
    add_mount(scope, mount, &words[0], given)
}

fn script_alias_match(scope: &mut Scope, words: &[Word]) -> Applied {
    let url = values::pattern("WSGIScriptAliasMatch", &words[0], &words[0].text)?;
    let pattern = match words[1].text.strip_prefix("module:") {
        Some(_) => {
            return Err(Complaint::error("WSGIScriptAliasMatch takes a file, not a module").at(&words[1]));
        }
        None => scope.path(&words[1].text).to_string_lossy().into_owned(),
    };
    let mount = Mount { regex: true, ..Mount::new(url, MountTarget::Pattern(pattern)) };
    let given = options(scope, &words[2..], ALIAS_KEYS)?;
    add_mount(scope, mount, &words[0], given)
}

fn import_script(scope: &mut Scope, words: &[Word]) -> Applied {
    let target = target(scope, &words[0])?;
    if let MountTarget::File(path) | MountTarget::Directory(path) = &target {
        scope.need(Need::Import(path.clone()), &words[0]);
    }
    let given = options(scope, &words[1..], IMPORT_KEYS)?;
    let missing = |key: &str| Complaint::error(format!("WSGIImportScript needs the option {key}="));
    let script = ImportScript {
        target,
        process_group: given.process_group.ok_or_else(|| missing("process-group"))?,
        application_group: given.application_group.ok_or_else(|| missing("application-group"))?,
        callable_object: None,
        lone_app: false,
        reloading: false,
    };
    for (key, value) in
        [("process-group", &script.process_group), ("application-group", &script.application_group)]
    {
        if value.contains("%{") {
            let message = format!("{key}= of WSGIImportScript must be known at start, and `{value}` is not");
            return Err(Complaint::error(message).hint("only %{GLOBAL} and plain names are"));
        }
    }
    let host = scope.host;
    scope.raw.imports.push((script, host, words[0].clone()));
    Ok(())
}

fn handler_script(scope: &mut Scope, words: &[Word]) -> Applied {
    let given = options(scope, &words[2..], HANDLER_KEYS)?;
    let script = HandlerScript {
        path: scope.path(&words[1].text),
        process_group: given.process_group,
        application_group: given.application_group,
        pass_authorization: given.pass_authorization,
    };
    scope.need(Need::Script(script.path.clone()), &words[1]);
    let name = words[0].text.to_ascii_lowercase();
    scope.settings().handler_scripts.get_or_insert_default().insert(name, script);
    Ok(())
}

fn callable_object(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.settings().callable_object = Some(words[0].text.clone());
    Ok(())
}

fn alias(scope: &mut Scope, words: &[Word]) -> Applied {
    let (url, path) = (url_path(scope, &words[0])?, scope.path(&words[1].text));
    if url.ends_with('/') && !words[1].text.ends_with('/') {
        let message = format!(
            "`{url}` ends with a slash and `{0}` does not: {url}x is served from {0}x",
            words[1].text
        );
        scope.say(
            Complaint::warning(message)
                .at(&words[1])
                .hint(format!("write {} {url} {}/", scope.name, words[1].text)),
        );
    }
    add_static(scope, StaticAlias { url, path, ..StaticAlias::default() }, &words[0])
}

fn alias_match(scope: &mut Scope, words: &[Word]) -> Applied {
    let url = values::pattern(scope.name, &words[0], &words[0].text)?;
    let path = scope.path(&words[1].text);
    add_static(scope, StaticAlias { url, path, regex: true, ..StaticAlias::default() }, &words[0])
}

fn program_alias(scope: &mut Scope, words: &[Word]) -> Applied {
    let (url, path) = (url_path(scope, &words[0])?, scope.path(&words[1].text));
    let message = format!("CGI programs are not run here: everything below {url} is answered 403");
    let hint = "keep a server that runs them, and let a proxy in front choose by path";
    scope.say(Complaint::warning(message).refuses().at(&words[0]).hint(hint));
    add_static(scope, StaticAlias { url, path, program: true, ..StaticAlias::default() }, &words[0])
}

fn add_static(scope: &mut Scope, alias: StaticAlias, word: &Word) -> Applied {
    if !alias.regex {
        shadowed::check_static(scope, &alias, word);
    }
    let host = scope.host();
    let order = host.next_order;
    host.next_order += 1;
    host.statics.push(StaticAlias { order, ..alias });
    Ok(())
}

fn document_root(scope: &mut Scope, words: &[Word]) -> Applied {
    let path = scope.path(&words[0].text);
    scope.host().document_root = Some(path);
    Ok(())
}
