//! The words about a server that serves: one line for programs and the service manager, more for a person at a terminal.

use super::World;
use crate::configuration::Configuration;
use gk_config::site::{ImportScript, ProcessGroup};
use std::io::IsTerminal;

impl World {
    /// Says that requests are served.
    pub(super) fn announce(&mut self) {
        let mut text = self.serving();
        // Programs read the first line, and a log has no use for the others.
        if std::io::stdout().is_terminal() {
            text.push_str(&self.details());
        }
        self.logs.say(&text);
    }

    /// What is served where, in one line.
    pub(super) fn serving(&self) -> String {
        let configuration = self.configuration();
        let groups = &configuration.site.groups;
        let each: Vec<String> = groups
            .iter()
            .map(|g| {
                let threads = if g.service() { "service script".into() } else { count(g.threads, "thread") };
                let text = format!("{} x {threads}", count(g.processes, "process"));
                match groups.len() {
                    1 => text,
                    _ if g.is_front() => count(g.processes, "front"),
                    _ if g.embedded => format!("{}: {text}, embedded", g.name),
                    _ => format!("{}: {text}", g.name),
                }
            })
            .collect();
        let urls = self.listeners.urls(&configuration.site).join(" and ");
        let mut line = format!("Serving {urls} with {}", each.join(", "));
        if let Some(admin) = self.listeners.admin() {
            line.push_str(&format!("; admin {admin}"));
        }
        line
    }

    /// Versions, processes, places, and how it ends.
    fn details(&self) -> String {
        let configuration = self.configuration();
        let mut lines =
            vec![format!("gilkeeper {}, process {}", gk_wire::PACKAGE_VERSION, std::process::id())];
        for group in &configuration.site.groups {
            let own = self.workers.values().filter(|child| child.process_group == group.name);
            let pids: Vec<String> = own.map(|child| child.pid.to_string()).collect();
            let what = python(&configuration, group);
            lines.push(format!("process group {}: {what}, {}", group.name, those(&pids)));
        }
        if let Some(log) = &configuration.site.error_log.path {
            lines.push(format!("error log {}", log.display()));
        }
        lines.push(format!("state in {}", configuration.site.server_root.display()));
        lines.push("Ctrl-C ends it, twice at once".to_owned());
        lines.iter().map(|line| format!("\n  {line}")).collect()
    }
}

/// The Python of a group and its GIL.
fn python(configuration: &Configuration, group: &ProcessGroup) -> String {
    let about = configuration.about(&group.name);
    let build = about.build;
    let version = format!("CPython 3.{}{}", build.minor, if build.free_threaded { "t" } else { "" });
    let site = &configuration.site;
    let own = |import: &&ImportScript| {
        let named = import.process_group == group.name && !import.application_group.is_empty();
        named && site.interpreter(&group.name, &import.application_group).per_interpreter_gil
    };
    match (about.gil, group.interpreters) {
        (false, _) => format!("{version} without the GIL"),
        (true, 1) if site.imports.iter().any(|import| own(&import)) => {
            format!("{version}, its sub-interpreters with a GIL of their own")
        }
        (true, 1) => format!("{version} with the GIL"),
        (true, several) => format!("{version} with {several} interpreters, each with its own GIL"),
    }
}

/// Process ids with the noun in front.
fn those(pids: &[String]) -> String {
    format!("process{} {}", if pids.len() == 1 { "" } else { "es" }, pids.join(" "))
}

fn count(number: u32, what: &str) -> String {
    let end = match number {
        1 => "",
        _ if what.ends_with('s') => "es",
        _ => "s",
    };
    format!("{number} {what}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: "processes 12058" of one process. Met in every banner of `gilkeeper dev`.
    #[test]
    fn one_process_is_not_called_several() {
        let pids = |all: &[u32]| those(&all.iter().map(u32::to_string).collect::<Vec<_>>());
        assert_eq!(pids(&[12058]), "process 12058");
        assert_eq!(pids(&[7, 8]), "processes 7 8");
    }
}
