//! Where a site listens, which handlers it may name, and whether it mounts anything.

use gk_config::diagnostic::Severity;
use gk_config::express::{ServeOptions, listeners};
use gk_config::site::{Listen, Site};
use gk_config::source::Memory;
use gk_config::{Loaded, Surroundings, load_text};
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

/// Reported: `<VirtualHost *:80>` without `Listen` was accepted, and every request was a 404 on port 8000. Met with nearly every
/// configuration of a distribution, which keeps the line in another file.
#[test]
fn virtual_hosts_are_listened_on_and_reached() {
    let listen = |text: &str| {
        let site = site(text);
        let spelt = site.listen.iter().map(|listen| match listen {
            Listen::Tcp { host, port, ipv6_only } => {
                format!("{}:{port}{}", host.as_deref().unwrap_or("*"), if *ipv6_only { "!" } else { "" })
            }
            Listen::Given { name } => name.clone(),
            Listen::Unix { path, .. } => path.display().to_string(),
        });
        spelt.collect::<Vec<_>>().join(" ")
    };
    let host = |address: &str| format!("<VirtualHost {address}>\nServerName x\n</VirtualHost>\n");
    let table = [
        (String::new(), "*:8000"),
        (host("*"), "*:8000"),
        (host("*:80"), "*:80"),
        (host("*:80") + &host("*:80") + &host("_default_:81"), "*:80 *:81"),
        (host("127.0.0.1:8080"), "127.0.0.1:8080"),
        (host("127.0.0.1:80 *:80"), "*:80"),
        (
            host("*:80") + "<VirtualHost *:443>\nSSLEngine On\nSSLCertificateFile /c\n</VirtualHost>\n",
            "*:80 *:443",
        ),
        ("Listen 81\n".to_owned() + &host("*:81"), "*:81"),
        ("Listen 0.0.0.0:81\n".to_owned() + &host("127.0.0.1:81"), "0.0.0.0:81"),
        ("Listen 81\nListen unix:/s\n".to_owned() + &host("*"), "*:81 /s"),
        ("Listen unix:/s\n".to_owned() + &host("*"), "/s"),
        ("Listen systemd:web\n".to_owned() + &host("*:81"), "web"),
        ("Listen [::]:81 ipv6only=on\n".to_owned(), ":::81!"),
        ("Listen [::]:81 ipv6only=off\n".to_owned(), ":::81"),
        // Both families: two sockets.
        ("Listen 0.0.0.0:81\nListen [::]:81\n".to_owned(), "0.0.0.0:81 :::81!"),
        ("Listen [::]:81\nListen 0.0.0.0:82\n".to_owned(), ":::81 0.0.0.0:82"),
        ("Listen 81\nListen 0.0.0.0:81\n".to_owned(), "*:81! 0.0.0.0:81"),
    ];
    for (text, want) in table {
        assert_eq!(listen(&text), want, "{text}");
    }
    let refused = |text: &str| {
        let said = read(text).diagnostics;
        let errors = said.into_iter().filter(|d| d.severity == Severity::Error);
        errors.map(|d| (d.line, d.column, d.message, d.hint.unwrap_or_default())).collect::<Vec<_>>()
    };
    let said = refused(&("Listen 8000\nListen 127.0.0.1:82\n".to_owned() + &host("*:80")));
    let message = "nobody listens on port 80, so no request reaches this virtual host (listened on: port 8000, 127.0.0.1:82)";
    let hint = "add `Listen 80`, or give the virtual host a port that is listened on";
    assert_eq!(said, [(3, 14, message.to_owned(), hint.to_owned())]);
    for (listen, address) in
        [("127.0.0.1:80", "10.0.0.1:80"), ("unix:/s", "*:80"), ("0", "*:80"), ("[::1]:80", "127.0.0.1:80")]
    {
        assert_eq!(refused(&format!("Listen {listen}\n{}", host(address))).len(), 1, "{listen} {address}");
    }
}

