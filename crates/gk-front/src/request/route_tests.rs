//! Places of whole sites.

use super::*;
use gk_config::place::Kind;
use gk_config::site::StaticAlias;
use gk_config::site::{Mount, MountTarget, ProcessGroup, Scope, Section, SettingsPatch, Site};
use std::path::Path;

/// A file system of scripts and pages.
struct Tree;

impl Files for Tree {
    fn kind(&self, path: &Path) -> Kind {
        const FILES: [&str; 7] = [
            "/scripts/a.py",
            "/srv/app.wsgi",
            "/www/x.py",
            "/www/dir/index.py",
            "/www/page.html",
            "/www/both/index.html",
            "/www/both/index.py",
        ];
        const FOLDERS: [&str; 7] = ["", "/scripts", "/srv", "/www", "/www/dir", "/www/both", "/www/none"];
        let path = path.to_str().unwrap();
        match path.trim_end_matches('/') {
            _ if FILES.contains(&path) => Kind::File,
            bare if FOLDERS.contains(&bare) => Kind::Directory,
            _ => Kind::Missing,
        }
    }
}

fn site() -> Site {
    let json = serde_json::json!({
        "server_root": "/tmp", "listen": [], "pid_file": null, "user": null, "group": null,
        "error_log": { "path": null, "level": "warn", "json": false },
        "http": gk_config::site::HttpLimits::default(),
        "python": gk_config::site::PythonOptions::default(),
        "groups": [ProcessGroup::named("first"), ProcessGroup::named("second")],
        "hosts": [{
            "server_name": "example.org", "server_port": null, "aliases": [], "addresses": [],
            "server_admin": null, "document_root": null,
            "mounts": [
                Mount::new("/app", MountTarget::File("/srv/app.wsgi".into())),
                Mount::new("/scripts", MountTarget::Directory("/scripts".into())),
                Mount::new("/mod", MountTarget::Module("a.b".into())),
            ],
            "statics": [], "base": Settings::default(), "sections": [], "access_logs": [],
        }],
        "imports": [], "interpreters": [], "admin": null,
        "measurements": gk_config::measurements::Measurements::default(),
        "supervision": gk_config::site::Supervision::default(),
    });
    serde_json::from_value(json).unwrap()
}

fn at(site: Site, host: Option<&str>, path: &str) -> Target {
    at_listener(site, "0.0.0.0:8000", host, path)
}

fn at_listener(site: Site, listener: &str, host: Option<&str>, path: &str) -> Target {
    let question = RouteQuery {
        decided: Decided::default(),
        local: Some("127.0.0.1:8000".parse().unwrap()),
        host: host.map(str::as_bytes),
        path: path.as_bytes(),
        https: false,
        listener,
        pid: 7,
        variables: None,
        chosen: None,
    };
    target(&Compiled::new(Arc::new(site), &Tree).unwrap(), &question, &Tree)
}

fn app(target: Target) -> App {
    match target.destination {
        Destination::App(app) => *app,
        other => panic!("no script: {other:?}"),
    }
}

