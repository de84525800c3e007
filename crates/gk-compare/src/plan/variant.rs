//! A variant of a plan, and the arguments of `gilkeeper serve` that it stands for. Pure.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// A GIL mode as a plan writes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gil {
    /// One GIL for the process.
    #[default]
    Shared,
    /// A GIL for each interpreter.
    Own,
    /// No GIL.
    FreeThreading,
}

/// One configuration.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Variant {
    /// Its name, in the table's first column.
    pub name: String,
    /// Worker processes.
    pub processes: Option<u32>,
    /// Request threads of each.
    pub threads: Option<u32>,
    /// Seconds.
    pub switch_interval: Option<f64>,
    /// GIL mode.
    #[serde(default)]
    pub gil: Gil,
    /// Own-GIL interpreters of each process.
    pub interpreters: Option<u32>,
    /// Its Python, by name or path.
    pub python: Option<String>,
    /// More options of `serve`.
    #[serde(default)]
    pub options: Vec<String>,
    /// Directives, a line each.
    #[serde(default)]
    pub directives: Vec<String>,
    /// A configuration file in place of a script.
    pub config: Option<String>,
    /// Environment.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

impl Variant {
    /// Refuses fields that exclude each other.
    pub fn check(&self) -> Result<(), String> {
        let beside = [
            ("processes", self.processes.is_some()),
            ("threads", self.threads.is_some()),
            ("switch-interval", self.switch_interval.is_some()),
            ("interpreters", self.interpreters.is_some()),
            ("python", self.python.is_some()),
            ("gil", self.gil != Gil::Shared),
        ];
        if self.config.is_some()
            && let Some((name, _)) = beside.iter().find(|(_, given)| *given)
        {
            return Err(format!(
                "`{name}` does not go with `config`: say it in that file, or in `directives`"
            ));
        }
        if self.interpreters.is_some() && self.gil != Gil::Own {
            return Err("`interpreters` have GILs of their own: say gil = \"own\"".into());
        }
        if self.switch_interval.is_some_and(|s| s.is_nan() || s <= 0.0) {
            return Err("`switch-interval` is a number of seconds above 0".into());
        }
        Ok(())
    }

    /// Arguments for `gilkeeper`, without addresses and the server root. `script`: what to serve; `python`: the path of its
    /// Python; `folder`: of the plan.
    pub fn arguments(&self, script: Option<&str>, python: Option<&Path>, folder: &Path) -> Vec<String> {
        let mut arguments = vec!["serve".to_owned()];
        let mut option = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                arguments.extend([format!("--{name}"), value]);
            }
        };
        if let Some(config) = &self.config {
            arguments.extend(["-c".to_owned(), folder.join(config).display().to_string()]);
        } else {
            option("processes", self.processes.map(|n| n.to_string()));
            option("threads", self.threads.map(|n| n.to_string()));
            option("switch-interval", self.switch_interval.map(|s| s.to_string()));
            option("python", python.map(|path| path.display().to_string()));
            match (self.gil, self.interpreters) {
                (Gil::Shared, _) => {}
                (Gil::Own, Some(n)) => option("interpreters", Some(n.to_string())),
                (Gil::Own, None) => arguments.push("--per-interpreter-gil".into()),
                (Gil::FreeThreading, _) => arguments.push("--free-threading".into()),
            }
            arguments.extend(script.map(str::to_owned));
        }
        arguments.extend(self.options.iter().cloned());
        for line in &self.directives {
            arguments.extend(["--set".to_owned(), line.clone()]);
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_variant_becomes_an_argument() {
        let variant = Variant {
            processes: Some(2),
            threads: Some(5),
            switch_interval: Some(0.0001),
            directives: vec!["Timeout 3".into()],
            ..Variant::default()
        };
        let text =
            |v: &Variant| v.arguments(Some("a.py"), Some(Path::new("/p")), Path::new("/plans")).join(" ");
        assert_eq!(
            text(&variant),
            "serve --processes 2 --threads 5 --switch-interval 0.0001 --python /p a.py --set Timeout 3"
        );
        let own = Variant { gil: Gil::Own, interpreters: Some(4), ..Variant::default() };
        assert_eq!(text(&own), "serve --python /p --interpreters 4 a.py");
        let file =
            Variant { config: Some("s.conf".into()), options: vec!["--x".into()], ..Variant::default() };
        assert_eq!(text(&file), "serve -c /plans/s.conf --x");
        let both = Variant { config: Some("s.conf".into()), threads: Some(2), ..Variant::default() };
        assert!(both.check().unwrap_err().starts_with("`threads` does not go with `config`"));
        assert!(Variant { interpreters: Some(2), ..Variant::default() }.check().is_err());
    }
}
