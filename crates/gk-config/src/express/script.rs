//! SCRIPT of `serve`: a file or a module, with or without a callable.

use crate::nearest::nearest;
use crate::source::Source;
use std::path::Path;

/// Tells whether there is a file of this path.
pub type IsFile<'a> = &'a dyn Fn(&Path) -> bool;

/// What SCRIPT names: the target of the alias and the callable, if it names one. Relative paths start at `directory`.
///
/// A file is what is there as one; else what can be nothing but a file, by a slash or `.py`; the rest is a module.
pub fn script<'a>(
    script: &'a str,
    is_there: IsFile<'_>,
    directory: &Path,
) -> Result<(String, Option<&'a str>), String> {
    let (place, callable) = split(script, is_there, directory);
    if let Some((call, name)) = callable.and_then(|call| Some((call, variable(call)?))) {
        return Err(format!(
            "the arguments of `{call}` must be literals such as 'x', 1 or True, and `{name}` is a name"
        ));
    }
    if is_file(place, is_there, directory) && !place.ends_with('/') {
        return no_script(place).map_or(Ok((place.to_owned(), callable)), Err);
    }
    if !place.is_empty() && place.split('.').all(is_name) {
        let meant = callable.is_none().then(|| with_colon(place, is_there, directory)).flatten();
        return match meant {
            Some(meant) => Err(format!("there is no module `{place}`; did you mean `{meant}`?")),
            None => Ok((format!("module:{place}"), callable)),
        };
    }
    let expected = "a file such as wsgi.py or site.wsgi, or package.module, either with :callable";
    Err(match script {
        "" => format!("SCRIPT is missing: {expected}"),
        script => match callable {
            None if script.contains(':') => {
                format!(
                    "SCRIPT takes {expected}, which is a name or a call such as create_app('x'), not `{script}`"
                )
            }
            _ => format!("SCRIPT takes {expected}, not `{script}`"),
        },
    })
}

/// Why a file is no script, by its ending.
fn no_script(file: &str) -> Option<String> {
    match Path::new(file).extension()?.to_str()? {
        "conf" => Some(format!(
            "{file} is a configuration file, not a script; `gilkeeper serve -c {file}` serves it"
        )),
        "toml" => Some(format!(
            "{file} holds options, not a script: those of gilkeeper.toml in the working directory are read by themselves"
        )),
        _ => None,
    }
}

/// The module and the name in it, for a path with dots as Django's `WSGI_APPLICATION` has it.
fn with_colon(place: &str, is_there: IsFile<'_>, directory: &Path) -> Option<String> {
    let (module, name) = place.rsplit_once('.').filter(|(_, name)| ["application", "app"].contains(name))?;
    let path = directory.join(module.replace('.', "/"));
    let has_file = |file: &str| is_there(&path.join(file));
    let is_module = is_there(&path.with_extension("py")) && !has_file("__init__.py");
    is_module.then(|| format!("{module}:{name}"))
}

/// SCRIPT with the path of a file made whole.
pub fn absolute(script: &str, is_there: IsFile<'_>, directory: &Path) -> String {
    let place = split(script, is_there, directory).0;
    match is_file(place, is_there, directory) {
        true => directory.join(script).to_string_lossy().into_owned(),
        false => script.to_owned(),
    }
}

fn is_file(place: &str, is_there: IsFile<'_>, directory: &Path) -> bool {
    place.contains('/') || place.ends_with(".py") || is_there(&directory.join(place))
}

/// Place and callable. The first colon with a callable behind it parts them: a string in the call may hold others.
fn split<'a>(script: &'a str, is_there: IsFile<'_>, directory: &Path) -> (&'a str, Option<&'a str>) {
    if is_there(&directory.join(script)) {
        return (script, None);
    }
    let mut colons = script.match_indices(':').map(|(at, _)| (&script[..at], &script[at + 1..]));
    match colons.find(|(_, callable)| is_callable(callable)) {
        Some((place, callable)) => (place, Some(callable)),
        None => (script, None),
    }
}

