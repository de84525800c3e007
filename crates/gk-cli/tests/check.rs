//! `gilkeeper check` as a program: exit codes, text and JSON for a configuration with one directive of each kind.
#![allow(clippy::unwrap_used, reason = "a test: the harness functions run in tests only")]

use std::path::Path;
use std::process::{Command, Output};

const SITE: &str = r#"WSGISwitchInterval 0.002
WSGIDaemonProcess my-app processes=2 threads=5 switch-interval=0.002
<WSGIInterpreterOptions process-group="my-app" application-group="cpu-heavy">
    WSGIPerInterpreterGIL On
    WSGISwitchInterval 0.001
</WSGIInterpreterOptions>
<Location /suburl>
    WSGIApplicationGroup sub-interp-1
</Location>
WSGIFreeThreading On
"#;

fn check(dir: &Path, text: &str, more: &[&str]) -> Output {
    std::fs::write(dir.join("site.conf"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gilkeeper"));
    command.args(["check", "-c", "site.conf"]).args(more).current_dir(dir).env_remove("GILKEEPER_ROOT");
    // No Python that could be asked for its build: what is printed does not depend on the machine.
    command.env("GILKEEPER_DEV_PYTHON", "/nowhere/python3");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_resolved_site_is_printed_as_text_and_as_json() {
    let dir = tempfile::tempdir().unwrap();
    let plain = check(dir.path(), SITE, &[]);
    let said = text(&plain.stdout);
    assert_eq!(plain.status.code(), Some(0), "{said}");
    for line in [
        "Process group my-app",
        "  processes: 2 *",
        "  threads: 5 *",
        "  effective free-threading: on",
        "  effective mode of the main interpreter (%{GLOBAL}): no GIL",
        "Interpreters process-group=my-app application-group=cpu-heavy",
        "  section <Location /suburl>",
        "    application-group: the sub-interpreter `sub-interp-1`",
        "8 directives: 8 honoured",
    ] {
        assert!(said.lines().any(|l| l == line), "{line:?} is not in\n{said}");
    }

    let json = check(dir.path(), SITE, &["--format", "json"]);
    assert_eq!(json.status.code(), Some(0));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["ok"], true);
    assert_eq!(json["site"]["groups"][0]["name"], "my-app");
    assert_eq!(json["effective"][0]["switch_interval"], 0.002);
    let lines: Vec<u64> =
        json["directives"].as_array().unwrap().iter().filter_map(|d| d["line"].as_u64()).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5, 7, 8, 10]);
    // Every warning is about a place in the file.
    assert!(
        json["diagnostics"].as_array().unwrap().iter().all(|d| d["line"].is_u64() && d["column"].is_u64())
    );
}

#[test]
fn exit_codes_tell_clean_from_warned_from_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let code = |text: &str, more: &[&str]| check(dir.path(), text, more).status.code();
    let (clean, warned) =
        ("WSGIDaemonProcess a\n", "WSGIDaemonProcess a\nLoadModule x_module x.so\nUnknownThing 1\n");
    assert_eq!(code(clean, &["--strict"]), Some(0));
    assert_eq!(code(warned, &["--ignore-unknown"]), Some(0));
    assert_eq!(code(warned, &["--ignore-unknown", "--strict"]), Some(1));
    assert_eq!(code(warned, &[]), Some(2));
    let wrong = check(dir.path(), "WSGIDaemonProces a\n", &[]);
    let said = text(&wrong.stdout) + &text(&wrong.stderr);
    assert!(said.contains("site.conf:1:1") && said.contains("did you mean `WSGIDaemonProcess`?"), "{said}");
}

/// Reported: `check` called these honoured, and `serve` refused the first three and answered 404 to the last. Met with a file from
/// another machine.
#[test]
fn what_this_machine_does_not_have_is_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let site = "WSGIDaemonProcess a user=no-such-user-here group=no-such-group-here python-home=/nonexistent/venv\n\
                CustomLog /nonexistent/access.log combined\nWSGIScriptAlias / /nonexistent/x.wsgi\n";
    let checked = check(dir.path(), site, &[]);
    let said = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(0), "{said}");
    for (place, message) in [
        ("1:21", "there is no user `no-such-user-here` on this machine"),
        ("1:44", "there is no group `no-such-group-here` on this machine"),
        ("1:69", "/nonexistent/venv holds no bin/python on this machine"),
        ("2:11", "there is no folder /nonexistent on this machine for this log"),
        ("3:19", "there is no script /nonexistent/x.wsgi on this machine"),
    ] {
        let place = format!("site.conf:{place}");
        let lines: Vec<&str> = said.lines().collect();
        let found = lines.windows(2).any(|two| two[0].contains(message) && two[1].contains(&place));
        assert!(found, "{message} at {place} is not in\n{said}");
    }
}
