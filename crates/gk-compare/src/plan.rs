//! A plan: TOML text → values, or one sentence with the place and the error. `docs/reference/plans.md` explains the names to users.

pub mod python;
pub mod request;
mod toml_error;
pub mod variant;

use gk_config::express;
use request::RequestSpec;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml_error::sentence;
use variant::Variant;

/// A plan.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Plan {
    /// Printed above the tables.
    pub title: Option<String>,
    /// The work that all variants do.
    pub workload: Workload,
    /// Durations and rounds of `--short`.
    pub short: Option<Short>,
    /// The same workload in several forms, each with its own table.
    #[serde(default, rename = "form")]
    pub forms: Vec<Form>,
    /// The configurations. The first one is the baseline.
    #[serde(default, rename = "variant")]
    pub variants: Vec<Variant>,
    /// Pythons by name.
    #[serde(default)]
    pub python: BTreeMap<String, String>,
    /// Number of cores for the server; `None`: all but the generator's.
    #[serde(skip)]
    pub cores: Option<usize>,
    /// The plan's folder; files it names are looked up there.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// The work that all variants do.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Workload {
    /// A file, or `package.module[:callable]`.
    pub script: Option<String>,
    /// Path of the requests.
    pub path: Option<String>,
    /// Several requests with weights.
    #[serde(default, rename = "request")]
    pub requests: Vec<RequestSpec>,
    /// An access log whose requests are repeated at their times.
    pub replay: Option<String>,
    /// Speed of the replay; 2 is twice as fast as the log.
    pub replay_speed: Option<f64>,
    /// Connections.
    pub connections: Option<usize>,
    /// Requests per second: an open loop.
    pub rate: Option<f64>,
    /// Seconds measured in each trial.
    pub duration: Option<f64>,
    /// Seconds of load before that, not measured.
    pub warm_up: Option<f64>,
    /// Trials of each variant in each form.
    pub rounds: Option<u32>,
    /// Seconds for one request.
    pub timeout: Option<f64>,
    /// Keep connections open between requests.
    pub keep_alive: Option<bool>,
    /// Send back the cookies that responses set.
    pub keep_cookies: Option<bool>,
    /// Generator threads.
    pub generator_threads: Option<usize>,
    /// Options of `serve` for all variants.
    #[serde(default)]
    pub options: Vec<String>,
    /// Environment for all variants.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

/// Values of `--short` that replace those of the workload.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Short {
    /// See [`Workload`].
    pub duration: Option<f64>,
    /// See [`Workload`].
    pub warm_up: Option<f64>,
    /// See [`Workload`].
    pub rounds: Option<u32>,
}

/// One form of the workload.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Form {
    /// Its name, above its table.
    pub name: String,
    /// One sentence about it, printed below its table.
    pub note: Option<String>,
    /// See [`Workload`].
    pub path: Option<String>,
    /// See [`Workload`].
    #[serde(default, rename = "request")]
    pub requests: Vec<RequestSpec>,
    /// See [`Workload`].
    pub connections: Option<usize>,
    /// See [`Workload`].
    pub rate: Option<f64>,
}

impl Plan {
    /// Reads a plan. `name`: the file, for messages.
    pub fn parse(text: &str, name: &str, folder: &Path) -> Result<Self, String> {
        let mut plan: Self = toml::from_str(text).map_err(|error| sentence(&error, text, name))?;
        plan.folder = folder.to_owned();
        if plan.forms.is_empty() {
            plan.forms.push(Form::default());
        }
        plan.check().map_err(|why| format!("{name}: {why}"))?;
        Ok(plan)
    }

    /// Applies `[short]`.
    pub fn shorten(&mut self) {
        let short = self.short.clone().unwrap_or_default();
        let workload = &mut self.workload;
        workload.duration = short.duration.or(workload.duration);
        workload.warm_up = short.warm_up.or(workload.warm_up);
        workload.rounds = short.rounds.or(workload.rounds);
    }

