//! `gilkeeper serve`: this process becomes the supervisor.

use crate::{Failure, load};
use clap::ArgMatches;
use gk_supervisor::PythonRuntime;

pub fn run(given: &ArgMatches, python: PythonRuntime) -> Result<i32, Failure> {
    let loader = load::loader(given, &python)?;
    gk_supervisor::run(loader, python).map_err(|refused| Failure::Input(refused.0))
}
