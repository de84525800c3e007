//! `gilkeeper check`: what a configuration means and what is wrong with it.

use crate::load::{Disk, surroundings};
use crate::{Failure, print};
use clap::ArgMatches;
use gk_config::diagnostic::Severity;
use gk_config::report;
use gk_supervisor::PythonRuntime;
use std::path::PathBuf;

pub fn run(given: &ArgMatches, python: &PythonRuntime) -> Result<i32, Failure> {
    let surroundings =
        surroundings(given, given.get_one::<String>("server-root").map(String::as_str), python)?;
    let path = given.get_one::<PathBuf>("config").expect("clap requires it");
    if !surroundings.directory.join(path).is_file() {
        return Err(Failure::Input(format!("there is no configuration file {}", path.display())));
    }
    let loaded = gk_config::load(path, &Disk, &surroundings);
    let json = given.get_one::<String>("format").is_some_and(|format| format == "json");
    print(&if json { report::json(&loaded) } else { report::text(&loaded) });
    Ok(match loaded.site {
        None => 2,
        Some(_) if given.get_flag("strict") && loaded.has(Severity::Warning) => 1,
        Some(_) => 0,
    })
}
