//! `gilkeeper explain`: the page of a message code.

use crate::{Failure, print};
use clap::ArgMatches;

pub fn run(given: &ArgMatches) -> Result<i32, Failure> {
    let code = given.get_one::<String>("code").expect("clap requires it");
    print(&gk_config::codes::explain(code).map_err(Failure::Input)?);
    Ok(0)
}
