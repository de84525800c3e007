//! `<Macro>`, `Use`, `UndefMacro`: lines that are kept under a name, and put where they are used with their parameters replaced.
//! A complaint about such a line points into the macro and names the line that uses it.

use super::{Lines, Node, Parser};
use crate::diagnostic::Complaint;
use crate::nearest;
use crate::token::{Glyph, Place, Word};

/// Lines that uses of macros may give, in all: macros that use each other would grow beyond all measure.
const LINES: usize = 50_000;
/// Macros within macros, at most.
const DEPTH: usize = 16;
/// Characters of a line, at most.
const LONGEST: usize = 64 * 1024;

/// A macro.
pub(super) struct Macro {
    parameters: Vec<Vec<char>>,
    lines: Vec<Vec<Glyph>>,
    place: Place,
}

impl Parser<'_> {
    /// `<Macro name parameter …>`: takes its lines.
    pub(super) fn define_macro(&mut self, open: &Word, arguments: &[Glyph], lines: &mut Lines) {
        let lines = self.macro_lines(open, lines);
        let Some(words) = self.cut(arguments) else { return };
        let [name, parameters @ ..] = words.as_slice() else {
            self.journal.say(Complaint::error("<Macro> takes a name, and the names of parameters").at(open));
            return;
        };
        for (index, word) in parameters.iter().enumerate() {
            if word.text.is_empty() || parameters[..index].iter().any(|other| other.text == word.text) {
                let message = format!(
                    "the parameter `{}` of the macro `{}` stands twice or is empty",
                    word.text, name.text
                );
                self.journal.say(Complaint::error(message).at(word));
                return;
            }
            if !word.text.starts_with(['$', '%', '@']) {
                let message =
                    format!("the parameter `{}` is replaced wherever these letters stand", word.text);
                let complaint = Complaint::warning(message).at(word);
                self.journal.say(complaint.hint(format!("begin its name with a sign: ${}", word.text)));
            }
        }
        let parameters = parameters.iter().map(|word| word.text.chars().collect()).collect();
        self.macros.insert(name.text.to_ascii_lowercase(), Macro { parameters, lines, place: open.place });
    }

    /// The lines up to the end of the section.
    fn macro_lines(&mut self, open: &Word, lines: &mut Lines) -> Vec<Vec<Glyph>> {
        let (mut level, mut taken) = (0usize, Vec::new());
        while let Some(line) = lines.pop_front() {
            let start: String = line.iter().take(9).map(|glyph| glyph.0.to_ascii_lowercase()).collect();
            let ends = |name: &str| {
                start.strip_prefix(name).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
            };
            match (ends("</macro"), ends("<macro")) {
                (true, _) if level == 0 => return taken,
                (true, _) => level -= 1,
                (_, true) => level += 1,
                _ => {}
            }
            taken.push(line);
        }
        let message = format!("the section <{}> is never closed in this file", open.text);
        self.journal.say(Complaint::error(message).at(open).hint("add a line `</Macro>`"));
        taken
    }

    /// `UndefMacro name`
    pub(super) fn forget_macro(&mut self, name: &Word, rest: &[Glyph]) {
        let Some(words) = self.cut(rest) else { return };
        match words.as_slice() {
            [word] if self.macros.remove(&word.text.to_ascii_lowercase()).is_some() => {}
            [word] => self.unknown_macro(word),
            _ => self.journal.say(Complaint::error("UndefMacro takes one name").at(name)),
        }
    }

    fn unknown_macro(&mut self, word: &Word) {
        let complaint =
            Complaint::error(format!("no macro `{}` is defined above this line", word.text)).at(word);
        let near = nearest::nearest(&word.text, self.macros.keys().map(String::as_str));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("define it with <Macro {}>", word.text),
        };
        self.journal.say(complaint.hint(hint));
    }

    /// `Use name value …`: reads the macro's lines here.
    pub(super) fn use_macro(&mut self, name: &Word, rest: &[Glyph], into: &mut Vec<Node>, depth: usize) {
        let Some(words) = self.cut(rest) else { return };
        let [word, values @ ..] = words.as_slice() else {
            self.journal.say(Complaint::error("Use takes the name of a macro and its values").at(name));
            return;
        };
        let key = word.text.to_ascii_lowercase();
        let Some(found) = self.macros.get(&key) else { return self.unknown_macro(word) };
        let refusal = if found.parameters.len() != values.len() {
            Some(format!(
                "the macro `{}` takes {} values, not {}",
                word.text,
                found.parameters.len(),
                values.len()
            ))
        } else if self.using.contains(&key) {
            Some(format!("the macro `{}` uses itself", word.text))
        } else if self.using.len() >= DEPTH {
            Some(format!("macros are nested deeper than {DEPTH} levels"))
        } else if self.used_lines + found.lines.len() > LINES {
            Some(format!("the macros of this configuration give more than {LINES} lines"))
        } else {
            None
        };
        if let Some(message) = refusal {
            self.journal.say(Complaint::error(message).at(word));
            return;
        }
        self.used_lines += found.lines.len();
        // Behind each other in length, so that $name is not taken for $na.
        let mut pairs: Vec<(&[char], &str)> = found
            .parameters
            .iter()
            .map(Vec::as_slice)
            .zip(values.iter().map(|value| value.text.as_str()))
            .collect();
        pairs.sort_by_key(|(parameter, _)| std::cmp::Reverse(parameter.len()));
        let file = self.journal.macro_use(&word.text, found.place.file, name.place);
        let filled: Vec<Option<Vec<Glyph>>> =
            found.lines.iter().map(|line| filled(line, &pairs, file)).collect();
        if filled.iter().any(Option::is_none) {
            let message = format!("a line of the macro `{}` grows beyond {LONGEST} characters", word.text);
            self.journal.say(Complaint::error(message).at(word));
        }
        let mut lines: Lines = filled.into_iter().flatten().filter(|line| !line.is_empty()).collect();
        self.using.push(key);
        while !lines.is_empty() {
            self.block(&mut lines, None, into, depth);
        }
        self.using.pop();
    }
}

/// A line with its parameters replaced, placed in the file of this use; `None`: it grows too long.
fn filled(line: &[Glyph], pairs: &[(&[char], &str)], file: u32) -> Option<Vec<Glyph>> {
    let mut out = Vec::with_capacity(line.len());
    let mut at = 0;
    while let Some(&(c, place)) = line.get(at) {
        let place = Place { file, ..place };
        let rest = &line[at..];
        let pair = pairs.iter().find(|(parameter, _)| {
            rest.len() >= parameter.len() && rest.iter().zip(*parameter).all(|(glyph, c)| glyph.0 == *c)
        });
        match pair {
            Some((parameter, value)) => {
                out.extend(value.chars().map(|c| (c, place)));
                at += parameter.len();
            }
            None => {
                out.push((c, place));
                at += 1;
            }
        }
        if out.len() > LONGEST {
            return None;
        }
    }
    Some(out)
}
