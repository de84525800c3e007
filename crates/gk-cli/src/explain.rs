//! `gilkeeper explain`: the page of a message code.

use crate::Failure;
use clap::ArgMatches;

pub fn run(given: &ArgMatches) -> Result<i32, Failure> {
    let code = given.get_one::<String>("code").expect("clap requires it");
    Err(Failure::Input(format!("there is no page for '{code}'; codes look like WSGI0109")))
}
