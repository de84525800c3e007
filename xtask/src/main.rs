//! Chores with an `if` in them: `reference` writes the generated pages, `tidy` checks the house rules a machine can
//! check. Building and testing belong to the Makefile.
#![forbid(unsafe_code)]

mod circles;
mod modules;
mod reference;
mod tidy;
mod tokens;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask reference [--check] | tidy";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let problems = match words.as_slice() {
        ["reference"] => reference::write(&root()).map(|()| Vec::new()),
        ["reference", "--check"] => reference::stale(&root()),
        ["tidy"] => tidy::check(&root()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match problems {
        Ok(problems) if problems.is_empty() => ExitCode::SUCCESS,
        Ok(problems) => {
            for problem in &problems {
                eprintln!("{problem}");
            }
            eprintln!("{} problem{}", problems.len(), if problems.len() == 1 { "" } else { "s" });
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}
