//! What requests get of a site: host, script, settings.

use gk_config::place::{Compiled, Files, Found, Hit, Kind, Outcome, Script, collapse};
use gk_config::source::Memory;
use gk_config::{Surroundings, load_text};
use std::path::Path;
use std::sync::Arc;

fn compiled(text: &str) -> Compiled {
    let surroundings = Surroundings { directory: "/srv".into(), ..Surroundings::default() };
    let loaded = load_text("site.conf", text, &Memory::new(), &surroundings);
    let (site, _) = loaded.into_result().unwrap_or_else(|said| panic!("{said:#?}"));
    Compiled::new(Arc::new(site)).expect("patterns were checked")
}

fn hit(site: &Compiled, host: usize, url: &str) -> Option<(String, String, String)> {
    let url = collapse(url.as_bytes());
    match site.find(host, &url) {
        Found::Script(Hit { script, split, .. }) => {
            let script = match script {
                Script::File(path) => path.display().to_string(),
                Script::Module(name) => name,
            };
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Some((script, text(&url[..split]), text(&url[split..])))
        }
        _ => None,
    }
}

/// A file system of two scripts.
struct Two;

impl Files for Two {
    fn kind(&self, path: &Path) -> Kind {
        match path.to_str() {
            Some("/srv/scripts/a.wsgi" | "/srv/scripts/sub/b.wsgi") => Kind::File,
            Some("/srv/scripts" | "/srv/scripts/sub") => Kind::Directory,
            _ => Kind::Missing,
        }
    }
}

fn finish(site: &Compiled, url: &str) -> Option<(String, String)> {
    let Found::Candidate(candidate) = site.find(0, url.as_bytes()) else { return None };
    match candidate.finish(url.as_bytes(), &Two) {
        Outcome::Script(Hit { split, script, .. }) => {
            Some((script.file()?.display().to_string(), url[split..].to_owned()))
        }
        Outcome::Missing(path) => Some(("missing".to_owned(), path.display().to_string())),
        Outcome::Directory(path) => Some(("directory".to_owned(), path.display().to_string())),
    }
}

#[test]
fn the_first_alias_that_matches_wins() {
    let site = compiled(
        "WSGIScriptAlias /app/x a.wsgi\nWSGIScriptAlias /app b.wsgi\nWSGIScriptAlias /app/y c.wsgi\nWSGIScriptAlias / module:root.app\n",
    );
    let of =
        |script: &str, name: &str, info: &str| Some((script.to_owned(), name.to_owned(), info.to_owned()));
    assert_eq!(hit(&site, 0, "/app/x"), of("/srv/a.wsgi", "/app/x", ""));
    assert_eq!(hit(&site, 0, "/app/x/y"), of("/srv/a.wsgi", "/app/x", "/y"));
    assert_eq!(hit(&site, 0, "/app/xy"), of("/srv/b.wsgi", "/app", "/xy"));
    assert_eq!(hit(&site, 0, "/app/y"), of("/srv/b.wsgi", "/app", "/y"));
    assert_eq!(hit(&site, 0, "//app//x///z"), of("/srv/a.wsgi", "/app/x", "/z"));
    assert_eq!(hit(&site, 0, "/apple"), of("root.app", "", "/apple"));
    assert_eq!(hit(&site, 0, "/"), of("root.app", "", "/"));
}

#[test]
fn static_aliases_stand_in_the_same_order() {
    let site = compiled("Alias /static files\nWSGIScriptAlias / a.wsgi\nAlias /late late\n");
    assert_eq!(site.find(0, b"/static/a/b"), Found::Static { alias: 0, path: "/srv/files/a/b".into() });
    assert_eq!(site.find(0, b"/static/../x"), Found::Nothing);
    assert!(matches!(site.find(0, b"/late/x"), Found::Script(_)));
}

#[test]
fn directories_and_patterns_ask_the_file_system() {
    let site = compiled("WSGIScriptAliasMatch ^/m/([^/]+) scripts/$1.wsgi\nWSGIScriptAlias /d scripts/\n");
    let of = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
    assert_eq!(finish(&site, "/d/a.wsgi/x/y"), of("/srv/scripts/a.wsgi", "/x/y"));
    assert_eq!(finish(&site, "/d/sub/b.wsgi"), of("/srv/scripts/sub/b.wsgi", ""));
    assert_eq!(finish(&site, "/d/sub"), of("directory", "/srv/scripts/sub"));
    assert_eq!(finish(&site, "/d/none/x"), of("missing", "/srv/scripts/none"));
    assert_eq!(finish(&site, "/d/../etc"), of("missing", "/srv/scripts/"));
    assert_eq!(finish(&site, "/m/a/rest"), of("/srv/scripts/a.wsgi", "/rest"));
    assert_eq!(finish(&site, "/m/zz"), of("missing", "/srv/scripts/zz.wsgi"));
    assert_eq!(finish(&site, "/m/.."), of("missing", "/srv/scripts/...wsgi"));
}