/// Reported: `AddHandler wsgi-script .py` was read without effect, and `GET /wsgi.py` gave the source.
#[test]
fn handlers_that_are_not_built_are_said() {
    let said = |text: &str, ignore_unknown: bool| {
        let around = Surroundings { ignore_unknown, ..surroundings() };
        let loaded = load_text("site.conf", text, &Memory::new(), &around);
        loaded.diagnostics.iter().map(|d| (d.severity, d.line)).collect::<Vec<_>>()
    };
    for text in [
        "SetHandler wsgi-script",
        "SetHandler None",
        "AddHandler wsgi-script py .wsgi",
        "SetHandler default-handler",
    ] {
        assert_eq!(said(text, false), [], "{text}");
    }
    for name in ["cgi-script", "application/x-httpd-php", "server-status", "proxy:unix:/x"] {
        let set = format!("<Location /x>\nSetHandler {name}\n</Location>\n");
        assert_eq!(said(&set, false), [(Severity::Error, 2)], "{name}");
        assert_eq!(said(&set, true), [(Severity::Warning, 2)], "{name}");
        assert_eq!(said(&format!("AddHandler {name} .x"), false), [(Severity::Warning, 1)], "{name}");
    }
    for text in
        ["Options Indexes +ExecCGI", "Options +Indexes ExecCGI", "Options ExecCgi Indxes", "Options +None -x"]
    {
        assert_eq!(said(text, false), [(Severity::Error, 1)], "{text}");
    }
    for text in [
        "Options ExecCGI FollowSymlinks",
        "Options +Indexes -ExecCGI",
        "Options None",
        "Options All -Indexes",
    ] {
        assert_eq!(said(text, false), [], "{text}");
    }
    for text in
        ["WSGIHandlerScript Bob /x.py\nSetHandler bob", "AddHandler bob .b\nWSGIHandlerScript bob /x.py"]
    {
        assert_eq!(said(text, false), [], "{text}");
    }
    assert_eq!(said("AddType application/x-httpd-wsgi .py", false), []);
    assert_eq!(said("AddType application/x-httpd-php .php", false), [(Severity::Warning, 1)]);
    assert_eq!(said("ForceType application/x-httpd-php", false), [(Severity::Error, 1)]);
    assert_eq!(said("ScriptAlias /cgi-bin/ /x/", false), [(Severity::Warning, 1)]);
    assert_eq!(said("Alias /a/ /x", false), [(Severity::Warning, 1)]);
}

/// Reported: certbot's and mod_wsgi-express's files mount nothing here, and nobody was told.
#[test]
fn a_site_that_mounts_nothing_is_known() {
    assert!(
        site("Listen 80\nWSGIDaemonProcess a\n<IfModule mod_php.c>\nWSGIScriptAlias / x\n</IfModule>\n")
            .mounts_nothing()
    );
    for text in [
        "WSGIScriptAlias / x",
        "Alias /a /b",
        "DocumentRoot /x",
        "<VirtualHost *:80>\nWSGIScriptAlias / x\n</VirtualHost>",
    ] {
        assert!(!site(text).mounts_nothing(), "{text}");
    }
}

/// Reported: `serve -c FILE --port 8080` was refused. Met by everybody who may not listen on port 80.
#[test]
fn addresses_beside_a_file_are_lines_of_listen() {
    let lines = |options: &[(&'static str, &str)]| {
        let given = options.iter().fold(ServeOptions::new(""), |all, (name, value)| all.with(name, [*value]));
        listeners(&given, Path::new("/srv"))
    };
    let of = |text: &str| Ok(text.to_owned());
    assert_eq!(lines(&[]), of(""));
    assert_eq!(lines(&[("processes", "2")]), of(""));
    assert_eq!(lines(&[("port", "8080")]), of("Listen 8080\n"));
    assert_eq!(lines(&[("host", "::1"), ("port", "81")]), of("Listen [::1]:81\n"));
    assert_eq!(lines(&[("socket", "s.sock")]), of("Listen unix:/srv/s.sock\n"));
    assert!(lines(&[("host", "nowhere")]).is_err());
}
