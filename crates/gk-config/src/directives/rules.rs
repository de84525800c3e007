//! The directives of Apache's modules whose rules are read, held and answered in gk_rules. A row here takes the words there, and
//! puts the rule into the scope.

pub mod answers;
pub mod compression;
pub mod headers;
pub mod redirects;
pub mod rewrite;
pub mod served;
pub mod types;
pub mod variables;

use crate::diagnostic::Complaint;
use crate::directive::Scope;
use crate::token::Word;
use gk_rules::{Mistake, Rules};

/// The texts of words, as gk_rules takes them.
pub fn texts(words: &[Word]) -> Vec<&str> {
    words.iter().map(|word| word.text.as_str()).collect()
}

/// Turns a mistake into a complaint that points at its word.
pub fn at<'w>(words: &'w [Word]) -> impl Fn(Mistake) -> Complaint + 'w {
    move |mistake| {
        let mut complaint = Complaint::error(mistake.message);
        if let Some(word) = mistake.word.and_then(|index| words.get(index)) {
            complaint = complaint.at(word);
        }
        match mistake.hint {
            Some(hint) => complaint.hint(hint),
            None => complaint,
        }
    }
}

/// The rules of the innermost scope.
pub fn rules<'a>(scope: &'a mut Scope) -> &'a mut Rules {
    &mut scope.settings().rules
}
