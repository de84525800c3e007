//! The command line: each command parses, calls one library function, prints. The server's behaviour is elsewhere.
//!
//! Exit codes: 0 success, 1 the command failed, 2 bad input. Bad input gives one sentence on standard error.
#![forbid(unsafe_code)]

mod arguments;
mod check;
mod command_line;
mod completion;
mod control;
mod doctor;
mod explain;
mod load;
mod options;
mod serve;
mod surroundings;
mod systemd_unit;
mod telemetry;
mod terminal;
mod trials;

use clap::error::ErrorKind;
use control::{client, holders, profile, top};
use gk_supervisor::PythonRuntime;
use gk_sys::event_loop::EventLoop;
use gk_wire::setup::FrontSetup;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
pub(crate) use terminal::{Failure, print, say, show};
use trials::{compare, load_generator, tune};

/// Runs one command. `argv` is complete, the program's name first. Gives the exit code; never panics.
pub fn main(argv: Vec<OsString>, python: PythonRuntime) -> i32 {
    match catch_unwind(AssertUnwindSafe(|| run(argv, python))) {
        Ok(code) => code,
        // The hook has written what and where.
        Err(_) => {
            say("gilkeeper: an error inside Gilkeeper itself, please report it with the lines above");
            1
        }
    }
}

/// The front process, started by the supervisor. Gives the exit code.
pub fn front_main() -> i32 {
    // The hook has written what and where; the supervisor starts another one.
    catch_unwind(gk_front::run).unwrap_or(1)
}

/// The front within a worker: lets its loop serve while a thread runs it.
pub fn embedded_front(
    event_loop: &EventLoop,
    setup: FrontSetup,
    given: Vec<OwnedFd>,
    control: OwnedFd,
) -> Result<(), String> {
    gk_front::embedded(event_loop, setup, given, control)
}

/// The admin process, started by the front. Gives the exit code.
pub fn admin_main() -> i32 {
    // As above: the front starts another one.
    catch_unwind(gk_admin::run).unwrap_or(1)
}

/// Version, the Python that it runs in, and how it was built.
fn version(python: &PythonRuntime) -> String {
    let build = python.build.map_or("Python".to_owned(), |build| {
        format!("CPython 3.{}{}", build.minor, if build.free_threaded { "t" } else { "" })
    });
    let libc = if cfg!(target_env = "musl") { "musl" } else { "glibc" };
    let kind = if cfg!(debug_assertions) { "not optimised" } else { "optimised" };
    let (arch, system) = (std::env::consts::ARCH, std::env::consts::OS);
    format!(
        "gilkeeper {}\n{build}: {}\nbuilt for {arch} {system} with {libc}, {kind}",
        gk_wire::PACKAGE_VERSION,
        python.executable.display()
    )
}

fn run(argv: Vec<OsString>, python: PythonRuntime) -> i32 {
    let argv = options::spelled_out(argv);
    let arguments: Vec<OsString> = argv.iter().skip(2).cloned().collect();
    let matches = match command_line::command().try_get_matches_from(&argv) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::DisplayVersion => {
            print(&version(&python));
            return 0;
        }
        Err(error) => return command_line::complain(&error, &argv),
    };
    let done = match matches.subcommand() {
        Some(("serve", given)) => serve::run(given, python, arguments),
        Some(("dev", given)) => serve::dev::run(given, python, arguments),
        Some(("check", given)) => check::run(given, &python),
        Some(("status", given)) => client::status(given),
        Some(("top", given)) => top::run(given),
        Some(("holders", given)) => holders::run(given),
        Some(("profile", given)) => profile::run(given),
        Some(("reload", given)) => client::reload(given),
        Some(("drain", given)) => client::drain(given),
        Some(("upgrade", given)) => client::upgrade(given, &python),
        Some(("stop", given)) => client::stop(given),
        Some(("systemd-unit", given)) => systemd_unit::run(given, &python),
        Some(("doctor", given)) => doctor::run(given, python),
        Some(("telemetry", given)) => telemetry::run(given),
        Some(("compare", given)) => compare::run(given, &python),
        Some(("tune", given)) => tune::run(given, &python),
        Some(("load", given)) => load_generator::run(given),
        Some(("explain", given)) => explain::run(given),
        Some(("completion", given)) => completion::completion(given),
        Some(("man", given)) => completion::man(given),
        _ => Err(Failure::Input("name a command; `gilkeeper --help` lists them".into())),
    };
    match done {
        Ok(code) => code,
        Err(Failure::Input(text)) => {
            say(&format!("gilkeeper: {text}"));
            2
        }
        Err(Failure::Failed(text)) => {
            say(&format!("gilkeeper: {text}"));
            1
        }
    }
}
