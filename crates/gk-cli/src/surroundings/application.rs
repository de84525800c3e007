//! The application that `doctor` and `tune` are about: SCRIPT and the options that belong to it, typed or of the project.

use super::{Disk, here};
use crate::Failure;
use clap::ArgMatches;
use gk_config::Surroundings;
use gk_config::express::layers::{Sources, gather};
use gk_config::express::{self, ServeOptions};
use std::collections::BTreeMap;

/// The options that take values and decide what is imported and how.
const VALUES: [&str; 3] = ["callable-object", "python-path", "working-directory"];

/// An application as a server in this folder would serve it.
pub struct NamedApplication {
    /// SCRIPT and all options that a source has.
    pub options: ServeOptions,
    /// The variables of `--env-file`.
    pub variables: BTreeMap<String, String>,
    /// The folder, the environment with these variables, and which are of the file.
    pub surroundings: Surroundings,
}

/// Of a command line, which beats environment and files. A command may have only some of the options.
pub fn named(given: &ArgMatches) -> Result<NamedApplication, Failure> {
    let mut surroundings = here()?;
    let script = given.get_one::<String>("script").cloned().unwrap_or_default();
    let mut options = ServeOptions::new(script);
    for name in VALUES {
        let values = given.try_get_many::<String>(name).ok().flatten();
        let values: Vec<&String> = values.into_iter().flatten().collect();
        if !values.is_empty() {
            options.add(name, values);
        }
    }
    if given.get_flag("factory") {
        options.add("factory", [""; 0]);
    }
    let variables = gather(&mut options, &Disk, &mut surroundings, Sources::All).map_err(Failure::Input)?;
    if options.script.is_empty() {
        let near = express::nearby(&Disk, &surroundings.directory);
        let near = near.map(|script| format!("; did you mean `{script}`?")).unwrap_or_default();
        let text = format!("name the application: a file, or package.module[:callable]{near}");
        return Err(Failure::Input(text));
    }
    Ok(NamedApplication { options, variables, surroundings })
}
