//! Functions of access scripts under a real worker. Each test is a process of its own (nextest), because CPython starts once per process.

#![allow(clippy::unwrap_used, reason = "a test may panic with the place")]

mod support;

use gk_wire::request::Profile;
use support::{profile, with_worker};

const APP: &str = r#"
import mod_wsgi
seen = []
mod_wsgi.subscribe_events(lambda name, **event: seen.append(name))

def application(environ, start_response):
    start_response("200 OK", [])
    return [" ".join(seen).encode()]
"#;

const HOOKS: &str = r#"
def allow_access(environ, host):
    assert "wsgi.input" not in environ and "wsgi.errors" in environ, environ
    return {"yes": True, "no": False, "none": None, "text": "yes"}[environ["QUERY_STRING"]]
"#;

#[test]
fn an_answer_is_a_header_and_no_answer_is_an_error() {
    with_worker(1, APP, "", |front| {
        assert!(front.get("/").text().starts_with("request_started"));
        let script = front.directory.join("hooks.py");
        let hook = |callable: &str| Profile {
            callable: callable.to_owned(),
            hook: true,
            script_reloading: false,
            ..profile(&script, "")
        };
        let ask = |front: &mut support::Front, target: &str| {
            let answer = front.get(target);
            (answer.status, answer.header("gilkeeper-hook").map(str::to_owned))
        };
        front.set_profile(2, &hook("allow_access"));
        assert_eq!(ask(front, "/?yes"), (500, None), "the script is missing");
        std::fs::write(&script, HOOKS).unwrap();
        for (target, json) in [("/?yes", "true"), ("/?no", "false"), ("/?none", "null")] {
            assert_eq!(ask(front, target), (200, Some(json.to_owned())), "{target}");
        }
        assert_eq!(ask(front, "/?text"), (500, None));
        assert_eq!(ask(front, "/?raises"), (500, None));
        std::fs::write(
            &script,
            "def allow_access(environ, host):\n    return host == '127.0.0.1' and 1 == 2\n",
        )
        .unwrap();
        let changed = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        std::fs::File::options().append(true).open(&script).unwrap().set_modified(changed).unwrap();
        assert_eq!(ask(front, "/?yes"), (200, Some("false".to_owned())), "the changed script");
        front.set_profile(3, &hook("groups_for_user"));
        assert_eq!(ask(front, "/"), (500, None), "the function is missing");
        front.set_profile(4, &profile(&front.directory.join("app.py"), ""));
        assert_eq!(
            front.get("/").text().matches("request_started").count(),
            2,
            "subscribers hear of no hook"
        );
    });
}

/// Without a GIL each request thread has objects of its own for a profile, and all of them the same script.
#[test]
fn threads_share_the_script_of_a_hook() {
    const MEETING: &str = r#"
import threading
both = threading.Barrier(2)
met = []
def allow_access(environ, host):
    if environ["QUERY_STRING"] == "met":
        return len(met) == 2
    met.append(both.wait(30))
    return True
"#;
    with_worker(2, APP, "", |front| {
        let script = front.directory.join("hooks.py");
        std::fs::write(&script, MEETING).unwrap();
        let hook = Profile { callable: "allow_access".to_owned(), hook: true, ..profile(&script, "") };
        front.set_profile(2, &hook);
        front.all(&["/one", "/two"]);
        assert_eq!(front.get("/?met").header("gilkeeper-hook"), Some("true"));
    });
}