/// A name that stands as an argument of a call. Strings, numbers, Python's constants and names of arguments are none; Python judges the
/// rest.
fn variable(call: &str) -> Option<&str> {
    let (_, arguments) = call.split_once('(')?;
    let mut rest = arguments;
    while let Some(c) = rest.chars().next() {
        if matches!(c, '\'' | '"') {
            rest = behind_string(rest, c);
            continue;
        }
        if !c.is_alphanumeric() && c != '_' {
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let next = behind.trim_start();
        let is_argument = next.starts_with('=') && !next.starts_with("==");
        let is_prefix = behind.starts_with(['\'', '"']);
        let is_literal = c.is_ascii_digit() || ["True", "False", "None", "set"].contains(&word);
        if !is_argument && !is_prefix && !is_literal {
            return Some(word);
        }
        rest = behind;
    }
    None
}

/// The rest behind a string in these quotes.
fn behind_string(text: &str, quote: char) -> &str {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => _ = chars.next(),
            c if c == quote => return &text[at + c.len_utf8()..],
            _ => {}
        }
    }
    ""
}

/// A name, names with dots, or either with arguments in parentheses. Python judges the arguments.
fn is_callable(text: &str) -> bool {
    let name = match text.split_once('(') {
        Some((name, arguments)) if arguments.ends_with(')') => name,
        Some(_) => return false,
        None => text,
    };
    name.split('.').all(is_name)
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
}

/// The callable of `--factory`: what SCRIPT or `--callable-object` names is called for the application.
pub fn called(callable: Option<&str>) -> String {
    match callable.unwrap_or("create_app") {
        call if call.ends_with(')') => call.to_owned(),
        name => format!("{name}()"),
    }
}

