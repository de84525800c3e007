//! Numbers for profiles: equal profiles have the same number for the front's whole life. A profile is sent once per link.

use gk_wire::request::Profile;
use std::cell::RefCell;
use std::collections::HashMap;
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
        let json = serde_json::to_vec(&profile).expect("a struct of strings and flags is always JSON");
        let numbered = Rc::new(NumberedProfile { number, json, profile: profile.clone() });
        known.insert(profile, Rc::clone(&numbered));
        numbered
    }
}
