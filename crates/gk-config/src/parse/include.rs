//! `Include` and `IncludeOptional`: which files, in which order, and when to stop.

use super::{Node, Parser};
use crate::diagnostic::Complaint;
use crate::token::{Glyph, Word};
use std::path::Path;

/// Includes inside includes, at most.
const DEPTH: usize = 16;
/// Files of one configuration, at most.
const FILES: usize = 1000;

impl Parser<'_> {
    pub(super) fn include(
        &mut self,
        name: &Word,
        rest: &[Glyph],
        optional: bool,
        into: &mut Vec<Node>,
        depth: usize,
    ) {
        let Some(words) = self.cut(rest) else { return };
        let [pattern] = words.as_slice() else {
            self.journal.say(Complaint::error(format!("{} takes one path", name.text)).at(name));
            return;
        };
        let wanted = self.base.join(&pattern.text);
        let found = match self.source.glob(&wanted) {
            Ok(found) => found,
            Err(_) if optional => return,
            Err(why) => {
                self.journal
                    .say(Complaint::error(format!("{} cannot be read: {why}", wanted.display())).at(pattern));
                return;
            }
        };
        if found.is_empty() && !optional {
            self.journal.say(
                Complaint::error(format!("no file is named by {}", wanted.display()))
                    .at(pattern)
                    .hint("IncludeOptional accepts that nothing is found"),
            );
        }
        for path in found {
            self.include_file(&path, pattern, into, depth);
        }
    }

    fn include_file(&mut self, path: &Path, word: &Word, into: &mut Vec<Node>, depth: usize) {
        let refuse = if self.chain.iter().any(|open| open == path) {
            Some(format!("{} includes itself", path.display()))
        } else if self.chain.len() > DEPTH {
            Some(format!("includes are nested deeper than {DEPTH} levels"))
        } else if self.journal.file_count() >= FILES {
            Some(format!("the configuration has more than {FILES} files"))
        } else {
            None
        };
        if let Some(message) = refuse {
            self.journal.say(Complaint::error(message).at(word));
            return;
        }
        match self.source.read(path) {
            Ok(bytes) => {
                self.chain.push(path.to_owned());
                self.text(&path.display().to_string(), &String::from_utf8_lossy(&bytes), into, depth);
                self.chain.pop();
            }
            Err(why) => {
                let message = format!("{} cannot be read: {why}", path.display());
                self.journal.say(Complaint::error(message).at(word));
            }
        }
    }
}
