//! `gilkeeper tune SCRIPT`: asks the doctor, searches, prints what to take.

use super::compare::{Line, own_command};
use super::load_generator::number;
use crate::arguments::{flag, many, option, script};
use crate::surroundings::application::named;
use crate::{Failure, print, say};
use clap::{Arg, ArgAction, ArgMatches, Command};
use gk_compare::plan::Workload;
use gk_compare::plan::request::RequestSpec;
use gk_compare::runner::Progress;
use gk_compare::table::Comparison;
use gk_compare::trial::machine::Machine;
use gk_compare::trial::server::Gilkeeper;
use gk_compare::tune::Target;
use gk_compare::tune::advice::Advice;
use gk_compare::tune::paste::Application;
use gk_compare::tune::search::{SearchGoal, against_the_grid, search};
use gk_compare::tune::space::{Config, Space};
use gk_compare::tune::trials::RealTrials;
use gk_compare::tune::verdicts::{self, RejectedMode};
use gk_config::express;
use gk_load::mix;
use gk_supervisor::{PythonBuild, PythonRuntime};
use gk_sys::signal::{SIGINT, SIGTERM, Signals};
use std::path::{Path, PathBuf};

/// The command and what it takes.
pub fn command() -> Command {
    Command::new("tune")
        .about("Search for the best processes, threads, switch interval and GIL mode of an application")
        .arg(script())
        .arg(flag("factory").help("Call the callable for the application."))
        .arg(many(option(
            "path",
            "PATH[=WEIGHT]",
            "Path of the load; several make a mix by weight [default: /].",
        )))
        .arg(
            option("requests", "FILE", "TOML file with the mix as [[request]] tables.")
                .conflicts_with("path"),
        )
        .arg(option("connections", "N", "Connections of the load [default: 16]."))
        .arg(option("rate", "N", "Requests a second [default: as many as the server answers]."))
        .arg(option("target", "WHAT", "Goal of the search [default: throughput].").value_parser([
            "throughput",
            "p99",
            "memory",
        ]))
        .arg(option("budget", "SECONDS", "Time for the search [default: 180 s]."))
        .arg(option(
            "memory",
            "MB",
            "Memory that the server may use, in millions of bytes [default: without limit].",
        ))
        .arg(option("cores", "N", "Cores that the server is kept to [default: all]."))
        .arg(option("processes", "N", "Processes that the server runs with now [default: 1]."))
        .arg(option("threads", "N", "Threads that the server runs with now [default: 5]."))
        .arg(option(
            "free-threaded",
            "PATH",
            "Free-threaded Python with Gilkeeper, to try free-threading, too.",
        ))
        .arg(many(option("python-path", "DIR", "Directory put on sys.path; repeat the option for more.")))
        .arg(option(
            "working-directory",
            "DIR",
            "Working directory and first entry of sys.path [default: the current directory].",
        ))
        .arg(Arg::new("grid").long("grid").action(ArgAction::SetTrue).help(
            "Also measure every combination, and report how near the recommended one comes to the best.",
        ))
        .arg(
            option("format", "FORMAT", "How to print the result.")
                .value_parser(["text", "json"])
                .default_value("text"),
        )
}

fn count(given: &ArgMatches, name: &str, otherwise: u32) -> Result<u32, Failure> {
    number(given, name, f64::from(otherwise), 1.0..=60_000.0).map(|number| number as u32)
}

/// The load of the search.
fn workload(given: &ArgMatches, application: &Application) -> Result<Workload, Failure> {
    let mut requests: Vec<RequestSpec> = Vec::new();
    for text in given.get_many::<String>("path").into_iter().flatten() {
        let (path, weight) = mix::weighed(text);
        requests.push(RequestSpec { weight: Some(weight), ..RequestSpec::get(path) });
    }
    if let Some(file) = given.get_one::<String>("requests") {
        requests = RequestSpec::read(Path::new(file)).map_err(Failure::Input)?;
    }
    if requests.is_empty() {
        requests.push(RequestSpec::get("/"));
    }
    let rate = given.contains_id("rate").then(|| number(given, "rate", 1.0, 0.01..=1e7)).transpose()?;
    Ok(Workload {
        script: Some(application.script.clone()),
        requests,
        rate,
        connections: Some(count(given, "connections", 16)? as usize),
        timeout: Some(10.0),
        options: application_options(application),
        ..Workload::default()
    })
}

/// Options of `serve` and of `doctor` that belong to the application.
fn application_options(application: &Application) -> Vec<String> {
    let mut options = Vec::new();
    for path in &application.python_path {
        options.extend(["--python-path".to_owned(), path.clone()]);
    }
    if let Some(folder) = &application.working_directory {
        options.extend(["--working-directory".to_owned(), folder.clone()]);
    }
    options.extend(application.factory.then(|| "--factory".to_owned()));
    options
}

