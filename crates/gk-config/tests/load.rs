//! Whole configurations, from text to site and diagnostics.

use gk_config::diagnostic::Severity;
use gk_config::place::{Compiled, NoFiles};
use gk_config::site::{Listen, LogCondition, LogForm, Scope, Site};
use gk_config::source::Memory;
use gk_config::{Loaded, PythonBuild, Pythons, Surroundings, load, load_text};
use std::path::Path;
use std::sync::Arc;

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
fn which_switch_interval_a_process_has() {
    let site = site(
        "WSGISwitchInterval 0.02\nWSGIDaemonProcess plain\nWSGIDaemonProcess own switch-interval=0.03\n\
         WSGIDaemonProcess block\n<WSGIInterpreterOptions process-group=block>\nWSGISwitchInterval 0.04\n\
         </WSGIInterpreterOptions>\n<WSGIInterpreterOptions process-group=own>\nWSGISwitchInterval 0.05\n\
         </WSGIInterpreterOptions>\n",
    );
    let found = ["plain", "own", "block"].map(|group| site.switch_interval(group));
    assert_eq!(found, [Some(0.02), Some(0.03), Some(0.04)]);
}

#[test]
fn includes_defines_and_conditions() {
    let files = Memory::new()
        .with(
            "/etc/site/main.conf",
            "Define PORT 9000\nListen ${PORT}\nIncludeOptional nothing/*.conf\nInclude conf.d/*.conf\n\
             <IfModule !mod_php5.c>\n<IfDefine X>\nNonsense\n</IfDefine>\nTimeout 7\n</IfModule>\n\
             <IfModule php5_module>\nNonsense On\n</IfModule>\n",
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
    assert!(matches!(site.listen[0], Listen::Tcp { port: 9000, .. }));
}

#[test]
fn a_relative_server_root_starts_at_the_file() {
    let files =
        Memory::new().with("/etc/site/main.conf", "ServerRoot old\nServerRoot state\nPidFile run.pid\n");
    let around = Surroundings { directory: "/elsewhere".into(), ..surroundings() };
    let (site, _) = load(Path::new("/etc/site/main.conf"), &files, &around).into_result().unwrap();
    assert_eq!(site.server_root, Path::new("/etc/site/state"));
    assert_eq!(site.pid_file.as_deref(), Some(Path::new("/etc/site/state/run.pid")));
}

#[test]
fn what_is_there_may_be_a_directory() {
    let files = Memory::new().with("/etc/site/conf.d/a.conf", "").with(
        "/etc/site/main.conf",
        "<IfFile conf.d>\nTimeout 7\n</IfFile>\n<IfFile conf.d/a.conf>\nKeepAlive Off\n</IfFile>\n\
         <IfFile !conf>\nKeepAliveTimeout 9\n</IfFile>\n<IfFile none>\nTimeout 8\n</IfFile>\n",
    );
    let http = load(Path::new("main.conf"), &files, &surroundings()).into_result().unwrap().0.http;
    assert_eq!((http.timeout, http.keep_alive, http.keep_alive_timeout), (7.0, false, 9.0));
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
fn service_scripts_take_no_requests() {
    let script = "WSGIImportScript s.py process-group=s application-group=%{GLOBAL}\n";
    let service = format!("WSGIDaemonProcess s threads=0\n{script}");
    let errors = |more: &str| {
        let said = read(&format!("{service}{more}\n")).diagnostics;
        let errors = said.into_iter().filter(|d| d.severity == Severity::Error);
        errors.map(|d| (d.line, d.message)).collect::<Vec<_>>()
    };
    let refused = vec![(3, "`s` runs a service script (threads=0) and takes no requests".to_owned())];
    assert_eq!(errors("WSGIScriptAlias / a.wsgi process-group=s application-group=%{GLOBAL}"), refused);
    assert_eq!(errors("WSGIProcessGroup s\nWSGIScriptAlias / a.wsgi"), refused);
    let said = read("WSGIDaemonProcess s threads=0\n").diagnostics;
    assert!(said.len() == 1 && said[0].message.contains("no script is named"), "{said:#?}");

    let site = site(&format!("{service}WSGIDaemonProcess a\nWSGIScriptAlias / x.wsgi application-group=x\n"));
    let imports: Vec<&str> = site.imports.iter().map(|i| i.process_group.as_str()).collect();
    assert_eq!(imports, ["s", "a"]);
    let alone = read(&format!("{service}WSGIScriptAlias / x.wsgi\n")).site.unwrap();
    let names: Vec<&str> = alone.groups.iter().map(|g| g.name.as_str()).collect();
    assert_eq!(names, ["s", "default"]);
}

#[test]
fn without_a_group_there_is_one() {
    let site = site("WSGIScriptAlias / app.wsgi\n");
    assert_eq!((site.groups.len(), site.groups[0].name.as_str(), site.groups[0].threads), (1, "default", 15));
    assert!(!site.groups[0].multiprocess);
    assert!(site.imports.is_empty(), "the name of the interpreter depends on the request");
}

#[test]
fn everything_about_logs() {
    let site = site(
        "LogFormat \"%h %m\" short\nErrorLog logs/error\nLogLevel warn wsgi:debug ssl:info\nCustomLog - short\n\
         CustomLog logs/access combined\nErrorLogFormat json\nCustomLog logs/json json\n\
         LogLevel front:info,worker:trace3\nCustomLog logs/fmt LogFmt\n",
    );
    let host = &site.hosts[0];
    assert_eq!((site.error_log.level.as_str(), site.error_log.form), ("debug", LogForm::Json));
    assert_eq!(site.error_log.path.as_deref(), Some(Path::new("/etc/site/logs/error")));
    assert_eq!((host.access_logs[0].path.clone(), host.access_logs[0].format.as_str()), (None, "%h %m"));
    assert!(host.access_logs[1].format.contains("Referer") && host.access_logs[2].form == LogForm::Json);
    assert_eq!(host.access_logs[3].form, LogForm::Logfmt);
    let areas: Vec<(&str, &str)> =
        site.error_log.areas.iter().map(|(a, l)| (a.as_str(), l.as_str())).collect();
    assert_eq!(areas, [("front", "info"), ("worker", "trace")]);
}

#[test]
fn an_access_log_may_be_about_some_requests() {
    let read = |line: &str| load_text("s", line, &Memory::new(), &surroundings()).into_result().expect(line);
    for (line, variable, set) in [
        ("CustomLog a.log common env=quiet", "quiet", true),
        ("CustomLog a.log common env=!quiet", "quiet", false),
    ] {
        let when = read(line).0.hosts[0].access_logs[0].when.clone().expect(line);
        assert_eq!(when, LogCondition::Variable { name: variable.to_owned(), set }, "{line}");
    }
    let (site, said) = read("CustomLog a.log common \"expr=%{REQUEST_STATUS} -ge 400\"");
    assert!(said.is_empty(), "{said:?}");
    let when = site.hosts[0].access_logs[0].when.clone();
    assert!(
        matches!(&when, Some(LogCondition::Expression(it)) if it.text() == "%{REQUEST_STATUS} -ge 400"),
        "{when:?}"
    );
    assert!(Compiled::new(Arc::new(site), &NoFiles).expect("valid").host_has_rules(0));
    for wrong in ["\"expr=resp('A') == 'b'\"", "environment", "env=!"] {
        let (site, said) = read(&format!("CustomLog a.log common {wrong}"));
        assert!(site.hosts[0].access_logs[0].when.is_none(), "{wrong}");
        assert!(said.iter().any(|said| said.message.contains("every request is logged")), "{said:?}");
    }
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
    let loaded = load_text("s", "NoSuchThing On\n<Nowhere *>\nX\n</Nowhere>\n", &Memory::new(), &around);
    assert!(loaded.site.is_some());
    assert_eq!(loaded.diagnostics.len(), 2);
}

#[test]
fn what_a_known_build_of_python_cannot_do() {
    let with = |minor, free_threaded| {
        let pythons = Pythons::new(move |_| Some(PythonBuild { minor, free_threaded }));
        let around = Surroundings { pythons, ..surroundings() };
        let text = include_str!("conf/own-gil.conf");
        let loaded = load_text("site.conf", text, &Memory::new(), &around);
        loaded.diagnostics.iter().filter_map(|d| d.code).collect::<Vec<_>>()
    };
    assert_eq!(with(11, false), ["WSGI0198", "WSGI0199", "WSGI0200"]);
    assert_eq!(with(13, false), ["WSGI0200"]);
    assert_eq!(with(14, true), ["WSGI0203", "WSGI0204", "WSGI0202", "WSGI0205"]);
}

#[test]
fn python_options() {
    let site = site(
        "WSGIPythonHashSeed Random\nWSGIPythonHome venv\nWSGIPythonPath lib:/opt/lib\nWSGIPythonOptimize 2\n\
         WSGIPythonWarnings error\nWSGIPythonWarnings ignore::X\nWSGIDontWriteBytecode On\n\
         WSGIDaemonProcess a\nWSGIDaemonProcess b python-path=/own python-home=/home/b\n\
         <WSGIInterpreterOptions application-group=x>\nWSGIPythonPath more\n</WSGIInterpreterOptions>\n",
    );
    assert_eq!(site.python.hash_seed.as_deref(), Some("random"));
    assert_eq!(site.python.warnings, ["error", "ignore::X"]);
    assert_eq!((site.python.optimize, site.python.dont_write_bytecode), (2, true));
    assert_eq!(site.groups[0].python_home.as_deref(), Some(Path::new("/etc/site/venv")));
    assert_eq!(site.groups[0].python_path, [Path::new("/etc/site/lib"), Path::new("/opt/lib")]);
    assert_eq!(site.groups[1].python_home.as_deref(), Some(Path::new("/home/b")));
    assert_eq!(site.groups[1].python_path, [Path::new("/own")]);
    assert_eq!(site.interpreter("a", "x").python_path, [Path::new("/etc/site/more")]);
    assert!(read("WSGIPythonHashSeed 4294967296\n").site.is_none());
    assert!(read("WSGIPythonOptimize 3\n").site.is_none());
}

#[test]
fn defaults_that_differ() {
    let site = site("");
    assert!(site.hosts[0].base.chunked_request);
    assert!(!site.hosts[0].base.pass_authorization);
    assert_eq!(site.admin.as_deref(), Some("127.0.0.1:8001"));
    assert_eq!((site.groups[0].listen_backlog, site.groups[0].queue_memory), (None, 256 << 20));
    assert_eq!(site.http.listen_backlog, 2048);
}

#[test]
fn the_admin_pages_ask_for_a_token_where_the_line_says_so() {
    let always = |text: &str| site(text).measurements.admin_token;
    assert!(!always("GilkeeperAdmin 127.0.0.1:8001") && !always("GilkeeperAdmin off"));
    assert!(!always("GilkeeperAdmin 127.0.0.1:8001 token=auto"));
    assert!(always("GilkeeperAdmin 127.0.0.1:8001 token=always"));
    // `--admin` names another address and nothing else.
    assert!(always("GilkeeperAdmin 127.0.0.1:8001 token=always\nGilkeeperAdmin 127.0.0.1:9001"));
    for line in ["GilkeeperAdmin 127.0.0.1:8001 token=never", "GilkeeperAdmin 127.0.0.1:8001 always"] {
        assert!(read(line).site.is_none(), "{line}");
    }
}

#[test]
fn the_site_knows_the_files_it_was_read_from() {
    let files = Memory::new().with("/srv/site.conf", "Include more.conf\n").with("/srv/more.conf", "");
    let around = Surroundings { directory: "/srv".into(), ..Surroundings::default() };
    let site = gk_config::load(std::path::Path::new("site.conf"), &files, &around).site.unwrap();
    assert_eq!(site.files, ["/srv/site.conf", "/srv/more.conf"].map(std::path::PathBuf::from));
    let site =
        gk_config::load_text("command line", "Include /srv/more.conf\n", &files, &around).site.unwrap();
    assert_eq!(site.files, ["/srv/more.conf"].map(std::path::PathBuf::from));
}

#[test]
fn lines_that_can_do_nothing() {
    let first = |text: &str| {
        read(text).diagnostics.into_iter().find(|d| d.severity == Severity::Error).map(|d| d.message)
    };
    let of = |line: &str| first(&format!("WSGIDaemonProcess a\n{line}\n")).expect("an error");
    assert!(of("WSGIImportScript x process-group=a application-group=%{ENV:x}").contains("known at start"));
    assert!(of("WSGIImportScript x process-group=a").contains("needs the option application-group="));
    assert!(of("WSGIImportScript x process-group=no application-group=x").contains("is not declared"));
    assert!(of("Listen 80\nListen 80").contains("twice"));
    assert!(of("Listen nowhere:80").contains("Listen takes"));
    assert!(of("ErrorLog |rotate").contains("not supported"));
    assert!(of("WSGIScriptAlias / module:a..b").contains("dotted module name"));
    assert!(of("WSGISwitchInterval 0").contains("greater than 0"));
    let late = "WSGIScriptAlias / x process-group=a application-group=%{GLOBAL}\nWSGIDaemonProcess a\n";
    assert!(first(late).expect("an error").contains("declared below this alias"));
}

#[test]
fn whole_server_settings_in_a_virtual_host() {
    let loaded =
        read("Timeout 5\n<VirtualHost *:80>\nTimeout 9\nErrorLog x\nLogLevel debug\n</VirtualHost>\n");
    assert_eq!(loaded.diagnostics.len(), 2);
    let site = loaded.site.expect("warnings only");
    assert_eq!((site.http.timeout, site.error_log.path, site.error_log.level.as_str()), (5.0, None, "warn"));
    let logs: Vec<_> = site.hosts.iter().map(|host| host.error_log.as_deref()).collect();
    assert_eq!(logs, [None, Some(Path::new("/etc/site/x"))]);
}