/// What could be meant by a file that is not there, as the end of a sentence.
pub fn instead(missing: &Path, source: &dyn Source) -> String {
    let shown = missing.display();
    let with_end = format!("{shown}.py");
    if source.is_file(Path::new(&with_end)) {
        return format!("did you mean {with_end}?");
    }
    if source.exists(missing) {
        let inside = ["wsgi.py", "app.py", "main.py", "*/wsgi.py"];
        let found = inside.iter().find_map(|name| source.glob(&missing.join(name)).ok()?.into_iter().next());
        return match found {
            Some(script) => format!("it is a folder; did you mean {}?", script.display()),
            None => "it is a folder; name the WSGI script in it".to_owned(),
        };
    }
    let folder = missing.parent().unwrap_or(Path::new("/"));
    let there = source.glob(&folder.join("*.py")).unwrap_or_default();
    let names: Vec<String> = there
        .iter()
        .filter_map(|path| path.file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    let name = missing.file_name().unwrap_or_default().to_string_lossy();
    match nearest(&name, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {}?", folder.join(near).display()),
        None => "name a WSGI script or package.module".to_owned(),
    }
}

/// A script in this folder that is probably meant, as SCRIPT names it.
pub fn nearby(source: &dyn Source, directory: &Path) -> Option<String> {
    let found = ["wsgi.py", "*/wsgi.py", "app.py", "main.py"]
        .iter()
        .find_map(|name| source.glob(&directory.join(name)).ok()?.into_iter().next())?;
    let text = found.strip_prefix(directory).ok()?.to_str()?;
    // In a package: its module, as Django names it.
    Some(if text.contains('/') { text.strip_suffix(".py")?.replace('/', ".") } else { text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Memory;

    fn read(text: &str, files: &[&str]) -> Result<(String, Option<String>), String> {
        let source = files.iter().fold(Memory::new(), |source, file| source.with(format!("/srv/{file}"), ""));
        script(text, &|path| source.is_file(path), Path::new("/srv"))
            .map(|(target, callable)| (target, callable.map(str::to_owned)))
    }

    /// Reported: `mysite.wsgi`, the name that Django's documents use, was taken for a file that is not there.
    #[test]
    fn a_file_when_it_is_there_and_a_module_otherwise() {
        let cases: &[(&str, &[&str], &str, Option<&str>)] = &[
            ("mysite.wsgi", &[], "module:mysite.wsgi", None),
            ("mysite.wsgi", &["mysite.wsgi"], "mysite.wsgi", None),
            ("mysite.wsgi:application", &[], "module:mysite.wsgi", Some("application")),
            ("mysite.wsgi:app", &["mysite.wsgi"], "mysite.wsgi", Some("app")),
            ("app:app", &["app.py"], "module:app", Some("app")),
            ("app.py", &[], "app.py", None),
            ("app.py:app", &[], "app.py", Some("app")),
            ("app:create_app()", &[], "module:app", Some("create_app()")),
            ("app:create_app('a:b', x=[1])", &[], "module:app", Some("create_app('a:b', x=[1])")),
            ("app:web.app", &[], "module:app", Some("web.app")),
            ("a/b:app", &[], "a/b", Some("app")),
            ("odd:name.py", &["odd:name.py"], "odd:name.py", None),
            ("wsgi.py", &[], "wsgi.py", None),
        ];
        for (text, files, target, callable) in cases {
            assert_eq!(read(text, files), Ok(((*target).to_owned(), callable.map(str::to_owned))), "{text}");
        }
    }

    /// Reported: `check 'app:create_app(x)'` found nothing wrong, and `serve` ended with 3.
    #[test]
    fn arguments_are_literals() {
        for (call, name) in [
            ("f(x)", Some("x")),
            ("f('a', n=x)", Some("x")),
            ("f([1, {'a': b}])", Some("b")),
            ("f(os.environ)", Some("os")),
            ("f()", None),
            ("f('x, y', \"it's\", n=1, m = -1e5, b=b'x', c=[0x1f, None], d={'a': (True, 2j)})", None),
            ("f('a\\'b', \"\\\"x\")", None),
            ("f(set())", None),
        ] {
            assert_eq!(variable(call), name, "{call}");
        }
        assert!(read("app:create_app(x)", &[]).unwrap_err().contains("`x` is a name"));
    }

    #[test]
    fn what_is_neither_is_refused_in_a_sentence() {
        assert!(read("not a module", &[]).unwrap_err().starts_with("SCRIPT takes a file"));
        assert!(read("", &[]).unwrap_err().contains("missing"));
        assert!(read("app:create_app(", &[]).unwrap_err().contains("a call such as create_app('x')"));
        for text in ["1x", "a..b", "dir/", "app:1x", "app:"] {
            read(text, &[]).unwrap_err();
        }
    }

    /// Reported: `serve site.conf` was compiled as Python, and `mysite.wsgi.application`, as Django's settings have it, was imported. Met
    /// by those who come from Apache.
    #[test]
    fn what_stands_for_something_else_leads_there() {
        for (text, files, expected) in [
            ("site.conf", &["site.conf"][..], "`gilkeeper serve -c site.conf` serves it"),
            ("./gilkeeper.toml", &["gilkeeper.toml"], "those of gilkeeper.toml in the working directory"),
            ("mysite.wsgi.application", &["mysite/wsgi.py"], "did you mean `mysite.wsgi:application`?"),
            ("app.app", &["app.py"], "did you mean `app:app`?"),
        ] {
            let refused = read(text, files).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
        for (text, files) in [
            ("mysite.wsgi.application", &[][..]),
            ("app.app", &["app.py", "app/__init__.py"]),
            ("mysite.wsgi.local", &["mysite/wsgi.py"]),
        ] {
            assert_eq!(read(text, files), Ok((format!("module:{text}"), None)));
        }
    }

    #[test]
    fn a_factory_is_called() {
        assert_eq!(called(None), "create_app()");
        assert_eq!(called(Some("web.make")), "web.make()");
        assert_eq!(called(Some("make('x')")), "make('x')");
    }

    #[test]
    fn a_script_nearby_is_named_as_it_would_be_typed() {
        let source = Memory::new().with("/srv/shop/wsgi.py", "").with("/flask/app.py", "");
        assert_eq!(nearby(&source, Path::new("/srv")).as_deref(), Some("shop.wsgi"));
        assert_eq!(nearby(&source, Path::new("/flask")).as_deref(), Some("app.py"));
        assert_eq!(nearby(&source, Path::new("/else")), None);
    }

    #[test]
    fn a_missing_file_leads_to_one_that_is_there() {
        let source =
            Memory::new().with("/srv/wsgi.py", "").with("/srv/shop/web/wsgi.py", "").with("/srv/x/y.py", "");
        for (missing, expected) in [
            ("/srv/wsgi", "did you mean /srv/wsgi.py?"),
            ("/srv/wsg.py", "did you mean /srv/wsgi.py?"),
            ("/srv/shop", "it is a folder; did you mean /srv/shop/web/wsgi.py?"),
            ("/srv/x", "it is a folder; name the WSGI script in it"),
            ("/srv/entirely.py", "name a WSGI script or package.module"),
        ] {
            assert_eq!(instead(Path::new(missing), &source), expected, "{missing}");
        }
    }
}
