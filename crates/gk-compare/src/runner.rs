//! Rounds of trials, interleaved: every variant once, then all of them again, so that drift of the machine
//! affects all alike. Each result is saved at once. A variant that cannot be measured is left out; the others go on.

use crate::plan::variant::Variant;
use crate::plan::{Plan, python};
use crate::saved::Saved;
use crate::trial::server::{RunningServer, ServerCommand, ServerStarter};
use crate::trial::{self, Task};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// Seconds that a server takes to start and stop, until one has.
const START_AND_STOP: f64 = 1.0;

/// Progress of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress<'p> {
    /// From 1.
    pub round: u32,
    /// Rounds.
    pub rounds: u32,
    /// The variant.
    pub variant: &'p str,
    /// The form; empty when there is only one.
    pub form: &'p str,
    /// Elapsed seconds of this trial.
    pub seconds: f64,
    /// Estimated seconds until the run ends.
    pub left: f64,
    /// First report of this trial.
    pub begins: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// All trials that were possible are done.
    Done,
    /// The caller ended it.
    Early,
}

/// Runs the trials of a plan that have no result yet.
pub struct Runner<'r> {
    /// The plan.
    pub plan: &'r Plan,
    /// Starts servers.
    pub starter: &'r dyn ServerStarter,
    /// Pythons by name, from the command line.
    pub pythons: &'r BTreeMap<String, String>,
    /// Where results go.
    pub saved: &'r mut Saved,
    /// Called with the progress; returning `false` ends the run.
    pub look: &'r mut dyn FnMut(&Progress<'_>) -> bool,
}

/// The command for a variant's server.
pub fn server_command(
    plan: &Plan,
    variant: &Variant,
    pythons: &BTreeMap<String, String>,
    cpus: Vec<usize>,
) -> Result<ServerCommand, String> {
    let given: BTreeMap<String, String> =
        plan.python.iter().chain(pythons).map(|(name, path)| (name.clone(), path.clone())).collect();
    let found =
        variant.python.as_ref().map(|name| python::find(name, &given, &plan.folder, &python::search_path()));
    let found: Option<PathBuf> = found.transpose()?;
    let script = plan.script();
    let mut arguments = variant.arguments(script.as_deref(), found.as_deref(), &plan.folder);
    arguments.extend(plan.workload.options.iter().cloned());
    let named = |name: &str| {
        let with_value = format!("{name}=");
        arguments.iter().any(|argument| argument == name || argument.starts_with(&with_value))
    };
    let listens = variant.config.is_some() || ["--port", "--socket", "--host"].into_iter().any(named);
    let mut environment = plan.workload.environment.clone();
    environment.extend(variant.environment.clone());
    Ok(ServerCommand { arguments, listens, environment, folder: plan.folder.clone(), cpus })
}

impl Runner<'_> {
    /// Runs the trials. `Err`: the plan names a missing file, or the results cannot be written.
    pub fn run(&mut self) -> Result<RunEnd, String> {
        let plan = self.plan;
        let tasks: Result<Vec<Task>, String> = plan.forms.iter().map(|form| Task::new(plan, form)).collect();
        let tasks = tasks?;
        let mut overhead = START_AND_STOP;
        for round in 1..=plan.rounds() {
            for variant in &plan.variants {
                let broken = self.saved.problems.iter().any(|p| p.variant == variant.name);
                let missing = |form: &str| !self.saved.has(round, &variant.name, form);
                if broken || !plan.forms.iter().any(|form| missing(&form.name)) {
                    continue;
                }
                let begun = Instant::now();
                let cpus = tasks[0].cpus.as_ref().map(|(_, server)| server.clone()).unwrap_or_default();
                let started =
                    server_command(plan, variant, self.pythons, cpus).and_then(|o| self.starter.start(&o));
                let server = match started {
                    Ok(server) => server,
                    Err(why) => {
                        self.saved.complain(&variant.name, &why)?;
                        continue;
                    }
                };
                let mut took = begun.elapsed().as_secs_f64();
                let ended = self.forms(round, variant, &*server, &tasks, overhead)?;
                let stopping = Instant::now();
                server.stop();
                took += stopping.elapsed().as_secs_f64();
                overhead = (overhead + took) / 2.0;
                if ended == RunEnd::Early {
                    return Ok(ended);
                }
            }
        }
        Ok(RunEnd::Done)
    }

    /// All forms on one server.
    fn forms(
        &mut self,
        round: u32,
        variant: &Variant,
        server: &dyn RunningServer,
        tasks: &[Task],
        overhead: f64,
    ) -> Result<RunEnd, String> {
        for (form, task) in self.plan.forms.iter().zip(tasks) {
            if self.saved.has(round, &variant.name, &form.name) {
                continue;
            }
            let left = self.left(round, &variant.name, tasks, overhead);
            let mut progress = Progress {
                round,
                rounds: self.plan.rounds(),
                variant: &variant.name,
                form: &form.name,
                seconds: 0.0,
                left,
                begins: true,
            };
            let look = &mut self.look;
            let measured = trial::run(task, server, &mut |seconds| {
                (progress.seconds, progress.left) = (seconds, (left - seconds).max(0.0));
                let go_on = look(&progress);
                progress.begins = false;
                go_on
            });
            match measured {
                Ok(Some(mut sample)) => {
                    sample.round = round;
                    sample.variant.clone_from(&variant.name);
                    sample.form.clone_from(&form.name);
                    self.saved.add(sample)?;
                }
                Ok(None) => return Ok(RunEnd::Early),
                Err(why) => {
                    self.saved.complain(&variant.name, &why)?;
                    return Ok(RunEnd::Done);
                }
            }
        }
        Ok(RunEnd::Done)
    }

    /// Seconds for all missing trials from this variant of this round on.
    fn left(&self, now: u32, current: &str, tasks: &[Task], overhead: f64) -> f64 {
        let mut seconds = 0.0;
        for round in now..=self.plan.rounds() {
            for variant in &self.plan.variants {
                if self.saved.problems.iter().any(|p| p.variant == variant.name) {
                    continue;
                }
                let forms = self.plan.forms.iter().zip(tasks);
                let open: Vec<f64> = forms
                    .filter(|(form, _)| !self.saved.has(round, &variant.name, &form.name))
                    .map(|(_, task)| task.seconds())
                    .collect();
                let running = round == now && variant.name == current;
                if !open.is_empty() {
                    seconds += open.iter().sum::<f64>() + if running { 0.0 } else { overhead };
                }
            }
        }
        seconds
    }
}