#[test]
fn hosts_by_address_then_name() {
    let site = compiled(
        "ServerName main\n\
         <VirtualHost *:80>\nServerName first.org\n</VirtualHost>\n\
         <VirtualHost *:80>\nServerName second.org\nServerAlias *.second.org\n</VirtualHost>\n\
         <VirtualHost 127.0.0.1:80>\nServerName local.org\n</VirtualHost>\n\
         <VirtualHost *:81>\nServerName other.org\n</VirtualHost>\n",
    );
    let host = |local: &str, header: &str| site.host(Some(local.parse().unwrap()), Some(header.as_bytes()));
    assert_eq!(host("10.0.0.1:80", "second.org"), 2);
    assert_eq!(host("10.0.0.1:80", "WWW.Second.ORG.:80"), 2);
    assert_eq!(host("10.0.0.1:80", "unknown"), 1);
    assert_eq!(host("127.0.0.1:80", "second.org"), 3);
    assert_eq!(host("[::ffff:127.0.0.1]:80", "x"), 3);
    assert_eq!(host("10.0.0.1:81", "first.org"), 4);
    assert_eq!(host("10.0.0.1:82", "first.org"), 0);
    assert_eq!(site.host(None, Some(b"first.org")), 0);
    assert_eq!(site.host(Some("10.0.0.1:80".parse().unwrap()), None), 1);
}

#[test]
fn sections_merge_in_apaches_order() {
    let site = compiled(
        "WSGICallableObject zero\nSetEnv A 0\n\
         <Location /x>\nWSGICallableObject location\n</Location>\n\
         <Files *.wsgi>\nWSGICallableObject files\nSetEnv F 1\n</Files>\n\
         <Directory /srv/a/b>\nWSGICallableObject deep\nSetEnv A deep\n</Directory>\n\
         <Directory /srv/a>\nWSGICallableObject shallow\nSetEnv A shallow\n\
         <Files only.wsgi>\nSetEnv ONLY 1\n</Files>\n</Directory>\n\
         <LocationMatch ^/y/\\d+$>\nWSGICallableObject digits\n</LocationMatch>\n\
         <Location /x/*/z>\nUnsetEnv A\n</Location>\n",
    );
    let at = |url: &str, file: Option<&str>| site.settings(0, url.as_bytes(), file.map(Path::new));
    assert_eq!(at("/", None).callable_object, "zero");
    assert_eq!(at("/", Some("/srv/a/x.py")).callable_object, "shallow");
    assert_eq!(at("/", Some("/srv/a/b/x.py")).callable_object, "deep");
    assert_eq!(at("/", Some("/srv/ab/x.py")).callable_object, "zero");
    assert_eq!(at("/", Some("/srv/a/b/x.wsgi")).callable_object, "files");
    assert_eq!(at("/x/1", Some("/srv/a/b/x.wsgi")).callable_object, "location");
    assert_eq!(at("/xx", None).callable_object, "zero");
    assert_eq!(at("/y/12", None).callable_object, "digits");
    assert_eq!(at("/", Some("/srv/a/b/x.py")).env["A"], "deep");
    assert!(!at("/x/1/z", None).env.contains_key("A"));
    assert!(at("/", Some("/srv/a/only.wsgi")).env.contains_key("ONLY"));
    assert!(!at("/", Some("/srv/only.wsgi")).env.contains_key("ONLY"));
    assert!(Arc::ptr_eq(&at("/x/1", None), &at("/x/2", None)));
    assert!(Arc::ptr_eq(&at("/", None), &at("/z", None)));
}

#[test]
fn a_virtual_host_inherits_and_tries_its_own_aliases_first() {
    let site = compiled(
        "WSGIScriptAlias /x main.wsgi\nWSGIPassAuthorization On\nSetEnv A 1\n\
         <Location /x>\nWSGIApplicationGroup main\n</Location>\n\
         <VirtualHost *:8000>\nServerName v\nWSGIScriptAlias /x own.wsgi\nWSGIScriptAlias /y own.wsgi\nSetEnv B 2\n\
         <Location /x>\nWSGIApplicationGroup own\n</Location>\n</VirtualHost>\n",
    );
    assert_eq!(hit(&site, 1, "/x").unwrap().0, "/srv/own.wsgi");
    assert_eq!(hit(&site, 0, "/x").unwrap().0, "/srv/main.wsgi");
    let settings = site.settings(1, b"/x", None);
    assert_eq!(settings.application_group.as_deref(), Some("own"));
    assert!(settings.pass_authorization);
    assert_eq!(settings.env.len(), 2);
    assert_eq!(site.settings(0, b"/x", None).application_group.as_deref(), Some("main"));
}