#[test]
fn mounts_split_the_path() {
    let table = [
        ("/app", "/app", "", "/srv/app.wsgi", false),
        ("/app/x/y", "/app", "/x/y", "/srv/app.wsgi", false),
        ("/scripts/a.py/rest", "/scripts/a.py", "/rest", "/scripts/a.py", true),
        ("/mod/", "/mod", "/", "a.b", false),
    ];
    for (path, script_name, path_info, script, uncacheable) in table {
        let target = at(site(), Some("example.org"), path);
        assert_eq!(target.uncacheable, uncacheable, "{path}");
        let app = app(target);
        assert_eq!(app.script_name, script_name.as_bytes(), "{path}");
        assert_eq!(app.path_info, path_info.as_bytes(), "{path}");
        assert_eq!((&*app.profile.script, &*app.group), (script, "first"), "{path}");
    }
    for (path, status) in [("/", 404), ("/apple", 404), ("/scripts/none", 404), ("/scripts/", 403)] {
        match at(site(), None, path).destination {
            Destination::Refused(refusal, _) => assert_eq!(refusal.status().as_u16(), status, "{path}"),
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[test]
fn names_are_those_the_client_used() {
    let table = [
        (Some("www.example.org"), "www.example.org", 80),
        (Some("www.example.org:8080"), "www.example.org", 8080),
        (Some("[::1]"), "[::1]", 80),
        (Some("[::1]:81"), "[::1]", 81),
        (None, "example.org", 8000),
        (Some(""), "example.org", 8000),
    ];
    for (host, name, port) in table {
        let target = at(site(), host, "/app");
        assert_eq!((&*target.server_name, target.server_port), (name, port), "{host:?}");
    }
}

#[test]
fn a_client_makes_no_application_groups() {
    let hosts =
        [Some("h"), Some("example.org"), Some("example.org:1"), Some("h:2"), Some("h:443"), Some(""), None];
    let mut nameless = site();
    nameless.hosts[0].server_name = None;
    let mut ported = site();
    ported.hosts[0].server_port = Some(443);
    let table = [
        (site(), "0.0.0.0:8000", "example.org:8000|/app"),
        (ported, "0.0.0.0:8000", "example.org|/app"),
        (nameless.clone(), "0.0.0.0:8000", "localhost:8000|/app"),
        (nameless.clone(), "[::1]:8000", "[::1]:8000|/app"),
        (nameless.clone(), "127.0.0.1:8000", "127.0.0.1:8000|/app"),
        (nameless, "unix:/run/x.sock", "localhost:8000|/app"),
    ];
    for (site, listener, group) in table {
        for host in hosts {
            let found = app(at_listener(site.clone(), listener, host, "/app/one"));
            assert_eq!(found.profile.application_group, group, "{listener} {host:?}");
        }
    }
}

#[test]
fn groups_follow_alias_then_section_then_the_first() {
    let mut with = site();
    with.hosts[0].sections = vec![Section {
        scope: Scope::Location("/app/two".into()),
        within: None,
        around: Vec::new(),
        set: SettingsPatch {
            process_group: Some("second".into()),
            application_group: Some("%{GLOBAL}".into()),
            env: Some([("A".to_owned(), "1".to_owned())].into()),
            ..SettingsPatch::default()
        },
    }];
    let plain = app(at(with.clone(), Some("h"), "/app/one"));
    assert_eq!((&*plain.group, &*plain.profile.application_group), ("first", "example.org:8000|/app"));
    let section = app(at(with.clone(), Some("h"), "/app/two/x"));
    assert_eq!((&*section.group, &*section.profile.application_group), ("second", ""));
    assert!(section.profile.environ.contains(&("A".to_owned(), "1".to_owned())));
    with.hosts[0].mounts[0].process_group = Some("first".into());
    assert_eq!(app(at(with, Some("h"), "/app/two/x")).group, "first");
}

#[test]
fn groups_that_may_not_be_used_say_why() {
    let code = |change: &dyn Fn(&mut Site)| {
        let mut site = site();
        change(&mut site);
        match at(site, Some("h"), "/app").destination {
            Destination::Refused(Refusal::Internal, Some((code, _))) => code,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code(&|site| site.groups.clear()), "WSGI0150");
    assert_eq!(code(&|site| site.hosts[0].base.process_group = Some("none".into())), "WSGI0151");
    assert_eq!(code(&|site| site.hosts[0].base.process_group = Some("%{GLOBAL}".into())), "WSGI0143");
    assert_eq!(code(&|site| site.groups.iter_mut().for_each(|group| group.host = Some(3))), "WSGI0152");
    let service = |site: &mut Site| {
        site.groups[1].threads = 0;
        site.hosts[0].base.process_group = Some("second".into());
    };
    assert_eq!(code(&service), "GK0012");
    let fronts = |site: &mut Site| {
        (site.groups[1].embedded, site.groups[1].name) = (true, "fronts".into());
        site.hosts[0].base.process_group = Some("fronts".into());
    };
    assert_eq!(code(&fronts), "WSGI0151", "several fronts run no application");
    assert_eq!(code(&|site| site.groups.iter_mut().for_each(|group| group.threads = 0)), "WSGI0150");
    assert_eq!(code(&|site| site.hosts[0].base.restrict_process = Some(vec!["second".into()])), "WSGI0149");
}

/// Reported: of two virtual hosts with one name, for ports 80 and 443, one was refused the process group that the other declares.
#[test]
fn hosts_of_one_name_share_their_groups() {
    let group_of = |name: &str, selected: Option<&str>| {
        let mut site = site();
        let mut asked = site.hosts[0].clone();
        asked.addresses = vec![gk_config::site::HostAddress { host: None, port: Some(8000) }];
        asked.base.process_group = selected.map(str::to_owned);
        let mut other = asked.clone();
        other.addresses[0].port = Some(9000);
        other.server_name = Some(name.to_owned());
        site.hosts.extend([asked, other]);
        site.groups[0].host = Some(2);
        match at(site, Some("example.org"), "/app").destination {
            Destination::App(app) => app.group,
            Destination::Refused(_, Some((code, _))) => code.to_owned(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(group_of("example.org", Some("first")), "first");
    assert_eq!(group_of("example.org", None), "first");
    assert_eq!(group_of("other.org", Some("first")), "WSGI0152");
    assert_eq!(group_of("other.org", None), "second");
}

#[test]
fn fixed_entries_name_the_listener() {
    let environ = app(at(site(), Some("h"), "/app")).profile.environ;
    let get = |key: &str| environ.iter().find(|(k, _)| k == key).map(|(_, v)| &**v);
    assert_eq!(get("mod_wsgi.listener_host"), Some(""));
    assert_eq!(get("mod_wsgi.listener_port"), Some("8000"));
    assert_eq!(get("mod_wsgi.server_pid"), Some("7"));
    assert_eq!(get("SCRIPT_FILENAME"), Some("/srv/app.wsgi"));
}

/// Reported: `AddHandler wsgi-script .py` and `SetHandler wsgi-script` served the source of scripts.
#[test]
fn handlers_make_scripts_of_files() {
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut site = site();
        let host = &mut site.hosts[0];
        host.document_root = Some("/www".into());
        host.statics = vec![
            StaticAlias { url: "/koji".into(), path: "/www/x.py".into(), order: 9, ..StaticAlias::default() },
            StaticAlias {
                url: "/cgi/".into(),
                path: "/www/".into(),
                order: 9,
                program: true,
                ..StaticAlias::default()
            },
        ];
        host.base.handlers = [("py".to_owned(), "wsgi-script".to_owned())].into();
        host.base.directory_index = vec!["index.html".into(), "index.py".into()];
        host.base.exec_cgi = true;
        change(&mut host.base);
        site
    };
    let answer = |site: &Site, path: &str| match at(site.clone(), Some("h"), path).destination {
        Destination::App(app) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            format!("{} {} {}", app.script, text(&app.script_name), text(&app.path_info))
        }
        Destination::File { path, .. } => format!("file {}", path.display()),
        Destination::Refused(refusal, note) => {
            format!("{} {}", refusal.status().as_u16(), note.map_or("", |(code, _)| code))
        }
    };
    let site = with(&|_| {});
    let table = [
        ("/x.py", "/www/x.py /x.py "),
        ("/x.py/a/b", "/www/x.py /x.py /a/b"),
        ("/koji", "/www/x.py /koji "),
        ("/koji/x", "/www/x.py /koji /x"),
        ("/dir/", "/www/dir/index.py /dir/index.py "),
        ("/dir", "file /www/dir"),
        ("/both/", "file /www/both/index.html"),
        ("/none/", "file /www/none/"),
        ("/none.py", "404 WSGI0135"),
        ("/page.html", "file /www/page.html"),
        ("/page.html/x", "file /www/page.html/x"),
        ("/none/x.html", "file /www/none/x.html"),
        ("/app/x", "/srv/app.wsgi /app /x"),
        ("/cgi/page.html", "403 AH01630"),
        ("/cgi/nothing", "404 "),
    ];
    for (path, want) in table {
        assert_eq!(answer(&site, path), want, "{path}");
    }
    let closed = with(&|base| base.exec_cgi = false);
    let open = with(&|base| base.handler = Some("default-handler".into()));
    let other = with(&|base| base.handler = Some("php".into()));
    let strict = with(&|base| base.accept_path_info = false);
    let script = gk_config::site::HandlerScript {
        path: "/srv/handler.py".into(),
        process_group: Some("second".into()),
        application_group: Some(String::new()),
        pass_authorization: Some(true),
    };
    let by_script = with(&|base| {
        base.handlers = [("html".to_owned(), "bob".to_owned())].into();
        base.handler_scripts = [("bob".to_owned(), script.clone())].into();
    });
    let table = [
        (&closed, "/x.py", "403 WSGI0134"),
        (&closed, "/none.py", "403 WSGI0134"),
        (&closed, "/app", "/srv/app.wsgi /app "),
        (&open, "/x.py", "file /www/x.py"),
        (&open, "/app", "403 AH01630"),
        (&open, "/scripts/a.py", "403 AH01630"),
        (&other, "/page.html", "403 AH01630"),
        (&other, "/app", "403 AH01630"),
        (&strict, "/app/x", "404 WSGI0137"),
        (&strict, "/x.py/a", "404 WSGI0137"),
        (&strict, "/x.py", "/www/x.py /x.py "),
        (&by_script, "/page.html/x", "/srv/handler.py /page.html /x"),
        (&by_script, "/gone.html", "/srv/handler.py /gone.html "),
        (&by_script, "/x.py", "file /www/x.py"),
    ];
    for (site, path, want) in table {
        assert_eq!(answer(site, path), want, "{path}");
    }
    let handled = app(at(by_script, Some("h"), "/page.html"));
    assert_eq!((&*handled.group, &*handled.profile.callable), ("second", "handle_request"));
    assert_eq!((handled.filename.as_deref(), handled.pass_authorization), (Some("/www/page.html"), true));
}
