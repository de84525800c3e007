//! Whole configurations, from text to site and diagnostics.

use gk_config::diagnostic::Severity;
use gk_config::site::{Scope, Site};
use gk_config::source::Memory;
use gk_config::{Loaded, Surroundings, load, load_text};
use std::path::Path;

fn surroundings() -> Surroundings {
    Surroundings { directory: "/etc/site".into(), ..Surroundings::default() }
}

fn read(text: &str) -> Loaded {
    load_text("site.conf", text, &Memory::new(), &surroundings())
}

fn site(text: &str) -> Site {
    read(text).into_result().unwrap_or_else(|said| panic!("{said:#?}")).0
}

#[test]
fn the_configuration_of_the_contract_runs_unchanged() {
    let loaded = read(include_str!("conf/own-gil.conf"));
    assert!(!loaded.has(Severity::Error), "{:#?}", loaded.diagnostics);
    let site = loaded.site.unwrap();
    let group = &site.groups[0];
    assert_eq!((group.name.as_str(), group.processes, group.threads), ("my-app", 2, 5));
    assert_eq!(site.switch_interval("my-app"), Some(0.002));
    let heavy = site.interpreter("my-app", "cpu-heavy");
    assert!(heavy.per_interpreter_gil && heavy.free_threading);
    assert_eq!(site.hosts[0].sections[0].scope, Scope::Location("/suburl".into()));
    assert_eq!(site.hosts[0].sections[0].set.application_group.as_deref(), Some("sub-interp-1"));
    let json = serde_json::to_string(&site).unwrap();
    assert_eq!(serde_json::from_str::<Site>(&json).unwrap(), site);
}

#[test]
fn includes_defines_and_conditions() {
    let files = Memory::new()
        .with(
            "/etc/site/main.conf",
            "Define PORT 9000\nListen ${PORT}\nIncludeOptional nothing/*.conf\nInclude conf.d/*.conf\n\
             <IfModule !mod_rewrite.c>\n<IfDefine X>\nNonsense\n</IfDefine>\nTimeout 7\n</IfModule>\n\
             <IfModule rewrite_module>\nRewriteEngine On\n</IfModule>\n",
        )
        .with("/etc/site/conf.d/b.conf", "KeepAlive Off\n")
        .with("/etc/site/conf.d/a.conf", "KeepAlive On\nWSGIDaemonProcess ${USER_NAME} \\\n  threads=3\n");
    let mut around = surroundings();
    around.environment.insert("USER_NAME".into(), "shop".into());
    let loaded = load(Path::new("main.conf"), &files, &around);
    let (site, said) = loaded.into_result().unwrap();
    assert!(said.is_empty(), "{said:#?}");
    assert_eq!((site.http.timeout, site.http.keep_alive), (7.0, false));
    assert_eq!((site.groups[0].name.as_str(), site.groups[0].threads), ("shop", 3));
    assert!(matches!(site.listen[0], gk_config::site::Listen::Tcp { port: 9000, .. }));
}

#[test]
fn loops_and_missing_files_are_errors() {
    let files =
        Memory::new().with("/etc/site/a", "Include b\n").with("/etc/site/b", "Include a\nInclude c\n");
    let loaded = load(Path::new("a"), &files, &surroundings());
    let said: Vec<String> = loaded.diagnostics.iter().map(|d| d.line()).collect();
    assert_eq!(
        said,
        [
            "/etc/site/b:1:9: error: /etc/site/a includes itself",
            "/etc/site/b:2:9: error: no file is named by /etc/site/c (IncludeOptional accepts that nothing is found)",
        ]
    );
    assert!(load(Path::new("none"), &files, &surroundings()).site.is_none());
}

#[test]
fn groups_and_imports() {
    let site = site(
        "ServerName shop.example\nWSGIDaemonProcess a\nWSGIDaemonProcess b threads=0\n\
         WSGIScriptAlias /1 one.wsgi process-group=a application-group=%{GLOBAL}\n\
         WSGIScriptAlias /2 two.wsgi\n\
         WSGIScriptAlias /3 three.wsgi application-group=%{ENV:tenant}\n\
         WSGIScriptAliasMatch ^/4/(.*) $1.wsgi process-group=a application-group=x\n\
         WSGIImportScript service.py process-group=b application-group=%{GLOBAL}\n\
         WSGIImportScript one.wsgi process-group=a application-group=%{GLOBAL}\n",
    );
    let imports: Vec<(String, &str, &str)> = site
        .imports
        .iter()
        .map(|i| (format!("{:?}", i.target), i.process_group.as_str(), i.application_group.as_str()))
        .collect();
    let file = |name: &str| format!("File(\"/etc/site/{name}\")");
    assert_eq!(
        imports,
        [
            (file("service.py"), "b", ""),
            (file("one.wsgi"), "a", ""),
            (file("two.wsgi"), "a", "shop.example:8000|/2"),
        ]
    );
}

