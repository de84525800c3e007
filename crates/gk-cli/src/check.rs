//! `gilkeeper check`: what a configuration means and what is wrong with it.

use crate::load::{Disk, surroundings};
use crate::{Failure, print, say};
use clap::ArgMatches;
use gk_config::diagnostic::{Severity, render_all};
use std::path::PathBuf;

pub fn run(given: &ArgMatches) -> Result<i32, Failure> {
    let surroundings = surroundings(given, given.get_one::<String>("server-root"))?;
    let path = given.get_one::<PathBuf>("config").expect("clap requires it");
    if !surroundings.directory.join(path).is_file() {
        return Err(Failure::Input(format!("there is no configuration file {}", path.display())));
    }
    let loaded = gk_config::load(path, &Disk, &surroundings);
    let json = given.get_one::<String>("format").is_some_and(|format| format == "json");
    if json {
        let value = serde_json::json!({ "site": loaded.site, "diagnostics": loaded.diagnostics });
        print(
            &serde_json::to_string_pretty(&value)
                .expect("a site holds only strings, numbers, lists and maps"),
        );
    } else {
        if !loaded.diagnostics.is_empty() {
            say(&render_all(&loaded.diagnostics));
        }
        if let Some(site) = &loaded.site {
            print(&format!("{site:#?}"));
        }
    }
    Ok(match loaded.site {
        None => 2,
        Some(_) if given.get_flag("strict") && loaded.has(Severity::Warning) => 1,
        Some(_) => 0,
    })
}
