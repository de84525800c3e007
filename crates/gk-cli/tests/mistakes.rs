//! Twenty typing mistakes: `docs/reference/mistakes.md` says what each is answered, and this runs them.
#![allow(clippy::unwrap_used, reason = "a test: the harness functions run in tests only")]

use std::process::Command;

/// The first two columns of the page's table.
fn rows() -> Vec<(String, String)> {
    let page = include_str!("../../../docs/reference/mistakes.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let cells = |line: &str| {
        let mut cells = line.split(" | ").map(|cell| cell.trim_start_matches("| ").to_owned());
        (cells.next().unwrap().trim_matches('`').to_owned(), cells.next().unwrap())
    };
    rows.map(cells).collect()
}

#[test]
fn each_mistake_is_answered_in_the_sentence_of_the_page() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["app.py", "wsgi.py"] {
        std::fs::write(dir.path().join(name), "def app(environ, start_response): ...\n").unwrap();
    }
    let rows = rows();
    assert_eq!(rows.len(), 20);
    let mut wrong = Vec::new();
    for (typed, answer) in rows {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gilkeeper"));
        for word in typed.split(' ') {
            match word.split_once('=') {
                Some((name, value)) if !word.starts_with('-') => drop(command.env(name, value)),
                _ => drop(command.arg(word)),
            }
        }
        command.current_dir(dir.path()).env("GILKEEPER_DEV_PYTHON", "/nowhere/python3");
        let output = command.env("XDG_STATE_HOME", dir.path()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let said = said.trim_end().replace(dir.path().to_str().unwrap(), "FOLDER");
        if output.status.code() != Some(2) || said != format!("gilkeeper: {answer}") {
            wrong.push(format!("{typed}\n  {:?}: {said}\n  not: gilkeeper: {answer}", output.status.code()));
        }
        assert!(output.stdout.is_empty(), "{typed}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
