//! Changed files under a real worker: the changes that it reports, and when. Each test is a process of its own
//! (nextest), because CPython starts once per process.

#![allow(clippy::unwrap_used, reason = "a test may panic with the place")]

mod support;

use bytes::BytesMut;
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

/// The script of a worker that has answered one request, changed; and a request after the change.
fn ask_after_a_change(front: &mut Front) -> u32 {
    assert_eq!(front.get("/").text(), "Hello");
    let script = front.directory.join("app.py");
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    std::fs::File::options().append(true).open(&script).unwrap().set_modified(long_ago).unwrap();
    let mut out = BytesMut::new();
    let id = front.request("/", "GET", b"", &mut out);
    front.send(&out);
    front.messages_until(|m| matches!(m, FromWorker::ScriptChanged { .. }));
    id
}

/// Reported: the request after a touched script was still answered by the old code.
/// Met wherever a deploy ends with `touch site.wsgi` and a check.
#[test]
fn a_request_after_a_change_goes_back_to_the_front_for_a_new_worker() {
    with_other_setup(
        1,
        APP,
        "",
        |_| {},
        |front| {
            let id = ask_after_a_change(front);
            front.tell(&ToWorker::Leave { reason: "reload".to_owned(), timeout: 0.0 });
            let back = front.answer(id);
            assert_eq!((back.status, back.aborted), (0, false), "it was returned");
        },
    );
}

#[test]
fn a_request_after_a_change_is_answered_by_the_loaded_code_if_the_reload_is_refused() {
    with_other_setup(
        1,
        APP,
        "",
        |_| {},
        |front| {
            let id = ask_after_a_change(front);
            front.tell(&ToWorker::ReloadRefused);
            assert_eq!(front.answer(id).text(), "Hello");
            assert_eq!(front.get("/").text(), "Hello", "and the requests after it");
        },
    );
}

/// Reported: a script's own `reload_required` was never asked.
#[test]
fn a_script_is_asked_whether_it_has_to_be_reloaded() {
    const HOOKED: &str = r#"
import os, sys
WORD = os.path.join(os.path.dirname(__file__), "word")

def reload_required(path):
    word = open(WORD).read() if os.path.exists(WORD) else ""
    if word == "raise":
        raise LookupError(path)
    return word == path

def application(environ, start_response):
    start_response("200 OK", [])
    return [b"Hello"]
"#;
    with_other_setup(
        1,
        HOOKED,
        "",
        |_| {},
        |front| {
            let (script, word) = (front.directory.join("app.py"), front.directory.join("word"));
            std::fs::write(&word, script.display().to_string()).unwrap();
            assert_eq!(front.get("/").text(), "Hello", "a script that was just loaded cannot be newer");
            std::fs::write(&word, "raise").unwrap();
            assert_eq!(front.get("/").text(), "Hello", "an exception is logged, and means no");
            std::fs::write(&word, script.display().to_string()).unwrap();
            let mut out = BytesMut::new();
            let id = front.request("/", "GET", b"", &mut out);
            front.send(&out);
            front.messages_until(|m| matches!(m, FromWorker::ScriptChanged { script: of } if *of == script.display().to_string()));
            front.tell(&ToWorker::ReloadRefused);
            assert_eq!(front.answer(id).text(), "Hello");
        },
    );
}
