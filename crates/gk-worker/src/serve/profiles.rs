//! Profiles that fronts have sent, each with its number in this process.

use gk_wire::request::Profile;
use gk_wsgi::application::NumberedProfile;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

fn profiles() -> MutexGuard<'static, HashMap<Profile, Arc<NumberedProfile>>> {
    static KNOWN: OnceLock<Mutex<HashMap<Profile, Arc<NumberedProfile>>>> = OnceLock::new();
    KNOWN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Scripts that some profile wants reloaded when they change.
pub(crate) fn reloading_scripts() -> HashSet<String> {
    profiles()
        .keys()
        .filter(|profile| profile.script_reloading)
        .map(|profile| profile.script.clone())
        .collect()
}

/// Numbers a profile; the same content has the same number on every link.
pub(crate) fn number_profile(profile: Profile) -> Arc<NumberedProfile> {
    let mut known = profiles();
    let number = known.len() as u64;
    Arc::clone(known.entry(profile.clone()).or_insert_with(|| Arc::new(NumberedProfile { number, profile })))
}
