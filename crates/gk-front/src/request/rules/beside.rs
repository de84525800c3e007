//! What the rules of a site say of files beside the one that a client asked for: the entries of a list, the index of a folder, a
//! compressed neighbour.
//!
//! For the entries of a list Apache makes a request within the server that begins at the file: the rules of the file's place are
//! asked, without those that have the flag `NS` or redirect, and those outside of sections are not. Entries that they answer with
//! a redirection are shown. What is served in place of another file is asked for by its own URL, from the first rule on, and served
//! only if no rule says anything else.

use gk_config::site::Settings;
use gk_rules::Env;
use gk_rules::rewrite::{self, Action, Place};
use http::Method;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use super::Asked;
use super::rewriting::Rewriting;
use crate::answer::files::FileRules;
use crate::request::refusal::Refusal;

/// Requests for files beside the one asked for.
pub struct Beside {
    asked: Asked,
    env: Env,
    /// The settings of the place that admitted the client.
    admitted: Arc<Settings>,
}

impl Asked {
    /// Requests within the server for files beside this one.
    pub fn beside(&self) -> Beside {
        let mut asked = self.anew();
        asked.parts.method = Method::GET;
        asked.within = true;
        asked.caller.clone_from(&self.caller);
        Beside { env: self.env.clone(), admitted: Arc::clone(&self.settings), asked }
    }
}

impl Beside {
    /// Puts the request at a URL path, with the variables of the client's request.
    fn enter(&mut self, url: &[u8]) {
        let asked = &mut self.asked;
        asked.url = url.to_vec();
        asked.path = url.to_vec();
        asked.query.clear();
        asked.env = self.env.clone();
        asked.rewriting = Rewriting::default();
        asked.settings = asked.current.compiled.base_settings(asked.host);
    }

    /// The settings of a file's place, with the conditional sections that hold there.
    fn settings(&mut self, settings: Arc<Settings>, path: &Path) -> Result<(), Refusal> {
        let asked = &mut self.asked;
        asked.file = Some(path.to_owned());
        asked.settings = settings;
        if asked.choose_branches()? {
            let mut changed = (*asked.settings).clone();
            let branches = asked.rewriting.decided().branches;
            asked.current.compiled.apply_branches(asked.host, &mut changed, branches);
            asked.settings = Arc::new(changed);
        }
        Ok(())
    }

    /// Asks the rules of the place.
    fn in_place(&mut self, filename: &[u8]) -> Result<Action, Refusal> {
        let settings = Arc::clone(&self.asked.settings);
        let mut action = Action::Go;
        if settings.rules.rewrite.runs_in_place() {
            let place = Place { filename, path_info: b"", alias: None };
            let outcome = rewrite::place(&settings.rules.rewrite, &self.asked, &place);
            action = self.asked.take(outcome)?;
        }
        self.asked.redirect(&settings.rules.redirects.place)?;
        Ok(action)
    }

    fn ask_for_entry(
        &mut self,
        url: &[u8],
        path: &Path,
        filename: &[u8],
        folder: bool,
    ) -> Result<(), Refusal> {
        self.enter(url);
        let compiled = Arc::clone(&self.asked.current.compiled);
        let settings = match folder {
            true => compiled.settings_of_folder(self.asked.host, url, path),
            false => compiled.settings(self.asked.host, url, Some(path)),
        };
        self.settings(settings, path)?;
        self.in_place(filename).map(drop)
    }

    fn ask_for_file(&mut self, url: &[u8], path: &Path) -> Result<(), Refusal> {
        self.enter(url);
        self.asked.within = false;
        let outside = self.asked.before_routing();
        let settings = self.asked.current.compiled.settings(self.asked.host, url, Some(path));
        let inside = outside.and_then(|()| self.settings(settings, path)).and_then(|()| {
            self.asked.in_place()?;
            self.in_place(path.as_os_str().as_bytes())
        });
        self.asked.within = true;
        // A handler would make something else of it.
        if !matches!(inside?, Action::Go) || self.asked.rewriting.decided().handler.is_some() {
            return Err(Refusal::Forbidden);
        }
        // Conditional sections may have closed it.
        let (settings, before) = (&self.asked.settings, &self.admitted);
        let same = || settings.access == before.access && settings.access.is_about_the_client();
        let open = settings.granted().unwrap_or_else(|| !settings.closed && same());
        if open { Ok(()) } else { Err(Refusal::Forbidden) }
    }
}

impl FileRules for Beside {
    fn hide(&mut self, url: &[u8], path: &Path, folder: bool) -> bool {
        let hidden = |answer: Result<(), Refusal>| matches!(answer, Err(refusal) if !matches!(refusal, Refusal::Moved(..)));
        let name = path.as_os_str().as_bytes();
        if hidden(self.ask_for_entry(url, path, name, folder)) {
            return true;
        }
        // Whoever asks for a folder is sent to its name with a slash.
        folder && hidden(self.ask_for_entry(&[url, b"/"].concat(), path, &[name, b"/"].concat(), true))
    }

    fn refuse(&mut self, url: &[u8], path: &Path) -> bool {
        self.ask_for_file(url, path).is_err()
    }
}
