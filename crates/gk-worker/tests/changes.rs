//! Changed files under a real worker: the changes that it reports, and when. Each test is a process of its own
//! (nextest), because CPython starts once per process.

#![allow(clippy::unwrap_used, reason = "a test may panic with the place")]

mod support;

use gk_wire::control::{FromWorker, ToWorker};
use gk_wire::request::Profile;
use gk_wire::setup::WorkerSetup;
use support::{Front, profile, with_other_setup};

const APP: &str = r#"
def application(environ, start_response):
    if environ["PATH_INFO"] == "/later":
        import later
    start_response("200 OK", [])
    return [b"Hello"]
"#;

#[test]
fn a_change_is_reported_where_reloading_is_on_and_nowhere_else() {
    let off = |setup: &mut WorkerSetup| setup.imports[0].reloading = false;
    with_other_setup(1, APP, "", off, |front| {
        let (kept, reloaded) = (front.directory.join("app.py"), front.directory.join("other.py"));
        std::fs::write(&reloaded, APP).unwrap();
        front.set_profile(2, &Profile { script_reloading: false, ..profile(&kept, "") });
        assert_eq!(front.get("/").text(), "Hello");
        front.set_profile(3, &profile(&reloaded, ""));
        assert_eq!(front.get("/").text(), "Hello");
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        for file in [&kept, &reloaded] {
            std::fs::File::options().append(true).open(file).unwrap().set_modified(long_ago).unwrap();
        }
        front.messages_until(|m| matches!(m, FromWorker::ScriptChanged { script } if *script == reloaded.display().to_string()));
        front.tell(&ToWorker::Stop { reason: "shutdown_signal".to_owned() });
        let rest = front.messages_until(|m| matches!(m, FromWorker::Stopping { .. }));
        assert!(!rest.iter().any(|m| matches!(m, FromWorker::ScriptChanged { .. })), "{rest:?}");
    });
}

#[test]
fn a_changed_module_is_reported_wherever_and_whenever_it_was_imported() {
    let on = |setup: &mut WorkerSetup| {
        setup.group.reload_on_changes = true;
        setup.group.home =
            std::path::Path::new(&setup.imports[0].script).parent().map(std::path::Path::to_owned);
    };
    with_other_setup(1, APP, "", on, |front| {
        let (script, later) = (front.directory.join("app.py"), front.directory.join("later.py"));
        let next = |front: &Front| loop {
            if let FromWorker::ScriptChanged { script } = front.message() {
                return script;
            }
        };
        let change = |file: &std::path::Path, second| {
            let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
            std::fs::File::options().append(true).open(file).unwrap().set_modified(time).unwrap();
        };
        std::fs::write(&later, "import nested\n").unwrap();
        let nested = front.directory.join("nested.py");
        // A module that fails to import is watched, too: its repair is a change.
        std::fs::write(&nested, "broken(\n").unwrap();
        assert_eq!(front.get("/later").status, 500);
        // Changed before the worker can have looked for the first time.
        change(&nested, 1_000_000);
        assert_eq!(next(front), nested.display().to_string());
        std::fs::write(&nested, "").unwrap();
        assert_eq!(next(front), nested.display().to_string());
        front.set_profile(2, &profile(&script, "second"));
        assert_eq!(front.get("/later").text(), "Hello");
        change(&later, 1_000_000);
        assert_eq!(next(front), later.display().to_string());
        // The script is reported as such, and not as a module besides.
        change(&script, 1_000_000);
        assert_eq!(next(front), script.display().to_string());
        change(&later, 2_000_000);
        assert_eq!(next(front), later.display().to_string());
    });
}
