//! Tests of [`super`]: options in, directive text and the site it gives out.

use super::*;
use crate::express::load;
use crate::site::MountTarget;

fn options(script: &str) -> ServeOptions {
    ServeOptions { script: script.to_owned(), ..ServeOptions::default() }
}

fn surroundings() -> Surroundings {
    Surroundings { directory: "/srv/my site".into(), ..Surroundings::default() }
}

#[test]
fn make_serve() {
    let options = ServeOptions {
        processes: Some("2".into()),
        threads: Some("5".into()),
        url_alias: vec![("/static".into(), "static files".into())],
        ..options("apps/site.wsgi")
    };
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
fn paths_are_seen_from_the_working_directory() {
    let options = ServeOptions {
        server_root: Some("state".into()),
        log_directory: Some("logs".into()),
        python_path: vec!["lib".into(), "/abs".into()],
        working_directory: Some("site".into()),
        document_root: Some("public".into()),
        pid_file: Some("run.pid".into()),
        socket: Some("web.sock".into()),
        telemetry_service: Some("unix:telemetry.sock".into()),
        python: Some("python3.14".into()),
        ..options("hello.py:app")
    };
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
    let text = generate(&options, &surroundings()).unwrap();
    assert!(text.contains("ErrorLog \"/srv/my site/logs/error_log\""), "{text}");
    assert!(text.contains("Listen \"unix:/srv/my site/web.sock\""), "{text}");
    let module = generate(&options_of_module(), &surroundings()).unwrap();
    assert!(module.contains("module:shop.web"), "{module}");
}

fn options_of_module() -> ServeOptions {
    options("shop.web:make")
}

#[test]
fn bad_values_name_their_option() {
    let bad = |change: fn(&mut ServeOptions)| {
        let mut options = options("wsgi.py");
        change(&mut options);
        generate(&options, &surroundings()).unwrap_err()
    };
    assert!(
        bad(|o| o.threads = Some("many".into())).starts_with("--threads takes a whole number of threads")
    );
    assert!(bad(|o| o.request_timeout = Some("60s".into())).contains("write 60"));
    assert!(bad(|o| o.port = Some("80000".into())).starts_with("--port"));
    assert!(bad(|o| o.https_port = Some("8443".into())).starts_with("--https-port is refused"));
    assert!(bad(|o| o.host = Some("nowhere".into())).starts_with("--host"));
    assert!(bad(|o| o.log_level = Some("loud".into())).starts_with("--log-level"));
    assert!(bad(|o| o.admin = Some("x".into())).starts_with("--admin"));
    assert!(bad(|o| o.set = vec!["<Location /x>".into()]).starts_with("--set"));
    assert!(bad(|o| o.setenv = vec![("A".into(), "x\nUser root".into())]).contains("one line"));
    assert!(bad(|o| o.switch_interval = Some("0".into())).starts_with("--switch-interval"));
}

#[test]
fn no_value_escapes_its_quotes() {
    let odd = "a \"b\" \\ ${HOME} %{x} 'c' #\\";
    let options = ServeOptions { setenv: vec![("A".into(), odd.into())], ..options("wsgi.py") };
    let mut surroundings = surroundings();
    surroundings.environment.insert("HOME".into(), "secret".into());
    let (site, said) = load(&options, &surroundings).unwrap();
    assert!(said.is_empty());
    assert_eq!(site.hosts[0].base.env["A"], odd);
}
