//! The message codes: mod_wsgi's numbers, which stay what they are so that existing alert rules go on working, and
//! our own; and Apache's codes of lines that are written as it does. Data only; `gilkeeper explain` and the reference print it.

mod access;
mod apache;
mod own;
mod process;
mod python;
mod request;

/// Level a message with the code is logged at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `alert`.
    Alert,
    /// `crit`.
    Crit,
    /// `error`.
    Error,
    /// `warn`.
    Warn,
    /// `notice`.
    Notice,
    /// `info`.
    Info,
}

/// Whose number a code has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// mod_wsgi's: `WSGI0084`.
    ModWsgi,
    /// Gilkeeper's: `GK0001`.
    Own,
    /// Apache's: `AH01630`.
    Apache,
}

impl Level {
    /// Name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Crit => "crit",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Notice => "notice",
            Self::Info => "info",
        }
    }
}

/// One code.
#[derive(Debug, Clone, Copy)]
pub struct Code {
    /// Number within its series.
    pub number: u16,
    /// Level.
    pub level: Level,
    /// When it is logged.
    pub condition: &'static str,
    /// What follows for requests or the process.
    pub effect: &'static str,
    /// What to do; empty where nothing can be done from outside.
    pub remedy: &'static str,
    /// Whose number it is.
    pub series: Series,
}

const fn code(
    number: u16,
    level: Level,
    condition: &'static str,
    effect: &'static str,
    remedy: &'static str,
) -> Code {
    Code { number, level, condition, effect, remedy, series: Series::ModWsgi }
}

impl Code {
    /// `WSGI0084`, `GK0001` or `AH01630`.
    pub fn name(&self) -> String {
        match self.series {
            Series::ModWsgi => format!("WSGI{:04}", self.number),
            Series::Own => format!("GK{:04}", self.number),
            Series::Apache => format!("AH{:05}", self.number),
        }
    }

    /// The page of the code as plain text.
    pub fn page(&self) -> String {
        let remedy =
            if self.remedy.is_empty() { String::new() } else { format!("What to do: {}.\n", self.remedy) };
        format!(
            "{} ({})\n\nWhen: {}.\nThen: {}.\n{remedy}",
            self.name(),
            self.level.name(),
            self.condition,
            self.effect
        )
    }
}

/// Numbers mod_wsgi has withdrawn; they are not used again.
pub const RETIRED: &[u16] = &[37, 39, 66, 92, 93, 180, 193, 197];

/// All codes by number, mod_wsgi's first and Apache's last.
pub fn all() -> impl Iterator<Item = &'static Code> {
    let mut theirs: Vec<&Code> =
        [process::CODES, python::CODES, access::CODES, request::CODES].into_iter().flatten().collect();
    theirs.sort_by_key(|code| code.number);
    theirs.into_iter().chain(own::CODES).chain(apache::CODES)
}

/// What there is to say about a code, by its name in any case; or why there is nothing.
pub fn explain(name: &str) -> Result<String, String> {
    let upper = name.to_ascii_uppercase();
    if let Some(code) = all().find(|code| code.name() == upper) {
        return Ok(code.page());
    }
    let number = upper.strip_prefix("WSGI").and_then(|n| n.parse::<u16>().ok());
    if number.is_some_and(|n| upper.len() == 8 && RETIRED.contains(&n)) {
        return Ok(format!("{upper}\n\nWithdrawn by mod_wsgi; nothing logs it any more.\n"));
    }
    let names: Vec<String> = all().map(Code::name).collect();
    let near = crate::nearest::nearest(&upper, names.iter().map(String::as_str));
    Err(match near {
        Some(near) => format!("there is no message code `{name}`; did you mean {near}?"),
        None => format!("there is no message code `{name}`: codes look like WSGI0084, GK0001 or AH01630"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_complete_and_unique() {
        let numbers: Vec<u16> =
            all().filter(|code| code.series == Series::ModWsgi).map(|code| code.number).collect();
        let expected: Vec<u16> = (1..=210).filter(|n| !RETIRED.contains(n)).collect();
        assert_eq!(numbers, expected);
        assert_eq!(numbers.len(), 202);
    }

    #[test]
    fn codes_explain_themselves() {
        let page = explain("wsgi0084").unwrap();
        assert!(page.starts_with("WSGI0084 (error)") && page.contains("queue-timeout"));
        assert!(explain("WSGI0037").unwrap().contains("Withdrawn"));
        assert!(explain("WSGI9999").is_err() && explain("84").is_err());
        assert!(explain("GK0001").is_ok());
        // Reported: log lines of denied requests have Apache's codes, and there was nothing about them.
        assert!(explain("ah01630").unwrap().starts_with("AH01630 (error)"));
        let apache: Vec<u16> = apache::CODES.iter().map(|code| code.number).collect();
        assert!(apache.is_sorted_by(|a, b| a < b), "{apache:?}");
    }
}