    fn check(&self) -> Result<(), String> {
        if self.variants.is_empty() {
            return Err("it has no [[variant]]".into());
        }
        distinct(self.variants.iter().map(|v| v.name.as_str()), "variants")?;
        distinct(self.forms.iter().map(|f| f.name.as_str()), "forms")?;
        let w = &self.workload;
        within("duration", w.duration, 0.1, 86_400.0)?;
        within("warm-up", w.warm_up, 0.0, 86_400.0)?;
        within("timeout", w.timeout, 0.001, 3_600.0)?;
        within("rounds", w.rounds.map(f64::from), 1.0, 1_000.0)?;
        within("replay-speed", w.replay_speed, 0.001, 1e6)?;
        if let Some(short) = &self.short {
            let of = |why: String| format!("[short] {why}");
            within("duration", short.duration, 0.1, 86_400.0).map_err(of)?;
            within("warm-up", short.warm_up, 0.0, 86_400.0).map_err(of)?;
            within("rounds", short.rounds.map(f64::from), 1.0, 1_000.0).map_err(of)?;
        }
        for (rate, connections) in
            self.forms.iter().map(|f| (f.rate, f.connections)).chain([(w.rate, w.connections)])
        {
            within("rate", rate, 0.01, 1e7)?;
            within("connections", connections.map(|n| n as f64), 1.0, 60_000.0)?;
        }
        for variant in &self.variants {
            variant.check().map_err(|why| format!("variant `{}`: {why}", variant.name))?;
            if variant.config.is_none() && w.script.is_none() {
                return Err(format!(
                    "variant `{}` has no `config`, and [workload] names no `script` to serve",
                    variant.name
                ));
            }
        }
        if w.replay.is_some() && (w.rate.is_some() || self.forms.iter().any(|f| f.rate.is_some())) {
            return Err("`replay` has its own times: it does not go with `rate`".into());
        }
        let asks = |path: &Option<String>, requests: &[RequestSpec]| path.is_some() || !requests.is_empty();
        let said = asks(&w.path, &w.requests) || self.forms.iter().any(|f| asks(&f.path, &f.requests));
        if w.replay.is_some() && said {
            return Err("`replay` has its own requests: it does not go with `path` or `request`".into());
        }
        Ok(())
    }

    /// The script as an argument of `serve`, which is started in the plan's folder: a file's whole path, or a module.
    pub fn script(&self) -> Option<String> {
        let script = self.workload.script.as_ref()?;
        let place = self.script_place(script).unwrap_or_else(|| script.clone());
        let path = self.folder.join(script);
        let is_file = self.folder.join(&place).is_file() || place.contains('/');
        Some(if is_file { path.display().to_string() } else { script.clone() })
    }

    /// The file or module of SCRIPT, without its callable.
    fn script_place(&self, said: &str) -> Option<String> {
        express::script(said, &|path| path.is_file(), &self.folder).ok().map(|(place, _)| place)
    }

    /// Files named in the plan that influence the results: script, configurations, requests.
    pub fn files(&self) -> Vec<PathBuf> {
        let w = &self.workload;
        let mut names: Vec<&str> = w.replay.iter().map(String::as_str).collect();
        for asked in w.requests.iter().chain(self.forms.iter().flat_map(|form| &form.requests)) {
            names.extend([&asked.headers_file, &asked.body_file].into_iter().flatten().map(String::as_str));
        }
        names.extend(self.variants.iter().filter_map(|variant| variant.config.as_deref()));
        // In `file:callable` only the file counts.
        let script = w.script.as_ref().and_then(|said| self.script_place(said));
        names.extend(script.as_deref());
        names.into_iter().map(|name| self.folder.join(name)).filter(|path| path.is_file()).collect()
    }

    /// Seconds measured in a trial.
    pub fn duration(&self) -> f64 {
        self.workload.duration.unwrap_or(10.0)
    }

    /// Seconds of load before the measured time.
    pub fn warm_up(&self) -> f64 {
        self.workload.warm_up.unwrap_or(1.0)
    }

    /// Trials of each variant in each form.
    pub fn rounds(&self) -> u32 {
        self.workload.rounds.unwrap_or(3)
    }
}

fn distinct<'n>(names: impl Iterator<Item = &'n str>, what: &str) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("two {what} are named `{name}`"));
        }
    }
    Ok(())
}