/// The application that is named, or the one of the project in this folder.
fn application(given: &ArgMatches, folder: PathBuf) -> Result<Application, Failure> {
    let options = named(given)?.options;
    let of_script =
        express::script(&options.script, &|path| path.is_file(), &folder).map_err(Failure::Input)?.1;
    let bare = of_script.and_then(|name| options.script.strip_suffix(name)?.strip_suffix(':'));
    let script = match options.one("callable-object") {
        Some(callable) => format!("{}:{callable}", bare.unwrap_or(&options.script)),
        None => options.script.clone(),
    };
    Ok(Application {
        script,
        factory: options.flag("factory"),
        folder,
        working_directory: options.one("working-directory").map(str::to_owned),
        python_path: options.many("python-path").to_vec(),
    })
}

/// Asks the doctor about the modes there are. Gives what must not be tried.
fn rejected(
    application: &Application,
    python: &PythonRuntime,
    free: Option<&Path>,
) -> Result<Vec<RejectedMode>, Failure> {
    let gilkeeper = own_command(python)?;
    let options = application_options(application);
    let (script, folder) = (&application.script, &application.folder);
    let ask = |python: Option<&Path>, mode| {
        verdicts::ask(&gilkeeper, script, python, &options, folder, mode).map_err(Failure::Input)
    };
    say("asking the doctor which GIL modes the application supports");
    let mut rejected = Vec::new();
    rejected.extend(ask(None, "own-gil")?);
    if let Some(free) = free {
        rejected.extend(ask(Some(free), "free-threading")?);
    }
    Ok(rejected)
}

pub fn run(given: &ArgMatches, python: &PythonRuntime) -> Result<i32, Failure> {
    let folder = std::env::current_dir()
        .map_err(|why| Failure::Input(format!("the working directory cannot be determined: {why}")))?;
    let free = given.get_one::<String>("free-threaded").map(|path| folder.join(path));
    if let Some(missing) = free.as_ref().filter(|path| !path.is_file()) {
        return Err(Failure::Input(format!("--free-threaded: there is no {}", missing.display())));
    }
    let application = application(given, folder)?;
    // This very Python may be one.
    let own_is_free = python.build.is_some_and(|build: PythonBuild| build.free_threaded);
    let free: Option<PathBuf> = free.or_else(|| own_is_free.then(|| python.executable.clone()));
    let rejected = rejected(&application, python, free.as_deref())?;
    let refused = |mode: &str| rejected.iter().any(|one| one.mode == mode);
    let machine = Machine::this();
    let workload = workload(given, &application)?;
    let cores = given.contains_id("cores").then(|| count(given, "cores", 1)).transpose()?;
    let space = Space {
        cores: cores.unwrap_or(machine.cores as u32),
        connections: workload.connections.unwrap_or(16) as u32,
        own: !refused("own-gil"),
        free: free.is_some() && !refused("free-threading"),
        usual: Config::usual(count(given, "processes", 1)?, count(given, "threads", 5)?),
    };
    let target = match given.get_one::<String>("target").map(String::as_str) {
        Some("p99") => Target::P99,
        Some("memory") => Target::Memory,
        _ => Target::Throughput,
    };
    let memory = given.contains_id("memory").then(|| number(given, "memory", 1.0, 1.0..=1e9)).transpose()?;
    let question = SearchGoal {
        target,
        budget: number(given, "budget", 180.0, 10.0..=86_400.0)?,
        memory: memory.map(|mb| mb * 1e6),
        rate: workload.rate,
    };
    let mut signals = Signals::new(&[SIGINT, SIGTERM])
        .map_err(|e| Failure::Failed(format!("signals cannot be caught: {e}")))?;
    let mut line = Line::new();
    let begun = std::time::Instant::now();
    let mut look = |stage: &str, progress: &Progress<'_>| {
        let left = (question.budget - begun.elapsed().as_secs_f64()).max(progress.left);
        line.say(&format!("{stage}: {}", progress.variant), progress.seconds, left, progress.begins);
        signals.take().is_ok_and(|some| some.is_empty())
    };
    let starter = Gilkeeper { command: own_command(python)? };
    let free = free.map(|path| path.display().to_string());
    let conditions = conditions(&workload);
    let mut trials = RealTrials::new(
        workload,
        application.folder.clone(),
        free.clone(),
        cores.map(|cores| cores as usize),
        &starter,
        &mut look,
    );
    let found = search(&space, &question, &mut trials).map_err(Failure::Failed)?;
    let grid = match given.get_flag("grid") {
        true => against_the_grid(&space, &question, found.chosen, &mut trials).map_err(Failure::Failed)?,
        false => None,
    };
    line.clear();
    let evidence = Comparison { title: String::new(), machine, conditions, ..Comparison::default() };
    let advice = Advice {
        application: &application,
        target,
        space: &space,
        found: &found,
        rejected: &rejected,
        python: free.as_deref(),
        grid,
        evidence,
    };
    print(&match given.get_one::<String>("format").map(String::as_str) {
        Some("json") => format!("{:#}", advice.value()),
        _ => advice.page(),
    });
    Ok(0)
}

fn conditions(workload: &Workload) -> String {
    let paths: Vec<&str> = workload.requests.iter().map(|asked| asked.path.as_str()).collect();
    let load = workload.rate.map_or("closed loop".to_owned(), |rate| format!("{rate} requests a second"));
    format!("{}: {load}, {} connections", paths.join(" "), workload.connections.unwrap_or(16))
}
