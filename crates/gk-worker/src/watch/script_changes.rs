//! Changes on disk of loaded scripts with reloading on. The supervisor decides what follows.

use crate::serve::engine::Engine;
use crate::serve::profiles::reloading_scripts;
use std::collections::HashSet;
use std::path::Path;

/// Returns true if a change of this file is reported as a change of a script.
pub(crate) fn is_watched_script(engine: &Engine, file: &Path) -> bool {
    let reloading = reloading_scripts();
    let from_start =
        |script: &String| engine.setup.imports.iter().any(|i| i.reloading && i.script == *script);
    engine.groups.all().iter().any(|(_, group)| {
        let mut scripts =
            group.application.watched().into_iter().filter(|(_, watched)| watched.path() == file);
        scripts.any(|(script, _)| reloading.contains(&script) || from_start(&script))
    })
}

/// Scripts that are reported when they change.
pub(crate) struct ScriptChanges {
    /// A script was loaded.
    any: bool,
    /// Scripts that are watched before a request asks for them.
    from_start: HashSet<String>,
}

impl ScriptChanges {
    pub(crate) fn new(engine: &Engine) -> Self {
        let from_start = engine.setup.imports.iter().filter(|i| i.reloading).map(|i| i.script.clone());
        Self { from_start: from_start.collect(), any: false }
    }

    /// Returns true if a script was loaded.
    pub(crate) fn any(&self) -> bool {
        self.any
    }

    /// Files with another modification time than when last seen, also an older one, and those whose script asked for its
    /// reload; each change once.
    pub(crate) fn changed(&mut self, engine: &Engine) -> Vec<String> {
        let mut changed = Vec::new();
        let reloading = reloading_scripts();
        for (_, group) in engine.groups.all() {
            for (script, file) in group.application.watched() {
                self.any = true;
                let watched = self.from_start.contains(&script) || reloading.contains(&script);
                if watched && file.take_change() {
                    changed.push(file.path().display().to_string());
                }
            }
        }
        // Each interpreter has its own copy of a script.
        changed.sort();
        changed.dedup();
        changed
    }

    /// The reload after the last changes was refused: the scripts that are loaded answer on.
    pub(crate) fn keep(engine: &Engine) {
        for (_, group) in engine.groups.all() {
            group.application.watched().iter().for_each(|(_, file)| file.keep());
        }
    }
}
