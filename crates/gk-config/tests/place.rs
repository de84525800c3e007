//! What requests get of a site: host, script, settings.

use gk_config::place::{Compiled, Files, Found, Hit, Kind, Script, collapse, script_name_end};
use gk_config::source::Memory;
use gk_config::{Surroundings, load_text};
use gk_rules::content::served::Links;
use std::path::Path;
use std::sync::Arc;

fn compiled(text: &str) -> Compiled {
    let surroundings = Surroundings { directory: "/srv".into(), ..Surroundings::default() };
    let loaded = load_text("site.conf", text, &Memory::new(), &surroundings);
    let (site, _) = loaded.into_result().unwrap_or_else(|said| panic!("{said:#?}"));
    Compiled::new(Arc::new(site), &Few).expect("patterns were checked")
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

/// A file system of a few scripts.
struct Few;

impl Files for Few {
    fn kind(&self, path: &Path) -> Kind {
        let path = path.to_str().expect("paths are text here");
        match (path, path.trim_end_matches('/')) {
            ("/srv/scripts/a.wsgi" | "/srv/scripts/sub/b.wsgi" | "/srv/a.wsgi" | "/srv/x.py", _) => {
                Kind::File
            }
            (_, "/srv/scripts" | "/srv/scripts/sub" | "/srv" | "") => Kind::Directory,
            _ => Kind::Missing,
        }
    }
}

/// File, SCRIPT_NAME and PATH_INFO, or what is there in place of a script.
fn finish(site: &Compiled, url: &str) -> (String, String, String) {
    let of = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    match site.find(0, url.as_bytes()) {
        Found::Script(Hit { script, split, .. }) => {
            of(&script.file().expect("no modules here").display().to_string(), &url[..split], &url[split..])
        }
        Found::Path(found) => {
            let walked = found.walk(&Few);
            let file = walked.file.display().to_string();
            let rest = String::from_utf8_lossy(&walked.rest).into_owned();
            match walked.kind {
                Kind::File => of(&file, &url[..script_name_end(url.as_bytes(), &walked.rest)], &rest),
                kind => of(&format!("{kind:?}"), &file, &rest),
            }
        }
        Found::Nothing => of("Nothing", "", ""),
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

/// Reported: `Alias /static/` redirected `/static`, which Apache gives to the application; and the reverse. Met with Django's
/// documented configuration. And an `Alias` below `WSGIScriptAlias /` was never reached, as Graphite's configuration has it.
#[test]
fn static_aliases_come_before_scripts() {
    let site = compiled(
        "Alias /static/ files/\nAlias /plain files\nAlias /odd/ files\nAlias /icon files/i.png\nAliasMatch ^/~([a-z]+)(/.*)? \
         home/$1$2\nWSGIScriptAlias / a.wsgi\nWSGIScriptAlias /late b.wsgi\nAlias /late late\n",
    );
    let table = [
        ("/static/a/b", Some("/srv/files/a/b")),
        ("/static/", Some("/srv/files/")),
        ("/static", None),
        ("/staticx", None),
        ("/plain", Some("/srv/files")),
        ("/plain/a", Some("/srv/files/a")),
        ("/odd/x", Some("/srv/filesx")),
        ("/icon", Some("/srv/files/i.png")),
        ("/~ann", Some("/srv/home/ann")),
        ("/~ann/x", Some("/srv/home/ann/x")),
        ("/late/x", Some("/srv/late/x")),
    ];
    for (url, file) in table {
        match (site.find(0, url.as_bytes()), file) {
            (Found::Path(found), Some(file)) => assert_eq!(found.path().to_str(), Some(file), "{url}"),
            (Found::Script(_), None) => {}
            other => panic!("{url}: {other:?}"),
        }
    }
    assert_eq!(site.find(0, b"/static/../x"), Found::Nothing);
}

/// Reported: text after the script's file in a target was 403 or 404. Met with Review Board, hgweb, Pulp and Ipsilon.
#[test]
fn the_first_file_on_the_path_is_the_script_and_the_rest_is_path_info() {
    let site = compiled(
        "WSGIScriptAlias /wiki a.wsgi/\nWSGIScriptAlias /sub a.wsgi/prefix\nWSGIScriptAlias /t a.wsgi/t\n\
         WSGIScriptAlias /tt/ a.wsgi\nWSGIScriptAlias /gone gone.py\nWSGIScriptAlias /folder scripts\n\
         WSGIScriptAlias /d scripts/\nWSGIScriptAliasMatch ^(/fed/.*?/auth)$ a.wsgi/$1\n\
         WSGIScriptAliasMatch ^/m/([^/]+) scripts/$1.wsgi\nWSGIScriptAliasMatch ^/all(.*) a.wsgi$1\n\
         WSGIScriptAliasMatch /any/([a-z]+) scripts/$1.wsgi\n",
    );
    let (a, a_in) = ("/srv/a.wsgi", "/srv/scripts/a.wsgi");
    let table = [
        ("/wiki", a, "/wiki", "/"),
        ("/wiki/", a, "/wiki", "/"),
        ("/wiki/q", a, "/wiki", "/q"),
        ("/sub", a, "/sub", "/prefix"),
        ("/sub/a", a, "/sub", "/prefix/a"),
        ("/t", a, "", "/t"),
        ("/t/q", a, "", "/t/q"),
        ("/tt/", a, "/tt/", ""),
        ("/tt/x", "Missing", "/srv/a.wsgix", ""),
        ("/gone/x", "/srv/gone.py", "/gone", "/x"),
        ("/folder", "Directory", "/srv/scripts", ""),
        ("/folder/", "Directory", "/srv/scripts/", ""),
        ("/folder/a.wsgi/x", a_in, "/folder/a.wsgi", "/x"),
        ("/folder/a.wsgi/", a_in, "/folder/a.wsgi", "/"),
        ("/d/a.wsgi/x/y", a_in, "/d/a.wsgi", "/x/y"),
        ("/d/sub/b.wsgi", "/srv/scripts/sub/b.wsgi", "/d/sub/b.wsgi", ""),
        ("/d/sub", "Directory", "/srv/scripts/sub", ""),
        ("/d/none/x", "Missing", "/srv/scripts/none", "/x"),
        ("/d/../etc", "Nothing", "", ""),
        ("/fed/a/b/auth", a, "", "/fed/a/b/auth"),
        ("/m/a/rest", a_in, "/m/a", "/rest"),
        ("/m/zz", "Missing", "/srv/scripts/zz.wsgi", ""),
        ("/m/..", "Missing", "/srv/scripts/...wsgi", ""),
        ("/all/x", a, "/all", "/x"),
        ("/any/a", a_in, "/any/a", ""),
        ("/before/any/a/x", a_in, "/before/any/a", "/x"),
        ("/any/ab", "Missing", "/srv/scripts/ab.wsgi", ""),
    ];
    for (url, file, script_name, path_info) in table {
        let want = (file.to_owned(), script_name.to_owned(), path_info.to_owned());
        assert_eq!(finish(&site, url), want, "{url}");
    }
    let root = compiled("WSGIScriptAliasMatch ^(.*) a.wsgi$1\n");
    assert_eq!(finish(&root, "/").2, "/");
    let slash = compiled("WSGIScriptAlias / a.wsgi/\n");
    assert_eq!(finish(&slash, "/q"), (a.to_owned(), String::new(), "/q".to_owned()));
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

/// A client passed by `<LocationMatch "^/x/.*$">` with a line break or a byte that is no UTF-8 in its path.
#[test]
fn a_dot_of_a_pattern_is_every_byte() {
    let site = compiled("<LocationMatch ^/x/.*\\.txt$>\nRequire all denied\n</LocationMatch>\n");
    for url in [&b"/x/a.txt"[..], b"/x/a\n.txt", b"/x/\n\r\0.txt", b"/x/\xff.txt", "/x/é.txt".as_bytes()] {
        assert_eq!(site.settings(0, url, None).granted(), Some(false), "{url:?}");
    }
    assert_eq!(site.settings(0, b"/x/a.txt\n", None).granted(), Some(true), "no line ends before the end");
}

/// Sections of one kind are merged before they are laid over those of another: a rule of a folder was lost where two `<Location>`s
/// added theirs.
#[test]
fn the_last_merging_of_a_kind_is_about_all_of_the_kind() {
    let site = compiled(
        "<Directory /srv>\nRequire all denied\n</Directory>\n\
         <Location /x>\nRequire all granted\n</Location>\n\
         <Location /x/and>\nAuthMerging And\nRequire all granted\n</Location>\n\
         <Location /x/off>\nAuthMerging Off\nRequire all granted\n</Location>\n\
         <Location /x/or>\nAuthMerging Or\nRequire all denied\n</Location>\n",
    );
    let at = |url: &str| site.settings(0, url.as_bytes(), Some(Path::new("/srv/a"))).granted();
    for (url, granted) in [
        ("/", false),
        ("/x", true),
        ("/x/and", false),
        ("/x/off", true),
        ("/x/or", true),
        ("/x/and/or", false),
    ] {
        assert_eq!(at(url), Some(granted), "{url}");
    }
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
    // `<Directory>` is about the directory itself, too.
    let folder = |path: &str| site.settings_of_folder(0, b"/", Path::new(path)).callable_object.clone();
    for (path, callable) in
        [("/srv/a", "shallow"), ("/srv/a/", "shallow"), ("/srv/a/b/", "deep"), ("/srv/", "zero")]
    {
        assert_eq!(folder(path), callable, "{path}");
    }
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

#[test]
fn handlers_and_exec_cgi_merge_as_with_apache() {
    let site = compiled(
        "DirectoryIndex index.html index.py\nAddHandler wsgi-script .PY cgi\n\
         <Directory /srv/a>\nOptions ExecCGI Indexes\nSetHandler wsgi-script\n</Directory>\n\
         <Directory /srv/a/plus>\nOptions +Indexes\nRemoveHandler py\n</Directory>\n\
         <Directory /srv/a/minus>\nOptions -ExecCGI\nDirectoryIndex disabled\n</Directory>\n\
         <Directory /srv/a/other>\nOptions Indexes\n</Directory>\n\
         <Location /none>\nSetHandler None\n</Location>\n",
    );
    let at = |url: &str, file: &str| site.settings(0, url.as_bytes(), Some(Path::new(file)));
    assert!(site.by_file(0) && !compiled("WSGIScriptAlias / a.wsgi\nDocumentRoot /srv\n").by_file(0));
    assert_eq!(at("/", "/srv/x").handlers.keys().collect::<Vec<_>>(), ["cgi", "py"]);
    assert_eq!(at("/", "/srv/a/plus/x").handlers.keys().collect::<Vec<_>>(), ["cgi"]);
    assert_eq!(at("/", "/srv/a/x").handler.as_deref(), Some("wsgi-script"));
    assert_eq!(at("/none/x", "/srv/a/x").handler, None);
    let runs = ["/srv/x", "/srv/a/x", "/srv/a/plus/x", "/srv/a/minus/x", "/srv/a/other/x"];
    assert_eq!(runs.map(|file| at("/", file).exec_cgi), [false, true, true, false, false]);
    assert_eq!(at("/", "/srv/a/x").directory_index, ["index.html", "index.py"]);
    assert_eq!(at("/", "/srv/a/minus/x").directory_index, [""; 0]);
}

#[test]
fn options_decide_about_links_and_lists() {
    let site = compiled(
        "DocumentRoot /srv\n\
         <Directory /srv/a>\nOptions Indexes\n</Directory>\n\
         <Directory /srv/a/own>\nOptions +SymLinksIfOwnerMatch -Indexes\n</Directory>\n\
         <Directory /srv/a/all>\nOptions All\n</Directory>\n\
         <Location /a/place>\nOptions +FollowSymLinks +Indexes\n</Location>\n",
    );
    assert!(site.refuses_links(0));
    let table = [
        ("/", Links::Follow),
        ("/srv", Links::Follow),
        ("/srv/a", Links::Refuse),
        ("/srv/a/place", Links::Refuse),
        ("/srv/a/own/x", Links::OfOwner),
        ("/srv/a/all", Links::Follow),
    ];
    for (folder, links) in table {
        assert_eq!(site.links(0, Path::new(folder)), links, "{folder}");
    }
    let listed = |folder: &str| {
        let url = format!("{}/", folder.strip_prefix("/srv").unwrap_or(folder));
        site.settings_of_folder(0, url.as_bytes(), Path::new(folder)).served.indexes
    };
    assert_eq!(listed("/srv"), None);
    assert_eq!(listed("/srv/a/own"), Some(false));
    assert_eq!(listed("/srv/a/all"), Some(true));
    assert_eq!(listed("/srv/a/place"), Some(true));
    assert!(
        !compiled("DocumentRoot /srv\n<Directory /srv>\nOptions FollowSymLinks Indexes\n</Directory>\n")
            .refuses_links(0)
    );
    assert!(!site.has_rules());
}

/// Reported: `check` took a host whose every request was answered 500, because the only process group stands in another virtual
/// host: the usual pair of port 80 and port 443. And a group that both may use, because their names are equal, was refused.
#[test]
fn a_host_has_the_first_group_that_it_may_use() {
    let host = |port: u16, name: &str, lines: &str| {
        format!(
            "<VirtualHost *:{port}>\nServerName {name}\nWSGIScriptAlias / /x.wsgi\n{lines}\n</VirtualHost>\n"
        )
    };
    let own = |group: &str| format!("WSGIDaemonProcess {group}");
    let listen = "Listen 80\nListen 443\n";
    let table = [
        // Lines, the default of each virtual host, the lines that are warned of.
        (host(80, "a", "") + &host(443, "b", &own("g")), ["g", "g"], vec![5]),
        (host(80, "a", "") + &host(443, "a", &own("g")), ["g", "g"], vec![]),
        (host(80, "a", &own("g")) + &host(443, "b", &own("h")), ["g", "h"], vec![]),
        (own("all") + "\n" + &host(80, "a", &own("g")) + &host(443, "b", ""), ["all", "all"], vec![]),
        (host(80, "a", "WSGIProcessGroup %{GLOBAL}") + &host(443, "b", &own("g")), ["g", "g"], vec![6]),
        (host(80, "a", "WSGIProcessGroup %{GLOBAL}") + &host(443, "a", &own("g")), ["g", "g"], vec![]),
        (host(80, "a", &own("g")) + &host(443, "b", "WSGIProcessGroup g"), ["g", "g"], vec![11]),
        // The main server answers nobody, or those at another port.
        (
            format!("WSGIScriptAlias /m /x.wsgi\n{}{}", host(80, "a", &own("g")), host(443, "a", "")),
            ["g", "g"],
            vec![],
        ),
        (
            format!(
                "Listen 8080\nWSGIScriptAlias /m /x.wsgi\n{}{}",
                host(80, "a", &own("g")),
                host(443, "a", "")
            ),
            ["g", "g"],
            vec![4],
        ),
        (
            "GilkeeperEmbedded Beside\n".to_owned() + &host(80, "a", "") + &host(443, "b", &own("g")),
            ["global", "global"],
            vec![],
        ),
    ];
    for (text, defaults, warned) in table {
        let text = format!("{listen}{text}");
        let loaded = load_text("site.conf", &text, &Memory::new(), &Surroundings::default());
        let said = loaded.diagnostics.iter().filter(|said| said.code == Some("WSGI0152"));
        assert_eq!(said.map(|said| said.line).collect::<Vec<_>>(), warned, "{text}");
        let site = loaded.site.unwrap();
        let found = [1, 2].map(|host| site.default_group(host).unwrap().name.as_str());
        assert_eq!(found, defaults, "{text}");
    }
}

/// Reported: `<Files>` in a `<DirectoryMatch>` was an error; on Apache it protects files.
#[test]
fn files_within_directories_of_a_pattern() {
    let site = compiled(
        "Alias /a /srv/a\nAlias /b /srv/b\nWSGIScriptAlias /x /srv/b/x.py\n\
         <DirectoryMatch ^/srv/a>\n<Files *.html>\nSetEnv OPEN 1\n</Files>\n\
         <FilesMatch ^x>\n<If \"true\">\nSetEnv CONDITION 1\n</If>\nSetEnv NAME 1\n</FilesMatch>\n</DirectoryMatch>\n\
         <Directory ~ /b$>\n<Files x.py>\nSetEnv SCRIPT 1\n</Files>\n</Directory>\n",
    );
    let names = |file: &str| {
        let settings = site.settings(0, b"/", Some(Path::new(file)));
        settings.env.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("/srv/a/i.html"), "OPEN");
    assert_eq!(names("/srv/a/x.html"), "NAME OPEN");
    assert_eq!(names("/srv/b/x.html"), "");
    assert_eq!(names("/srv/b/x.py"), "SCRIPT");
    let around = [
        "<Location /a>\n<Files x>\n</Files>\n</Location>",
        "<Files x>\n<FilesMatch x>\n</FilesMatch>\n</Files>",
    ];
    for text in around {
        let loaded = load_text("site.conf", text, &Memory::new(), &Surroundings::default());
        let said = &loaded.diagnostics[0];
        assert!(
            said.message.contains("inside <Directory> and <DirectoryMatch>") && said.hint.is_some(),
            "{said:?}"
        );
    }
}
