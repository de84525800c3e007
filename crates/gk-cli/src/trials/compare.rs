//! `gilkeeper compare PLAN.toml`: reads the plan, shows the progress, prints the tables.

use crate::arguments::option;
use crate::{Failure, print, say, show};
use clap::{Arg, ArgAction, ArgMatches, Command};
use gk_compare::plan::Plan;
use gk_compare::runner::{Progress, RunEnd, Runner};
use gk_compare::saved::{ResultsHeader, Saved};
use gk_compare::table::Comparison;
use gk_compare::trial::server::Gilkeeper;
use gk_compare::{report, table};
use gk_supervisor::PythonRuntime;
use gk_sys::signal::{SIGINT, SIGTERM, Signals};
use gk_wire::printable;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// The command and what it takes.
pub fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    Command::new("compare")
        .about("Run one workload over many configurations and print the table")
        .arg(Arg::new("plan").value_name("PLAN").required(true).help("Plan, a TOML file."))
        .arg(flag("short", "Run the short form of the plan."))
        .arg(option("rounds", "N", "Trials of each variant [default: as in the plan]."))
        .arg(python_option())
        .arg(option("out", "FILE", "File of the results [default: PLAN with .results.jsonl]."))
        .arg(flag("again", "Measure again instead of continuing from the results in that file."))
        .arg(option("markdown", "FILE", "Also write the tables as Markdown."))
        .arg(option("json", "FILE", "Also write everything as JSON."))
        .arg(option("html", "FILE", "Also write one page with tables and pictures."))
        .arg(
            option("format", "FORMAT", "How to print the tables.")
                .value_parser(["text", "markdown", "json", "html"])
                .default_value("text"),
        )
}

/// `--python NAME=PATH`, of `compare` and `tune`.
pub fn python_option() -> Arg {
    Arg::new("python")
        .long("python")
        .value_name("NAME=PATH")
        .action(ArgAction::Append)
        .help("Path of a Python that the plan names; repeat the option for more.")
}

/// What `--python` said.
pub fn pythons(given: &ArgMatches) -> Result<BTreeMap<String, String>, Failure> {
    let all = given.get_many::<String>("python").into_iter().flatten();
    let pair = |text: &String| match text.split_once('=') {
        // Relative to where the command was given, not to the plan.
        Some((name, path)) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
            Ok((name.to_owned(), path.display().to_string()))
        }
        None => Err(Failure::Input(format!("--python: NAME=PATH, not `{text}`"))),
    };
    all.map(pair).collect()
}

/// The command `gilkeeper` itself: this program, or the Python that runs it.
pub fn own_command(python: &PythonRuntime) -> Result<Vec<OsString>, Failure> {
    let me = std::env::current_exe()
        .map_err(|why| Failure::Failed(format!("this program cannot tell where it is: {why}")))?;
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if real(&me) == real(&python.executable) {
        return Ok(vec![python.executable.clone().into(), "-P".into(), "-m".into(), "gilkeeper".into()]);
    }
    Ok(vec![me.into()])
}

