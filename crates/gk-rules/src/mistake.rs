//! A directive whose words do not make a rule. gk-config adds file and line.

/// What is wrong, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// One sentence without full stop.
    pub message: String,
    /// Index of the word it is about; `None`: the directive as a whole.
    pub word: Option<usize>,
    /// Remedy.
    pub hint: Option<String>,
}

impl Mistake {
    /// A mistake of the directive as a whole.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), word: None, hint: None }
    }

    /// The word it is about.
    pub fn at(self, word: usize) -> Self {
        Self { word: Some(word), ..self }
    }

    /// Adds a remedy.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}
