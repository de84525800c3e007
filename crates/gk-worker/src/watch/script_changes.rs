//! Changes on disk of loaded scripts with reloading on. The supervisor decides what follows.

use crate::serve::engine::Engine;
use crate::serve::profiles::reloading_scripts;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Returns true if a change of this file is reported as a change of a script.
pub(crate) fn is_watched_script(engine: &Engine, file: &Path) -> bool {
    let reloading = reloading_scripts();
    let from_start =
        |script: &String| engine.setup.imports.iter().any(|i| i.reloading && i.script == *script);
    engine.groups.all().iter().any(|(_, group)| {
        let mut scripts = group.application.watched().into_iter().filter(|(_, (path, _))| path == file);
        scripts.any(|(script, _)| reloading.contains(&script) || from_start(&script))
    })
}

/// Scripts loaded so far, with the modification time last seen.
pub(crate) struct ScriptChanges {
    seen: HashMap<PathBuf, Option<SystemTime>>,
    /// Scripts that are watched before a request asks for them.
    from_start: HashSet<String>,
}

impl ScriptChanges {
    pub(crate) fn new(engine: &Engine) -> Self {
        let from_start = engine.setup.imports.iter().filter(|i| i.reloading).map(|i| i.script.clone());
        Self { from_start: from_start.collect(), seen: HashMap::new() }
    }

    /// Returns true if a script was loaded.
    pub(crate) fn any(&self) -> bool {
        !self.seen.is_empty()
    }

    /// Files with another modification time than when last seen, also an older one; each change once.
    pub(crate) fn changed(&mut self, engine: &Engine) -> Vec<String> {
        let mut changed = Vec::new();
        let reloading = reloading_scripts();
        for (_, group) in engine.groups.all() {
            for (script, (file, loaded)) in group.application.watched() {
                let seen = self.seen.entry(file.clone()).or_insert(loaded);
                if !self.from_start.contains(&script) && !reloading.contains(&script) {
                    continue;
                }
                let now = gk_wsgi::script::modified(&file);
                // A file that is missing for a moment (an editor, a deploy) is no change; its return is.
                if now.is_some() && now != *seen {
                    *seen = now;
                    changed.push(file.display().to_string());
                }
            }
        }
        changed
    }
}
