//! Profiles get numbers: equal ones the same number, in this front's life. The worker is sent each one once per link.

use gk_wire::request::Profile;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// A profile with its number and its JSON.
#[derive(Debug)]
pub struct Numbered {
    /// Number on every link.
    pub number: u32,
    /// What is sent.
    pub json: Vec<u8>,
    /// The profile.
    pub profile: Profile,
}

/// All profiles so far.
#[derive(Default)]
pub struct Profiles {
    known: RefCell<HashMap<Profile, Rc<Numbered>>>,
}

impl Profiles {
    /// The numbered form of a profile.
    pub fn number(&self, profile: Profile) -> Rc<Numbered> {
        let mut known = self.known.borrow_mut();
        if let Some(found) = known.get(&profile) {
            return Rc::clone(found);
        }
        let number = known.len() as u32 + 1;
        let json = serde_json::to_vec(&profile).expect("a struct of strings and flags is always JSON");
        let numbered = Rc::new(Numbered { number, json, profile: profile.clone() });
        known.insert(profile, Rc::clone(&numbered));
        numbered
    }
}