#[test]
fn without_a_group_there_is_one() {
    let site = site("WSGIScriptAlias / app.wsgi\n");
    assert_eq!((site.groups.len(), site.groups[0].name.as_str(), site.groups[0].threads), (1, "default", 15));
    assert!(!site.groups[0].multiprocess);
    assert!(site.imports.is_empty(), "the name of the interpreter depends on the request");
}

#[test]
fn what_is_protected_is_never_served_open() {
    let open = |rules: &str| {
        site(&format!("<Location /x>\n{rules}\n</Location>\n")).hosts[0].sections[0]
            .set
            .require
            .unwrap_or(true)
    };
    assert!(open("Require all granted"));
    assert!(open("Allow from all"));
    assert!(open("<RequireAll>\nRequire all granted\n</RequireAll>"));
    assert!(!open("Require all denied"));
    assert!(!open("Require valid-user"));
    assert!(!open("Require not ip 10.0.0.1"));
    assert!(!open("<RequireAll>\nRequire all granted\nRequire not ip 10.0.0.1\n</RequireAll>"));
    assert!(!open("<RequireAll>\nRequire ip 10.0.0.1\nRequire all granted\n</RequireAll>"));
    assert!(!open("<RequireNone>\nRequire all granted\n</RequireNone>"));
    assert!(!open("WSGIAccessScript access.py"));
    assert!(!open("WSGIAuthUserScript auth.py"));
}

#[test]
fn everything_about_logs() {
    let site = site(
        "LogFormat \"%h %m\" short\nErrorLog logs/error\nLogLevel warn wsgi:debug ssl:info\nCustomLog - short\n\
         CustomLog logs/access combined\nErrorLogFormat json\nCustomLog logs/json json\n",
    );
    let host = &site.hosts[0];
    assert_eq!((site.error_log.level.as_str(), site.error_log.json), ("debug", true));
    assert_eq!(site.error_log.path.as_deref(), Some(Path::new("/etc/site/logs/error")));
    assert_eq!((host.access_logs[0].path.clone(), host.access_logs[0].format.as_str()), (None, "%h %m"));
    assert!(host.access_logs[1].format.contains("Referer") && host.access_logs[2].json);
}

#[test]
fn messages_of_a_bad_configuration() {
    let text = include_str!("conf/bad.conf");
    insta::assert_snapshot!("bad", gk_config::diagnostic::render_all(&read(text).diagnostics));
}

#[test]
fn check_report_of_the_contract() {
    let loaded = read(include_str!("conf/own-gil.conf"));
    insta::assert_snapshot!("check_text", gk_config::report::text(&loaded));
    insta::assert_snapshot!("check_json", gk_config::report::json(&loaded));
}

#[test]
fn unknown_directives_can_be_warnings() {
    let around = Surroundings { ignore_unknown: true, ..surroundings() };
    let loaded = load_text("s", "RewriteEngine On\n<Proxy *>\nX\n</Proxy>\n", &Memory::new(), &around);
    assert!(loaded.site.is_some());
    assert_eq!(loaded.diagnostics.len(), 2);
}

#[test]
fn what_a_known_build_of_python_cannot_do() {
    let with = |minor, free_threaded| {
        let python = Some(gk_config::PythonBuild { minor, free_threaded });
        let around = Surroundings { python, ..surroundings() };
        let text = include_str!("conf/own-gil.conf");
        let loaded = load_text("site.conf", text, &Memory::new(), &around);
        loaded.diagnostics.iter().filter_map(|d| d.code).collect::<Vec<_>>()
    };
    assert_eq!(with(11, false), ["WSGI0198", "WSGI0200"]);
    assert_eq!(with(13, false), ["WSGI0200"]);
    assert_eq!(with(14, true), ["WSGI0203", "WSGI0204", "WSGI0202", "WSGI0205"]);
}
