//! `gilkeeper serve`: this process becomes the supervisor.

use crate::{Failure, load};
use clap::ArgMatches;
use gk_supervisor::PythonRuntime;

/// Set by whoever starts a server for a while (`compare`): the server ends with its parent, however that ends.
const ENDS_WITH_PARENT: &str = "GILKEEPER_ENDS_WITH_PARENT";

pub fn run(given: &ArgMatches, python: PythonRuntime) -> Result<i32, Failure> {
    if std::env::var_os(ENDS_WITH_PARENT).is_some() {
        // Where the kernel cannot, the server runs on.
        let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
    }
    let loader = load::loader(given, &python)?;
    gk_supervisor::run(loader, python).map_err(|refused| Failure::Input(refused.0))
}
