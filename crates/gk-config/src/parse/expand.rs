//! `${VAR}`: names from `Define`, then from the environment. A replaced text keeps the place of its `$`. It is not
//! looked at again, so no value can make the replacement run on.

use super::Parser;
use crate::diagnostic::Complaint;
use crate::token::Glyph;

/// Characters of a line after replacing, at most.
const LONGEST: usize = 64 * 1024;

impl Parser<'_> {
    /// The line with its variables replaced; `None` (and a complaint) if it grows beyond all measure.
    pub(super) fn expand(&mut self, line: &[Glyph]) -> Option<Vec<Glyph>> {
        let mut out = Vec::with_capacity(line.len());
        let mut at = 0;
        while at < line.len() {
            let (c, place) = line[at];
            let opens = c == '$' && line.get(at + 1).is_some_and(|g| g.0 == '{');
            let end = if opens { line[at..].iter().position(|g| g.0 == '}').map(|n| at + n) } else { None };
            let Some(end) = end else {
                out.push((c, place));
                at += 1;
                continue;
            };
            let name: String = line[at + 2..end].iter().map(|g| g.0).collect();
            let value = self.defines.get(&name).or_else(|| self.surroundings.environment.get(&name));
            match value {
                Some(value) => out.extend(value.chars().map(|c| (c, place))),
                None => {
                    out.extend_from_slice(&line[at..=end]);
                    if !name.contains(':') {
                        let width = u32::try_from(end + 1 - at).unwrap_or(u32::MAX);
                        self.journal.say(
                            Complaint::warning(format!(
                                "the variable ${{{name}}} is not defined and stays as it is"
                            ))
                            .or_at(place, width)
                            .hint(format!(
                                "write `Define {name} VALUE` above this line, or set it in the environment"
                            )),
                        );
                    }
                }
            }
            if out.len() > LONGEST {
                let message =
                    format!("this line grows beyond {LONGEST} characters when its variables are replaced");
                self.journal.say(Complaint::error(message).or_at(line[0].1, 1));
                return None;
            }
            at = end + 1;
        }
        Some(out)
    }
}
