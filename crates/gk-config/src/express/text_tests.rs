//! Tests of [`super`]: options in, directive text and the site it gives out.

use super::*;
use crate::express::load;
use crate::site::MountTarget;
use crate::source::Memory;

fn options(script: &str) -> ServeOptions {
    ServeOptions::new(script)
}

fn surroundings() -> Surroundings {
    Surroundings { directory: "/srv/my site".into(), ..Surroundings::default() }
}

#[test]
fn make_serve() {
    let options = options("apps/site.wsgi")
        .with("processes", ["2"])
        .with("threads", ["5"])
        .with("url-alias", ["/static", "static files"]);
    let (site, said) = load(&options, &surroundings()).unwrap();
    assert!(said.is_empty(), "{said:?}");
    assert_eq!((site.groups[0].processes, site.groups[0].threads), (2, 5));
    // Compared as text: a path equals itself with a slash behind it, sys.path does not.
    assert_eq!(site.groups[0].home.as_deref().and_then(Path::to_str), Some("/srv/my site"));
    assert_eq!(site.hosts[0].mounts[0].target, MountTarget::File("/srv/my site/apps/site.wsgi".into()));
    assert_eq!(site.hosts[0].statics[0].path, Path::new("/srv/my site/static files"));
    assert_eq!(site.imports.len(), 1);
    assert!(site.hosts[0].base.pass_authorization);
}

#[test]
fn static_files_stand_beside_the_application() {
    let options = options("wsgi.py").with("static", ["/static/", "public", "/", "top"]);
    let (site, said) = load(&options, &surroundings()).unwrap();
    assert!(said.len() == 1 && said[0].message.contains("no request reaches this script alias"), "{said:?}");
    let statics = site.hosts[0].statics.iter().map(|alias| (alias.url.as_str(), alias.path.as_path()));
    let wanted = [("/static", Path::new("/srv/my site/public")), ("/", Path::new("/srv/my site/top/"))];
    assert_eq!(statics.collect::<Vec<_>>(), wanted);
    assert!(site.hosts[0].sections.iter().all(|section| section.set.served.precompressed.is_some()));
    assert!(!site.hosts[0].base.asks());
}

#[test]
fn paths_are_seen_from_the_working_directory() {
    let options = options("hello.py:app")
        .with("server-root", ["state"])
        .with("log-directory", ["logs"])
        .with("python-path", ["lib", "/abs"])
        .with("working-directory", ["site"])
        .with("document-root", ["public"])
        .with("pid-file", ["run.pid"])
        .with("socket", ["web.sock"])
        .with("telemetry-service", ["unix:telemetry.sock"])
        .with("python", ["python3.14"]);
    let server_root = Some("/srv/my site/state".into());
    let (site, _) = load(&options, &Surroundings { server_root, ..surroundings() }).unwrap();
    let here = |name: &str| Path::new("/srv/my site").join(name);
    assert_eq!(site.hosts[0].mounts[0].target, MountTarget::File(here("hello.py")));
    assert_eq!(site.groups[0].python_path, [here("lib"), "/abs".into()]);
    assert_eq!(site.groups[0].home, Some(here("site")));
    assert_eq!(site.groups[0].python.as_deref(), Some(Path::new("python3.14")));
    assert_eq!(site.hosts[0].document_root, Some(here("public")));
    assert_eq!(site.pid_file, Some(here("run.pid")));
    let datagrams = site.measurements.export.datagrams.map(|datagrams| datagrams.socket);
    assert_eq!(datagrams, Some(here("telemetry.sock")));
    let text = generate(&options, &Memory::new(), &surroundings()).unwrap();
    assert!(text.contains("ErrorLog \"/srv/my site/logs/error_log\""), "{text}");
    assert!(text.contains("Listen \"unix:/srv/my site/web.sock\""), "{text}");
    let module = generate(&options_of_module(), &Memory::new(), &surroundings()).unwrap();
    assert!(module.contains("module:shop.web"), "{module}");
}

fn options_of_module() -> ServeOptions {
    options("shop.web:make")
}

