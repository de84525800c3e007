//! Directive text with values quoted so that they are read back as they were.

use crate::token::quote;

/// Lines of directives with quoted values.
#[derive(Default)]
pub struct Text {
    /// The text so far.
    pub out: String,
    dollar: bool,
    /// The first value that cannot stand in a text.
    pub bad: Option<String>,
}

impl Text {
    /// Adds a line.
    pub fn line(&mut self, name: &str, words: &[&str]) {
        self.out.push_str(name);
        for word in words {
            let quoted = self.word(word);
            self.out.push(' ');
            self.out.push_str(&quoted);
        }
        self.out.push('\n');
    }

    /// A line for a value that was given.
    pub fn given(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.line(name, &[value]);
        }
    }

    /// A process group and its options.
    pub fn process_group(&mut self, name: &str, options: &[(&str, String)]) {
        let mut line = format!("WSGIDaemonProcess {}", self.word(name));
        for (key, value) in options {
            let value = self.word(value);
            line.push_str(&format!(" {key}={value}"));
        }
        self.out.push_str(&line);
        self.out.push('\n');
    }

    /// Quotes a word and keeps `${` from being replaced.
    pub fn word(&mut self, word: &str) -> String {
        if word.contains(['\n', '\r', '\0']) {
            self.bad
                .get_or_insert_with(|| format!("a value must be one line, not `{}`", word.escape_debug()));
        }
        let quoted = quote(word);
        if !quoted.contains("${") {
            return quoted;
        }
        self.dollar = true;
        quoted.replace("${", "${DOLLAR}{")
    }

    /// The whole text.
    pub fn finish(self) -> String {
        let define = if self.dollar { "Define DOLLAR $\n" } else { "" };
        format!("{define}{}", self.out)
    }
}
