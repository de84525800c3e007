//! The file of `GilkeeperLogConfig`: read here, so that workers need no right to it, and a reload reads it again.

use crate::diagnostic::{Complaint, Journal};
use crate::source::Source;
use crate::token::Word;
use std::path::Path;

/// The dictionary as JSON; `None` after a complaint.
pub fn read(path: &Path, word: &Word, source: &dyn Source, journal: &mut Journal) -> Option<String> {
    match dictionary(path, source) {
        Ok(value) => Some(value.to_string()),
        Err(why) => {
            let message = format!("the logging configuration {} {why}", path.display());
            journal.say(Complaint::error(message).at(word));
            None
        }
    }
}

fn dictionary(path: &Path, source: &dyn Source) -> Result<serde_json::Value, String> {
    let bytes = source.read(path).map_err(|why| format!("cannot be read: {why}"))?;
    let text = String::from_utf8(bytes).map_err(|_| "is no UTF-8".to_owned())?;
    let is_toml = path.extension().is_some_and(|extension| extension == "toml");
    let value = if is_toml {
        let table: toml::Table = text.parse().map_err(|why: toml::de::Error| {
            let before = why.span().map_or(0, |span| span.start.min(text.len()));
            let line = text[..before].matches('\n').count() + 1;
            format!("is no TOML: line {line}: {}", why.message().lines().collect::<Vec<_>>().join(" "))
        })?;
        serde_json::to_value(table).map_err(|why| format!("has no form in JSON: {why}"))?
    } else {
        serde_json::from_str(&text)
            .map_err(|why| format!("is no JSON: {why}; a file of TOML ends in .toml"))?
    };
    match value.get("version").and_then(serde_json::Value::as_i64) {
        Some(1) => Ok(value),
        _ => Err("must say `version` 1, which dictConfig() asks for".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use crate::source::Memory;
    use crate::{Surroundings, load_text};

    #[test]
    fn json_and_toml_are_one_dictionary_and_mistakes_are_named() {
        let of = |name: &str, text: &str| {
            let surroundings = Surroundings { directory: "/srv".into(), ..Surroundings::default() };
            let source = Memory::new().with(format!("/srv/{name}"), text);
            let loaded = load_text("test", &format!("GilkeeperLogConfig {name}"), &source, &surroundings);
            let said: String = loaded.diagnostics.iter().map(|one| one.message.clone()).collect();
            loaded.site.map(|site| site.python.log_config.unwrap_or_default()).ok_or(said)
        };
        let same = r#"{"loggers":{"django.request":{"level":"INFO"}},"version":1}"#;
        assert_eq!(of("log.json", same).as_deref(), Ok(same));
        let toml = "version = 1\n[loggers.\"django.request\"]\nlevel = \"INFO\"\n";
        assert_eq!(of("log.toml", toml).as_deref(), Ok(same));
        for (name, text, says) in [
            ("log.json", "version = 1", "is no JSON"),
            ("log.toml", "version = 1\n[x", "is no TOML: line 2"),
            ("log.json", "{}", "must say `version` 1"),
            ("log.json", "[]", "must say `version` 1"),
        ] {
            let said = of(name, text).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
        assert!(of("../other", "").unwrap_err().contains("cannot be read") || of("log.json", "").is_err());
    }
}