#[test]
fn bad_values_name_their_option() {
    for (option, values, expected) in [
        ("threads", vec!["many"], "--threads takes a whole number of threads"),
        ("threads", vec!["-1"], "--threads takes a whole number of threads from 1 to 65533, not `-1`"),
        ("threads", vec!["0"], "--threads takes a whole number of threads from 1 to 65533, not `0`"),
        (
            "request-timeout",
            vec!["60s"],
            "--request-timeout takes a number of seconds, not `60s` (unit suffixes",
        ),
        (
            "graceful-timeout",
            vec!["9999999999999999999"],
            "--graceful-timeout takes at most 1000000000 seconds",
        ),
        ("port", vec!["80000"], "--port takes a whole number from 0 to 65535, not `80000`"),
        ("https-port", vec!["8443"], "--https-port needs a certificate"),
        ("ssl-certificate-file", vec!["c.pem"], "--ssl-certificate-file needs --https-port"),
        ("https-only", vec![], "--https-only needs --https-port"),
        (
            "host",
            vec!["nowhere"],
            "--host takes a numeric address such as 127.0.0.1 or ::1, or localhost, not `nowhere`",
        ),
        (
            "host",
            vec!["127.0.0.1:81"],
            "--host takes a numeric address such as 127.0.0.1 or ::1, or localhost, not `127.0.0.1:81`: write `--host 127.0.0.1 --port 81`",
        ),
        (
            "host",
            vec!["*"],
            "--host takes a numeric address such as 127.0.0.1 or ::1, or localhost, not `*`; without it the server listens on all",
        ),
        ("socket-mode", vec!["660"], "--socket-mode goes with --socket PATH"),
        ("socket-mode", vec!["rw"], "--socket-mode takes"),
        // Reported: a socket file of the name `:81` was made. Met with uWSGI's `--socket :81`.
        ("socket", vec![":81"], "--socket takes the path of a socket file, not `:81`: write `--port 81`"),
        (
            "socket",
            vec!["unix:/run/x.sock"],
            "--socket takes the path of a socket file, not `unix:/run/x.sock`: write `--socket /run/x.sock`",
        ),
        ("log-level", vec!["loud"], "--log-level"),
        (
            "log-level",
            vec!["warn,back:info"],
            "--log-level knows the areas supervisor, front, admin, worker, not `back`",
        ),
        ("log-level", vec!["warn,front:loud"], "--log-level takes one of"),
        ("log-format", vec!["xml"], "--log-format takes one of"),
        ("admin", vec!["x"], "--admin"),
        ("umask", vec!["9"], "--umask takes an octal number"),
        ("python-path", vec!["a:b"], "--python-path takes one directory at a time"),
        ("set", vec!["<Location /x>"], "--set"),
        ("setenv", vec!["A", "x\nUser root"], "--setenv takes values of one line"),
        ("host", vec!["::1\0"], "--host takes values of one line"),
        ("switch-interval", vec!["0"], "--switch-interval"),
        ("mount-point", vec!["x"], "--mount-point"),
        ("url-alias", vec!["x", "y"], "--url-alias"),
        ("static", vec!["x", "y"], "--static"),
    ] {
        let error =
            generate(&options("wsgi.py").with(option, values), &Memory::new(), &surroundings()).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn one_option_says_the_form_of_both_logs() {
    use crate::site::LogForm::{self, Json, Logfmt, Text};
    let forms = |more: &[(&'static str, &str)]| -> (LogForm, Vec<(Option<String>, LogForm, bool)>) {
        let options = more
            .iter()
            .fold(options("wsgi.py").with("access-log", [""; 0]), |o, (name, value)| o.with(name, [*value]));
        let (site, said) = load(&options, &surroundings()).unwrap();
        assert!(said.is_empty(), "{said:?}");
        let logs = site.hosts[0].access_logs.iter();
        let path = |path: &std::path::PathBuf| path.display().to_string();
        (
            site.error_log.form,
            logs.map(|log| (log.path.as_ref().map(path), log.form, log.format.contains("Referer"))).collect(),
        )
    };
    assert_eq!(forms(&[]), (Text, vec![(None, Text, true)]));
    assert_eq!(forms(&[("log-format", "text")]), (Text, vec![(None, Text, true)]));
    assert_eq!(forms(&[("log-format", "json")]), (Json, vec![(None, Json, false)]));
    assert_eq!(
        forms(&[("log-format", "logfmt"), ("error-log-format", "apache")]),
        (Text, vec![(None, Logfmt, false)])
    );
    assert_eq!(
        forms(&[("log-format", "json"), ("access-log-format", "combined")]),
        (Json, vec![(None, Text, true)])
    );
    let to_terminal = [("log-directory", "/logs"), ("access-log-name", "-")];
    assert_eq!(forms(&to_terminal), (Text, vec![(None, Text, true)]));
    assert_eq!(forms(&to_terminal[..1]), (Text, vec![(Some("/logs/access_log".into()), Text, true)]));
}

/// Reported: `--host localhost` was accepted while the help asked for a numeric address.
#[test]
fn localhost_is_an_address_and_the_help_says_so() {
    let (site, _) = load(&options("wsgi.py").with("host", ["localhost"]), &surroundings()).unwrap();
    assert_eq!(
        site.listen,
        [crate::site::Listen::Tcp { host: Some("127.0.0.1".into()), port: 8000, ipv6_only: false }]
    );
    assert!(options::find("host").unwrap().help.contains("localhost"));
}

/// The site as `check --format json` shows it.
fn shown(options: &ServeOptions) -> serde_json::Value {
    let (site, said) = load(options, &surroundings()).unwrap_or_else(|why| panic!("{why}"));
    assert!(said.is_empty(), "{said:?}");
    let mut shown = serde_json::to_value(site).unwrap();
    // `--processes` given at all says more than its value.
    shown["groups"][0].as_object_mut().unwrap().remove("multiprocess");
    // So do the addresses to listen on.
    for implied in ["listen_implied", "admin_implied"] {
        shown.as_object_mut().unwrap().remove(implied);
    }
    shown
}

#[test]
fn the_default_in_the_help_is_the_value_of_the_site_and_giving_it_changes_nothing() {
    let absent = shown(&options("wsgi.py"));
    let mut compared = 0;
    for option in options::all() {
        let Some(default) = option.default() else { continue };
        let pointer = match option.used {
            Use::Process(row) => format!("/groups/0/{}", row.name.replace('-', "_")),
            _ => option.pointer.to_owned(),
        };
        if !pointer.is_empty() {
            let value = absent.pointer(&pointer).unwrap_or_else(|| panic!("--{}: no {pointer}", option.name));
            let text = match value {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Bool(on) => if *on { "On" } else { "Off" }.to_owned(),
                number => number.as_f64().unwrap().to_string(),
            };
            assert_eq!(default.spelled(), text, "--{}", option.name);
            compared += 1;
        }
        if option.takes == Takes::One {
            assert!(
                option.about().contains(&format!("default: {}", default.spelled())),
                "{}",
                option.about()
            );
            let given = options("wsgi.py").with(option.name, [default.spelled()]);
            assert_eq!(shown(&given), absent, "--{}", option.name);
        }
    }
    assert!(compared > 30, "{compared}");
}

#[test]
fn rows_are_unique_and_described() {
    let mut names = std::collections::HashSet::new();
    for option in options::all() {
        assert!(names.insert(option.name), "--{} is there twice", option.name);
        assert!(option.help.ends_with('.'), "--{}: {}", option.name, option.help);
        assert!(option.takes == Takes::Nothing || option.about().contains("default: "), "{}", option.about());
        if let Use::Directive(name) | Use::Enclosed(name, ..) | Use::Switch(name, _) = option.used {
            assert!(crate::directives::find(name).is_some(), "--{} writes {name}", option.name);
        }
    }
    assert!(names.len() > 70, "a heading of some rows is missing: {}", names.len());
}

#[test]
fn no_value_escapes_its_quotes() {
    let odd = "a \"b\" \\ ${HOME} %{x} 'c' #\\";
    let options = options("wsgi.py").with("setenv", ["A", odd]);
    let mut surroundings = surroundings();
    surroundings.environment.insert("HOME".into(), "secret".into());
    let (site, said) = load(&options, &surroundings).unwrap();
    assert!(said.is_empty());
    assert_eq!(site.hosts[0].base.env["A"], odd);
}

#[test]
fn https_is_a_host_of_its_own() {
    use crate::site::{Listen, VerifyClient};
    let of = |more: &[(&'static str, &str)]| {
        let all = options("wsgi.py").with("https-port", ["8443"]).with("ssl-certificate", ["tls/site"]);
        more.iter().fold(all, |all, (name, value)| match *value {
            "" => all.with(name, Vec::<String>::new()),
            value => all.with(name, [value]),
        })
    };
    let site = |more: &[(&'static str, &str)]| {
        let (site, said) = load(&of(more), &surroundings()).unwrap_or_else(|why| panic!("{why}"));
        assert!(said.is_empty(), "{said:?}");
        site
    };
    let plain = site(&[]);
    let ports = plain.listen.iter().map(|one| matches!(one, Listen::Tcp { port: 8000 | 8443, .. }));
    assert_eq!(ports.collect::<Vec<_>>(), [true, true]);
    let tls = plain.hosts[1].tls.as_ref().unwrap();
    let shown = format!("{:?}", tls.certificates[0]);
    assert!(shown.contains("tls/site.crt") && shown.contains("tls/site.key"), "{shown}");
    assert!(plain.hosts[0].tls.is_none() && plain.hosts[1].mounts.len() == plain.hosts[0].mounts.len());
    assert!(
        !plain.hosts[1].base.ssl.std_env_vars
            && site(&[("ssl-environment", "")]).hosts[1].base.ssl.std_env_vars
    );
    // The whole site, or places; never open without TLS.
    let everywhere = site(&[("ssl-ca-certificate-file", "ca.pem")]);
    assert_eq!(everywhere.hosts[1].tls.as_ref().unwrap().clients.verify, VerifyClient::Require);
    assert!(everywhere.hosts[0].sections.iter().any(|section| section.set.ssl.require_tls));
    let place = site(&[("ssl-ca-certificate-file", "ca.pem"), ("ssl-verify-client", "/admin")]);
    assert_eq!(place.hosts[1].tls.as_ref().unwrap().clients.verify, VerifyClient::Optional);
    let set = &place.hosts[1].sections[0].set.ssl;
    assert!(set.require_tls && set.verify == Some(VerifyClient::Require));
    let text = generate(
        &of(&[("https-only", ""), ("hsts-policy", "max-age=9"), ("server-name", "a.example")]),
        &Memory::new(),
        &surroundings(),
    );
    let text = text.unwrap();
    assert!(text.contains("https://a.example:8443%{REQUEST_URI}") && text.contains("max-age=9"), "{text}");
    for (more, want) in [
        (("ssl-certificate-file", "c.pem"), "--ssl-certificate stands for"),
        (("ssl-verify-client", "/x"), "--ssl-verify-client needs --ssl-ca-certificate-file"),
        (("hsts-policy", "x"), "--hsts-policy needs --https-only"),
        (("port", "8443"), "--port and --https-port are both 8443"),
    ] {
        let refused = generate(&of(&[more]), &Memory::new(), &surroundings()).unwrap_err();
        assert!(refused.starts_with(want), "{refused}");
    }
}

#[test]
fn a_factory_reaches_the_directive() {
    let callable = |options: &ServeOptions| {
        let (site, said) = load(options, &surroundings()).unwrap();
        assert!(said.is_empty(), "{said:?}");
        (site.imports[0].callable_object.clone().unwrap(), site.imports[0].lone_app)
    };
    for (script, more, expected) in [
        ("app", None, ("application", true)),
        ("app:application", None, ("application", false)),
        ("app:create_app('a b', \"c\")", None, ("create_app('a b', \"c\")", false)),
        ("app", Some("factory"), ("create_app()", false)),
        ("app:web.make", Some("factory"), ("web.make()", false)),
    ] {
        let mut given = options(script);
        more.into_iter().for_each(|flag| given.add(flag, [""; 0]));
        assert_eq!(callable(&given), (expected.0.to_owned(), expected.1), "{script}");
    }
}

/// Reported: a socket got a mode only by `Listen`, which opened port 8000 beside it. Met with a proxy of another user.
#[test]
fn a_socket_alone_has_a_mode() {
    for (given, expected) in [
        (
            ServeOptions::new("a").with("socket", ["/run/x"]).with("socket-mode", ["660"]),
            "Listen unix:/run/x mode=660\n",
        ),
        (ServeOptions::new("a").with("socket", ["/run/x"]), "Listen unix:/run/x\n"),
    ] {
        assert_eq!(listeners(&given, Path::new("/srv")).unwrap(), expected);
    }
    let alone = ServeOptions::new("").with("socket-mode", ["660"]);
    assert_eq!(listeners(&alone, Path::new("/srv")).unwrap_err(), "--socket-mode goes with --socket PATH");
}