fn within(name: &str, value: Option<f64>, least: f64, most: f64) -> Result<(), String> {
    match value {
        Some(value) if !(least..=most).contains(&value) => {
            Err(format!("`{name}`: {least} to {most}, not {value}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Plan, String> {
        Plan::parse(text, "p.toml", Path::new("/plans"))
    }

    const SMALL: &str = "[workload]\nscript = 'x/app.py'\n[[variant]]\nname = 'a'\n";

    #[test]
    fn a_small_plan_has_defaults() {
        let plan = parse(SMALL).unwrap();
        assert_eq!((plan.duration(), plan.warm_up(), plan.rounds(), plan.forms.len()), (10.0, 1.0, 3, 1));
        assert_eq!(plan.script().as_deref(), Some("/plans/x/app.py"));
        let mut plan = parse(&format!("{SMALL}[short]\nduration = 2\nrounds = 1\n")).unwrap();
        plan.shorten();
        assert_eq!((plan.duration(), plan.rounds()), (2.0, 1));
    }

    #[test]
    fn errors_are_one_sentence_with_their_place() {
        let cases = [
            (
                format!("{SMALL}proceses = 2\n"),
                "p.toml:5: `proceses` is unknown in [[variant]]; did you mean `processes`?",
            ),
            (
                "[workload]\nconections = 3\n".to_owned(),
                "p.toml:2: `conections` is unknown in [workload]; did you mean `connections`?",
            ),
            (
                format!("{SMALL}[[varient]]\n"),
                "p.toml:5: `varient` is unknown in [[varient]]; did you mean `variant`?",
            ),
            ("[workload]\nscript = 'a.py'\n".to_owned(), "p.toml: it has no [[variant]]"),
            (format!("{SMALL}[[variant]]\nname = 'a'\n"), "p.toml: two variants are named `a`"),
            (
                "[workload]\n[[variant]]\nname = 'a'\n".to_owned(),
                "p.toml: variant `a` has no `config`, and [workload] names no `script` to serve",
            ),
            (
                SMALL.replace("[[variant]]", "duration = -1\n[[variant]]"),
                "p.toml: `duration`: 0.1 to 86400, not -1",
            ),
            (format!("{SMALL}[short]\nduration = -1\n"), "p.toml: [short] `duration`: 0.1 to 86400, not -1"),
            (format!("{SMALL}[short]\nwarm-up = nan\n"), "p.toml: [short] `warm-up`: 0 to 86400, not NaN"),
            (format!("{SMALL}[short]\nrounds = 0\n"), "p.toml: [short] `rounds`: 1 to 1000, not 0"),
            (
                SMALL.replace("[[variant]]", "replay = 'a.log'\npath = '/'\n[[variant]]"),
                "p.toml: `replay` has its own requests: it does not go with `path` or `request`",
            ),
            (
                format!("{SMALL}gil = 'off'\n"),
                "p.toml:5: unknown variant `off`, expected one of `shared`, `own`, `free-threading` in [[variant]]",
            ),
        ];
        for (text, wanted) in cases {
            assert_eq!(parse(&text).unwrap_err(), wanted, "{text}");
        }
        let broken = parse("[workload\n").unwrap_err();
        assert!(broken.starts_with("p.toml:1: ") && !broken.contains('\n'), "{broken}");
        let number = parse(&SMALL.replace("[[variant]]", "rounds = 'x'\n[[variant]]")).unwrap_err();
        assert!(number.starts_with("p.toml:3: invalid type"), "{number}");
    }

    #[test]
    fn every_name_is_documented_and_the_shipped_plans_are_sound() {
        let page = include_str!("../../../docs/reference/plans.md");
        let tables = ["", "[workload]", "[short]", "[[form]]", "[[variant]]", "[[workload.request]]"];
        for table in tables {
            let said = parse(&format!("{table}\nqqqqqqqqqqqqqqqq = 1\n")).unwrap_err();
            let (_, known) = said.split_once("known are ").expect("nothing is near to that");
            for name in known.split(", ") {
                let written = [format!("`{name}`"), format!("[{name}]"), format!(".{name}]]")];
                assert!(written.iter().any(|w| page.contains(w)), "{name} of {table} is not in plans.md");
            }
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plans");
        for name in ["switch-interval", "free-threading", "per-interpreter-gil", "flask"] {
            let text = std::fs::read_to_string(folder.join(format!("{name}.toml"))).unwrap();
            let plan = Plan::parse(&text, name, &folder).unwrap();
            assert!(Path::new(&plan.script().unwrap()).is_file() && plan.forms.len() == 2, "{name}");
        }
    }
}
