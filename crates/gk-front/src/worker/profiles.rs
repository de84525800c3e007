//! Numbers for profiles: equal profiles have the same number for the front's whole life. A profile is sent once per link. And the
//! application groups whose names requests choose, each of which is an interpreter in every worker.

use gk_wire::request::Profile;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// A profile with its number and its JSON.
#[derive(Debug)]
pub struct NumberedProfile {
    /// Number on every link.
    pub number: u32,
    /// Payload of the `Profile` frame.
    pub json: Vec<u8>,
    /// The profile.
    pub profile: Profile,
}

/// All profiles so far.
#[derive(Default)]
pub struct Profiles {
    numbered: RefCell<HashMap<Profile, Rc<NumberedProfile>>>,
}

impl Profiles {
    /// The numbered form of a profile.
    pub fn number(&self, profile: Profile) -> Rc<NumberedProfile> {
        let mut known = self.numbered.borrow_mut();
        if let Some(found) = known.get(&profile) {
            return Rc::clone(found);
        }
        let number = known.len() as u32 + 1;
        let json = gk_messages::encode(&profile);
        let numbered = Rc::new(NumberedProfile { number, json, profile: profile.clone() });
        known.insert(profile, Rc::clone(&numbered));
        numbered
    }
}

/// Application groups whose names requests have chosen since the configuration came into force, by process group and script: a
/// pattern that leads to many scripts has as many groups in any case.
#[derive(Default)]
pub struct ChosenGroups {
    names: RefCell<HashMap<(String, String), HashSet<String>>>,
}

impl ChosenGroups {
    /// Whether a script may have that application group in a process group: it has it, or has less than `most`.
    pub fn admit(&self, process_group: &str, script: &str, name: &str, most: usize) -> bool {
        let mut groups = self.names.borrow_mut();
        let names = groups.entry((process_group.to_owned(), script.to_owned())).or_default();
        names.contains(name) || (names.len() < most && names.insert(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_has_so_many_chosen_groups() {
        let chosen = ChosenGroups::default();
        let asked = [
            ("a", "x", "1"),
            ("a", "x", "2"),
            ("a", "x", "3"),
            ("a", "x", "1"),
            ("b", "x", "3"),
            ("a", "y", "3"),
        ];
        let admitted =
            asked.map(|(process_group, script, name)| chosen.admit(process_group, script, name, 2));
        assert_eq!(admitted, [true, true, false, true, true, true]);
    }
}
