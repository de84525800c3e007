//! Conditional sections: which of them hold for a request, and the settings with them. They come after all others.

use super::sections::{Matcher, Spot, is_within};
use crate::site::{Branch, Host, Scope, Settings, SettingsPatch};
use std::path::Path;

/// The conditional sections of a host, in merge order.
#[derive(Debug)]
pub struct Table {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    around: Vec<Around>,
    branch: Branch,
    patch: SettingsPatch,
}

/// A section around a conditional one.
#[derive(Debug)]
enum Around {
    Place(Matcher, Option<Matcher>),
    If(Branch),
}

impl Table {
    /// Compiles the sections of a host.
    pub fn new(host: &Host) -> Result<Self, String> {
        let mut entries = Vec::new();
        for section in &host.sections {
            let Scope::If(branch) = &section.scope else { continue };
            let around = section.around.iter().map(|(scope, within)| match scope {
                Scope::If(branch) => Ok(Around::If(branch.clone())),
                scope => {
                    let within = within.as_ref().map(Matcher::new).transpose()?;
                    Ok(Around::Place(Matcher::new(scope)?, within))
                }
            });
            let around = around.collect::<Result<_, String>>()?;
            entries.push(Entry { around, branch: branch.clone(), patch: section.set.clone() });
        }
        Ok(Self { entries })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Numbers of the sections that hold; `holds` answers for a condition.
    pub fn holding<E>(
        &self,
        url: &[u8],
        file: Option<&Path>,
        holds: &mut dyn FnMut(&Branch) -> Result<bool, E>,
    ) -> Result<Vec<usize>, E> {
        let spot = file.map_or(Spot::Url, Spot::File);
        let mut holding = Vec::new();
        'sections: for (index, entry) in self.entries.iter().enumerate() {
            for around in &entry.around {
                let within = match around {
                    Around::Place(matcher, within) => {
                        matcher.matches(url, spot) && is_within(within.as_ref(), spot)
                    }
                    Around::If(branch) => holds(branch)?,
                };
                if !within {
                    continue 'sections;
                }
            }
            if holds(&entry.branch)? {
                holding.push(index);
            }
        }
        Ok(holding)
    }

    /// Lays the sections of these numbers over settings.
    pub fn apply(&self, settings: &mut Settings, holding: &[usize]) {
        let entries = holding.iter().filter_map(|index| self.entries.get(*index));
        settings.apply_all(entries.map(|entry| &entry.patch));
    }
}
