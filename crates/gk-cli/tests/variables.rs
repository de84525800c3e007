//! Variables with which CPython ends at its start, said to the commands that would start one. `PYO3_PYTHON` names it.
#![allow(clippy::unwrap_used, reason = "a test: the harness functions run in tests only")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// The exit code and the error text of a command in this folder.
fn told(dir: &Path, words: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python/gilkeeper");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gilkeeper"));
    command.args(words).current_dir(dir).envs(environment.iter().copied());
    command.env("GILKEEPER_DEV_PYTHON", std::env::var_os("PYO3_PYTHON").unwrap_or_else(|| "python3".into()));
    let output = command.env("GILKEEPER_DEV_PACKAGE", package).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// Reported: `serve` gave up with CPython's words only, and `doctor` said that the application could not be imported.
#[test]
fn a_variable_that_python_refuses_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("wsgi.py", "def application(*_): ...\n");
    write("site.env", "PYTHONUTF8=junk\n");
    write("gilkeeper.toml", "script = 'wsgi.py'\nenv-file = 'site.env'\nadmin = 'off'\nport = 0\n");
    let seed = [("PYTHONUTF8", "1"), ("PYTHONHASHSEED", "many")];
    for (environment, subject, takes) in [
        (&[][..], "PYTHONUTF8 in site.env is `junk`", "it takes 0 or 1"),
        (
            &seed[..],
            "PYTHONHASHSEED in the environment is `many`",
            "it takes random or a whole number from 0 to 4294967295",
        ),
    ] {
        for (words, who) in [
            (&["check"][..], "with which no Python of process group `default` (Python 3."),
            (&["serve"], "with which no Python of process group `default` (Python 3."),
            (&["doctor"], "(CPython 3."),
        ] {
            let (status, said) = told(dir.path(), words, environment);
            assert_eq!(status, Some(2), "{words:?}: {said}");
            for part in [subject, who, takes] {
                assert!(said.contains(part), "{words:?}: {part} in {said}");
            }
            assert!(!said.contains("does not import"), "{words:?}: {said}");
        }
    }
}