pub fn run(given: &ArgMatches, python: &PythonRuntime) -> Result<i32, Failure> {
    let name = given.get_one::<String>("plan").cloned().unwrap_or_default();
    let text = gk_sys::whole_file::read_text(Path::new(&name))
        .map_err(|why| Failure::Input(format!("{name} cannot be read: {why}")))?;
    let folder = std::path::absolute(&name).ok().and_then(|path| path.parent().map(Path::to_owned));
    let mut plan = Plan::parse(&text, &name, &folder.unwrap_or_default()).map_err(Failure::Input)?;
    if given.get_flag("short") {
        plan.shorten();
    }
    if let Some(rounds) = given.get_one::<String>("rounds") {
        let wrong = || Failure::Input(format!("--rounds takes a whole number from 1 on, not `{rounds}`"));
        plan.workload.rounds = Some(rounds.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?);
    }
    let pythons = pythons(given)?;
    let short = if given.get_flag("short") { "short" } else { "" };
    let more = [short.to_owned(), format!("{pythons:?}")];
    let header = ResultsHeader::of(&plan, &name, &text, &more).map_err(Failure::Input)?;
    let out = given.get_one::<String>("out").map_or_else(|| beside(Path::new(&name)), PathBuf::from);
    let mut saved = Saved::open(&out, header, given.get_flag("again")).map_err(Failure::Input)?;
    if !saved.samples.is_empty() {
        say(&format!("{} trials are in the results already; --again measures again", saved.samples.len()));
    }
    let mut signals = Signals::new(&[SIGINT, SIGTERM])
        .map_err(|e| Failure::Failed(format!("signals cannot be caught: {e}")))?;
    let mut line = Line::new();
    let mut look = |progress: &Progress<'_>| {
        line.show(progress);
        signals.take().is_ok_and(|some| some.is_empty())
    };
    let starter = Gilkeeper { command: own_command(python)? };
    let mut runner =
        Runner { plan: &plan, starter: &starter, pythons: &pythons, saved: &mut saved, look: &mut look };
    let ended = runner.run().map_err(Failure::Input)?;
    line.clear();
    for problem in &saved.problems {
        say(&printable::line(&format!("gilkeeper: {}: {}", problem.variant, problem.why)));
    }
    let comparison = table::comparison(&plan, &saved);
    write(given, &comparison)?;
    if ended == RunEnd::Early {
        return Err(Failure::Failed(format!(
            "ended early; what was measured is in {}, and the same command goes on from there",
            out.display()
        )));
    }
    Ok(i32::from(!saved.problems.is_empty()))
}

/// `plans/x.toml` → `plans/x.results.jsonl`.
fn beside(plan: &Path) -> PathBuf {
    plan.with_extension("results.jsonl")
}

fn write(given: &ArgMatches, comparison: &Comparison) -> Result<(), Failure> {
    let of = |format: &str| match format {
        "markdown" => report::markdown(comparison),
        "json" => format!("{:#}\n", report::json(comparison)),
        "html" => report::html(comparison),
        _ => report::terminal(comparison),
    };
    for format in ["markdown", "json", "html"] {
        if let Some(path) = given.get_one::<String>(format) {
            std::fs::write(path, of(format))
                .map_err(|why| Failure::Failed(format!("{path} cannot be written: {why}")))?;
        }
    }
    if comparison.tables.iter().any(|table| !table.rows.is_empty()) {
        print(&of(given.get_one::<String>("format").map_or("text", String::as_str)));
    }
    Ok(())
}

/// The progress: one line that changes on a terminal, a line for each trial elsewhere.
pub struct Line {
    terminal: bool,
    shown: Option<u64>,
}

impl Line {
    /// Nothing shown yet.
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), shown: None }
    }

    fn show(&mut self, progress: &Progress<'_>) {
        let form = if progress.form.is_empty() { String::new() } else { format!(", {}", progress.form) };
        let what = format!("round {} of {}: {}{form}", progress.round, progress.rounds, progress.variant);
        self.say(&what, progress.seconds, progress.left, progress.begins);
    }

    /// Shows what is done, for how long, and how long it takes until the end.
    pub fn say(&mut self, what: &str, seconds: f64, left: f64, begins: bool) {
        let left = match left {
            s if s < 90.0 => format!("{s:.0} s"),
            s => format!("{:.0} min", (s / 60.0).ceil()),
        };
        if !self.terminal {
            if begins {
                say(&format!("{what}; {left} left"));
            }
            return;
        }
        // Once a second is enough.
        let now = seconds as u64;
        if begins || self.shown != Some(now) {
            self.shown = Some(now);
            show(&format!("{what}, {now} s; {left} left"));
        }
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if self.terminal && self.shown.take().is_some() {
            show("");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_lie_beside_the_plan() {
        assert_eq!(beside(Path::new("plans/a.toml")), Path::new("plans/a.results.jsonl"));
    }
}
