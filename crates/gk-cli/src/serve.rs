//! `gilkeeper serve`: this process becomes the supervisor.

pub mod dev;

use crate::load::ENDS_WITH_PARENT;
use crate::{Failure, load};
use clap::ArgMatches;
use gk_supervisor::PythonRuntime;
use std::ffi::{OsStr, OsString};

/// `arguments`: those after `serve`.
pub fn run(given: &ArgMatches, python: PythonRuntime, arguments: Vec<OsString>) -> Result<i32, Failure> {
    if let Some(said) = std::env::var_os(ENDS_WITH_PARENT) {
        // Where the kernel cannot, the server runs on.
        let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
        // From now on the signal comes; whoever went before it was asked for sends none.
        if is_orphan(&said, rustix::process::getppid().map_or(0, |parent| parent.as_raw_pid())) {
            return Err(Failure::Failed("the command that started this server has ended".into()));
        }
    }
    let loader = load::loader(given, &python)?;
    gk_supervisor::run(loader, python, arguments).map_err(|refused| Failure::Input(refused.0))
}

/// The parent is another one than was said.
fn is_orphan(said: &OsStr, parent: i32) -> bool {
    said.to_str().and_then(|said| said.parse::<i32>().ok()).is_some_and(|said| said != parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_whose_parent_has_gone_is_an_orphan() {
        assert!(!is_orphan(OsStr::new("17"), 17));
        assert!(is_orphan(OsStr::new("17"), 1) && is_orphan(OsStr::new("17"), 0));
    }
}
