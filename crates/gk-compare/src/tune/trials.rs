//! Trials of configurations on real servers, each stage as a small plan of its own.

use super::Measured;
use super::search::TrialRunner;
use super::space::Config;
use crate::plan::{Form, Plan, Workload};
use crate::runner::{Progress, RunEnd, Runner};
use crate::saved::{ResultsHeader, Saved};
use crate::table::row::Row;
use crate::trial::sample::Sample;
use crate::trial::server::ServerStarter;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// Share of a trial that is warm-up.
const WARM_UP: f64 = 0.25;
/// Longest warm-up, seconds.
const LONGEST: f64 = 1.5;

/// Runs trials.
pub struct RealTrials<'t> {
    /// Script and requests; the durations in it are replaced for each stage.
    pub workload: Workload,
    /// Folder of the files that the workload names.
    pub folder: PathBuf,
    /// The free-threaded Python.
    pub python: Option<String>,
    /// Number of cores for the server; `None`: all.
    pub cores: Option<usize>,
    /// Starts servers.
    pub starter: &'t dyn ServerStarter,
    /// Called with the stage in words and its progress; returning `false` ends the search.
    pub look: &'t mut dyn FnMut(&str, &Progress<'_>) -> bool,
    /// When the search began.
    pub begun: Instant,
    /// Trials run, and the seconds they took beside their load.
    costs: (f64, f64),
    /// Every sample of the search, to be kept on disk.
    pub samples: Vec<Sample>,
}

impl<'t> RealTrials<'t> {
    /// With nothing measured yet.
    pub fn new(
        workload: Workload,
        folder: PathBuf,
        python: Option<String>,
        cores: Option<usize>,
        starter: &'t dyn ServerStarter,
        look: &'t mut dyn FnMut(&str, &Progress<'_>) -> bool,
    ) -> Self {
        let begun = Instant::now();
        Self { workload, folder, python, cores, starter, look, begun, costs: (0.0, 0.0), samples: Vec::new() }
    }
}

impl TrialRunner for RealTrials<'_> {
    fn run(
        &mut self,
        stage: &'static str,
        configs: &[Config],
        rounds: u32,
        seconds: f64,
    ) -> Result<Vec<Measured>, String> {
        let warm_up = (seconds * WARM_UP).min(LONGEST);
        let workload = Workload {
            duration: Some(seconds - warm_up),
            warm_up: Some(warm_up),
            rounds: Some(rounds),
            ..self.workload.clone()
        };
        let plan = Plan {
            title: None,
            workload,
            short: None,
            forms: vec![Form::default()],
            variants: configs.iter().map(|config| config.variant(self.python.as_deref())).collect(),
            python: BTreeMap::new(),
            cores: self.cores,
            folder: self.folder.clone(),
        };
        let folder = tempfile::tempdir().map_err(|why| format!("no folder for the results: {why}"))?;
        let mut saved = Saved::open(&folder.path().join("results.jsonl"), ResultsHeader::default(), true)?;
        let look = &mut self.look;
        let begun = Instant::now();
        let mut heard = |progress: &Progress<'_>| look(stage, progress);
        let pythons = BTreeMap::new();
        let mut runner = Runner {
            plan: &plan,
            starter: self.starter,
            pythons: &pythons,
            saved: &mut saved,
            look: &mut heard,
        };
        if runner.run()? == RunEnd::Early {
            return Err("ended early".into());
        }
        let trials = saved.samples.len() as f64;
        let beside = begun.elapsed().as_secs_f64() - trials * seconds;
        self.costs = (self.costs.0 + trials.max(1.0), self.costs.1 + beside.max(0.0));
        let measured = configs.iter().map(|config| {
            let name = config.name();
            let samples: Vec<&Sample> = saved.samples.iter().filter(|s| s.variant == name).collect();
            let problem = saved.problems.iter().find(|p| p.variant == name);
            let row = match (problem, samples.is_empty()) {
                (None, false) => Ok(Row::of(&name, &samples)),
                (problem, _) => Err(problem.map_or("nothing was measured".into(), |p| p.why.clone())),
            };
            Measured { config: *config, row }
        });
        let measured = measured.collect();
        self.samples.append(&mut saved.samples);
        Ok(measured)
    }

    fn elapsed(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    fn overhead(&self) -> f64 {
        if self.costs.0 > 0.0 { self.costs.1 / self.costs.0 } else { 1.0 }
    }
}
