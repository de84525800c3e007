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
