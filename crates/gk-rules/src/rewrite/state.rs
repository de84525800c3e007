//! A request while rules are applied to it.

use super::Map;
use crate::regexp::Groups;
use crate::server_variables::View;
use crate::{Env, Facts};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What the rules so far have made of a request.
pub(super) struct State<'a> {
    pub(super) facts: &'a dyn Facts,
    pub(super) maps: &'a BTreeMap<String, Map>,
    /// Prefix of a section's paths; `None` outside of sections.
    pub(super) directory: Option<&'a str>,
    /// The URL path, or in a section the file.
    pub(super) filename: Vec<u8>,
    pub(super) path_info: Vec<u8>,
    pub(super) query: Vec<u8>,
    pub(super) env: Env,
    /// `$1`
    pub(super) rule_groups: Groups,
    /// `%1`
    pub(super) condition_groups: Groups,
    /// Status of a redirect.
    pub(super) status: u16,
    pub(super) cookies: Vec<String>,
    pub(super) handler: Option<String>,
    pub(super) media_type: Option<String>,
    /// `END` was met.
    pub(super) ended: bool,
    /// Names of the headers that the conditions of this rule have asked for.
    pub(super) asked_for: RefCell<Vec<String>>,
    /// The same of all rules that apply.
    pub(super) vary: Vec<String>,
    /// The path is looked for below the document root only, as it begins with what the client sent.
    pub(super) below_root: bool,
}

impl<'a> State<'a> {
    /// A request before the first rule.
    pub(super) fn new(
        facts: &'a dyn Facts,
        maps: &'a BTreeMap<String, Map>,
        directory: Option<&'a str>,
    ) -> Self {
        Self {
            facts,
            maps,
            directory,
            filename: facts.path().to_vec(),
            path_info: Vec::new(),
            query: facts.query().to_vec(),
            env: facts.env().clone(),
            rule_groups: Groups::default(),
            condition_groups: Groups::default(),
            status: 302,
            cookies: Vec::new(),
            handler: None,
            media_type: None,
            ended: false,
            asked_for: RefCell::default(),
            vary: Vec::new(),
            below_root: false,
        }
    }

    /// The request as variables see it.
    pub(super) fn view(&self) -> View<'_> {
        View {
            facts: self.facts,
            env: &self.env,
            query: &self.query,
            filename: &self.filename,
            path_info: &self.path_info,
            user: self.facts.user(),
            vary: Some(&self.asked_for),
        }
    }
}

/// How the groups in a substitution are escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Escape {
    /// `B`
    pub(super) on: bool,
    /// `B=…`: these characters only.
    pub(super) only: Option<String>,
    /// `BNP`: a blank is `%20`.
    pub(super) no_plus: bool,
    /// `BCTLS`: control characters and blanks only.
    pub(super) controls: bool,
    /// `BNE=…`: not these characters.
    pub(super) except: String,
}
